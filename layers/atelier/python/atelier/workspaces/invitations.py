"""Invite people to an organisation by mail, and accept an invitation.

The link in the mail is derived from the invitation's id (`mails/links.py`): it is stored nowhere, and a repeated mail
has the same one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.audit_log.model import Origin, audit_event, audit_events
from atelier.catalogue.quotas import Quota
from atelier.dataclass import dataclass
from atelier.errors import Conflict, Forbidden
from atelier.identity.model import User
from atelier.identity.permissions import Role
from atelier.identity.require_verified import require_verified
from atelier.ids import new_id
from atelier.mails.links import Link, LinkKey, LinkToken
from atelier.mails.mail import MailKind, MailRequest, mail_request
from atelier.retrying import retrying
from atelier.workspaces.invitation_limits import InvitationLimits
from atelier.workspaces.model import INVITATION_LIFETIME, Actor, Invitation, WorkspaceProfile
from atelier.workspaces.ports import (
    AlreadyInvited,
    AlreadyMember,
    InvitationGone,
    InvitationStore,
    MembersFull,
    MemberStore,
    StaleWorkspace,
    WorkspaceStore,
)

PURPOSE = "invitation"
OPEN_INVITATIONS_MAX = 100
TRIES_MAX = 20
BUSY = "The members are changing quickly. Try again."


@dataclass(frozen=True, slots=True)
class NewInvitation:
    """A request to invite an address, in its normal form, as a role. idempotency_key: the caller's own, if any."""

    workspace_id: str
    email: str
    role: Role
    idempotency_key: str | None = None

    @property
    def request_key(self) -> str | None:
        """The digest of the key, which is stored."""
        return hashlib.sha256(self.idempotency_key.encode()).hexdigest() if self.idempotency_key else None


@dataclass(frozen=True, slots=True)
class InvitationDeps:
    """The dependencies of the use cases here. quota: reads that of members, of a workspace at a time."""

    store: InvitationStore
    members: MemberStore
    workspaces: WorkspaceStore
    key: LinkKey
    limits: InvitationLimits
    quota: Callable[[str, datetime], Quota]


@dataclass(frozen=True, slots=True)
class OpenedInvitation:
    """An invitation as whoever holds its link sees it. for_you: whether the reader may accept it."""

    invitation: Invitation
    workspace: WorkspaceProfile
    inviter: User
    for_you: bool


def invite(new: NewInvitation, *, actor: Actor, deps: InvitationDeps, now: datetime) -> tuple[Invitation, bool]:
    """Invite an address. Returns the invitation, and whether the same request made it before.

    Raises Forbidden before the actor's own address is verified and for an owner invited by somebody else, Conflict for
    a personal workspace and above OPEN_INVITATIONS_MAX, AlreadyMember, AlreadyInvited, RateLimited, QuotaExceeded."""
    if new.role is Role.OWNER and actor.role is not Role.OWNER:
        raise Forbidden("Only owners make owners.")
    inviter, workspace = deps.members.user(actor.user_id), deps.workspaces.profile(new.workspace_id)
    if workspace.kind == "personal":
        raise Conflict("A personal workspace has one member. Create an organisation first.")
    require_verified(inviter)
    pending = deps.store.open_invitations(new.workspace_id, now)
    earlier = next((each for each in pending if each.email == new.email), None)
    if earlier is not None and new.request_key is not None and earlier.request_key == new.request_key:
        return earlier, True
    if earlier is not None:
        raise AlreadyInvited
    if len(pending) >= OPEN_INVITATIONS_MAX:
        raise Conflict(f"At most {OPEN_INVITATIONS_MAX} invitations may be open. Revoke one first.")
    if any(each.email == new.email for each in deps.members.members(new.workspace_id)):
        raise AlreadyMember

    deps.limits.count(new.email, new.workspace_id, now)
    invitation = Invitation(
        id=new_id("inv", now),
        workspace_id=new.workspace_id,
        email=new.email,
        role=new.role,
        invited_by=actor.user_id,
        created_at=now,
        sent_at=now,
        expires_at=now + INVITATION_LIFETIME,
        locale=inviter.locale,
        request_key=new.request_key,
    )
    quota = deps.quota(new.workspace_id, now)
    facts: dict[str, Any] = {"email": new.email, "role": new.role.value}
    event = audit_event(new.workspace_id, "member.invited", actor.origin, now, target=invitation.id, **facts)
    try:
        deps.store.add(invitation, _mail(invitation, workspace, inviter, now), quota.limit, actor, [event])
    except MembersFull as full:
        raise quota.exceeded(full.used) from None
    return invitation, False


