"""Invitations to organisations on DynamoDB."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Transaction,
    TransactionConflict,
    pause_with_jitter,
    transaction,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, IdentityItem, UserItem, WorkspaceItem
from atelier.adapters.aws.dynamodb.identity.mails import save_mail
from atelier.adapters.aws.dynamodb.workspaces.members import STAYS, check_role
from atelier.adapters.aws.dynamodb.workspaces.store import put_membership, user_refusal
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import Forbidden, NotFound
from atelier.identity.model import User
from atelier.identity.permissions import Role
from atelier.mails.mail import MailRequest
from atelier.workspaces.model import Actor, Invitation, Member
from atelier.workspaces.ports import (
    AlreadyInvited,
    AlreadyMember,
    InvitationGone,
    MembersFull,
    StaleWorkspace,
)

PREFIX = "invitation#"
TRIES_MAX = 8
BUSY = "The members are changing quickly. Try again."
# An invitation that was accepted or has expired is still known for this long.
RETENTION = timedelta(days=30)


class InvitationItem(IdentityItem, discriminator="invitation"):
    email = UnicodeAttribute()
    role = UnicodeAttribute()
    invited_by = UnicodeAttribute()
    created_at = UnicodeAttribute()
    sent_at = UnicodeAttribute()
    ends_at = UnicodeAttribute()
    locale = UnicodeAttribute(null=True)
    request_key = UnicodeAttribute(null=True)
    accepted_at = UnicodeAttribute(null=True)
    accepted_by = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute()


class InvitedItem(IdentityItem, discriminator="invited"):
    """The claim of an address on its one open invitation."""

    invitation_id = UnicodeAttribute()
    ends_at = UnicodeAttribute()
    expires_at_seconds = NumberAttribute()


class DynamoInvitations:
    """InvitationStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items. The audit table must be bound too."""
        IdentityItem.bind(table_name)

    def add(self, new: Invitation, mail: MailRequest, limit: int, actor: Actor, events: Sequence[AuditEvent]) -> None:
        free = InvitedItem.pk.does_not_exist() | (InvitedItem.ends_at <= rfc3339(new.created_at))

        def write_all(write: Transaction) -> None:
            check_role(write, actor.user_id, new.workspace_id, actor.role, part="actor")
            write.check(WorkspaceItem, new.workspace_id, PROFILE, _has_room(limit), part="workspace")
            write.save(_item(new), InvitationItem.pk.does_not_exist(), part="invited")
            write.save(_claim(new), free, part="invited")
            save_mail(write, mail)
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            if "actor" in error.parts:
                raise Forbidden("Your role does not allow this any more.") from error
            raise (AlreadyInvited() if "invited" in error.parts else _refusal(new.workspace_id)) from error

    def invitation(self, workspace_id: str, invitation_id: str) -> Invitation | None:
        try:
            return _decode(InvitationItem.get(workspace_id, PREFIX + invitation_id, consistent_read=True))
        except DoesNotExist:
            return None

    def open_invitations(self, workspace_id: str, now: datetime) -> tuple[Invitation, ...]:
        items = InvitationItem.query(
            workspace_id, InvitationItem.sk.startswith(PREFIX), consistent_read=True, scan_index_forward=False
        )
        return tuple(invitation for invitation in map(_decode, items) if invitation.is_open(now))

    def send_again(self, before: Invitation, after: Invitation, mail: MailRequest) -> None:
        # The claim may be gone with its expiry, or be another invitation's.
        claim = InvitedItem.pk.does_not_exist() | (InvitedItem.invitation_id == before.id)

        def fill(write: Transaction) -> None:
            actions: list[Any] = [
                InvitationItem.sent_at.set(rfc3339(after.sent_at)),
                InvitationItem.ends_at.set(rfc3339(after.expires_at)),
                InvitationItem.expires_at_seconds.set(_forgotten_at(after)),
            ]
            write.update(_item(before), actions, _not_accepted(), part="invitation")
            write.save(_claim(after), claim, part="invitation")
            save_mail(write, mail)

        self._write_or_gone(fill)

    def revoke(self, invitation: Invitation, events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            write.delete(_item(invitation), _not_accepted(), part="invitation")
            write.delete(_claim(invitation))
            save_events(write, events)

        self._write_or_gone(fill)

    @staticmethod
    def _write_or_gone(fill: Callable[[Transaction], None]) -> None:
        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise InvitationGone from error

    def accept(
        self, invitation: Invitation, user: User, limit: int, events: Sequence[AuditEvent], now: datetime
    ) -> None:
        if user.id == invitation.invited_by:
            # Whoever invited has left since, and may not invite any more.
            raise InvitationGone
        member = Member(invitation.workspace_id, user.id, invitation.role, now)
        may_invite = (Role.OWNER,) if invitation.role is Role.OWNER else (Role.OWNER, Role.ADMIN)
        actions = [
            InvitationItem.accepted_at.set(rfc3339(now)),
            InvitationItem.accepted_by.set(user.id),
        ]
        is_open = _not_accepted() & (InvitationItem.ends_at > rfc3339(now))
        counters = [WorkspaceItem.members.add(1), WorkspaceItem.owners.add(int(invitation.role is Role.OWNER))]
        try:
            with transaction() as write:
                write.update(_item(invitation), actions, is_open, part="invitation")
                write.delete(_claim(invitation))
                check_role(write, invitation.invited_by, invitation.workspace_id, *may_invite, part="inviter")
                write.check(UserItem, invitation.invited_by, PROFILE, STAYS, part="inviter")
                put_membership(write, member, email=user.email)
                workspace = WorkspaceItem(invitation.workspace_id, PROFILE)
                write.update(workspace, counters, _has_room(limit), part="workspace")
                save_events(write, events)
        except TransactionConflict as error:
            pause_with_jitter(3)
            raise StaleWorkspace from error
        except ConditionsFailed as error:
            raise _acceptance_refusal(error.parts, invitation, user) from error


def _acceptance_refusal(parts: frozenset[str], invitation: Invitation, user: User) -> Exception:
    if "invitation" in parts:
        # Accepted, revoked or sent again in parallel: reading again tells which.
        return StaleWorkspace()
    if "member" in parts:
        return AlreadyMember()
    if "inviter" in parts:
        return InvitationGone()
    return _refusal(invitation.workspace_id) if "workspace" in parts else user_refusal(user.id)


def _refusal(workspace_id: str) -> Exception:
    """Why the workspace takes no further member."""
    item = WorkspaceItem.get(workspace_id, PROFILE, consistent_read=True)
    return NotFound("There is no such workspace.") if item.deleted_at else MembersFull(int(item.members or 1))


def _has_room(limit: int) -> Any:
    return WorkspaceItem.deleted_at.does_not_exist() & (WorkspaceItem.members < limit)


def _not_accepted() -> Any:
    return InvitationItem.pk.exists() & InvitationItem.accepted_at.does_not_exist()


def _forgotten_at(invitation: Invitation) -> int:
    return int((invitation.expires_at + RETENTION).timestamp())


def _item(invitation: Invitation) -> InvitationItem:
    return InvitationItem(
        invitation.workspace_id,
        PREFIX + invitation.id,
        email=invitation.email,
        role=invitation.role.value,
        invited_by=invitation.invited_by,
        created_at=rfc3339(invitation.created_at),
        sent_at=rfc3339(invitation.sent_at),
        ends_at=rfc3339(invitation.expires_at),
        locale=invitation.locale,
        request_key=invitation.request_key,
        expires_at_seconds=_forgotten_at(invitation),
    )


def _claim(invitation: Invitation) -> InvitedItem:
    # A digest keeps the sort key short, whatever the address.
    digest = hashlib.sha256(invitation.email.encode()).hexdigest()
    return InvitedItem(
        invitation.workspace_id,
        f"invited#{digest}",
        invitation_id=invitation.id,
        ends_at=rfc3339(invitation.expires_at),
        expires_at_seconds=int(invitation.expires_at.timestamp()),
    )


def _decode(item: InvitationItem) -> Invitation:
    return Invitation(
        id=item.sk.removeprefix(PREFIX),
        workspace_id=item.pk,
        email=item.email,
        role=Role(item.role),
        invited_by=item.invited_by,
        created_at=parse_rfc3339(item.created_at),
        sent_at=parse_rfc3339(item.sent_at),
        expires_at=parse_rfc3339(item.ends_at),
        locale=item.locale,
        request_key=item.request_key,
        accepted_at=parse_rfc3339(item.accepted_at) if item.accepted_at else None,
        accepted_by=item.accepted_by,
    )
