"""The stored form of wallets and movements: the items, and their conversion from and to values."""

from __future__ import annotations

import zlib
from typing import Any, cast

from pynamodb.attributes import MapAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from atelier.adapters.aws.dynamodb import (
    CompactJSON,
    Item,
    ItemAddress,
)
from atelier.clock import parse_rfc3339, rfc3339
from atelier.ledger.model import (
    Account,
    Draw,
    Entry,
    Grant,
    GrantSource,
    Hold,
    MailboxState,
    Movement,
    Wallet,
)

SHARDS = 16
WALLET = "wallet"


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
    # A wallet without this attribute has a tier without an end.
    tier_ends_at = UnicodeAttribute(null=True)
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
    # A wallet without this attribute has 0.
    delivered_bytes = NumberAttribute(null=True)
    frozen_at = UnicodeAttribute(null=True)
    low_below = NumberAttribute(null=True)
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
        tier_ends_at=rfc3339(wallet.tier_ends_at) if wallet.tier_ends_at else None,
        available=wallet.available,
        held=wallet.held,
        debt=wallet.debt,
        holds_open=wallet.holds_open,
        revision=wallet.revision,
        written=wallet.written,
        budgeted=1 if wallet.budgeted else None,
        own_routes=int(wallet.own_routes),
        mailbox=None if wallet.mailbox is MailboxState.ELIGIBLE else wallet.mailbox.value,
        delivered_bytes=wallet.delivered_bytes or None,
        frozen_at=rfc3339(wallet.frozen_at) if wallet.frozen_at else None,
        low_below=wallet.low_below,
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
    """The wallet in an item read by `wallet_address`; None when there is none."""
    return decode_wallet(item) if isinstance(item, WalletItem) else None


def movement_key(order: str, key: str) -> str:
    return f"movement#{order}#{key}"


def movement_item(workspace_id: str, movement: Movement, hold: Hold | None = None) -> MovementItem:
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
        movement_key(movement.order, movement.key),
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


def decode_movement(item: MovementItem) -> Movement:
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


def decode_hold(item: MovementItem) -> Hold:
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
    return {grant.id: grant_data(grant) for grant in wallet.grants}


def grant_data(grant: Grant) -> dict[str, Any]:
    return {
        "source": grant.source.value,
        "amount": grant.amount,
        "remaining": grant.remaining,
        "held": grant.held,
        "priority": grant.priority,
        "granted_at": rfc3339(grant.granted_at),
        "expires_at": rfc3339(grant.expires_at) if grant.expires_at else "",
    }


def _to_int(number: float | None) -> int | None:
    return None if number is None else int(number)


def decode_wallet(item: WalletItem) -> Wallet:
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
        parse_rfc3339(item.tier_ends_at) if item.tier_ends_at else None,
        int(item.delivered_bytes or 0),
        parse_rfc3339(item.frozen_at) if item.frozen_at else None,
        _to_int(item.low_below),
    )
