"""Workspaces on DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pynamodb.attributes import Attribute

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Transaction,
    TransactionConflict,
    batch_read,
    transaction,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.items import (
    PROFILE,
    IdentityItem,
    MembershipItem,
    UserItem,
    WorkspaceItem,
    due_erasure,
    member_sk,
    read_items,
)
from atelier.adapters.aws.dynamodb.ledger.transactions import put_new_wallet
from atelier.adapters.aws.dynamodb.workspaces.items import (
    MEMBER_PREFIX,
    SlugItem,
    decode_profile,
    member_item,
    profile_item,
    slug_item,
)
from atelier.audit_log.model import AuditEvent
from atelier.clock import rfc3339
from atelier.errors import NotFound
from atelier.identity.model import FREE_TIER
from atelier.identity.permissions import Role
from atelier.ledger.model import MailboxState, new_wallet
from atelier.workspaces.model import ORGANIZATIONS_PER_USER_MAX, LeavingMember, Member, WorkspaceProfile
from atelier.workspaces.ports import SlugTaken, StaleWorkspace, TooManyOrganizations, WorkspaceExists

TRIES_MAX = 8
BUSY = "The workspace is busy just now. Try again."


class DynamoWorkspaces:
    """WorkspaceStore on DynamoDB. `create` also writes to the ledger's table, which its own adapter binds."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items."""
        IdentityItem.bind(table_name)

    def create(self, workspace: WorkspaceProfile, events: Sequence[AuditEvent] = ()) -> None:
        assert workspace.slug is not None, "an organisation has a slug"
        owner = Member(workspace.id, workspace.owner_id, Role.OWNER, workspace.created_at)
        # Daily credits belong to a mailbox, and an organisation has none.
        wallet = new_wallet(workspace.id, FREE_TIER, workspace.created_at, MailboxState.SHARED)
        slug = slug_item(workspace.slug, workspace.id)

        def write_all(write: Transaction) -> None:
            write.save(profile_item(workspace, FREE_TIER), WorkspaceItem.pk.does_not_exist(), part="workspace")
            write.save(slug, SlugItem.pk.does_not_exist(), part="slug")
            put_new_wallet(write, wallet)
            put_membership(write, owner)
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            # The workspace first: a repeated request finds its own slug and wallet too.
            if "workspace" in error.parts:
                raise WorkspaceExists from error
            raise (SlugTaken(workspace.slug) if "slug" in error.parts else TooManyOrganizations()) from error

    def profile(self, workspace_id: str) -> WorkspaceProfile:
        key = workspace_id, PROFILE
        item = read_items([key], consistent=True).get(key)
        if not isinstance(item, WorkspaceItem):
            raise NotFound("There is no such workspace.")
        return decode_profile(item)

    def is_being_deleted(self, workspace_id: str) -> bool:
        """Whether a workspace is deleted, or a personal one goes with its owner's account; True when it is gone."""
        key = workspace_id, PROFILE
        item = read_items([key], consistent=True).get(key)
        if not isinstance(item, WorkspaceItem):
            return True
        if item.workspace_kind == "organization":
            return bool(item.deleted_at)
        owner_key = item.owner_id, PROFILE
        owner = read_items([owner_key], consistent=True).get(owner_key)
        return not isinstance(owner, UserItem) or bool(owner.deletion_due_at)

    def of_user(self, user_id: str) -> tuple[tuple[WorkspaceProfile, Role], ...]:
        memberships = MembershipItem.query(user_id, MembershipItem.sk.startswith(MEMBER_PREFIX), consistent_read=True)
        roles = {item.sk.removeprefix(MEMBER_PREFIX): Role(item.role) for item in memberships}
        items = batch_read([(WorkspaceItem, workspace_id, PROFILE) for workspace_id in roles]) if roles else {}
        profiles = [decode_profile(item) for item in items.values() if isinstance(item, WorkspaceItem)]
        return tuple((each, roles[each.id]) for each in sorted(profiles, key=lambda each: each.id))

    def change(self, before: WorkspaceProfile, after: WorkspaceProfile, events: Sequence[AuditEvent] = ()) -> None:
        unchanged = (WorkspaceItem.updated_at == rfc3339(before.updated_at)) | WorkspaceItem.updated_at.does_not_exist()
        settings = after.settings
        actions = [
            WorkspaceItem.name.set(after.name),
            WorkspaceItem.updated_at.set(rfc3339(after.updated_at)),
            _set(WorkspaceItem.slug, after.slug),
            _set(WorkspaceItem.avatar_asset_id, after.avatar_asset_id),
            WorkspaceItem.require_mfa.set(settings.require_mfa),
            WorkspaceItem.open_invitations.set(settings.open_invitations),
            _set(WorkspaceItem.deleted_at, _text(after.deleted_at)),
        ]
        try:
            with transaction() as write:
                write.update(WorkspaceItem(before.id, PROFILE), actions, unchanged, part="workspace")
                if after.slug != before.slug and after.slug is not None:
                    write.save(slug_item(after.slug, after.id), SlugItem.pk.does_not_exist(), part="slug")
                    write.delete(slug_item(str(before.slug)), SlugItem.workspace_id == before.id, part="workspace")
                if before.restorable_until and after.restorable_until is None:
                    write.delete(due_erasure(before.id, before.restorable_until))
                if after.restorable_until and before.restorable_until is None:
                    write.save(due_erasure(after.id, after.restorable_until))
                save_events(write, events)
        except ConditionsFailed as error:
            if "workspace" in error.parts:
                raise StaleWorkspace from error
            raise SlugTaken(str(after.slug)) from error
        except TransactionConflict as error:
            raise StaleWorkspace from error


def put_membership(write: Transaction, member: Member, email: str | None = None) -> None:
    """Add a new membership to a transaction: both of its items, and the count of the user's organisations. email: the
    address that the user must still have. Parts: "member" when the user is a member already, "user" for what
    `user_refusal` tells apart."""
    membership = MembershipItem(
        member.user_id, member_sk(member.workspace_id), role=member.role.value, created_at=rfc3339(member.joined_at)
    )
    few = UserItem.organizations.does_not_exist() | (UserItem.organizations < ORGANIZATIONS_PER_USER_MAX)
    may_join = UserItem.pk.exists() & UserItem.deletion_due_at.does_not_exist() & few
    if email is not None:
        may_join &= UserItem.email == email
    write.save(membership, MembershipItem.pk.does_not_exist(), part="member")
    write.save(member_item(member))
    actions = [UserItem.organizations.add(1), UserItem.ownerships.add(int(member.role is Role.OWNER))]
    write.update(UserItem(member.user_id, PROFILE), actions, may_join, part="user")


def user_refusal(user_id: str) -> Exception:
    """Why a user does not become a member: too many organisations, an account that is being deleted, or an address that
    has changed, which reading again shows."""
    user = UserItem.get(user_id, PROFILE, consistent_read=True)
    if user.deletion_due_at:
        return LeavingMember()
    return TooManyOrganizations() if int(user.organizations or 0) >= ORGANIZATIONS_PER_USER_MAX else StaleWorkspace()


def _set(attribute: Attribute[Any], value: Any) -> Any:
    return attribute.remove() if value is None else attribute.set(value)


def _text(at: datetime | None) -> str | None:
    return rfc3339(at) if at else None
