"""Seals: a wallet's movements, chained by their hashes so that a later change of any of them shows. Pure.

A seal covers up to 100 movements that no seal before it covers, in the order in which they were found, and says what
everything sealed up to it comes to. What is hashed, and how, stands in `verify.py`, which checks it from outside.

Nothing waits for a seal: it is written after the movements, by the table's stream, and by whoever needs it sooner.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from atelier.clock import rfc3339
from atelier.frozen import dataclass
from atelier.ledger.model import Wallet
from atelier.ledger.verify import AMOUNT, REMAINING, add, digest, milliseconds, seal_hash, tidy

MOVEMENTS_MAX = 100
Form = dict[str, Any]
"""A movement as it is digested and shown: key, order, kind, subject, at, entries, facts, and hold if it is one."""


@dataclass(frozen=True, slots=True)
class Seal:
    """One link. `movements` are (order, key, digest); `count`, `balance` and `grants` cover all seals up to this one,
    a grant as `verify.py` lists it. `at` is never before what it covers, nor before the previous seal's;
    `lag_milliseconds` is the longest that a movement of this chain has waited for its seal so far."""

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
        """(order, key) of each of its movements."""
        return {(order, key) for order, key, _ in self.movements}


def public(seal: Seal) -> Form:
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


def from_public(data: Form) -> Seal:
    """The inverse of `public`."""
    fields: Form = {**data, "movements": tuple((order, key, sealed) for order, key, sealed in data["movements"])}
    return Seal(**fields)


def intact(workspace_id: str, seal: Seal) -> bool:
    """Whether the seal still says what was hashed."""
    return seal.hash == seal_hash(workspace_id, public(seal))


def place(form: Form) -> tuple[str, str]:
    """What names a movement in its wallet: (order, key)."""
    return form["order"], form["key"]


def following(workspace_id: str, previous: Seal | None, forms: Sequence[Form], now: datetime) -> Seal:
    """The seal of up to 100 movements that comes after `previous`."""
    if not 0 < len(forms) <= MOVEMENTS_MAX:
        raise ValueError(f"a seal covers 1 to {MOVEMENTS_MAX} movements")
    at = max(rfc3339(now), previous.at if previous else "", *(form["at"] for form in forms))
    balance, grants = sums(previous, forms)
    seal: Form = {
        "number": previous.number + 1 if previous else 1,
        "previous": previous.hash if previous else None,
        "at": at,
        "lag_milliseconds": max(
            previous.lag_milliseconds if previous else 0,
            *(milliseconds(at) - milliseconds(form["at"]) for form in forms),
        ),
        "count": (previous.count if previous else 0) + len(forms),
        "movements": [[*place(form), digest(form)] for form in forms],
        "balance": balance,
        "grants": grants,
    }
    return from_public({**seal, "hash": seal_hash(workspace_id, seal)})


def chained(workspace_id: str, previous: Seal | None, forms: Sequence[Form], now: datetime) -> Iterator[Seal]:
    """As many seals as the movements need."""
    for start in range(0, len(forms), MOVEMENTS_MAX):
        previous = following(workspace_id, previous, forms[start : start + MOVEMENTS_MAX], now)
        yield previous


def sums(previous: Seal | None, forms: Sequence[Form]) -> tuple[dict[str, int], dict[str, list[Any]]]:
    """What accounts and grants come to with these movements added to everything sealed."""
    balance = dict(previous.balance) if previous else {}
    grants = copy.deepcopy(previous.grants) if previous else {}
    for form in forms:
        add(form, balance, grants)
    tidy(balance, grants)
    return balance, grants


def counters(wallet: Wallet) -> Form:
    """What a proof shows of a wallet: just what its entries must come to."""
    return {
        "available": wallet.available,
        "held": wallet.held,
        "debt": wallet.debt,
        "holds_open": wallet.holds_open,
        "written": wallet.written,
        "grants": {grant.id: [grant.remaining, grant.held] for grant in wallet.grants if grant.remaining or grant.held},
    }


def drift(wallet: Wallet, balance: dict[str, int], grants: dict[str, list[Any]]) -> str | None:
    """How the counters of a wallet differ from what all its movements come to; None when they agree."""
    shown = counters(wallet)
    come_to = {
        "available": balance.get("available", 0),
        "held": balance.get("held", 0),
        "debt": -balance.get("debt", 0),
        "grants": {grant: state[REMAINING:AMOUNT] for grant, state in grants.items()},
    }
    differing = [
        f"{name} is {shown[name]} and should be {value}" for name, value in come_to.items() if shown[name] != value
    ]
    return "; ".join(differing) or None
