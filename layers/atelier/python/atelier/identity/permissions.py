"""Roles and permissions. Each route names a permission, each membership has a role; WEAKEST says which role has which
permission. The permissions of the platform's administrators belong to no role of a workspace."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The role of a member in a workspace, strongest first; a role has all permissions of the roles after it."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    MEMBER = "member"
    VIEWER = "viewer"


# What administrators of the platform may do; `authorize.py` says what they have to prove for it.
PLATFORM_READ, PLATFORM_ACT = "platform.read", "platform.act"
PLATFORM_PERMISSIONS = frozenset({PLATFORM_READ, PLATFORM_ACT})
# For each permission the weakest role that has it.
WEAKEST: dict[str, Role] = {
    "account.manage": Role.VIEWER,
    "account.read": Role.VIEWER,
    "analytics.read": Role.VIEWER,
    "api-keys.manage": Role.ADMIN,
    "api-keys.read": Role.EDITOR,
    "articles.edit": Role.EDITOR,
    "articles.publish": Role.EDITOR,
    "articles.read": Role.VIEWER,
    "assets.create": Role.EDITOR,
    "assets.manage": Role.EDITOR,
    "assets.read": Role.VIEWER,
    "audit.read": Role.ADMIN,
    "billing.manage": Role.OWNER,
    "billing.read": Role.ADMIN,
    "budgets.manage": Role.ADMIN,
    "budgets.read": Role.VIEWER,
    "characters.manage": Role.EDITOR,
    "characters.read": Role.VIEWER,
    "credits.read": Role.VIEWER,
    "events.manage": Role.ADMIN,
    "events.track": Role.MEMBER,
    "exports.create": Role.EDITOR,
    "exports.read": Role.EDITOR,
    "generations.read": Role.VIEWER,
    "generations.create": Role.EDITOR,
    "home.read": Role.VIEWER,
    "integrations.manage": Role.ADMIN,
    "member-analytics.read": Role.ADMIN,
    "livestreams.manage": Role.EDITOR,
    "livestreams.read": Role.VIEWER,
    "members.leave": Role.VIEWER,
    "members.manage": Role.ADMIN,
    "members.read": Role.VIEWER,
    "models.read": Role.VIEWER,
    "projects.manage": Role.EDITOR,
    "projects.move": Role.OWNER,
    "projects.read": Role.VIEWER,
    "providers.manage": Role.ADMIN,
    "providers.read": Role.VIEWER,
    "realtime.read": Role.VIEWER,
    "showcase.buy": Role.MEMBER,
    "showcase.publish": Role.EDITOR,
    "showcase.react": Role.MEMBER,
    "showcase.read": Role.VIEWER,
    "sites.deploy": Role.EDITOR,
    "sites.comment": Role.MEMBER,
    "sites.edit": Role.EDITOR,
    "sites.publish": Role.EDITOR,
    "sites.read": Role.VIEWER,
    "templates.manage": Role.EDITOR,
    "templates.read": Role.VIEWER,
    "tokens.manage": Role.EDITOR,
    "tokens.read": Role.EDITOR,
    "webhooks.manage": Role.ADMIN,
    "webhooks.read": Role.ADMIN,
    "workshops.enrol": Role.MEMBER,
    "workshops.manage": Role.EDITOR,
    "workshops.read": Role.VIEWER,
    "workspace.delete": Role.OWNER,
    "workspace.export": Role.OWNER,
    "workspace.manage": Role.ADMIN,
    "workspace.read": Role.VIEWER,
    "workspace.restore": Role.OWNER,
    "workspace.transfer": Role.OWNER,
}
_STRENGTH = {role: -place for place, role in enumerate(Role)}


def permits(role: Role, permission: str) -> bool:
    """Whether `role` has `permission`; raises KeyError for a permission that is not in WEAKEST."""
    return at_least(role, WEAKEST[permission])


def at_least(role: Role, other: Role) -> bool:
    """Whether `role` is `other` or stronger."""
    return _STRENGTH[role] >= _STRENGTH[other]
