"""Carry out an operation exactly once: plan it on the wallets as read, write it, and plan again if they have
changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import AtelierError, Conflict, NotFound
from atelier.idempotency import fingerprint
from atelier.ids import new_id
from atelier.ledger.model import DailyCreditRule, GrantSource, Wallet
from atelier.ledger.operations import (
    Facts,
    GrantRecord,
    Operation,
    OperationRecord,
    TransferShare,
    plan_adjustment,
    plan_give_back,
    plan_grant,
    plan_revocation,
    plan_transfer,
    returned_key,
    revoked_credits,
    revoked_grant_key,
)
from atelier.ledger.ports import OperationExists, StaleWallet, WalletStore
from atelier.ledger.refresh import refresh_wallet
from atelier.retrying import retrying

TRIES_MAX = 60
# The prefixes of the other movements' keys are reserved, and a sort key has at most 1 KiB.
OPERATION_KEY_PATTERN = re.compile(
    r"(?!(hold|settle|late|daily|expiry|cover|escrow|escrow-end|refund|purchase|unpurchase)#)[^\x00-\x1f\x7f]{1,200}"
)


def ignore() -> None:
    """For those who need not know that something was written."""


@dataclass(frozen=True, slots=True)
class PostDeps:
    """Dependencies. `daily` gives a tier's daily credits; `pause(tries)` waits a little after a parallel writer has
    changed the wallet first; `on_posted` is called after each operation that was written, so not for a repetition."""

    wallets: WalletStore
    daily: Callable[[str], DailyCreditRule]
    pause: Callable[[int], None]
    on_posted: Callable[[], None] = ignore

    def refreshed_wallet(self, workspace_id: str, now: datetime) -> Wallet:
        """The wallet with everything due booked."""
        return refresh_wallet(workspace_id, wallets=self.wallets, daily_credits_of=self.daily, now=now)


def grant(
    workspace_id: str,
    key: str,
    source: GrantSource,
    amount: int,
    *,
    expires_at: datetime | None = None,
    priority: int | None = None,
    facts: Facts | None = None,
    deps: PostDeps,
    now: datetime,
) -> OperationRecord:
    """Grant credits exactly once, under a key that names their reason (`grant#stripe#pi_…`). Returns the record.

    A repetition must have the same arguments, except `now`; otherwise raises Conflict. Raises NotFound when there is no
    wallet, ValueError for an invalid key, Unavailable when the wallet is too busy."""

    identity_facts: Facts = {
        # The caller's facts come first, so that none of them replaces one of ours.
        **(facts or {}),
        "amount": amount,
        "source": source.value,
        "expires_at": rfc3339(expires_at) if expires_at else None,
        "priority": priority,
    }

    def plan() -> Operation:
        return plan_grant(
            deps.refreshed_wallet(workspace_id, now),
            key,
            source,
            amount,
            expires_at=expires_at,
            priority=priority,
            facts=facts or {},
            order=_order(now),
            now=now,
        )

    return _post(workspace_id, key, fingerprint(["grant", identity_facts]), plan, deps)


def revoke(
    workspace_id: str, key: str, grant_key: str, amount: int, reason: str, *, deps: PostDeps, now: datetime
) -> int:
    """Revoke up to `amount` credits of a grant, after a refund or a chargeback; returns how many were taken. Credits
    that were spent become a debt, and nothing can be spent until new credits have paid it.

    However many revocations of a grant there are at the same time, together they take no more than the grant. A
    repetition returns what was taken then. When nothing is left to take, returns 0 and writes nothing, so the same call
    may take something later, once another revocation of the grant was given back. Raises NotFound when there was no
    such grant, Conflict when the key was used for something else."""

    def plan() -> Operation | None:
        wallet = deps.refreshed_wallet(workspace_id, now)
        grant_record = _grant_record(workspace_id, grant_key, deps)
        # Read even if the grant has not expired by our clock: a process whose clock is ahead may have booked the
        # expiry.
        expired = (
            deps.wallets.expired_credits(workspace_id, grant_record.grant_id, grant_record.expires_at)
            if grant_record.expires_at
            else 0
        )
        return plan_revocation(
            wallet, key, grant_record, amount, expired_credits=expired, reason=reason, order=_order(now), now=now
        )

    operation_fingerprint = fingerprint(["revoke", {"grant": grant_key, "amount": amount, "reason": reason}])
    record = _post_once(workspace_id, key, operation_fingerprint, plan, deps)
    # The movement says what was taken, now or then; `amount` is only what was asked for.
    return revoked_credits(deps.wallets.movement(workspace_id, record.order, key)) if record else 0


def give_back(workspace_id: str, revocation_key: str, reason: str, *, deps: PostDeps, now: datetime) -> int:
    """Give back all that a revocation took, after a won dispute or a failed refund; returns how many credits. Its key
    follows from the revocation's (`returned_key`), so a revocation is given back once for ever; a repetition returns
    what was given then. A debt is covered from it at the wallet's next use.

    When there is no such revocation, returns 0 and writes nothing. Raises NotFound when there is no wallet, ValueError
    when the key is that of another operation."""

    def plan() -> Operation | None:
        recorded = deps.wallets.operation_record(workspace_id, revocation_key)
        if recorded is None:
            return None
        revocation = deps.wallets.movement(workspace_id, recorded.order, revocation_key)
        wallet = deps.refreshed_wallet(workspace_id, now)
        grant_record = _grant_record(workspace_id, revoked_grant_key(revocation), deps)
        return plan_give_back(wallet, revocation, grant_record, reason=reason, order=_order(now), now=now)

    key = returned_key(revocation_key)
    operation_fingerprint = fingerprint(["give back", {"revocation": revocation_key}])
    record = _post_once(workspace_id, key, operation_fingerprint, plan, deps)
    return record.grant.amount if record and record.grant else 0


def adjust(
    workspace_id: str,
    key: str,
    credits: int,
    *,
    reason: str,
    by: str,
    approved_by: str | None = None,
    deps: PostDeps,
    now: datetime,
) -> OperationRecord:
    """Apply an administrator's correction of `credits` (positive or negative). `by`: the administrator; `approved_by`:
    another one, where two are needed. Raises InsufficientCredits when it would take more than can be spent."""

    request_facts: Facts = {"reason": reason, "by": by}
    facts = request_facts | ({"approved_by": approved_by} if approved_by else {})

    def plan() -> Operation:
        return plan_adjustment(
            deps.refreshed_wallet(workspace_id, now), key, credits, facts, order=_order(now), now=now
        )

    return _post(workspace_id, key, fingerprint(["adjust", {**request_facts, "credits": credits}]), plan, deps)


def transfer(
    workspace_id: str,
    key: str,
    shares: Mapping[str, tuple[str, int]],
    *,
    fee: int,
    facts: Facts | None = None,
    deps: PostDeps,
    now: datetime,
) -> OperationRecord:
    """Pay other workspaces in one transaction. `shares`: receiver's workspace id → (role, credits), the role being
    seller or royalty; `fee`: credits for the platform. Raises InsufficientCredits, NotFound when a wallet does not
    exist."""

    def plan() -> Operation:
        transfer_shares = tuple(
            TransferShare(deps.wallets.wallet(receiver), credits, role)
            for receiver, (role, credits) in sorted(shares.items())
        )
        payer = deps.refreshed_wallet(workspace_id, now)
        return plan_transfer(payer, key, transfer_shares, fee, facts or {}, order=_order(now), now=now)

    share_facts: Facts = {receiver: f"{role} {credits}" for receiver, (role, credits) in shares.items()}
    return _post(workspace_id, key, fingerprint(["transfer", {**(facts or {}), "fee": fee, **share_facts}]), plan, deps)


def _grant_record(workspace_id: str, grant_key: str, deps: PostDeps) -> GrantRecord:
    recorded = deps.wallets.operation_record(workspace_id, grant_key)
    if recorded is None or recorded.grant is None:
        raise NotFound("There is no such grant.")
    return recorded.grant


def _post(
    workspace_id: str, key: str, operation_fingerprint: str, plan: Callable[[], Operation], deps: PostDeps
) -> OperationRecord:
    record = _post_once(workspace_id, key, operation_fingerprint, plan, deps)
    assert record is not None, f"{key} has a plan"
    return record


def _post_once(
    workspace_id: str, key: str, operation_fingerprint: str, plan: Callable[[], Operation | None], deps: PostDeps
) -> OperationRecord | None:
    """Plan and write an operation, unless it has happened; returns its record. None when there is nothing to write."""
    if not OPERATION_KEY_PATTERN.fullmatch(key):
        raise ValueError(f"the key of an operation is {OPERATION_KEY_PATTERN.pattern}")

    def recorded() -> OperationRecord | None:
        record = deps.wallets.operation_record(workspace_id, key)
        if record is not None and record.fingerprint != operation_fingerprint:
            raise Conflict(f"{key} has happened already, with other facts.", key=key)
        return record

    def attempt() -> OperationRecord | None:
        # Read before planning: a repetition must not be refused because of the wallet's state today.
        if (record := recorded()) is not None:
            return record
        try:
            operation = plan()
        except AtelierError:
            # The plan may be refused because of what a parallel request with the same key has just written.
            if (record := recorded()) is not None:
                return record
            raise
        if operation is None:
            return recorded()
        deps.wallets.post(operation, operation_fingerprint)
        deps.on_posted()
        return OperationRecord(key, operation_fingerprint, operation.postings[0].movement.order, operation.new_grant)

    return retrying(
        attempt,
        on=(StaleWallet, OperationExists),
        busy="The wallet is busy. Try again.",
        tries_max=TRIES_MAX,
        pause=deps.pause,
    )


def _order(now: datetime) -> str:
    return new_id("grt", now)[4:]
