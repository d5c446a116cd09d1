"""Seals: a wallet's movements, chained by their hashes so that a later change of any of them shows. Pure.

A seal covers up to 100 movements that no earlier seal covers, in the order in which they were found, and holds the sums
of everything sealed so far. `verify.py` defines what is hashed and how, and checks it independently.

No request waits for a seal: the reader of the table's stream writes it after the movements, and so does a request that
needs it sooner (a proof, an audit).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.ledger.model import Wallet
from atelier.ledger.verify import AMOUNT, REMAINING, add_movement, digest, drop_zero_sums, milliseconds, seal_hash

MOVEMENTS_MAX = 100
PublicForm = dict[str, Any]
"""A movement as it is digested and shown: key, order, kind, subject, at, entries, facts, and hold if it is one."""


@dataclass(frozen=True, slots=True)
class Seal:
    """One link of the chain.

    `movements` are (order, key, digest). `count`, `balance` and `grants` are sums over all seals up to this one; a
    grant has the form that `verify.py` describes. `at` (RFC 3339) is never before a covered movement nor before the
    previous seal. `lag_milliseconds` is the longest time that a movement of this chain has waited for its seal so
    far."""

    number: int
    previous: str | None
    at: str
    lag_milliseconds: int
    count: int
    movements: tuple[tuple[str, str, str], ...]
    balance: dict[str, int]
    grants: dict[str, list[Any]]
    hash: str

    def covers(self) -> set[tuple[str, str]]:
        """(order, key) of each movement that this seal covers."""
        return {(order, key) for order, key, _ in self.movements}


def to_public(seal: Seal) -> PublicForm:
    """The seal as it is hashed and shown."""
    return {
        "number": seal.number,
        "previous": seal.previous,
        "at": seal.at,
        "lag_milliseconds": seal.lag_milliseconds,
        "count": seal.count,
        "movements": [list(movement) for movement in seal.movements],
        "balance": seal.balance,
        "grants": seal.grants,
        "hash": seal.hash,
    }


def from_public(data: PublicForm) -> Seal:
    """The inverse of `public`."""
    fields: PublicForm = {**data, "movements": tuple((order, key, sealed) for order, key, sealed in data["movements"])}
    return Seal(**fields)


def is_intact(workspace_id: str, seal: Seal) -> bool:
    """Whether the seal's hash matches its content."""
    return seal.hash == seal_hash(workspace_id, to_public(seal))


def movement_id(form: PublicForm) -> tuple[str, str]:
    """(order, key): together they identify a movement in its wallet."""
    return form["order"], form["key"]


def next_seal(workspace_id: str, previous: Seal | None, movements: Sequence[PublicForm], now: datetime) -> Seal:
    """The seal after `previous`, over 1 to 100 movements. Raises ValueError for another number of movements."""
    if not 0 < len(movements) <= MOVEMENTS_MAX:
        raise ValueError(f"a seal covers 1 to {MOVEMENTS_MAX} movements")
    at = max(rfc3339(now), previous.at if previous else "", *(form["at"] for form in movements))
    balance, grants = sum_movements(previous, movements)
    seal: PublicForm = {
        "number": previous.number + 1 if previous else 1,
        "previous": previous.hash if previous else None,
        "at": at,
        "lag_milliseconds": max(
            previous.lag_milliseconds if previous else 0,
            *(milliseconds(at) - milliseconds(form["at"]) for form in movements),
        ),
        "count": (previous.count if previous else 0) + len(movements),
        "movements": [[*movement_id(form), digest(form)] for form in movements],
        "balance": balance,
        "grants": grants,
    }
    return from_public({**seal, "hash": seal_hash(workspace_id, seal)})


def chain(workspace_id: str, previous: Seal | None, movements: Sequence[PublicForm], now: datetime) -> Iterator[Seal]:
    """The seals after `previous` over all these movements, up to 100 movements each."""
    for start in range(0, len(movements), MOVEMENTS_MAX):
        previous = next_seal(workspace_id, previous, movements[start : start + MOVEMENTS_MAX], now)
        yield previous


def sum_movements(
    previous: Seal | None, movements: Sequence[PublicForm]
) -> tuple[dict[str, int], dict[str, list[Any]]]:
    """The sums by account and by grant: everything sealed up to `previous`, and these movements."""
    balance = dict(previous.balance) if previous else {}
    grants = copy.deepcopy(previous.grants) if previous else {}
    for form in movements:
        add_movement(form, balance, grants)
    drop_zero_sums(balance, grants)
    return balance, grants


def proven_counters(wallet: Wallet) -> PublicForm:
    """The wallet's counters that a proof shows: those that follow from its entries."""
    return {
        "available": wallet.available,
        "held": wallet.held,
        "debt": wallet.debt,
        "holds_open": wallet.holds_open,
        "written": wallet.written,
        "grants": {grant.id: [grant.remaining, grant.held] for grant in wallet.grants if grant.remaining or grant.held},
    }


def counters_mismatch(wallet: Wallet, balance: dict[str, int], grants: dict[str, list[Any]]) -> str | None:
    """How the counters of a wallet differ from the sums of all its movements; None when they agree."""
    wallet_counters = proven_counters(wallet)
    expected = {
        "available": balance.get("available", 0),
        "held": balance.get("held", 0),
        "debt": -balance.get("debt", 0),
        "grants": {grant: state[REMAINING:AMOUNT] for grant, state in grants.items()},
    }
    differing = [
        f"{name} is {wallet_counters[name]} and should be {value}"
        for name, value in expected.items()
        if wallet_counters[name] != value
    ]
    return "; ".join(differing) or None
