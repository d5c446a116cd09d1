"""The records of what escrows are for, composed."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.dynamodb.escrow_records import DynamoEscrowRecords
from atelier.settings import CommunityTable


@cache
def escrow_records() -> DynamoEscrowRecords:
    """The purchases and enrolments of this deployment."""
    return DynamoEscrowRecords(CommunityTable.read().name)
