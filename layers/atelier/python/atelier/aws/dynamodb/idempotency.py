"""Idempotency keys in the requests table.

    pk idempotency#wsp_…#<digest of the key>  sk idempotency

A key is bound to an id *before* the transaction that uses the id. The transaction's own conditions make it happen once,
so the binding needs no second state: whoever holds the key writes the same thing or finds it written. Never expires.
"""

from __future__ import annotations

import hashlib

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError

from atelier.aws.dynamodb import Item
from atelier.errors import IdempotencyMismatch

SK = "idempotency"


class IdempotencyItem(Item):
    """The binding of one key."""

    reserved_id = UnicodeAttribute()
    fingerprint = UnicodeAttribute()


class DynamoIdempotencyKeys:
    """IdempotencyKeys on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the requests table."""
        IdempotencyItem.bind(table_name)

    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str:
        item = IdempotencyItem(_pk(workspace_id, key), SK, reserved_id=new_id, fingerprint=fingerprint)
        try:
            item.save(condition=IdempotencyItem.pk.does_not_exist())
        except PutError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
            bound = IdempotencyItem.get(item.pk, item.sk, consistent_read=True)
            if bound.fingerprint != fingerprint:
                raise IdempotencyMismatch("This Idempotency-Key was used for another request.") from error
            return bound.reserved_id
        return new_id

    def find(self, workspace_id: str, key: str) -> str | None:
        try:
            return IdempotencyItem.get(_pk(workspace_id, key), SK, consistent_read=True).reserved_id
        except DoesNotExist:
            return None


def _pk(workspace_id: str, key: str) -> str:
    return f"idempotency#{workspace_id}#{hashlib.sha256(key.encode()).hexdigest()}"
