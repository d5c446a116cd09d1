"""Parts of transactions that change wallets. Each writes a movement and the counters that it changes."""

from __future__ import annotations

from datetime import datetime

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import Transaction
from atelier.adapters.aws.dynamodb.ledger.items import (
    WALLET,
    MovementItem,
    OperationKeyItem,
    WalletItem,
    grant_data,
    movement_item,
    wallet_item,
)
from atelier.clock import rfc3339
from atelier.ledger.model import (
    Change,
    GrantChange,
    HoldPlan,
    MailboxState,
    Movement,
    SettlementPlan,
    Wallet,
)
from atelier.ledger.operations import GrantRecord, Operation, Posting


def put_new_wallet(write: Transaction, wallet: Wallet) -> None:
    """Add the creation of a wallet to a transaction (one put). Part: "wallet"."""
    write.save(wallet_item(wallet), WalletItem.pk.does_not_exist(), part="wallet")


def put_mailbox_state(write: Transaction, workspace_id: str, mailbox: MailboxState, *, part: str) -> None:
    """Add to a transaction the change of a wallet's mailbox state (one update). The revision grows, so that a refresh
    planned on the old state cannot overwrite it."""
    mailbox_action = (
        WalletItem.mailbox.remove() if mailbox is MailboxState.ELIGIBLE else WalletItem.mailbox.set(mailbox.value)
    )
    write.update(
        WalletItem(workspace_id, WALLET),
        [mailbox_action, WalletItem.revision.add(1)],
        WalletItem.pk.exists(),
        part=part,
    )


def put_tier(write: Transaction, workspace_id: str, tier: str, tier_ends_at: datetime | None, *, part: str) -> None:
    """Add to a transaction the change of a wallet's tier and of the time at which it ends (one update). The revision
    grows, so that no hold or refresh planned under the old tier is written."""
    end_action = (
        WalletItem.tier_ends_at.remove() if tier_ends_at is None else WalletItem.tier_ends_at.set(rfc3339(tier_ends_at))
    )
    write.update(
        WalletItem(workspace_id, WALLET),
        [WalletItem.tier.set(tier), end_action, WalletItem.revision.add(1)],
        WalletItem.pk.exists(),
        part=part,
    )


def put_hold(write: Transaction, workspace_id: str, plan: HoldPlan) -> None:
    """Add a hold to a transaction: one put (part "movement") and one update (part "wallet")."""
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
    write.save(movement_item(workspace_id, plan.movement, plan.hold), MovementItem.pk.does_not_exist(), part="movement")
    write.update(WalletItem(workspace_id, WALLET), actions, condition, part="wallet")


def put_settlement(
    write: Transaction, workspace_id: str, settlement: SettlementPlan, *, delivered_bytes: int = 0
) -> None:
    """Add the end of a hold to a transaction: one put (part "movement") and one update (part "wallet").
    delivered_bytes: the bytes of the files that the same transaction records."""
    condition = WalletItem.held >= -settlement.change.held
    for change in settlement.change.grants:
        condition &= Path(["grants", change.grant_id, "held"]) >= -change.held
    write.save(movement_item(workspace_id, settlement.movement), MovementItem.pk.does_not_exist(), part="movement")
    actions = [*_counter_actions(settlement.change), *_delivery_actions(delivered_bytes)]
    write.update(WalletItem(workspace_id, WALLET), actions, condition, part="wallet")


def put_late_result(write: Transaction, workspace_id: str, movement: Movement, *, delivered_bytes: int = 0) -> None:
    """Add a result that came too late to be charged to a transaction: one put (the movement), one update (the count of
    the wallet's movements, and the bytes of the files that the same transaction records)."""
    write.save(movement_item(workspace_id, movement), MovementItem.pk.does_not_exist(), part="movement")
    actions: list[Action] = [WalletItem.written.add(1), *_delivery_actions(delivered_bytes)]
    write.update(WalletItem(workspace_id, WALLET), actions)


def put_same_delivered(write: Transaction, workspace_id: str, seen: int, *, part: str) -> None:
    """Add to a transaction the condition that a wallet's `delivered_bytes` is still the one that was read."""
    same = WalletItem.delivered_bytes == seen
    condition = same if seen else (same | WalletItem.delivered_bytes.does_not_exist())
    write.check(WalletItem, workspace_id, WALLET, condition, part=part)


