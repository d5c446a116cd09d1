"""The audit log, composed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from atelier.settings import AuditTable

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.audit_log import DynamoAuditLog


@cache
def bind_events() -> None:
    """Name the table of audit events. The wiring of each store whose transactions contain events calls it."""
    from atelier.adapters.aws.dynamodb.audit_log import bind

    bind(AuditTable.read().name)


@cache
def events() -> DynamoAuditLog:
    """The log, for events that belong to no other write."""
    from atelier.adapters.aws.dynamodb.audit_log import DynamoAuditLog

    bind_events()
    return DynamoAuditLog()
