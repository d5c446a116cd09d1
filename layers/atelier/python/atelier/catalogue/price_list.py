"""The price list: versions of tiers and packs. Those of `tiers.yaml`, and those that administrators have published
since, which are records (`PublishedVersion`). A version never changes, and a subscription keeps its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from atelier.catalogue.tiers import Pack, Tier
from atelier.clock import Clock
from atelier.dataclass import dataclass
from atelier.telemetry import logger

EntryKind = Literal["tier", "pack"]
EntryT = TypeVar("EntryT", Tier, Pack)
# How long a process uses what it has read. A version that it does not know yet is read at once.
CACHED_FOR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """A version that an administrator has published. entry: as in the compiled catalogue, checked before it was
    published."""

    kind: EntryKind
    entry: Mapping[str, Any]
    published_at: datetime

    @property
    def id(self) -> str:
        """The id of the version, such as `pro@2`."""
        return str(self.entry["id"])


@dataclass(frozen=True, slots=True)
class Published:
    """What is published. revision: how many versions that were."""

    versions: tuple[PublishedVersion, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class PriceList:
    """All versions by id, and the newest of each name. Names are in the order of the file, which is the tiers' rank."""

    tiers: Mapping[str, Tier]
    packs: Mapping[str, Pack]
    newest_tiers: Mapping[str, Tier]
    newest_packs: Mapping[str, Pack]

    @classmethod
    def of(cls, tiers: Iterable[Tier], packs: Iterable[Pack]) -> PriceList:
        """The price list of these versions. Of two with one id the later one counts."""
        all_tiers, all_packs = {tier.id: tier for tier in tiers}, {pack.id: pack for pack in packs}
        return cls(all_tiers, all_packs, _newest(all_tiers), _newest(all_packs))

    def with_versions(self, published: Iterable[PublishedVersion]) -> PriceList:
        """This price list with published versions. One that a file has too counts as it was published and sold."""
        found = list(published)
        tiers = [Tier.from_data(each.entry) for each in found if each.kind == "tier"]
        packs = [Pack(**each.entry) for each in found if each.kind == "pack"]
        return PriceList.of([*self.tiers.values(), *tiers], [*self.packs.values(), *packs]) if found else self


def _newest(entries: Mapping[str, EntryT]) -> dict[str, EntryT]:
    newest: dict[str, EntryT] = {}
    for entry in entries.values():
        if entry.name not in newest or newest[entry.name].version < entry.version:
            newest[entry.name] = entry
    return newest


class LivePriceList:
    """The price list of a process: that of the files, with what was published, at most CACHED_FOR old. read: reads what
    was published, consistently if it is told so."""

    def __init__(self, files: PriceList, read: Callable[[bool], Sequence[PublishedVersion]], clock: Clock) -> None:
        self._files, self._read, self._clock = files, read, clock
        self._read_at: datetime | None = None
        self._list = files

    def now(self) -> PriceList:
        """The price list as this process knows it. When it cannot be read again, it stays as it is."""
        now = self._clock()
        if self._read_at is None or now - self._read_at >= CACHED_FOR:
            self._read_at = now
            try:
                self._list = self._files.with_versions(self._read(False))
            except Exception:
                logger.exception("published prices cannot be read")
        return self._list

    def read_again(self) -> PriceList:
        """The price list as it is stored. Raises what reading raises."""
        self._list = self._files.with_versions(self._read(True))
        self._read_at = self._clock()
        return self._list
