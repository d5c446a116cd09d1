"""Answer what administrators of the platform ask about users."""

from __future__ import annotations

from datetime import datetime

from atelier import cursors
from atelier.identity.directory import DirectoryDeps
from atelier.identity.directory_schemas import (
    AdminUserDetails,
    AdminUserList,
    UserQuery,
    admin_user_details,
    admin_user_list,
)
from atelier.identity.list_sessions import live_sessions
from atelier.identity.ports import Accounts

# What the key of a page begins with.
KEY_PREFIX = "users#"


def list_users(query: UserQuery, *, deps: DirectoryDeps) -> AdminUserList:
    """A page of users. Raises ValidationFailed for a cursor of another list."""
    page = deps.directory.page(query.email, cursors.decode(query.cursor, KEY_PREFIX), query.limit)
    return admin_user_list(page, cursors.encode(page.next_key))


def show_user(user_id: str, *, accounts: Accounts, deps: DirectoryDeps, now: datetime) -> AdminUserDetails:
    """A user with tier, sessions and workspaces. Raises NotFound."""
    record, account = deps.directory.record(user_id), accounts.account(user_id, now)
    return admin_user_details(record, account, live_sessions(user_id, sessions=deps.sessions, now=now))
