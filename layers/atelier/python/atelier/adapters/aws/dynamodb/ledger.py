"""The ledger's table: one wallet item per workspace, and one immutable item per movement.

    pk wsp_…  sk wallet                       counters and the map of live grants
    pk wsp_…  sk movement#<order>#<key>       a movement's entries; <order> sorts the statement, <key> is natural
    pk wsp_…  sk key#<key>                    an operation whose order does not follow from its key; kept for ever

Holds are written as deltas under conditions, so that parallel holds on one wallet do not invalidate each other; only a
change of the *set* of grants (`revision`) makes a plan stale.
"""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta
from typing import Any, cast

from pynamodb.attributes import MapAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.transactions import TransactWrite

from atelier.adapters.aws.dynamodb import (
    CONFLICT_CODES,
    CompactJSON,
    Item,
    ItemAddress,
    failed_conditions,
    pause_with_jitter,
    transaction,
)
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound, Unavailable
from atelier.ledger.model import (
    Account,
    Change,
    Draw,
    Entry,
    Grant,
    GrantChange,
    GrantSource,
    Hold,
    HoldPlan,
    MailboxState,
    Movement,
    RefreshPlan,
    SettlementPlan,
    Wallet,
    order_at,
)
from atelier.ledger.operations import GrantRecord, Operation, OperationRecord, Posting
from atelier.ledger.ports import DueWallet, MovementPage, OperationExists, StaleWallet

SHARDS = 16
WALLET = "wallet"
MARK_ATTEMPTS_MAX = 10
HOLD_DURATION_MAX = timedelta(days=2)
"""Longer than any hold: none that was made earlier was still open when a grant expired."""
# Sort ranks of a generation's movements by kind; the end of the hold, of whichever kind, has 1.
MOVEMENT_RANK = {"hold": 0, "late": 2}


class _ResetDue(GlobalSecondaryIndex["WalletItem"]):
    class Meta:
        index_name = "reset-due"
        projection = KeysOnlyProjection()

    shard = UnicodeAttribute(hash_key=True)
    reset_at = UnicodeAttribute(range_key=True)


class _SweepDue(GlobalSecondaryIndex["WalletItem"]):
    class Meta:
        index_name = "sweep-due"
        projection = KeysOnlyProjection()

    shard = UnicodeAttribute(hash_key=True)
    sweep_at = UnicodeAttribute(range_key=True)


class WalletItem(Item):
    """The counters of one wallet. Kept small, because every hold is billed twice by the size of the whole item."""

    tier = UnicodeAttribute()
    available = NumberAttribute()
    held = NumberAttribute()
    debt = NumberAttribute()
    holds_open = NumberAttribute()
    revision = NumberAttribute()
    written = NumberAttribute(default=0)
    budgeted = NumberAttribute(null=True)
    # 1 is the default because older wallets, stored without this mark, may have keys or preferences of their own.
    own_routes = NumberAttribute(default=1)
    # A wallet without this attribute has Mailbox.COUNTS.
    mailbox = UnicodeAttribute(null=True)
    grants: MapAttribute[str, Any] = MapAttribute(default=dict)
    shard = UnicodeAttribute()
    reset_at = UnicodeAttribute()
    sweep_at = UnicodeAttribute(null=True)
    reset_due = _ResetDue()
    sweep_due = _SweepDue()


class MovementItem(Item):
    """One movement, written once and never changed."""

    key = UnicodeAttribute()
    kind = UnicodeAttribute()
    subject = UnicodeAttribute()
    at = UnicodeAttribute()
    entries = CompactJSON()
    facts = CompactJSON()
    hold = CompactJSON(null=True)


class OperationKeyItem(Item):
    """One operation's key, bound to the fingerprint of its facts; for a grant also how much of it has been revoked."""

    fingerprint = UnicodeAttribute()
    order = UnicodeAttribute()
    grant_id = UnicodeAttribute(null=True)
    amount = NumberAttribute(null=True)
    expires_at = UnicodeAttribute(null=True)
    revoked = NumberAttribute(null=True)
    revoked_expired = NumberAttribute(null=True)


