"""The list of all users, and what administrators of the platform do to an account: suspend it, and end its sessions."""

from __future__ import annotations

from datetime import datetime

from atelier.audit_log.model import Origin, platform_events
from atelier.dataclass import dataclass
from atelier.errors import Conflict
from atelier.identity.account_changes import SESSIONS_ENDED_MAX
from atelier.identity.list_sessions import live_sessions
from atelier.identity.model import PLATFORM_ADMIN, User, UserStatus
from atelier.identity.ports import Sessions, UserDirectory
from atelier.identity.revocations import Revocations
from atelier.retrying import LostRace, retrying

BUSY = "The account is busy just now. Try again."
TRIES_MAX = 5


class NotSuspendable(Conflict):
    """Administrators are not suspended, and an erased account is not either."""

    def __init__(self) -> None:
        super().__init__("This account cannot be suspended. Take the role from an administrator first.")


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user as administrators see them. suspended_at, suspension_reason: None unless the account is suspended."""

    user: User
    last_login_at: datetime
    suspended_at: datetime | None = None
    suspension_reason: str | None = None


@dataclass(frozen=True, slots=True)
class UserPage:
    """Users in the order of their addresses, and the key after which the next page begins; None on the last page."""

    users: tuple[UserRecord, ...]
    next_key: str | None


@dataclass(frozen=True, slots=True)
class DirectoryDeps:
    """Dependencies."""

    directory: UserDirectory
    sessions: Sessions
    revocations: Revocations


def suspend_user(user_id: str, reason: str, origin: Origin, *, deps: DirectoryDeps, now: datetime) -> UserRecord:
    """Suspend an account: nobody signs in to it, it has no session from that moment on, and its API tokens are refused
    until it is no longer suspended. Repeating it changes nothing. Raises NotFound, NotSuspendable, Unavailable, and
    Conflict for one's own account."""
    if user_id == origin.user_id:
        raise Conflict("Nobody suspends their own account.")
    events = platform_events(user_id, "account.suspended", origin, now, target=user_id, reason=reason)

    # Before the suspension, so that none is without it; for nothing, it costs this user's requests a read.
    deps.revocations.add(user_id, now)

    def attempt() -> bool:
        before = deps.directory.record(user_id)
        if before.user.status is UserStatus.ACTIVE and before.user.platform_role == PLATFORM_ADMIN:
            raise NotSuspendable
        live = live_sessions(user_id, sessions=deps.sessions, now=now)
        # More than one transaction ends: these first, so that none is left when it is written.
        for session in live[SESSIONS_ENDED_MAX:]:
            deps.sessions.revoke(user_id, session.id, now)
        ended = live[:SESSIONS_ENDED_MAX]
        return deps.directory.suspend(before, reason, now, ended=ended, events=events)

    retrying(attempt, on=LostRace, busy=BUSY, tries_max=TRIES_MAX)
    return deps.directory.record(user_id)


def unsuspend_user(user_id: str, origin: Origin, *, deps: DirectoryDeps, now: datetime) -> UserRecord:
    """Let the person sign in again. Repeating it changes nothing. Raises NotFound."""
    events = platform_events(user_id, "account.unsuspended", origin, now, target=user_id)
    deps.directory.unsuspend(user_id, events=events)
    return deps.directory.record(user_id)


def sign_out_user(user_id: str, origin: Origin, *, deps: DirectoryDeps, now: datetime) -> UserRecord:
    """End all sessions of an account. Repeating it ends those that were opened since. Raises NotFound."""
    record = deps.directory.record(user_id)
    deps.revocations.add(user_id, now)
    for session in live_sessions(user_id, sessions=deps.sessions, now=now):
        events = platform_events(user_id, "session.revoked", origin, now, target=session.id, user_id=user_id)
        deps.sessions.revoke(user_id, session.id, now, events=events)
    return record
