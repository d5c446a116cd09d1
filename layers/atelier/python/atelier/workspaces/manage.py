"""Create, change, delete and restore workspaces."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from atelier.audit_log.model import Origin, audit_event, audit_events
from atelier.dataclass import dataclass
from atelier.errors import Conflict, Forbidden, NotFound, ValidationFailed
from atelier.idempotency import IdempotencyKeys, fingerprint
from atelier.identity.permissions import Role
from atelier.ids import new_id
from atelier.retrying import retrying
from atelier.workspaces.model import SLUG_LENGTH_MAX, WorkspaceProfile, slug_from_name
from atelier.workspaces.ports import AvatarAssets, SlugTaken, StaleWorkspace, WorkspaceExists, WorkspaceStore

TRIES_MAX = 20
SUFFIX_BYTES = 3
BUSY = "The workspace is changing quickly. Try again."


@dataclass(frozen=True, slots=True)
class NewOrganization:
    """A request for a new organisation. slug: None = one that the name suggests. idempotency_key: the caller's own, if
    any."""

    user_id: str
    name: str
    slug: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class ManageDeps:
    """The dependencies of the use cases here."""

    store: WorkspaceStore
    keys: IdempotencyKeys
    assets: AvatarAssets


def create_organization(
    new: NewOrganization, origin: Origin, *, deps: ManageDeps, now: datetime
) -> tuple[WorkspaceProfile, bool]:
    """Create an organisation whose only member and owner is the caller. Returns it, and whether the same request
    created it before. Raises SlugTaken for a chosen slug, TooManyOrganizations, IdempotencyMismatch, Unavailable."""
    workspace_id = new_id("wsp", now)
    if new.idempotency_key is not None:
        key = f"workspaces {new.idempotency_key}"
        workspace_id = deps.keys.reserve(new.user_id, key, fingerprint([new.name, new.slug]), workspace_id)

    def attempt(slug: str) -> WorkspaceProfile:
        workspace = WorkspaceProfile(workspace_id, "organization", new.name, new.user_id, now, now, slug)
        facts: dict[str, Any] = {"name": new.name, "slug": slug, "workspace_id": workspace_id}
        logs = workspace_id, new.user_id
        deps.store.create(workspace, audit_events(logs, "workspace.created", origin, now, target=workspace_id, **facts))
        return workspace

    try:
        try:
            return attempt(new.slug or slug_from_name(new.name)), False
        except SlugTaken:
            if new.slug is not None:
                raise
        # A suggested slug is never a reason for refusal.
        base = slug_from_name(new.name)[: SLUG_LENGTH_MAX - 2 * SUFFIX_BYTES - 1].strip("-")
        return attempt(f"{base}-{secrets.token_hex(SUFFIX_BYTES)}"), False
    except WorkspaceExists:
        # The same request created it earlier, or in parallel.
        return deps.store.profile(workspace_id), True


def list_workspaces(user_id: str, *, store: WorkspaceStore, now: datetime) -> list[tuple[WorkspaceProfile, Role]]:
    """The workspaces of a user; deleted ones only where the user is an owner who can still restore them."""
    return [
        (workspace, role)
        for workspace, role in store.of_user(user_id)
        if workspace.deleted_at is None or (role is Role.OWNER and _can_restore(workspace, now))
    ]


def change_workspace(
    workspace_id: str,
    apply_change: Callable[[WorkspaceProfile], WorkspaceProfile],
    origin: Origin,
    *,
    has_mfa: bool,
    deps: ManageDeps,
    now: datetime,
) -> WorkspaceProfile:
    """Change a workspace by a function, which is called again when a parallel request changed it first. has_mfa:
    whether the caller has signed in with a second factor.

    Raises NotFound, SlugTaken, Unavailable; Forbidden when a caller without a second factor requires one of the
    members; Conflict for a slug or settings of a personal workspace; ValidationFailed for an avatar that is no asset of
    the workspace."""

    def check(before: WorkspaceProfile, after: WorkspaceProfile) -> None:
        if before.deleted_at is not None:
            raise NotFound
        if before.kind == "personal" and (after.slug, after.settings) != (before.slug, before.settings):
            raise Conflict("A personal workspace has neither a short name nor settings.")
        if after.settings.require_mfa and not before.settings.require_mfa and not has_mfa:
            raise Forbidden("Sign in with a second factor first: you would lock yourself out.", reason="mfa_required")
        asset_id = after.avatar_asset_id
        if asset_id not in (None, before.avatar_asset_id) and not deps.assets.is_kept(workspace_id, asset_id):
            raise ValidationFailed([{"path": "avatar_asset_id", "message": "is no asset of this workspace"}])

    change = _Change("workspace.changed", apply_change, check, origin)
    return _change(workspace_id, change, store=deps.store, now=now)


def delete_organization(workspace_id: str, origin: Origin, *, store: WorkspaceStore, now: datetime) -> WorkspaceProfile:
    """Delete an organisation: from now on it does not exist, but for its owner, who can restore it within UNDO_TIME.
    Raises Conflict for a personal workspace, Unavailable."""

    def check(before: WorkspaceProfile, after: WorkspaceProfile) -> None:
        if before.kind == "personal":
            raise Conflict("A personal workspace is deleted with its account.")
        if before.deleted_at is not None:
            raise NotFound

    change = _Change("workspace.deleted", lambda before: replace(before, deleted_at=now), check, origin)
    return _change(workspace_id, change, store=store, now=now)


def restore_organization(
    workspace_id: str, origin: Origin, *, store: WorkspaceStore, now: datetime
) -> WorkspaceProfile:
    """Undo the deletion of an organisation. Does nothing to one that is not deleted. Raises NotFound after UNDO_TIME,
    Unavailable."""

    def check(before: WorkspaceProfile, after: WorkspaceProfile) -> None:
        if not _can_restore(before, now):
            raise NotFound

    change = _Change("workspace.restored", lambda before: replace(before, deleted_at=None), check, origin)
    return _change(workspace_id, change, store=store, now=now)


def _can_restore(workspace: WorkspaceProfile, now: datetime) -> bool:
    return workspace.restorable_until is None or now < workspace.restorable_until


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of a workspace. action: of its audit event. check: raises when the workspace must not become so."""

    action: str
    apply: Callable[[WorkspaceProfile], WorkspaceProfile]
    check: Callable[[WorkspaceProfile, WorkspaceProfile], None]
    origin: Origin


def _change(workspace_id: str, change: _Change, *, store: WorkspaceStore, now: datetime) -> WorkspaceProfile:
    def attempt() -> WorkspaceProfile:
        before = store.profile(workspace_id)
        after = change.apply(before)
        change.check(before, after)
        if after == before:
            return before
        # Each change has a later `updated_at` than the one before: the store's condition compares that time.
        after = replace(after, updated_at=max(now, before.updated_at + timedelta(milliseconds=1)))
        facts: dict[str, Any] = {"before": _facts(before, after), "after": _facts(after, before)}
        store.change(before, after, [audit_event(workspace_id, change.action, change.origin, now, **facts)])
        return after

    return retrying(attempt, on=StaleWorkspace, busy=BUSY, tries_max=TRIES_MAX)


def _facts(workspace: WorkspaceProfile, other: WorkspaceProfile) -> dict[str, Any]:
    """The values that differ between the two, as an audit event shows them."""
    values, others = (
        {
            "name": each.name,
            "slug": each.slug,
            "avatar_asset_id": each.avatar_asset_id,
            "require_mfa": each.settings.require_mfa,
            "open_invitations": each.settings.open_invitations,
        }
        for each in (workspace, other)
    )
    return {name: value for name, value in values.items() if value != others[name]}