def wallet_item(wallet: Wallet) -> WalletItem:
    """The stored form of a whole wallet."""
    return WalletItem(
        wallet.workspace_id,
        WALLET,
        tier=wallet.tier,
        available=wallet.available,
        held=wallet.held,
        debt=wallet.debt,
        holds_open=wallet.holds_open,
        revision=wallet.revision,
        written=wallet.written,
        budgeted=1 if wallet.budgeted else None,
        own_routes=int(wallet.own_routes),
        mailbox=None if wallet.mailbox is MailboxState.ELIGIBLE else wallet.mailbox.value,
        grants=_grants_data(wallet),
        # Wallets are spread over SHARDS index partitions, so that a day's reset does not hit one partition's limit.
        shard=str(zlib.crc32(wallet.workspace_id.encode()) % SHARDS),
        reset_at=rfc3339(wallet.reset_at),
        sweep_at=rfc3339(wallet.sweep_at) if wallet.sweep_at else None,
    )


def wallet_address(workspace_id: str) -> ItemAddress:
    """The address of a workspace's wallet, for reading it in one batch with other items."""
    return WalletItem, workspace_id, WALLET


def wallet_from_item(item: Item | None) -> Wallet | None:
    """The wallet in an item read by `wallet_place`; None when there is none."""
    return _wallet(item) if isinstance(item, WalletItem) else None


def put_new_wallet(write: TransactWrite, wallet: Wallet) -> None:
    """Add the creation of a wallet to a transaction (one put)."""
    write.save(wallet_item(wallet), condition=WalletItem.pk.does_not_exist())


def put_mailbox_state(write: TransactWrite, workspace_id: str, mailbox: MailboxState) -> None:
    """Add to a transaction the change of a wallet's mailbox state (one update). The revision grows, so that a refresh
    planned on the old state cannot overwrite it."""
    mailbox_action = (
        WalletItem.mailbox.remove() if mailbox is MailboxState.ELIGIBLE else WalletItem.mailbox.set(mailbox.value)
    )
    write.update(
        WalletItem(workspace_id, WALLET),
        actions=[mailbox_action, WalletItem.revision.add(1)],
        condition=WalletItem.pk.exists(),
    )


def put_hold(write: TransactWrite, workspace_id: str, plan: HoldPlan) -> None:
    """Add a hold to a transaction: one put (the movement) and one update (the wallet)."""
    condition = (
        (WalletItem.revision == plan.revision)
        & (WalletItem.available >= -plan.change.available)
        & (WalletItem.debt == 0)
        & (WalletItem.holds_open < plan.holds_open_max)
    )
    actions = _counter_actions(plan.change)
    if plan.sweep_at is not None:
        sweep_at = rfc3339(plan.sweep_at)
        actions.append(WalletItem.sweep_at.set(sweep_at))
        condition &= WalletItem.sweep_at.does_not_exist() | (WalletItem.sweep_at >= sweep_at)
    else:
        # The plan relies on a sweep that is early enough, so the wallet must still have one.
        condition &= WalletItem.sweep_at <= rfc3339(plan.hold.deadline_at)
    for change in plan.change.grants:
        condition &= _grant_condition(change)
    write.save(_movement_item(workspace_id, plan.movement, plan.hold), condition=MovementItem.pk.does_not_exist())
    write.update(WalletItem(workspace_id, WALLET), actions=actions, condition=condition)


def put_settlement(write: TransactWrite, workspace_id: str, settlement: SettlementPlan) -> None:
    """Add the end of a hold to a transaction: one put (the movement) and one update (the wallet)."""
    condition = WalletItem.held >= -settlement.change.held
    for change in settlement.change.grants:
        condition &= Path(["grants", change.grant_id, "held"]) >= -change.held
    write.save(_movement_item(workspace_id, settlement.movement), condition=MovementItem.pk.does_not_exist())
    write.update(WalletItem(workspace_id, WALLET), actions=_counter_actions(settlement.change), condition=condition)