def send_again(
    workspace_id: str, invitation_id: str, *, actor: Actor, deps: InvitationDeps, now: datetime
) -> Invitation:
    """Send the mail of an invitation again; it is then valid for another INVITATION_LIFETIME, by the same link. An
    expired one comes back. Raises InvitationGone, Forbidden, RateLimited, Unavailable."""
    before = deps.store.invitation(workspace_id, invitation_id)
    if before is None or before.accepted_at is not None:
        raise InvitationGone
    inviter = deps.members.user(actor.user_id)
    require_verified(inviter)
    deps.limits.count(before.email, workspace_id, now)
    after = replace(before, sent_at=now, expires_at=now + INVITATION_LIFETIME)
    deps.store.send_again(before, after, _mail(after, deps.workspaces.profile(workspace_id), inviter, now))
    return after


def revoke(workspace_id: str, invitation_id: str, *, actor: Actor, deps: InvitationDeps, now: datetime) -> None:
    """Revoke an invitation: its link does nothing any more. Raises InvitationGone, Unavailable."""
    invitation = deps.store.invitation(workspace_id, invitation_id)
    if invitation is None or invitation.accepted_at is not None:
        raise InvitationGone
    facts: dict[str, Any] = {"email": invitation.email}
    event = audit_event(workspace_id, "invitation.revoked", actor.origin, now, target=invitation_id, **facts)
    deps.store.revoke(invitation, [event])


def read_invitation(token: str, user_id: str, *, deps: InvitationDeps, now: datetime) -> OpenedInvitation:
    """The invitation of a link. Raises InvitationGone."""
    invitation, workspace = _open(token, deps)
    if not invitation.is_open(now):
        raise InvitationGone
    user, inviter = deps.members.user(user_id), deps.members.user(invitation.invited_by)
    return OpenedInvitation(invitation, workspace, inviter, _is_for(user, invitation, workspace))


def accept(
    token: str, user_id: str, origin: Origin, *, deps: InvitationDeps, now: datetime
) -> tuple[WorkspaceProfile, Role]:
    """Become a member by the link of an invitation. Whoever has accepted it already gets the same answer again.

    Raises InvitationGone, Forbidden with `reason: email_not_verified` or `reason: another_email` for somebody who was
    not invited, AlreadyMember, QuotaExceeded, TooManyOrganizations, Unavailable."""

    def attempt() -> tuple[WorkspaceProfile, Role]:
        invitation, workspace = _open(token, deps)
        if invitation.accepted_by == user_id and (member := deps.members.member(workspace.id, user_id)):
            return workspace, member.role
        if not invitation.is_open(now):
            raise InvitationGone
        user = deps.members.user(user_id)
        if not _is_for(user, invitation, workspace):
            require_verified(user)
            raise Forbidden("This invitation is for another e-mail address.", reason="another_email")

        quota = deps.quota(workspace.id, now)
        facts: dict[str, Any] = {
            "workspace_id": workspace.id,
            "role": invitation.role.value,
            "invited_by": invitation.invited_by,
        }
        events = audit_events((workspace.id, user_id), "member.joined", origin, now, target=user_id, **facts)
        try:
            deps.store.accept(invitation, user, quota.limit, events, now)
        except MembersFull as full:
            raise quota.exceeded(full.used) from None
        return replace(workspace, members=workspace.members + 1), invitation.role

    return retrying(attempt, on=StaleWorkspace, busy=BUSY, tries_max=TRIES_MAX)


def _open(text: str, deps: InvitationDeps) -> tuple[Invitation, WorkspaceProfile]:
    token = LinkToken.parse(text)
    if token is None or not deps.key.made(token, Link(PURPOSE, token.owner_id, token.link_id)):
        raise InvitationGone
    invitation = deps.store.invitation(token.owner_id, f"inv_{token.link_id[4:]}")
    workspace = deps.workspaces.profile(token.owner_id) if invitation else None
    if invitation is None or workspace is None or workspace.deleted_at is not None:
        raise InvitationGone
    return invitation, workspace


def _is_for(user: User, invitation: Invitation, workspace: WorkspaceProfile) -> bool:
    return workspace.settings.open_invitations or (user.email_verified and user.email == invitation.email)


def _mail(invitation: Invitation, workspace: WorkspaceProfile, inviter: User, now: datetime) -> MailRequest:
    return mail_request(
        MailKind.INVITATION,
        invitation.workspace_id,
        invitation.email,
        invitation.locale,
        now,
        link=Link(PURPOSE, invitation.workspace_id, f"lnk_{invitation.id[4:]}"),
        workspace=workspace.name,
        inviter=inviter.name,
        inviter_email=inviter.email,
        role=invitation.role.value,
    )
