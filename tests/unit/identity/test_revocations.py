"""The list of users whose sessions are read at every request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from atelier.errors import Unavailable
from atelier.identity.revocations import KNOWN_FOR, RevocationList

NOW = datetime(2026, 11, 30, 10, 15, tzinfo=UTC)
A_MOMENT = timedelta(milliseconds=1)


class StoredRevocations:
    """Revocations in memory. reads: how often it was asked. answers: False = it does not answer."""

    def __init__(self) -> None:
        self.added = set[str]()
        self.reads = 0
        self.answers = True

    def add(self, user_id: str, now: datetime) -> None:
        self.added.add(user_id)

    def users(self, now: datetime) -> frozenset[str]:
        self.reads += 1
        if not self.answers:
            raise Unavailable("no answer")
        return frozenset(self.added)


def test_the_list_is_read_again_after_some_seconds_and_not_before() -> None:
    stored = StoredRevocations()
    known = RevocationList(stored)
    assert not known.includes("usr_1", NOW)
    stored.add("usr_1", NOW)
    assert not known.includes("usr_1", NOW + KNOWN_FOR - A_MOMENT)
    assert stored.reads == 1
    assert known.includes("usr_1", NOW + KNOWN_FOR)
    assert not known.includes("usr_2", NOW + KNOWN_FOR)
    assert stored.reads == 2


def test_what_was_known_counts_while_the_store_does_not_answer() -> None:
    stored = StoredRevocations()
    stored.add("usr_1", NOW)
    known = RevocationList(stored)
    assert known.includes("usr_1", NOW)
    stored.answers = False
    assert known.includes("usr_1", NOW + KNOWN_FOR)
    assert not known.includes("usr_2", NOW + KNOWN_FOR)
