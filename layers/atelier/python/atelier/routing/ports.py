"""Ports of routing: the store of health, and the store of rate windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from atelier.routing.circuit_breaker import Health, Scope

if TYPE_CHECKING:
    from atelier.audit_log.model import AuditEvent
    from atelier.routing.rate_limit import RateWindow


class HealthStore(Protocol):
    """Stores health by scope, a small record each."""

    def read(self, workspace_id: str | None) -> Mapping[Scope, Health]:
        """The health of the platform's scopes (None) or of a workspace's own keys; eventually consistent."""
        ...

    def get(self, scope: Scope) -> Health:
        """The health of a scope, strongly consistent; a scope without a record gets an empty one."""
        ...

    def replace(self, before: Health, after: Health) -> bool:
        """Write the next version; False when another process has written meanwhile."""
        ...


class HealthSwitches(Protocol):
    """The health of the platform's accesses, for whoever switches them off and on."""

    def get(self, scope: Scope) -> Health:
        """As of HealthStore."""
        ...

    def switch(self, before: Health, after: Health, *, events: Sequence[AuditEvent]) -> bool:
        """Write the next version with its events, both or neither; False when another process has written
        meanwhile."""
        ...


class RateWindowStore(Protocol):
    """Stores reserved slots by scope, a small record for each scope that has a limit."""

    def read(self, scope: Scope) -> RateWindow:
        """The rate window of a scope; eventually consistent."""
        ...

    def get(self, scope: Scope) -> RateWindow:
        """The rate window of a scope, strongly consistent; a scope without a record gets an empty one."""
        ...

    def replace(self, before: RateWindow, after: RateWindow) -> bool:
        """Write the next version; False when another process has written meanwhile."""
        ...