def put_late_result(write: TransactWrite, workspace_id: str, movement: Movement) -> None:
    """Add a result that came too late to be charged to a transaction: one put (the movement), one update (the count of
    the wallet's movements)."""
    write.save(_movement_item(workspace_id, movement), condition=MovementItem.pk.does_not_exist())
    write.update(WalletItem(workspace_id, WALLET), actions=[WalletItem.written.add(1)])


class DynamoWallets:
    """WalletStore on DynamoDB. The items must be bound to their table first (see `bind`)."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the ledger's table."""
        for item in (WalletItem, MovementItem, OperationKeyItem):
            item.bind(table_name)

    def wallet(self, workspace_id: str, *, consistent: bool = True) -> Wallet:
        try:
            return _wallet(WalletItem.get(workspace_id, WALLET, consistent_read=consistent))
        except DoesNotExist as error:
            raise NotFound from error

    def mark_budgeted(self, workspace_id: str) -> None:
        _mark(workspace_id, WalletItem.budgeted.set(1))

    def mark_own_routes(self, workspace_id: str) -> None:
        _mark(workspace_id, WalletItem.own_routes.set(1))

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
                    write.save(
                        _movement_item(before.workspace_id, movement), condition=MovementItem.pk.does_not_exist()
                    )
                write.save(wallet_item(plan.wallet), condition=unchanged)
        except TransactWriteError as error:
            failed_conditions(error)
            raise StaleWallet from error

    def post(self, operation: Operation, fingerprint: str) -> None:
        first = operation.postings[0]
        owner, grant_record = first.workspace_id, operation.new_grant
        key = OperationKeyItem(owner, f"key#{operation.key}", fingerprint=fingerprint, order=first.movement.order)
        if grant_record is not None:
            key.grant_id, key.amount, key.revoked, key.revoked_expired = (
                grant_record.grant_id,
                grant_record.amount,
                0,
                0,
            )
            key.expires_at = rfc3339(grant_record.expires_at) if grant_record.expires_at else None
        try:
            with transaction() as write:
                write.save(key, condition=OperationKeyItem.pk.does_not_exist())
                for posting in operation.postings:
                    _put_posting(write, posting)
                if operation.revokes is not None:
                    _put_revocation(write, owner, *operation.revokes)
        except TransactWriteError as error:
            if 0 in failed_conditions(error):
                raise OperationExists from error
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

    def expired_credits(self, workspace_id: str, grant_id: str, expires_at: datetime) -> int:
        prefix = f"movement#{order_at(expires_at)}#expiry#{grant_id}#"
        expiry_items = MovementItem.query(workspace_id, MovementItem.sk.startswith(prefix), consistent_read=True)
        entries = (entry for item in expiry_items for entry in _movement(item).entries)
        expired = sum(entry.amount for entry in entries if entry.account is Account.EXPIRED)
        # Credits that were held at the expiry expire with the end of their hold, which has its generation's order.
        key_range = MovementItem.sk.between(
            _movement_key(order_at(expires_at - HOLD_DURATION_MAX), ""), _movement_key(order_at(expires_at), "~")
        )
        settlement_items = (item for item in MovementItem.query(workspace_id, key_range, consistent_read=True))
        return expired + sum(
            _expired_by_settlement(_movement(item), grant_id)
            for item in settlement_items
            if item.key.startswith("settle#")
        )

    def hold(self, workspace_id: str, reference: str) -> Hold | None:
        try:
            item = MovementItem.get(
                workspace_id, _movement_key(reference[4:], f"hold#{reference}"), consistent_read=True
            )
        except DoesNotExist:
            return None
        return _hold(item)

    def open_holds(self, workspace_id: str, created_after: datetime, limit: int) -> list[Hold]:
        holds, ended = list[Hold](), set[str]()
        since = MovementItem.sk.between(_movement_key(order_at(created_after), ""), "movement#~")
        newest_first = MovementItem.query(workspace_id, since, consistent_read=True, scan_index_forward=False)
        # A hold and its end have the same order, so here, newest first, `settle#…` comes before its `hold#…`.
        for item in newest_first:
            if item.key.startswith("settle#"):
                ended.add(item.subject)
            elif item.key.startswith("hold#") and item.subject not in ended:
                holds.append(_hold(item))
                if len(holds) == limit:
                    break
        return holds

    def end_hold(self, workspace_id: str, settlement: SettlementPlan) -> None:
        try:
            with transaction() as write:
                put_settlement(write, workspace_id, settlement)
        except TransactWriteError as error:
            failed_conditions(error)
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
        movements = tuple(_movement(item) for item in page)
        last: dict[str, Any] | None = page.last_evaluated_key
        return MovementPage(movements, last["sk"]["S"] if last else None)

    def movements_of(self, workspace_id: str, reference: str) -> tuple[Movement, ...]:
        items = MovementItem.query(
            workspace_id, MovementItem.sk.startswith(f"movement#{reference[4:]}#"), consistent_read=True
        )
        return tuple(sorted(map(_movement, items), key=lambda movement: MOVEMENT_RANK.get(movement.kind, 1)))

    def wallets_due_for_reset(self, shard: int, now: datetime, after: str | None, limit: int) -> list[DueWallet]:
        return _due_wallets(WalletItem.reset_due, WalletItem.reset_at, shard, now, after, limit)

    def wallets_due_for_sweep(self, shard: int, now: datetime, after: str | None, limit: int) -> list[DueWallet]:
        return _due_wallets(WalletItem.sweep_due, WalletItem.sweep_at, shard, now, after, limit)

    def postpone_sweep(self, wallet: Wallet, sweep_at: datetime | None) -> None:
        assert wallet.sweep_at is not None
        unchanged = (WalletItem.sweep_at == rfc3339(wallet.sweep_at)) & (WalletItem.holds_open == wallet.holds_open)
        item = WalletItem(wallet.workspace_id, WALLET)
        try:
            if sweep_at is None:
                item.update([WalletItem.sweep_at.remove()], condition=unchanged & (WalletItem.holds_open == 0))
            else:
                item.update([WalletItem.sweep_at.set(rfc3339(sweep_at))], condition=unchanged)
        except UpdateError as error:
            if error.cause_response_code not in CONFLICT_CODES:
                raise


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


