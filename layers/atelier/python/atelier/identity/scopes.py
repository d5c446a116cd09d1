"""The scopes of API tokens: permissions by name, and two groups of permissions.

Scopes only restrict: a token may use a permission that its scopes cover *and* its creator's role has at that moment.
"""

from __future__ import annotations

from collections.abc import Iterable

from atelier.identity.permissions import WEAKEST, Role, permits

# Everything that an editor may do. Permissions of admins and owners have to be named one by one.
ALL = "all"
# Everything that every member of the workspace may read.
READ = "read"
GROUPS = {ALL: "everything that an editor may do", READ: "everything that a viewer may read"}
# Permissions that no token has: whoever finds a token must not read or change the account, list the tokens or
# create more of them, nor spend money, nor change or delete the workspace or who belongs to it, nor move a
# project or take everything out of it.
EXCLUDED_PERMISSIONS = frozenset(
    {
        "account.manage",
        "account.read",
        "audit.read",
        "billing.manage",
        "members.leave",
        "members.manage",
        "projects.move",
        "tokens.manage",
        "tokens.read",
        "workspace.delete",
        "workspace.export",
        "workspace.manage",
        "workspace.read",
        "workspace.restore",
        "workspace.transfer",
    }
)
SCOPES = (*GROUPS, *sorted(WEAKEST.keys() - EXCLUDED_PERMISSIONS))


def covers(scopes: Iterable[str], permission: str) -> bool:
    """Whether a token with these scopes may use `permission`, provided that its creator's role has it."""
    if permission in EXCLUDED_PERMISSIONS:
        return False
    return permission in scopes or any(_includes(scope, permission) for scope in scopes)


def _includes(scope: str, permission: str) -> bool:
    if scope == ALL:
        return permits(Role.EDITOR, permission)
    return scope == READ and permission.endswith(".read") and permits(Role.VIEWER, permission)
