"""Change roles, remove members, leave, and hand an organisation over. It always has an owner, and only owners make
owners."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from atelier.audit_log.model import AuditEvent, audit_events
from atelier.errors import Conflict, Forbidden, NotFound
from atelier.identity.permissions import Role
from atelier.retrying import retrying
from atelier.workspaces.model import Actor, Member
from atelier.workspaces.ports import MemberStore, StaleWorkspace

TRIES_MAX = 20
BUSY = "The members are changing quickly. Try again."


def change_role(
    workspace_id: str, user_id: str, role: Role, *, actor: Actor, store: MemberStore, now: datetime
) -> Member:
    """Give a member another role. Raises NotFound, Forbidden when an owner is concerned and the actor is none,
    LastOwner, LeavingMember, Unavailable."""

    def attempt() -> Member:
        before = _member(workspace_id, user_id, store)
        _require_owner(actor, before.role, role)
        if role is not before.role:
            facts = {"before": before.role.value, "after": role.value}
            store.change_role(before, role, actor, _events("member.role_changed", before, actor, now, **facts))
        return Member(workspace_id, user_id, role, before.joined_at)

    return _retrying(attempt)


def remove_member(workspace_id: str, user_id: str, *, actor: Actor, store: MemberStore, now: datetime) -> None:
    """End a membership; the next request of the member, or of one of the member's tokens, finds no workspace. Raises
    NotFound, Forbidden, LastOwner, Unavailable as `change_role` does."""

    def attempt() -> None:
        before = _member(workspace_id, user_id, store)
        _require_owner(actor, before.role)
        store.remove(before, actor, _events("member.removed", before, actor, now, before=before.role.value))

    _retrying(attempt)


def leave(workspace_id: str, *, actor: Actor, store: MemberStore, now: datetime) -> None:
    """End one's own membership. Raises LastOwner, Conflict in a personal workspace, Unavailable."""

    def attempt() -> None:
        before = store.member(workspace_id, actor.user_id)
        if before is None:
            raise Conflict("A personal workspace cannot be left.")
        store.remove(before, actor, _events("member.removed", before, actor, now, before=before.role.value, left=True))

    _retrying(attempt)


def transfer_ownership(workspace_id: str, user_id: str, *, actor: Actor, store: MemberStore, now: datetime) -> None:
    """Make another member the owner in place of the actor, who becomes an admin. Raises NotFound, Conflict for oneself,
    LeavingMember, Forbidden when the actor is no owner any more, Unavailable."""
    if user_id == actor.user_id:
        raise Conflict("You are the owner already.")

    def attempt() -> None:
        heir, owner = _member(workspace_id, user_id, store), _member(workspace_id, actor.user_id, store)
        _require_owner(Actor(actor.user_id, owner.role, actor.origin), Role.OWNER)
        facts = {"before": actor.user_id, "after": user_id}
        store.transfer(owner, heir, _events("ownership.transferred", heir, actor, now, **facts))

    _retrying(attempt)


def _member(workspace_id: str, user_id: str, store: MemberStore) -> Member:
    member = store.member(workspace_id, user_id)
    if member is None:
        raise NotFound("There is no such member.")
    return member


def _require_owner(actor: Actor, *roles: Role) -> None:
    if Role.OWNER in roles and actor.role is not Role.OWNER:
        raise Forbidden("Only owners change who is an owner.")


def _events(action: str, member: Member, actor: Actor, now: datetime, **facts: Any) -> tuple[AuditEvent, ...]:
    """The events of a change of a member's access: in the organisation's log and in the member's own."""
    logs = member.workspace_id, member.user_id
    facts |= {"workspace_id": member.workspace_id}
    return audit_events(logs, action, actor.origin, now, target=member.user_id, **facts)


def _retrying(attempt: Callable[[], Any]) -> Any:
    return retrying(attempt, on=StaleWorkspace, busy=BUSY, tries_max=TRIES_MAX)
