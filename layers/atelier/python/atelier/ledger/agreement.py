"""Assertions on plans: a movement's entries and the change of the counters say the same. They are two descriptions of
one thing, and a planner that errs in one of them stops here, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

from atelier.ledger.model import Change, Entry, Movement, Wallet


def assert_agreement(movement: Movement, change: Change, *others: Movement) -> None:
    """Assert that a change of the counters is what the entries of its movements say: in total, and for each grant."""
    entries = [entry for each in (movement, *others) for entry in each.entries]
    assert change.available == _moved(entries, "available"), f"{movement.key} disagrees on available"
    assert change.held == _moved(entries, "held"), f"{movement.key} disagrees on held"
    assert change.debt == -_moved(entries, "debt"), f"{movement.key} disagrees on debt"
    added = {grant.id: (grant.remaining, grant.held) for grant in change.added}
    grants = added | {each.grant_id: (each.remaining, each.held) for each in change.grants}
    for grant_id in grants.keys() | {entry.grant_id for entry in entries if entry.grant_id}:
        moved = _moved(entries, "available", grant_id), _moved(entries, "held", grant_id)
        assert grants.get(grant_id, (0, 0)) == moved, f"{movement.key} disagrees on grant {grant_id}"


def assert_refresh(before: Wallet, after: Wallet, movements: Sequence[Movement]) -> None:
    """Assert that a refresh changes the counters as its movements say, and takes nothing below zero."""
    entries = [entry for movement in movements for entry in movement.entries]
    available, debt = _moved(entries, "available"), -_moved(entries, "debt")
    assert after.available - before.available == available, "a refresh disagrees with its movements on available"
    assert after.debt - before.debt == debt, "a refresh disagrees with its movements on debt"
    assert after.held == before.held, "a refresh changed the held credits"
    assert 0 <= after.debt <= before.debt, f"a refresh changed the debt from {before.debt} to {after.debt}"
    assert all(grant.remaining >= 0 for grant in after.grants), "a refresh took more than a grant had"


def _moved(entries: Sequence[Entry], account: str, grant_id: str | None = None) -> int:
    """The sum of entries on an account; with `grant_id`, of this grant only."""
    return sum(entry.amount for entry in entries if entry.account == account and grant_id in (None, entry.grant_id))
