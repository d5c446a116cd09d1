"""Reads stored items of the ledger's and the audit log's tables that come from a backup's files."""

from __future__ import annotations

from typing import Any, cast

from atelier.adapters.aws.dynamodb import Item, audit_seals, seals
from atelier.adapters.aws.dynamodb.audit_log import AuditEventItem
from atelier.adapters.aws.dynamodb.audit_seals import AuditSealItem
from atelier.adapters.aws.dynamodb.ledger.items import MovementItem, WalletItem, decode_wallet
from atelier.adapters.aws.dynamodb.seals import SealItem
from atelier.audit_log.seals import AuditSeal
from atelier.backups.lines import RawItem
from atelier.ledger.hash_chain import PublicForm, Seal
from atelier.ledger.model import Wallet


class StoredChainForms:
    """ChainForms of items as this product stores them. It needs no table."""

    def wallet(self, item: RawItem) -> Wallet:
        return decode_wallet(WalletItem.from_raw_data(_mutable(item)))

    def movement(self, item: RawItem) -> PublicForm:
        return seals.movement_form(MovementItem.from_raw_data(_mutable(item)))

    def seal(self, item: RawItem) -> Seal:
        return seals.seal_of(SealItem.from_raw_data(_mutable(item)))

    def event(self, item: RawItem) -> PublicForm:
        return audit_seals.event_of(AuditEventItem.from_raw_data(_mutable(item)))

    def event_seal(self, item: RawItem) -> AuditSeal:
        return audit_seals.seal_of(AuditSealItem.from_raw_data(_mutable(item)))


def raw_item(item: Item) -> RawItem:
    """An item as it is stored, in DynamoDB's JSON."""
    return cast("RawItem", item.serialize())


def _mutable(item: RawItem) -> dict[str, dict[str, Any]]:
    return {name: dict(value) for name, value in item.items()}
