"""What routing needs from outside: where health is kept, and where the places in time that were given out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from atelier.routing.model import Health, Scope

if TYPE_CHECKING:
    from atelier.routing.pace import Pace


class HealthStore(Protocol):
    """Health by scope, a small record each."""

    def read(self, workspace_id: str | None) -> Mapping[Scope, Health]:
        """The platform's scopes (None) or those of a workspace's keys; may lag a moment behind."""
        ...

    def get(self, scope: Scope) -> Health:
        """As it is now; a scope that nothing is known of is there too."""
        ...

    def replace(self, before: Health, after: Health) -> bool:
        """Write the next version; False when somebody else has written meanwhile."""
        ...


class PaceStore(Protocol):
    """The places given out, by scope: a small record each, of scopes that have a limit."""

    def seen(self, scope: Scope) -> Pace:
        """As it was a moment ago."""
        ...

    def get(self, scope: Scope) -> Pace:
        """As it is now; a scope of which no place was ever taken is there too."""
        ...

    def replace(self, before: Pace, after: Pace) -> bool:
        """Write the next version; False when somebody else has written meanwhile."""
        ...
