"""Reconcile billing with Stripe: what no event has told is found, and repaired by the use cases that events lead to.

A pass goes through everything at Stripe that may have changed since the last cut. It may take several runs: a run that
has no time left, or to which Stripe does not answer, remembers where it stopped. The cut moves to the beginning of the
pass when all objects could be compared. Two runs at once are harmless: every use case is safe to repeat, and what one
run remembers was compared by itself, so the other may go on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from atelier.billing.deps import BillingDeps
from atelier.billing.errors import StripeObjectMissing
from atelier.billing.find_mismatches import Mismatch, payment_mismatch, unexplained_grants
from atelier.billing.model import ObjectKind, ReconcilePass, Reconciliation
from atelier.billing.sync_checkout import sync_checkout
from atelier.billing.sync_customer import sync_customer
from atelier.billing.sync_dispute import sync_dispute
from atelier.billing.sync_invoice import sync_invoice
from atelier.billing.sync_payment import sync_payment
from atelier.billing.sync_refund import sync_refund
from atelier.billing.sync_subscription import sync_subscription
from atelier.dataclass import dataclass
from atelier.errors import Conflict, NotFound, Unavailable
from atelier.ledger.due import TimeLeft
from atelier.telemetry import logger, put_count

# How long an object may still change after it was created, so how far before the cut a pass begins. All subscriptions
# are compared. A direct debit takes up to two weeks, Stripe tries an unpaid invoice again for up to a month, a refund
# may fail for a month, and a bank decides on a dispute within some months.
LOOKBACKS: dict[ObjectKind, timedelta] = {
    "subscriptions": timedelta(0),
    "checkouts": timedelta(days=15),
    "payments": timedelta(days=15),
    "invoices": timedelta(days=40),
    "refunds": timedelta(days=40),
    "disputes": timedelta(days=150),
}
KINDS = tuple(LOOKBACKS)
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
# The requests that one object takes, when Stripe answers each only at its last try.
TIME_MARGIN_MILLISECONDS = 120_000
# What another attempt would not change: the ledger has the key with other facts, or a record or a tier is missing.
NOT_REPAIRABLE = (Conflict, NotFound, LookupError, ValueError)


def ignore_workspace(_workspace_id: str) -> None:
    """Let the plan of no workspace follow."""


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What a run has done. `repaired`: objects through which a record or the ledger has changed. `failed`: objects that
    could not be compared. `is_complete`: the pass is at its end, and the cut has moved."""

    compared: int
    repaired: int
    failed: int
    mismatches: tuple[Mismatch, ...]
    is_complete: bool


def reconcile_billing(
    services: tuple[str, ...],
    *,
    deps: Callable[[], BillingDeps],
    follow: Callable[[str], object],
    context: TimeLeft | None,
) -> dict[str, int]:
    """Reconcile each service that takes payments, if there is one, and log and count the result. follow: lets the plan
    of a workspace follow its deletion."""
    totals = {"compared": 0, "repaired": 0, "failed": 0, "mismatches": 0}
    for _ in services:
        report = reconcile(deps=deps(), follow=follow, has_time=partial(_has_time, context))
        totals = {name: getattr(report, name) for name in ("compared", "repaired", "failed")}
        totals["mismatches"] = len(report.mismatches)
        logger.info("billing reconciled", extra={**totals, "complete": report.is_complete})
        put_count("BillingRepaired", report.repaired)
        put_count("BillingMismatches", len(report.mismatches))
        put_count("BillingPassesIncomplete", int(not report.is_complete))
    return totals


def reconcile(
    *, deps: BillingDeps, has_time: Callable[[], bool], follow: Callable[[str], object] = ignore_workspace
) -> ReconcileReport:
    """Begin a pass, or go on with the open one, until its end or until `has_time` says no."""
    state = deps.store.reconciliation()
    progress = state.open_pass or ReconcilePass(state.until, deps.clock(), KINDS[0])
    run = _Run(deps, progress.since, follow)
    try:
        for kind, object_id in _objects(progress, deps):
            if not has_time():
                break
            failed = progress.failed + (not run.compare(kind, object_id))
            progress = replace(progress, kind=kind, after=object_id, failed=failed)
        else:
            # Objects that could not be compared are compared by a new pass from the same cut.
            is_complete = progress.failed == 0
            deps.store.save_reconciliation(Reconciliation(progress.began_at if is_complete else state.until))
            return run.report(is_complete=is_complete)
    except StripeObjectMissing:
        logger.warning("the object to go on from is gone: the pass begins anew", extra={"kind": progress.kind})
        deps.store.save_reconciliation(Reconciliation(state.until))
        return run.report(is_complete=False)
    except Unavailable:
        logger.warning("Stripe does not answer: the next run goes on", extra={"kind": progress.kind})
    deps.store.save_reconciliation(Reconciliation(state.until, progress))
    return run.report(is_complete=False)


