"""Ports of the audit log."""

from __future__ import annotations

from typing import Protocol

from atelier.audit_log.model import AuditEvent


class AuditLog(Protocol):
    """Appends events. A change that is stored writes its events in its own transaction instead (the argument `events`
    of its port method)."""

    def append(self, *events: AuditEvent) -> None:
        """Write events that belong to no other write, all or none."""
        ...
