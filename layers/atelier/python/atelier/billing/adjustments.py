"""Correct a wallet, as administrators of the platform do: an amount of credits with a reason.

One administrator alone corrects up to a number of credits a day; what is above waits for a second one (four eyes). The
record of an adjustment, its movement and its audit events are one transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from atelier.audit_log.model import AuditEvent, Origin, platform_events
from atelier.billing.ports import AdjustmentStore
from atelier.dataclass import dataclass
from atelier.errors import Conflict, Forbidden
from atelier.idempotency import IdempotencyKeys, fingerprint
from atelier.ids import new_id
from atelier.ledger.post import PostDeps, adjust


class AdjustmentState(StrEnum):
    """What became of an adjustment. Only a pending one changes any more."""

    PENDING = "pending"
    APPLIED = "applied"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A correction of a wallet. credits: positive or negative, never zero. decided_by: who applied or rejected it; who
    requested it, if nobody else was needed."""

    id: str
    workspace_id: str
    credits: int
    reason: str
    requested_by: str
    requested_at: datetime
    state: AdjustmentState = AdjustmentState.PENDING
    decided_by: str | None = None
    decided_at: datetime | None = None

    @property
    def ledger_key(self) -> str:
        """The key of its movement."""
        return f"adjust#{self.id}"


@dataclass(frozen=True, slots=True)
class AdjustmentPage:
    """Adjustments, newest first, and the id after which the next page begins; None on the last page."""

    adjustments: tuple[Adjustment, ...]
    next_id: str | None


@dataclass(frozen=True, slots=True)
class NewAdjustment:
    """The request for an adjustment, with the key that the administrator chose for it."""

    workspace_id: str
    credits: int
    reason: str
    idempotency_key: str


class AdjustmentExists(Exception):
    """There is an adjustment with this id."""


class AdjustmentDecided(Exception):
    """The adjustment is no longer as it was read: it was written, applied or rejected meanwhile."""


class AloneLimitReached(Exception):
    """The administrator would adjust more in a day than one may without a second one."""


class ForeignEyesNeeded(Forbidden):
    """Who requested an adjustment does not approve it."""

    def __init__(self) -> None:
        super().__init__("Another administrator has to approve this.", reason="four_eyes")


@dataclass(frozen=True, slots=True)
class AdjustmentDeps:
    """Dependencies. alone_credits_max: how many credits one administrator adjusts in a day (UTC) alone; positive and
    negative ones both count. ledger: its store of wallets is replaced by one that writes the record too."""

    store: AdjustmentStore
    keys: IdempotencyKeys
    ledger: PostDeps
    alone_credits_max: int


def request_adjustment(
    new: NewAdjustment, origin: Origin, *, deps: AdjustmentDeps, now: datetime
) -> tuple[Adjustment, bool]:
    """The adjustment, applied or waiting for a second administrator, and whether the same request had made it before.
    Raises NotFound without a wallet, InsufficientCredits, IdempotencyMismatch."""
    by = _user_of(origin)
    deps.ledger.wallets.wallet(new.workspace_id)
    facts = fingerprint(["adjustment", new.workspace_id, new.credits, new.reason])
    id = deps.keys.reserve(new.workspace_id, f"adjustments {by} {new.idempotency_key}", facts, new_id("adj", now))
    known = deps.store.find(id)
    if known is not None:
        return known, True

    wanted = Adjustment(id, new.workspace_id, new.credits, new.reason, by, now)
    try:
        if abs(new.credits) > deps.alone_credits_max:
            raise AloneLimitReached
        return _apply(wanted, None, origin, deps, now), False
    except AloneLimitReached:
        pass
    except AdjustmentDecided:
        return deps.store.get(id), True
    try:
        deps.store.add(wanted, events=_events(wanted, "credits.adjustment_requested", origin, now))
    except AdjustmentExists:
        return deps.store.get(id), True
    return wanted, False


def approve_adjustment(id: str, origin: Origin, *, deps: AdjustmentDeps, now: datetime) -> Adjustment:
    """Apply a pending adjustment. Repeating it changes nothing. Raises NotFound, ForeignEyesNeeded, Conflict for a
    rejected one, InsufficientCredits."""
    pending = deps.store.get(id)
    if pending.requested_by == _user_of(origin):
        raise ForeignEyesNeeded
    if pending.state is AdjustmentState.PENDING:
        try:
            return _apply(pending, pending, origin, deps, now)
        except AdjustmentDecided:
            pending = deps.store.get(id)
    if pending.state is not AdjustmentState.APPLIED:
        raise Conflict("This adjustment was rejected.")
    return pending


def reject_adjustment(id: str, origin: Origin, *, deps: AdjustmentDeps, now: datetime) -> Adjustment:
    """Reject a pending adjustment, or take one's own back. Repeating it changes nothing. Raises NotFound, Conflict for
    an applied one."""
    found = deps.store.get(id)
    if found.state is AdjustmentState.PENDING:
        rejected = replace(found, state=AdjustmentState.REJECTED, decided_by=_user_of(origin), decided_at=now)
        try:
            deps.store.reject(rejected, events=_events(found, "credits.adjustment_rejected", origin, now))
        except AdjustmentDecided:
            found = deps.store.get(id)
        else:
            return rejected
    if found.state is not AdjustmentState.REJECTED:
        raise Conflict("This adjustment has been applied.")
    return found


def _apply(
    adjustment: Adjustment, pending: Adjustment | None, origin: Origin, deps: AdjustmentDeps, now: datetime
) -> Adjustment:
    """Post an adjustment. pending: its record as it was read; None = it has none, and nobody else is needed."""
    by = _user_of(origin)
    applied = replace(adjustment, state=AdjustmentState.APPLIED, decided_by=by, decided_at=now)
    events = _events(adjustment, "credits.adjusted", origin, now)
    wallets = deps.store.wallets(applied, pending, deps.alone_credits_max, events=events)
    record = adjust(
        adjustment.workspace_id,
        adjustment.ledger_key,
        adjustment.credits,
        reason=adjustment.reason,
        by=adjustment.requested_by,
        approved_by=by if pending else None,
        deps=replace(deps.ledger, wallets=wallets),
        now=now,
    )
    assert record.key == adjustment.ledger_key
    # What is stored: of two administrators at once, one has approved it.
    return deps.store.get(adjustment.id)


def _events(adjustment: Adjustment, action: str, origin: Origin, now: datetime) -> tuple[AuditEvent, ...]:
    return platform_events(
        adjustment.workspace_id,
        action,
        origin,
        now,
        target=adjustment.id,
        credits=adjustment.credits,
        reason=adjustment.reason,
        requested_by=adjustment.requested_by,
    )


def _user_of(origin: Origin) -> str:
    assert origin.user_id, "an administrator has signed in"
    return origin.user_id