def _has_time(context: TimeLeft | None) -> bool:
    return context is None or context.get_remaining_time_in_millis() > TIME_MARGIN_MILLISECONDS


def _objects(progress: ReconcilePass, deps: BillingDeps) -> Iterator[tuple[ObjectKind, str]]:
    """What is left of a pass."""
    for kind in KINDS[KINDS.index(progress.kind) :]:
        since = progress.since - LOOKBACKS[kind] if progress.since else EPOCH
        for object_id in deps.stripe.changed_since(kind, since, progress.after if kind == progress.kind else None):
            yield kind, object_id


class _Run:
    """What one run has compared, and found. since: the cut that its pass began with."""

    def __init__(self, deps: BillingDeps, since: datetime | None, follow: Callable[[str], object]) -> None:
        self._deps = replace(deps, on_change=self._note, ledger=replace(deps.ledger, on_posted=self._note))
        self._since, self._follow = since, follow
        self._changes = self._compared = self._repaired = self._failed = 0
        self._mismatches = list[Mismatch]()
        self._workspaces = set[str]()

    def compare(self, kind: ObjectKind, object_id: str) -> bool:
        """Bring our records to what Stripe says of an object; returns False when that failed and may succeed later."""
        before = self._changes
        try:
            self._sync(kind, object_id)
        except NOT_REPAIRABLE as error:
            self._report(Mismatch(kind, object_id, f"{type(error).__name__}: {error}"))
        except Exception as error:
            extra = {"kind": kind, "object": object_id, "error": type(error).__name__}
            logger.warning("an object could not be compared", extra=extra, exc_info=not isinstance(error, Unavailable))
            self._failed += 1
            return False
        self._compared += 1
        if self._changes > before:
            self._repaired += 1
            logger.info("repaired", extra={"kind": kind, "object": object_id})
        return True

    def report(self, *, is_complete: bool) -> ReconcileReport:
        return ReconcileReport(self._compared, self._repaired, self._failed, tuple(self._mismatches), is_complete)

    def _sync(self, kind: ObjectKind, object_id: str) -> None:
        deps = self._deps
        match kind:
            case "subscriptions":
                record = sync_subscription(object_id, deps=deps)
                if record is not None:
                    self._follow(record.workspace_id)
                self._check_workspace(record.workspace_id if record else None)
            case "checkouts":
                sync_checkout(object_id, deps=deps)
            case "payments":
                synced = sync_payment(object_id, deps=deps)
                mismatch = payment_mismatch(synced, deps) if synced else None
                if mismatch is not None:
                    self._report(mismatch)
                self._check_workspace(synced.workspace_id if synced else None)
            case "invoices":
                sync_invoice(object_id, deps=deps)
            case "refunds":
                sync_refund(object_id, deps=deps)
            case "disputes":
                sync_dispute(object_id, deps=deps)

    def _check_workspace(self, workspace_id: str | None) -> None:
        """Compare our own records of a workspace, once in a run: a customer who is gone, grants that nobody paid."""
        if workspace_id is None or workspace_id in self._workspaces:
            return
        customer = self._deps.store.customer(workspace_id)
        if customer is not None and not customer.is_deleted:
            sync_customer(customer.stripe_id, deps=self._deps)
        for mismatch in unexplained_grants(workspace_id, self._since, self._deps):
            self._report(mismatch)
        self._workspaces.add(workspace_id)

    def _report(self, mismatch: Mismatch) -> None:
        facts = {name: getattr(mismatch, name) for name in ("kind", "object_id", "reason", "workspace_id")}
        logger.warning("billing differs from Stripe, and is not repaired", extra=facts)
        self._mismatches.append(mismatch)

    def _note(self) -> None:
        self._changes += 1
