"""Carry out an operation once for ever: plan on the wallets as they are, write, and plan again when they have moved."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from atelier.clock import rfc3339
from atelier.errors import AtelierError, Conflict, NotFound, Unavailable
from atelier.ids import new_id
from atelier.ledger.model import Daily, GrantSource, Wallet
from atelier.ledger.operations import (
    Facts,
    Operation,
    Recorded,
    Share,
    fingerprint,
    plan_adjustment,
    plan_grant,
    plan_revocation,
    plan_transfer,
)
from atelier.ledger.ports import OperationExists, StaleWallet, WalletStore
from atelier.ledger.refresh import refreshed

TRIES_MAX = 60
# Other movements are told apart by what their keys begin with, and a sort key has 1 KiB.
KEY = re.compile(r"(?!(hold|settle|late|daily|expiry|cover)#)[^\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True, slots=True)
class Posting:
    """The collaborators. `pause(tries)` waits a little after losing to a parallel writer of the same wallet."""

    wallets: WalletStore
    daily: Callable[[str], Daily]
    pause: Callable[[int], None]

    def wallet(self, workspace_id: str, now: datetime) -> Wallet:
        """The wallet with everything due booked."""
        return refreshed(workspace_id, wallets=self.wallets, daily=self.daily, now=now)


def grant(
    workspace_id: str,
    key: str,
    source: GrantSource,
    amount: int,
    *,
    expires_at: datetime | None = None,
    priority: int | None = None,
    facts: Facts | None = None,
    to: Posting,
    now: datetime,
) -> Recorded:
    """Give credits under a key of the business object that earned them (`grant#stripe#pi_…`), once for ever.

    Everything but `now` must be the same when it is repeated; raises Conflict otherwise, NotFound without a wallet."""

    told: Facts = {
        # First: no fact of the caller's may stand in for what is given.
        **(facts or {}),
        "amount": amount,
        "source": source.value,
        "expires_at": rfc3339(expires_at) if expires_at else None,
        "priority": priority,
    }

    def plan() -> Operation:
        return plan_grant(
            to.wallet(workspace_id, now),
            key,
            source,
            amount,
            expires_at=expires_at,
            priority=priority,
            facts=facts or {},
            order=_order(now),
            now=now,
        )

    return _post(workspace_id, key, fingerprint("grant", told), plan, to)


def revoke(
    workspace_id: str, key: str, grant_key: str, amount: int, reason: str, *, to: Posting, now: datetime
) -> Recorded:
    """Take a grant back, wholly or in part, after a refund or a chargeback; what was spent of it becomes a debt, and
    nothing can be spent until credits have covered it. Raises NotFound when there was no such grant, Conflict when more
    would be taken back than was given."""

    def plan() -> Operation:
        wallet = to.wallet(workspace_id, now)
        recorded = to.wallets.recorded(workspace_id, grant_key)
        if recorded is None or recorded.given is None:
            raise NotFound("There is no such grant.")
        given = recorded.given
        # Whatever our clock says: one that is ahead of it may have booked the expiry already.
        expired = to.wallets.expired_of(workspace_id, given.grant_id, given.expires_at) if given.expires_at else 0
        return plan_revocation(wallet, key, given, amount, expired=expired, reason=reason, order=_order(now), now=now)

    identity = fingerprint("revoke", {"grant": grant_key, "amount": amount, "reason": reason})
    return _post(workspace_id, key, identity, plan, to)


def adjust(workspace_id: str, key: str, credits: int, *, reason: str, by: str, to: Posting, now: datetime) -> Recorded:
    """An administrator's correction, up or down, with its reason. Raises InsufficientCredits when it would take more
    than can be spent."""

    facts: Facts = {"reason": reason, "by": by}

    def plan() -> Operation:
        return plan_adjustment(to.wallet(workspace_id, now), key, credits, facts, order=_order(now), now=now)

    return _post(workspace_id, key, fingerprint("adjust", {**facts, "credits": credits}), plan, to)


def transfer(
    workspace_id: str,
    key: str,
    shares: Mapping[str, tuple[str, int]],
    *,
    fee: int,
    facts: Facts | None = None,
    to: Posting,
    now: datetime,
) -> Recorded:
    """Pay other workspaces in one transaction: `shares` maps each to its role (seller, royalty) and credits; `fee` is
    the platform's. Raises InsufficientCredits, NotFound when a wallet does not exist."""

    def plan() -> Operation:
        received = tuple(
            Share(to.wallets.wallet(receiver), credits, role) for receiver, (role, credits) in sorted(shares.items())
        )
        payer = to.wallet(workspace_id, now)
        return plan_transfer(payer, key, received, fee, facts or {}, order=_order(now), now=now)

    parts: Facts = {receiver: f"{role} {credits}" for receiver, (role, credits) in shares.items()}
    return _post(workspace_id, key, fingerprint("transfer", {**(facts or {}), "fee": fee, **parts}), plan, to)


def _post(workspace_id: str, key: str, identity: str, plan: Callable[[], Operation], to: Posting) -> Recorded:
    if not KEY.fullmatch(key):
        raise ValueError(f"the key of an operation is {KEY.pattern}")
    for tries in range(TRIES_MAX):
        # Before the plan: what has happened already must not be refused for what the wallet has become since.
        recorded = to.wallets.recorded(workspace_id, key)
        if recorded is not None:
            if recorded.fingerprint != identity:
                raise Conflict(f"{key} has happened already, with other facts.", key=key)
            return recorded
        try:
            operation = plan()
        except AtelierError:
            if to.wallets.recorded(workspace_id, key) is None:
                raise
            continue  # Refused for what a parallel request with this key has just done.
        try:
            to.wallets.post(operation, identity)
        except StaleWallet:
            to.pause(tries)
        except OperationExists:
            continue
        else:
            return Recorded(key, identity, operation.postings[0].movement.order, operation.given)
    raise Unavailable("The wallet is busy. Try again.")


def _order(now: datetime) -> str:
    return new_id("grt", now)[4:]
