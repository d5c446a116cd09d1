"""Whose sessions an administrator has ended in the last minutes.

A request that reads its own personal workspace relies on its access token, and reads no session. For these users it
reads the session all the same, so that an account that is suspended or signed out is refused within KNOWN_FOR, not
when its access token expires."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

from atelier.errors import Unavailable

# A worker's knowledge of the list may be so old.
KNOWN_FOR = timedelta(seconds=5)


class Revocations(Protocol):
    """Users for whom sessions are read at every request. Who was added stays for at least the lifetime of an access
    token."""

    def add(self, user_id: str, now: datetime) -> None:
        """Add a user. Repeating it changes nothing."""
        ...

    def users(self, now: datetime) -> frozenset[str]:
        """All who were added in the last minutes; an answer may lack somebody who was added a moment ago."""
        ...


class RevocationList:
    """The list as this worker knows it, read at most once in KNOWN_FOR. When the store does not answer, what was known
    before counts: whatever changes something reads the session in any case."""

    def __init__(self, revocations: Revocations) -> None:
        self._revocations = revocations
        self._users = frozenset[str]()
        self._read_at: datetime | None = None

    def includes(self, user_id: str, now: datetime) -> bool:
        """Whether the sessions of this user are to be read."""
        if self._read_at is None or now - self._read_at >= KNOWN_FOR:
            self._read_at = now
            with suppress(Unavailable):
                self._users = self._revocations.users(now)
        return user_id in self._users
