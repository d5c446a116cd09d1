"""Who administers the platform. The first administrator is made by an operator (`make admin`), the others by one."""

from __future__ import annotations

from datetime import datetime

from atelier.audit_log.model import Origin, platform_events
from atelier.dataclass import dataclass
from atelier.errors import Conflict, NotFound
from atelier.identity.model import PLATFORM_ADMIN, User
from atelier.identity.ports import Accounts, PlatformRoles


class LastAdministrator(Conflict):
    """Without this account nobody would administer the platform."""

    def __init__(self) -> None:
        super().__init__("This is the platform's last administrator. Give the role to somebody else first.")


@dataclass(frozen=True, slots=True)
class PlatformRoleDeps:
    """Dependencies."""

    accounts: Accounts
    roles: PlatformRoles


def make_administrator(email: str, *, deps: PlatformRoleDeps, now: datetime) -> User:
    """Give the role to the account of an e-mail address in its normal form, as an operator of the deployment does.
    Safe to repeat. Raises NotFound, and what `grant_platform_role` raises."""
    credentials = deps.accounts.credentials(email)
    if credentials is None:
        raise NotFound("There is no account with this e-mail.")
    return grant_platform_role(credentials.user_id, Origin(), deps=deps, now=now)


def grant_platform_role(user_id: str, origin: Origin, *, deps: PlatformRoleDeps, now: datetime) -> User:
    """Make a user an administrator of the platform. Safe to repeat. Raises NotFound, and Conflict for an account that
    is not active, or whose address is not verified: somebody else may have registered it."""
    events = platform_events(user_id, "platform_role.granted", origin, now, target=user_id)
    deps.roles.grant(user_id, events=events)
    return _user(user_id, deps)


def revoke_platform_role(user_id: str, origin: Origin, *, deps: PlatformRoleDeps, now: datetime) -> User:
    """Take the role away. Safe to repeat. Raises NotFound, LastAdministrator, and Conflict for one's own role."""
    if user_id == origin.user_id:
        raise Conflict("Nobody takes the role from themselves. Another administrator has to.")
    events = platform_events(user_id, "platform_role.revoked", origin, now, target=user_id)
    deps.roles.revoke(user_id, events=events)
    return _user(user_id, deps)


def change_platform_role(user_id: str, role: str, origin: Origin, *, deps: PlatformRoleDeps, now: datetime) -> User:
    """Give a user this platform role. Raises what `grant_platform_role` and `revoke_platform_role` raise."""
    change = grant_platform_role if role == PLATFORM_ADMIN else revoke_platform_role
    return change(user_id, origin, deps=deps, now=now)


def _user(user_id: str, deps: PlatformRoleDeps) -> User:
    user = deps.accounts.user(user_id)
    if user is None:
        raise NotFound
    return user
