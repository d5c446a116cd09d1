"""WalletStore on DynamoDB."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex

from atelier.adapters.aws.dynamodb import (
    CONDITION_FAILED,
    CONFLICT_CODES,
    ConditionsFailed,
    TransactionConflict,
    TransactionFailed,
    conditional,
    retry_conflicts,
    transaction,
)
from atelier.adapters.aws.dynamodb.ledger.items import (
    WALLET,
    MovementItem,
    OperationKeyItem,
    WalletItem,
    decode_hold,
    decode_movement,
    decode_wallet,
    movement_item,
    movement_key,
    wallet_item,
)
from atelier.adapters.aws.dynamodb.ledger.transactions import put_operation, put_settlement
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound
from atelier.ledger.model import (
    Account,
    Hold,
    Movement,
    RefreshPlan,
    SettlementPlan,
    Wallet,
    order_at,
)
from atelier.ledger.operations import GrantRecord, Operation, OperationRecord
from atelier.ledger.ports import DueWallet, MovementPage, OperationExists, StaleWallet

MARK_ATTEMPTS_MAX = 10
HOLD_DURATION_MAX = timedelta(days=2)
"""Longer than any hold: none that was made earlier was still open when a grant expired."""
# Sort ranks of a generation's movements by kind; the end of the hold, of whichever kind, has 1.
MOVEMENT_RANK = {"hold": 0, "late": 2}


class DynamoWallets:
    """WalletStore on DynamoDB. The items must be bound to their table first (see `bind`)."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the ledger's table."""
        for item in (WalletItem, MovementItem, OperationKeyItem):
            item.bind(table_name)

    def wallet(self, workspace_id: str, *, consistent: bool = True) -> Wallet:
        try:
            return decode_wallet(WalletItem.get(workspace_id, WALLET, consistent_read=consistent))
        except DoesNotExist as error:
            raise NotFound from error

    def mark_budgeted(self, workspace_id: str) -> None:
        _mark(workspace_id, WalletItem.budgeted.set(1))

    def mark_own_routes(self, workspace_id: str) -> None:
        _mark(workspace_id, WalletItem.own_routes.set(1))

    def set_low_below(self, workspace_id: str, credits: int | None) -> None:
        _mark(workspace_id, WalletItem.low_below.remove() if credits is None else WalletItem.low_below.set(credits))

    def apply_refresh(self, plan: RefreshPlan) -> None:
        before = plan.before
        # Every change of a wallet is a movement (counted by `written`), except the time of its next sweep and its
        # marks; a mark changes `revision`.
        unchanged = (
            # A wallet stored before this counter existed has no such attribute.
            (
                WalletItem.written == before.written
                if before.written
                else WalletItem.written.does_not_exist() | (WalletItem.written == 0)
            )
            & (WalletItem.revision == before.revision)
            & (
                WalletItem.sweep_at.does_not_exist()
                if before.sweep_at is None
                else WalletItem.sweep_at == rfc3339(before.sweep_at)
            )
        )
        try:
            with transaction() as write:
                for movement in plan.movements:
                    item = movement_item(before.workspace_id, movement)
                    write.save(item, MovementItem.pk.does_not_exist(), part="movement")
                write.save(wallet_item(plan.wallet), unchanged, part="wallet")
        except TransactionFailed as error:
            raise StaleWallet from error

    def post(self, operation: Operation, fingerprint: str) -> None:
        try:
            with transaction() as write:
                put_operation(write, operation, fingerprint)
        except ConditionsFailed as error:
            raise (OperationExists if "key" in error.parts else StaleWallet) from error
        except TransactionConflict as error:
            raise StaleWallet from error

    def operation_record(self, workspace_id: str, key: str) -> OperationRecord | None:
        try:
            item = OperationKeyItem.get(workspace_id, f"key#{key}", consistent_read=True)
        except DoesNotExist:
            return None
        grant_record = None
        if item.grant_id:
            expires_at = parse_rfc3339(item.expires_at) if item.expires_at else None
            grant_record = GrantRecord(
                key, item.grant_id, int(item.amount), expires_at, int(item.revoked), int(item.revoked_expired)
            )
        return OperationRecord(key, item.fingerprint, item.order, grant_record)

    def movement(self, workspace_id: str, order: str, key: str) -> Movement:
        try:
            return decode_movement(MovementItem.get(workspace_id, movement_key(order, key), consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def expired_credits(self, workspace_id: str, grant_id: str, expires_at: datetime) -> int:
        prefix = f"movement#{order_at(expires_at)}#expiry#{grant_id}#"
        expiry_items = MovementItem.query(workspace_id, MovementItem.sk.startswith(prefix), consistent_read=True)
        entries = (entry for item in expiry_items for entry in decode_movement(item).entries)
        expired = sum(entry.amount for entry in entries if entry.account is Account.EXPIRED)
        # Credits that were held at the expiry expire with the end of their hold, which has its generation's order.
        key_range = MovementItem.sk.between(
            movement_key(order_at(expires_at - HOLD_DURATION_MAX), ""), movement_key(order_at(expires_at), "~")
        )
        settlement_items = (item for item in MovementItem.query(workspace_id, key_range, consistent_read=True))
        return expired + sum(
            _expired_by_settlement(decode_movement(item), grant_id)
            for item in settlement_items
            if item.key.startswith("settle#")
        )

    def hold(self, workspace_id: str, reference: str) -> Hold | None:
        try:
            item = MovementItem.get(
                workspace_id, movement_key(reference[4:], f"hold#{reference}"), consistent_read=True
            )
        except DoesNotExist:
            return None
        return decode_hold(item)

    def open_holds(self, workspace_id: str, created_after: datetime, limit: int) -> list[Hold]:
        holds, ended = list[Hold](), set[str]()
        since = MovementItem.sk.between(movement_key(order_at(created_after), ""), "movement#~")
        newest_first = MovementItem.query(workspace_id, since, consistent_read=True, scan_index_forward=False)
        # A hold and its end have the same order, so here, newest first, `settle#…` comes before its `hold#…`.
        for item in newest_first:
            if item.key.startswith("settle#"):
                ended.add(item.subject)
            elif item.key.startswith("hold#") and item.subject not in ended:
                holds.append(decode_hold(item))
                if len(holds) == limit:
                    break
        return holds

    def open_escrows(self, workspace_id: str, held: int) -> list[Movement]:
        escrows, ended = list[Movement](), set[str]()
        newest_first = MovementItem.query(
            workspace_id, MovementItem.sk.startswith("movement#"), consistent_read=True, scan_index_forward=False
        )
        # An end has the order of its beginning and a lower key, so here, newest first, it comes before it.
        for item in newest_first:
            if held <= 0:
                break
            if item.key.startswith(("settle#", "escrow-end#")):
                ended.add(item.subject)
            elif item.key.startswith(("hold#", "escrow#")) and item.subject not in ended:
                movement = decode_movement(item)
                held -= sum(entry.amount for entry in movement.entries if entry.account is Account.HELD)
                escrows += [movement] if item.key.startswith("escrow#") else []
        return escrows

    def end_hold(self, workspace_id: str, settlement: SettlementPlan) -> None:
        try:
            with transaction() as write:
                put_settlement(write, workspace_id, settlement)
        except TransactionFailed as error:
            raise StaleWallet from error

    def movements(self, workspace_id: str, after_key: str | None, limit: int) -> MovementPage:
        start = {"pk": {"S": workspace_id}, "sk": {"S": after_key}} if after_key else None
        page = MovementItem.query(
            workspace_id,
            MovementItem.sk.startswith("movement#"),
            consistent_read=True,
            scan_index_forward=False,
            limit=limit,
            page_size=limit,
            last_evaluated_key=start,
        )
        movements = tuple(decode_movement(item) for item in page)
        last: dict[str, Any] | None = page.last_evaluated_key
        return MovementPage(movements, last["sk"]["S"] if last else None)

    def movements_of(self, workspace_id: str, reference: str) -> tuple[Movement, ...]:
        items = MovementItem.query(
            workspace_id, MovementItem.sk.startswith(f"movement#{reference[4:]}#"), consistent_read=True
        )
        return tuple(sorted(map(decode_movement, items), key=lambda movement: MOVEMENT_RANK.get(movement.kind, 1)))

    def wallets_due_for_reset(self, shard: int, now: datetime, after: str | None, limit: int) -> list[DueWallet]:
        return _due_wallets(WalletItem.reset_due, WalletItem.reset_at, shard, now, after, limit)

    def wallets_due_for_sweep(self, shard: int, now: datetime, after: str | None, limit: int) -> list[DueWallet]:
        return _due_wallets(WalletItem.sweep_due, WalletItem.sweep_at, shard, now, after, limit)

    def postpone_sweep(self, wallet: Wallet, sweep_at: datetime | None) -> None:
        assert wallet.sweep_at is not None
        unchanged = (WalletItem.sweep_at == rfc3339(wallet.sweep_at)) & (WalletItem.holds_open == wallet.holds_open)
        item = WalletItem(wallet.workspace_id, WALLET)
        action = WalletItem.sweep_at.remove() if sweep_at is None else WalletItem.sweep_at.set(rfc3339(sweep_at))
        condition = unchanged & (WalletItem.holds_open == 0) if sweep_at is None else unchanged
        conditional(lambda: item.update([action], condition=condition), CONFLICT_CODES)


def _due_wallets(
    index: GlobalSecondaryIndex[WalletItem],
    due_at: UnicodeAttribute,
    shard: int,
    now: datetime,
    after: str | None,
    limit: int,
) -> list[DueWallet]:
    name, start = due_at.attr_name, None
    if after:
        at, workspace_id = after.split("#")
        start = {name: at, "shard": str(shard), "pk": workspace_id, "sk": WALLET}
        start = {key: {"S": value} for key, value in start.items()}
    found = index.query(str(shard), due_at <= rfc3339(now), limit=limit, page_size=limit, last_evaluated_key=start)
    return [DueWallet(item.pk, f"{getattr(item, name)}#{item.pk}") for item in found]


def _expired_by_settlement(settlement: Movement, grant_id: str) -> int:
    """How many credits of a grant the end of a hold moved to *expired*. That line follows the line that takes the
    grant's credits out of *held*."""
    expired, current_grant_id = 0, None
    for entry in settlement.entries:
        if entry.account is Account.HELD:
            current_grant_id = entry.grant_id
        elif entry.account is Account.EXPIRED and current_grant_id == grant_id:
            expired += entry.amount
    return expired


def _mark(workspace_id: str, mark: Action) -> None:
    """Set a mark on a wallet. Raises NotFound, or Unavailable when parallel writers win at every attempt."""
    # The revision grows, so that plans made before the mark become stale and no refresh overwrites it.
    actions: list[Action] = [mark, WalletItem.revision.add(1)]
    item = WalletItem(workspace_id, WALLET)

    def write() -> None:
        try:
            item.update(actions, condition=WalletItem.pk.exists())
        except UpdateError as error:
            if error.cause_response_code in CONDITION_FAILED:
                raise NotFound from error
            if error.cause_response_code in CONFLICT_CODES:
                raise TransactionConflict from error
            raise

    retry_conflicts(write, busy="The wallet is busy. Try again.", tries_max=MARK_ATTEMPTS_MAX)