def _put_posting(write: TransactWrite, posting: Posting) -> None:
    change = posting.change
    condition = WalletItem.available >= -change.available
    if posting.revision is not None:
        condition &= WalletItem.revision == posting.revision
    if posting.requires_no_debt:
        condition &= WalletItem.debt == 0
    if change.added is not None:
        condition &= Path(["grants", change.added.id]).does_not_exist()
    for grant_id, seen in posting.remaining:
        grant = Path(["grants", grant_id])
        condition &= grant.does_not_exist() if seen is None else Path(["grants", grant_id, "remaining"]) == seen
    for grant_change in change.grants:
        condition &= _grant_condition(grant_change)
    write.save(_movement_item(posting.workspace_id, posting.movement), condition=MovementItem.pk.does_not_exist())
    write.update(WalletItem(posting.workspace_id, WALLET), actions=_counter_actions(change), condition=condition)


def _put_revocation(write: TransactWrite, workspace_id: str, seen: GrantRecord, after: GrantRecord) -> None:
    write.update(
        OperationKeyItem(workspace_id, f"key#{seen.key}"),
        actions=[
            OperationKeyItem.revoked.set(after.revoked),
            OperationKeyItem.revoked_expired.set(after.revoked_expired),
        ],
        condition=OperationKeyItem.revoked == seen.revoked,
    )


def _grant_condition(change: GrantChange) -> Condition:
    remaining = Path(["grants", change.grant_id, "remaining"])
    return remaining == -change.remaining if change.takes_all else remaining >= -change.remaining


def _counter_actions(change: Change) -> list[Action]:
    actions: list[Action] = [
        WalletItem.available.add(change.available),
        WalletItem.held.add(change.held),
        WalletItem.holds_open.add(change.holds_open),
        WalletItem.written.add(1),
    ]
    if change.debt:
        actions.append(WalletItem.debt.add(change.debt))
    if change.added is not None:
        actions.append(Path(["grants", change.added.id]).set(_grant_data(change.added)))
        actions.append(WalletItem.revision.add(1))
    for grant in change.grants:
        for name, delta in (("remaining", grant.remaining), ("held", grant.held), ("amount", grant.amount)):
            if delta:
                counter = Path(["grants", grant.grant_id, name])
                actions.append(counter.set(counter + delta))
    return actions


