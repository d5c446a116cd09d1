"""What the seals of a chain cover. Chains differ in what they seal: movements of a wallet, events of an audit log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

SEALS_PER_READ = 20


class SealNumberTaken(Exception):
    """A seal with this number exists already: read the newest seal and continue from it."""


class ChainLink(Protocol):
    """A seal: its number, its time (RFC 3339, never before what it covers), and the keys of what it covers."""

    @property
    def number(self) -> int: ...

    @property
    def at(self) -> str: ...

    def covers(self) -> set[Any]: ...


LinkT = TypeVar("LinkT", bound=ChainLink)
LinkT_co = TypeVar("LinkT_co", bound=ChainLink, covariant=True)


class LinkReads(Protocol[LinkT_co]):
    """Stored seals of a chain, which has an owner's id."""

    def between(self, owner: str, first: int, last: int, /) -> Sequence[LinkT_co]: ...


class SealedKeys(Generic[LinkT]):
    """The keys that the seals of a chain cover. Older seals are read only as far as a question needs them."""

    def __init__(self, owner: str, head: LinkT | None, seals: LinkReads[LinkT]) -> None:
        self.head = head
        self._owner, self._seals = owner, seals
        self._keys: set[Any] = set(head.covers()) if head else set()
        self._oldest: LinkT | None = head

    def covers(self, key: Any, at: str) -> bool:
        """Whether a seal covers what has this key and this time (RFC 3339)."""
        while key not in self._keys and self._oldest and self._oldest.at >= at and self._oldest.number > 1:
            last_number = self._oldest.number - 1
            older_seals = self._seals.between(self._owner, max(1, last_number - SEALS_PER_READ + 1), last_number)
            if not older_seals:
                break
            self._oldest = older_seals[0]
            for each in older_seals:
                self._keys |= each.covers()
        return key in self._keys
