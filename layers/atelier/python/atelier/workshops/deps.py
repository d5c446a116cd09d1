"""The dependencies of workshops."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.events.ports import EventPublisher
from atelier.idempotency import IdempotencyKeys
from atelier.ledger.post import PostDeps
from atelier.workshops.model import Workshop
from atelier.workshops.ports import WorkshopPeople, WorkshopStore


@dataclass(frozen=True, slots=True)
class AdvanceDeps:
    """What advancing workshops needs. wallets: the wallets of payers and educators. publisher: makes what publishes
    events; not every visit has one."""

    store: WorkshopStore
    wallets: PostDeps
    publisher: Callable[[], EventPublisher]


@dataclass(frozen=True, slots=True)
class PublishedWork:
    """A listing of the showcase that everybody sees. thumbnail_url: signed, for some minutes."""

    listing_id: str
    user_id: str
    title: str
    thumbnail_url: str | None


@dataclass(frozen=True, slots=True)
class WorkshopDeps:
    """What requests about workshops need. has_assets(workspace, ids): whether all of these are its assets.
    calendar_file(workshop, is_cancelled): its calendar file. published_works(up to 50 listing ids, now): those that
    everybody sees, by id."""

    advancing: AdvanceDeps
    people: WorkshopPeople
    idempotency_keys: Callable[[], IdempotencyKeys]
    has_assets: Callable[[str, tuple[str, ...]], bool]
    calendar_file: Callable[[Workshop, bool], bytes]
    published_works: Callable[[Collection[str], datetime], Mapping[str, PublishedWork]]

    @property
    def store(self) -> WorkshopStore:
        """The workshops of this deployment."""
        return self.advancing.store
