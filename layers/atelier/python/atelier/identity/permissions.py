"""The one permission table: every route names a permission, every membership a role."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a member is to a workspace, strongest first; each role may do all that the ones after it may."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    MEMBER = "member"
    VIEWER = "viewer"


# The weakest role that holds each permission.
WEAKEST: dict[str, Role] = {
    "account.read": Role.VIEWER,
    "api-keys.manage": Role.ADMIN,
    "api-keys.read": Role.EDITOR,
    "assets.create": Role.EDITOR,
    "assets.read": Role.VIEWER,
    "budgets.manage": Role.ADMIN,
    "budgets.read": Role.VIEWER,
    "characters.manage": Role.EDITOR,
    "characters.read": Role.VIEWER,
    "credits.read": Role.VIEWER,
    "generations.read": Role.VIEWER,
    "generations.create": Role.EDITOR,
    "models.read": Role.VIEWER,
    "projects.manage": Role.EDITOR,
    "projects.read": Role.VIEWER,
    "providers.manage": Role.ADMIN,
    "providers.read": Role.VIEWER,
    "templates.manage": Role.EDITOR,
    "templates.read": Role.VIEWER,
    "tokens.manage": Role.EDITOR,
    "tokens.read": Role.EDITOR,
}
_STRENGTH = {role: -place for place, role in enumerate(Role)}


def permits(role: Role, permission: str) -> bool:
    """Whether `role` holds `permission`; raises KeyError for a permission that the table does not know."""
    return at_least(role, WEAKEST[permission])


def at_least(role: Role, other: Role) -> bool:
    """Whether `role` is `other` or stronger."""
    return _STRENGTH[role] >= _STRENGTH[other]
