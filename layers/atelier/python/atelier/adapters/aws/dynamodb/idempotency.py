"""Idempotency keys in the requests table.

    pk idempotency#wsp_…#<digest of the key>  sk idempotency

A key is bound to an id *before* the transaction that uses the id. The transaction's own conditions make it happen once,
so the binding needs no second state: a repeated request writes the same item or finds it written. A caller's key never
expires; a key that we derived ourselves for a request is deleted after a day.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import Item, conditional
from atelier.errors import IdempotencyMismatch
from atelier.ids import created_at

SK = "idempotency"
# Prefix of the keys that openai_api/sdk_retries.py derives for requests of SDKs. A caller's key has the prefix of its
# resource instead.
DERIVED_KEY_PREFIX = "v1 try_"
DERIVED_KEY_LIFETIME = timedelta(days=1)


class IdempotencyItem(Item):
    """The binding of one key."""

    reserved_id = UnicodeAttribute()
    fingerprint = UnicodeAttribute()
    expires_at_seconds = NumberAttribute(null=True)


class DynamoIdempotencyKeys:
    """IdempotencyKeys on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the requests table."""
        IdempotencyItem.bind(table_name)

    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str:
        until = (
            int((created_at(new_id) + DERIVED_KEY_LIFETIME).timestamp()) if key.startswith(DERIVED_KEY_PREFIX) else None
        )
        item = IdempotencyItem(
            _pk(workspace_id, key), SK, reserved_id=new_id, fingerprint=fingerprint, expires_at_seconds=until
        )
        if conditional(lambda: item.save(condition=IdempotencyItem.pk.does_not_exist())):
            return new_id
        bound = IdempotencyItem.get(item.pk, item.sk, consistent_read=True)
        if bound.fingerprint != fingerprint:
            raise IdempotencyMismatch("This Idempotency-Key was used for another request.")
        return bound.reserved_id

    def find(self, workspace_id: str, key: str) -> str | None:
        try:
            return IdempotencyItem.get(_pk(workspace_id, key), SK, consistent_read=True).reserved_id
        except DoesNotExist:
            return None


def _pk(workspace_id: str, key: str) -> str:
    return f"idempotency#{workspace_id}#{hashlib.sha256(key.encode()).hexdigest()}"