def put_operation(write: Transaction, operation: Operation, fingerprint: str) -> None:
    """Add an operation to a transaction: its key (part "key"), its postings, and the record of the grant that it
    changes."""
    first = operation.postings[0]
    owner, grant_record = first.workspace_id, operation.new_grant
    key = OperationKeyItem(owner, f"key#{operation.key}", fingerprint=fingerprint, order=first.movement.order)
    if grant_record is not None:
        key.grant_id, key.amount, key.revoked, key.revoked_expired = (grant_record.grant_id, grant_record.amount, 0, 0)
        key.expires_at = rfc3339(grant_record.expires_at) if grant_record.expires_at else None
    write.save(key, OperationKeyItem.pk.does_not_exist(), part="key")
    for posting in operation.postings:
        put_posting(write, posting)
    if operation.changed_grant is not None:
        put_grant_record(write, owner, *operation.changed_grant)


def put_posting(write: Transaction, posting: Posting) -> None:
    """Add a posting to a transaction: a put for each movement (part "movement") and one update (part "wallet")."""
    change = posting.change
    condition = WalletItem.available >= -change.available
    if posting.revision is not None:
        condition &= WalletItem.revision == posting.revision
    if posting.requires_no_debt:
        condition &= WalletItem.debt == 0
    if posting.requires_not_frozen:
        condition &= WalletItem.frozen_at.does_not_exist()
    for grant in change.added:
        condition &= Path(["grants", grant.id]).does_not_exist()
    for grant_id, seen in posting.remaining:
        place = Path(["grants", grant_id])
        condition &= place.does_not_exist() if seen is None else Path(["grants", grant_id, "remaining"]) == seen
    for grant_change in change.grants:
        if grant_change.remaining:
            condition &= _grant_condition(grant_change)
        if grant_change.held < 0:
            condition &= Path(["grants", grant_change.grant_id, "held"]) >= -grant_change.held
    for movement in posting.movements:
        write.save(movement_item(posting.workspace_id, movement), MovementItem.pk.does_not_exist(), part="movement")
    actions = _counter_actions(change, movements=len(posting.movements))
    write.update(WalletItem(posting.workspace_id, WALLET), actions, condition, part="wallet")


def put_grant_record(write: Transaction, workspace_id: str, seen: GrantRecord, after: GrantRecord) -> None:
    """Add to a transaction how much of a grant is revoked (one update, part "grant")."""
    write.update(
        OperationKeyItem(workspace_id, f"key#{seen.key}"),
        [
            OperationKeyItem.revoked.set(after.revoked),
            OperationKeyItem.revoked_expired.set(after.revoked_expired),
        ],
        # `revoked` alone can be the same again, after a revocation that was given back.
        (OperationKeyItem.revoked == seen.revoked) & (OperationKeyItem.revoked_expired == seen.revoked_expired),
        part="grant",
    )


def _grant_condition(change: GrantChange) -> Condition:
    remaining = Path(["grants", change.grant_id, "remaining"])
    return remaining == -change.remaining if change.takes_all else remaining >= -change.remaining


def _delivery_actions(size_bytes: int) -> list[Action]:
    return [WalletItem.delivered_bytes.add(size_bytes)] if size_bytes else []


def _counter_actions(change: Change, *, movements: int = 1) -> list[Action]:
    actions: list[Action] = [
        WalletItem.available.add(change.available),
        WalletItem.held.add(change.held),
        WalletItem.holds_open.add(change.holds_open),
        WalletItem.written.add(movements),
    ]
    if change.debt:
        actions.append(WalletItem.debt.add(change.debt))
    if change.added:
        actions.append(WalletItem.revision.add(1))
    for new in change.added:
        actions.append(Path(["grants", new.id]).set(grant_data(new)))
    for grant in change.grants:
        for name, delta in (("remaining", grant.remaining), ("held", grant.held), ("amount", grant.amount)):
            if delta:
                counter = Path(["grants", grant.grant_id, name])
                actions.append(counter.set(counter + delta))
    return actions
