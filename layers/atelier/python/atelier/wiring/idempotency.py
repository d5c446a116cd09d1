"""The idempotency keys, composed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from atelier.settings import RequestsTable

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.idempotency import DynamoIdempotencyKeys


@cache
def idempotency_keys() -> DynamoIdempotencyKeys:
    """The idempotency keys of this deployment."""
    # Imported here, because most requests create nothing.
    from atelier.adapters.aws.dynamodb.idempotency import DynamoIdempotencyKeys

    keys = DynamoIdempotencyKeys()
    keys.bind(RequestsTable.read().name)
    return keys