def _movement_key(order: str, key: str) -> str:
    return f"movement#{order}#{key}"


def _movement_item(workspace_id: str, movement: Movement, hold: Hold | None = None) -> MovementItem:
    stored = None
    if hold is not None:
        stored = {
            "amount": hold.amount,
            "deadline_at": rfc3339(hold.deadline_at),
            "draws": [
                {
                    "grant": draw.grant_id,
                    "amount": draw.amount,
                    "expires_at": rfc3339(draw.expires_at) if draw.expires_at else None,
                }
                for draw in hold.draws
            ],
        }

    return MovementItem(
        workspace_id,
        _movement_key(movement.order, movement.key),
        key=movement.key,
        kind=movement.kind,
        subject=movement.subject,
        at=rfc3339(movement.at),
        entries=[
            {"account": entry.account.value, "amount": entry.amount, "grant": entry.grant_id}
            for entry in movement.entries
        ],
        facts=movement.facts,
        hold=stored,
    )


def _movement(item: MovementItem) -> Movement:
    entries: list[dict[str, Any]] = item.entries
    return Movement(
        item.key,
        item.sk.split("#")[1],
        item.kind,
        item.subject,
        parse_rfc3339(item.at),
        tuple(Entry(Account(entry["account"]), entry["amount"], entry["grant"]) for entry in entries),
        item.facts,
    )


def _hold(item: MovementItem) -> Hold:
    stored: dict[str, Any] = item.hold
    return Hold(
        item.subject,
        stored["amount"],
        parse_rfc3339(stored["deadline_at"]),
        tuple(
            Draw(draw["grant"], draw["amount"], parse_rfc3339(draw["expires_at"]) if draw["expires_at"] else None)
            for draw in stored["draws"]
        ),
    )


def _grants_data(wallet: Wallet) -> dict[str, dict[str, Any]]:
    return {grant.id: _grant_data(grant) for grant in wallet.grants}


def _grant_data(grant: Grant) -> dict[str, Any]:
    return {
        "source": grant.source.value,
        "amount": grant.amount,
        "remaining": grant.remaining,
        "held": grant.held,
        "priority": grant.priority,
        "granted_at": rfc3339(grant.granted_at),
        "expires_at": rfc3339(grant.expires_at) if grant.expires_at else "",
    }


def _mark(workspace_id: str, mark: Action) -> None:
    """Set a mark on a wallet. Raises NotFound, or Unavailable when parallel writers win at every attempt."""
    # The revision grows, so that plans made before the mark become stale and no refresh overwrites it.
    actions: list[Action] = [mark, WalletItem.revision.add(1)]
    for tries in range(MARK_ATTEMPTS_MAX):
        try:
            WalletItem(workspace_id, WALLET).update(actions, condition=WalletItem.pk.exists())
        except UpdateError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                raise NotFound from error
            if error.cause_response_code not in CONFLICT_CODES:
                raise
            pause_with_jitter(tries)
        else:
            return
    raise Unavailable("The wallet is busy. Try again.")


def _wallet(item: WalletItem) -> Wallet:
    grants = cast(dict[str, dict[str, Any]], item.grants.as_dict())

    return Wallet(
        item.pk,
        item.tier,
        int(item.available),
        int(item.held),
        int(item.debt),
        int(item.holds_open),
        int(item.revision),
        tuple(
            Grant(
                key,
                GrantSource(grant["source"]),
                grant["amount"],
                grant["remaining"],
                grant["held"],
                grant["priority"],
                parse_rfc3339(grant["granted_at"]),
                parse_rfc3339(grant["expires_at"]) if grant["expires_at"] else None,
            )
            for key, grant in sorted(grants.items())
        ),
        parse_rfc3339(item.reset_at),
        parse_rfc3339(item.sweep_at) if item.sweep_at else None,
        int(item.written),
        bool(item.budgeted),
        bool(item.own_routes),
        MailboxState(item.mailbox or MailboxState.ELIGIBLE),
    )
