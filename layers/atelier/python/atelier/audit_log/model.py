"""Values of the audit log. Immutable, no side effects.

A *log* belongs to a workspace (`wsp_…`), to a user (`usr_…`), or to the platform's administrators (`platform`). An
*event* stands in one log; what concerns a member's access stands in both, as two events.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from atelier.dataclass import dataclass
from atelier.ids import new_id

Outcome = Literal["ok", "refused"]
USER_AGENT_CHARACTERS_MAX = 256
# The log of what administrators of the platform do, whomever it concerns.
PLATFORM_LOG = "platform"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from. All fields are empty for what Atelier does by itself.

    user_id: the verified user, None before a sign-in. token_id: the API token that was used. address: of the network.
    user_agent: as the client wrote it, cut to USER_AGENT_CHARACTERS_MAX."""

    user_id: str | None = None
    token_id: str | None = None
    address: str = ""
    user_agent: str = ""
    request_id: str = ""

    def of_user(self, user_id: str) -> Origin:
        """This origin with the user that the request has just proven to come from."""
        return Origin(user_id, self.token_id, self.address, self.user_agent, self.request_id)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event of a log; written once and never changed.

    action: `<subject>.<what happened>`, such as `session.opened`. target: the id of what it happened to, None when
    there is none. facts: JSON values that say more, such as `before` and `after`; never a secret."""

    id: str
    log: str
    at: datetime
    action: str
    origin: Origin
    target: str | None
    outcome: Outcome
    facts: dict[str, Any]


def audit_event(
    log: str,
    action: str,
    origin: Origin,
    now: datetime,
    *,
    target: str | None = None,
    outcome: Outcome = "ok",
    **facts: Any,
) -> AuditEvent:
    """A new event for one log."""
    return AuditEvent(new_id("adt", now), log, now, action, origin, target, outcome, facts)


def audit_events(
    logs: Iterable[str],
    action: str,
    origin: Origin,
    now: datetime,
    *,
    target: str | None = None,
    outcome: Outcome = "ok",
    **facts: Any,
) -> tuple[AuditEvent, ...]:
    """The same as a new event in each of `logs`, for example a workspace's and its member's."""
    return tuple(audit_event(log, action, origin, now, target=target, outcome=outcome, **facts) for log in logs)


def platform_events(
    log: str, action: str, origin: Origin, now: datetime, *, target: str | None = None, **facts: Any
) -> tuple[AuditEvent, ...]:
    """An act of an administrator, or of the deployment's operator: as an event of the platform's log, and of `log`,
    whose workspace or user it concerns. The latter names the administrator, but not their network and device."""
    concerned = Origin(user_id=origin.user_id, request_id=origin.request_id)
    places = ((PLATFORM_LOG, origin), (log, concerned))
    return tuple(audit_event(place, action, seen, now, target=target, **facts) for place, seen in places)
