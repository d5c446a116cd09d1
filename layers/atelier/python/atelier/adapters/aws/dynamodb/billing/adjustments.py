"""AdjustmentStore and WalletFreezer on DynamoDB.

pk adjustments       sk adj_…                     one adjustment
pk adjustments       sk alone#usr_…#2026-11-29    what an administrator has adjusted alone on a day"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Item,
    Transaction,
    TransactionConflict,
    newest_page,
    transaction,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.ledger.items import WALLET, WalletItem
from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets
from atelier.adapters.aws.dynamodb.ledger.transactions import put_operation
from atelier.audit_log.model import AuditEvent
from atelier.billing.adjustments import (
    Adjustment,
    AdjustmentDecided,
    AdjustmentExists,
    AdjustmentPage,
    AdjustmentState,
    AloneLimitReached,
)
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound
from atelier.ledger.model import Wallet
from atelier.ledger.operations import Operation
from atelier.ledger.ports import OperationExists, StaleWallet

BUSY = "The wallet is busy. Try again."
TRIES_MAX = 10
ADJUSTMENTS, PREFIX = "adjustments", "adj_"


class AdjustmentItem(Item):
    """One adjustment."""

    workspace_id = UnicodeAttribute()
    credits = NumberAttribute()
    reason = UnicodeAttribute()
    requested_by = UnicodeAttribute()
    requested_at = UnicodeAttribute()
    state = UnicodeAttribute()
    decided_by = UnicodeAttribute(null=True)
    decided_at = UnicodeAttribute(null=True)


class AloneItem(Item):
    """The sum of an administrator's adjustments of a day that needed nobody else, without their signs."""

    credits = NumberAttribute()


class DynamoAdjustments:
    """AdjustmentStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the table of billing. The tables of wallets and of audit events are bound by their own adapters."""
        AdjustmentItem.bind(table_name)
        AloneItem.bind(table_name)

    def find(self, id: str) -> Adjustment | None:
        try:
            return _decode(AdjustmentItem.get(ADJUSTMENTS, id, consistent_read=True))
        except DoesNotExist:
            return None

    def get(self, id: str) -> Adjustment:
        found = self.find(id)
        if found is None:
            raise NotFound
        return found

    def page(self, state: AdjustmentState | None, after: str | None, limit: int) -> AdjustmentPage:
        matching = None if state is None else AdjustmentItem.state == state.value
        bounds = PREFIX, PREFIX + "~"
        items, next_id = newest_page(AdjustmentItem, ADJUSTMENTS, bounds, matching=matching, after=after, limit=limit)
        return AdjustmentPage(tuple(map(_decode, items)), next_id)

    def add(self, pending: Adjustment, *, events: Sequence[AuditEvent]) -> None:
        def write_all(write: Transaction) -> None:
            write.save(_item(pending), AdjustmentItem.pk.does_not_exist(), part="adjustment")
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise AdjustmentExists from error

    def reject(self, rejected: Adjustment, *, events: Sequence[AuditEvent]) -> None:
        def write_all(write: Transaction) -> None:
            pending = AdjustmentItem.state == AdjustmentState.PENDING.value
            write.update(AdjustmentItem(ADJUSTMENTS, rejected.id), _decision(rejected), pending, part="adjustment")
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise AdjustmentDecided from error

    def wallets(
        self, applied: Adjustment, pending: Adjustment | None, alone_credits_max: int, *, events: Sequence[AuditEvent]
    ) -> DynamoWallets:
        return _AdjustedWallets(applied, pending, alone_credits_max, events)


class _AdjustedWallets(DynamoWallets):
    """Wallets whose operation is written together with the adjustment that it applies."""

    def __init__(
        self, applied: Adjustment, pending: Adjustment | None, alone_credits_max: int, events: Sequence[AuditEvent]
    ) -> None:
        self._applied, self._pending = applied, pending
        self._alone_credits_max, self._events = alone_credits_max, events

    def post(self, operation: Operation, fingerprint: str) -> None:
        try:
            with transaction() as write:
                put_operation(write, operation, fingerprint)
                self._put_adjustment(write)
                save_events(write, self._events)
        except ConditionsFailed as error:
            if "key" in error.parts:
                raise OperationExists from error
            if "adjustment" in error.parts:
                raise AdjustmentDecided from error
            raise (AloneLimitReached if "alone" in error.parts else StaleWallet) from error
        except TransactionConflict as error:
            raise StaleWallet from error

    def _put_adjustment(self, write: Transaction) -> None:
        applied = self._applied
        if self._pending is not None:
            others = AdjustmentItem.requested_by != applied.decided_by
            pending = AdjustmentItem.state == AdjustmentState.PENDING.value
            item = AdjustmentItem(ADJUSTMENTS, applied.id)
            write.update(item, _decision(applied), pending & others, part="adjustment")
            return
        write.save(_item(applied), AdjustmentItem.pk.does_not_exist(), part="adjustment")
        credits = abs(applied.credits)
        fits = AloneItem.credits.does_not_exist() | (AloneItem.credits <= self._alone_credits_max - credits)
        day = applied.requested_at.date().isoformat()
        alone = AloneItem(ADJUSTMENTS, f"alone#{applied.requested_by}#{day}")
        write.update(alone, [AloneItem.credits.add(credits)], fits, part="alone")


class DynamoWalletFreezer:
    """WalletFreezer on DynamoDB. The revision grows, so that no hold planned before is written."""

    def freeze(self, workspace_id: str, at: datetime, *, events: Sequence[AuditEvent]) -> Wallet:
        is_open = WalletItem.pk.exists() & WalletItem.frozen_at.does_not_exist()
        return self._change(workspace_id, WalletItem.frozen_at.set(rfc3339(at)), is_open, events)

    def unfreeze(self, workspace_id: str, *, events: Sequence[AuditEvent]) -> Wallet:
        return self._change(workspace_id, WalletItem.frozen_at.remove(), WalletItem.frozen_at.exists(), events)

    def _change(self, workspace_id: str, change: Action, condition: Condition, events: Sequence[AuditEvent]) -> Wallet:
        def write_all(write: Transaction) -> None:
            actions = [change, WalletItem.revision.add(1)]
            write.update(WalletItem(workspace_id, WALLET), actions, condition, part="wallet")
            save_events(write, events)

        with suppress(ConditionsFailed):
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        return DynamoWallets().wallet(workspace_id)


def _decision(adjustment: Adjustment) -> list[Action]:
    assert adjustment.decided_by is not None
    assert adjustment.decided_at is not None
    return [
        AdjustmentItem.state.set(adjustment.state.value),
        AdjustmentItem.decided_by.set(adjustment.decided_by),
        AdjustmentItem.decided_at.set(rfc3339(adjustment.decided_at)),
    ]


def _item(adjustment: Adjustment) -> AdjustmentItem:
    return AdjustmentItem(
        ADJUSTMENTS,
        adjustment.id,
        workspace_id=adjustment.workspace_id,
        credits=adjustment.credits,
        reason=adjustment.reason,
        requested_by=adjustment.requested_by,
        requested_at=rfc3339(adjustment.requested_at),
        state=adjustment.state.value,
        decided_by=adjustment.decided_by,
        decided_at=rfc3339(adjustment.decided_at) if adjustment.decided_at else None,
    )


def _decode(item: AdjustmentItem) -> Adjustment:
    return Adjustment(
        item.sk,
        item.workspace_id,
        int(item.credits),
        item.reason,
        item.requested_by,
        parse_rfc3339(item.requested_at),
        AdjustmentState(item.state),
        item.decided_by,
        parse_rfc3339(item.decided_at) if item.decided_at else None,
    )
