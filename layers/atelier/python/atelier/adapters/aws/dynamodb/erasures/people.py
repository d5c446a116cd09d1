"""ErasedPeople on DynamoDB: the items of the identity table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import ConditionsFailed, Transaction, conditional, write_transaction
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.erasures.items import delete_items, delete_keys
from atelier.adapters.aws.dynamodb.exports.records import RawItem, query_page
from atelier.adapters.aws.dynamodb.identity.email_claims import ReservedEmailItem, email_pk
from atelier.adapters.aws.dynamodb.identity.external_logins import (
    CLAIM,
    LOGIN_PREFIX,
    LoginClaimItem,
    LoginItem,
    claim_pk,
)
from atelier.adapters.aws.dynamodb.identity.items import (
    CREDENTIALS,
    PROFILE,
    TOKEN_COUNT,
    CredentialsItem,
    IdentityItem,
    MembershipItem,
    TokenCountItem,
    UserItem,
    WorkspaceItem,
    due_erasure,
    member_sk,
)
from atelier.adapters.aws.dynamodb.identity.platform_roles import ADMINS, PLATFORM, AdminsItem
from atelier.adapters.aws.dynamodb.workspaces.items import (
    MEMBER_PREFIX,
    MemberItem,
    SlugItem,
    decode_member,
    slug_item,
)
from atelier.adapters.aws.dynamodb.workspaces.members import note_ownership, put_role
from atelier.audit_log.model import Origin, audit_event, audit_events
from atelier.clock import rfc3339
from atelier.erasures.model import PersonalWords
from atelier.erasures.ports import CheckTime
from atelier.errors import Unavailable
from atelier.identity.model import UserStatus
from atelier.identity.permissions import Role
from atelier.workspaces.model import UNDO_TIME, Member

TRIES_MAX = 8
BUSY = "The account is busy just now. Try again."
# What stands in a tombstone where every account has a value. No index has it.
ERASED = "erased"
# The items of an organisation in which a person may be named, by the beginning of their sort keys.
TRACES = ("invitation#", "mail#", "token#")


class DynamoErasedPeople:
    """ErasedPeople on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        """Transactions also write to the audit table, which its own adapter binds."""
        self._table = table_name
        IdentityItem.bind(table_name)

    def close(self, user_id: str) -> None:
        erased: list[Action] = [UserItem.status.set(UserStatus.ERASED.value), UserItem.directory.remove()]
        conditional(lambda: UserItem(user_id, PROFILE).update(erased, condition=UserItem.pk.exists()))
        AdminsItem(PLATFORM, ADMINS).update([AdminsItem.user_ids.delete({user_id})])

    def words(self, user_id: str, addresses: frozenset[str]) -> PersonalWords:
        user = self._user(user_id)
        if user is None:
            return PersonalWords("", addresses)
        mine = addresses if user.email == ERASED else addresses | {user.email.casefold()}
        return PersonalWords(user.name, mine)

    def organizations(self, user_id: str) -> Sequence[str]:
        items = MembershipItem.query(user_id, MembershipItem.sk.startswith(MEMBER_PREFIX), consistent_read=True)
        ids = [item.sk.removeprefix(MEMBER_PREFIX) for item in items]
        user = self._user(user_id)
        return [id for id in ids if user is None or id != user.workspace_id]

    def delete_traces(self, workspace_id: str, user_id: str, words: PersonalWords, check_time: CheckTime) -> int:
        count = 0
        for prefix in TRACES:
            after: str | None = None
            while True:
                check_time()
                items, after = query_page(self._table, workspace_id, (prefix, prefix + "\uffff"), after)
                keys = [(item["pk"]["S"], item["sk"]["S"]) for item in items if _names(item, user_id, words)]
                for first in range(0, len(keys), 25):
                    delete_keys(self._table, keys[first : first + 25])
                if prefix == "token#" and keys:
                    # Counted afterwards: a run that dies here leaves the count too high, never too low.
                    living: list[Action] = [TokenCountItem.living.add(-len(keys))]
                    TokenCountItem(workspace_id, TOKEN_COUNT).update(living)
                count += len(keys)
                if after is None:
                    break
        return count

    def leave(self, workspace_id: str, user_id: str, now: datetime) -> None:
        for _ in range(TRIES_MAX):
            try:
                write_transaction(self._leaving(workspace_id, user_id, now), busy=BUSY, tries_max=TRIES_MAX)
            except ConditionsFailed as error:
                if "membership" in error.parts:
                    return
                if not self._has_others(workspace_id):
                    self._end_organization(workspace_id, user_id, now)
                    return
                # The heir, or the number of owners, has changed meanwhile.
            else:
                return
        raise Unavailable(BUSY)

    def _leaving(self, workspace_id: str, user_id: str, now: datetime) -> Callable[[Transaction], None]:
        """What ends a membership and, where the last owner goes, makes an heir the owner."""
        user = self._user(user_id)
        is_released = user is not None and workspace_id in (user.released or ())
        is_owner = MembershipItem.count(
            user_id,
            MembershipItem.sk == member_sk(workspace_id),
            filter_condition=MembershipItem.role == Role.OWNER.value,
        )
        # The request for the deletion has taken the owner out of the count, where another owner was left.
        is_counted = bool(is_owner) and not is_released
        counted = _owners(workspace_id) if is_counted else 0
        heir = _heir(workspace_id, user_id) if is_counted and counted <= 1 else None
        events = [audit_event(workspace_id, "member.erased", Origin(), now, target=user_id)]
        if heir is not None:
            facts: dict[str, Any] = {"before": user_id, "after": heir.user_id, "workspace_id": workspace_id}
            logs = workspace_id, heir.user_id
            events += audit_events(logs, "ownership.transferred", Origin(), now, target=heir.user_id, **facts)

        def fill(write: Transaction) -> None:
            write.delete(
                MembershipItem(user_id, member_sk(workspace_id)), MembershipItem.pk.exists(), part="membership"
            )
            write.delete(MemberItem(workspace_id, MEMBER_PREFIX + user_id))
            actions: list[Action] = [WorkspaceItem.members.add(-1)]
            unchanged = WorkspaceItem.members > 1
            if heir is None:
                actions.append(WorkspaceItem.owners.add(-1 if is_counted else 0))
            else:
                put_role(write, heir, Role.OWNER)
                note_ownership(write, heir.user_id)
                actions.append(WorkspaceItem.owner_id.set(heir.user_id))
            if is_counted:
                unchanged &= WorkspaceItem.owners == counted
            write.update(WorkspaceItem(workspace_id, PROFILE), actions, unchanged, part="others")
            save_events(write, events)

        return fill

    @staticmethod
    def _has_others(workspace_id: str) -> bool:
        try:
            return (WorkspaceItem.get(workspace_id, PROFILE, consistent_read=True).members or 0) > 1
        except DoesNotExist:
            return False

    def _end_organization(self, workspace_id: str, user_id: str, now: datetime) -> None:
        """Let an organisation whose last member goes be due at once. Its own erasure ends the membership."""
        deleted_at = now - UNDO_TIME

        def fill(write: Transaction) -> None:
            actions = [WorkspaceItem.deleted_at.set(rfc3339(deleted_at)), WorkspaceItem.updated_at.set(rfc3339(now))]
            write.update(WorkspaceItem(workspace_id, PROFILE), actions, WorkspaceItem.pk.exists(), part="workspace")
            write.delete(MembershipItem(user_id, member_sk(workspace_id)))
            write.save(due_erasure(workspace_id, now))

        def fill_without_workspace(write: Transaction) -> None:
            write.delete(MembershipItem(user_id, member_sk(workspace_id)))

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            write_transaction(fill_without_workspace, busy=BUSY, tries_max=TRIES_MAX)

    def delete_claims(self, user_id: str, words: PersonalWords) -> int:
        count = 0
        logins = LoginItem.query(user_id, LoginItem.sk.startswith(LOGIN_PREFIX), consistent_read=True)
        for login in logins:
            mine = LoginClaimItem.user_id == user_id
            count += conditional(
                lambda login=login, mine=mine: LoginClaimItem(claim_pk(login.digest), CLAIM).delete(mine)
            )
        for address in sorted(words.addresses):
            # The account's own address, or one that is reserved for it.
            mine = (CredentialsItem.user_id == user_id) | (ReservedEmailItem.reserved_for == user_id)
            claim = CredentialsItem(email_pk(address), CREDENTIALS)
            count += conditional(lambda claim=claim, mine=mine: claim.delete(mine))
        return count

    def delete_account(self, user_id: str, check_time: CheckTime) -> int:
        count = delete_items(self._table, user_id, check_time, kept=[PROFILE])
        user = self._user(user_id)
        if user is not None:
            _tombstone(user).save(condition=UserItem.pk.exists())
        return count

    def delete_members(self, workspace_id: str, check_time: CheckTime) -> int:
        members = MemberItem.query(workspace_id, MemberItem.sk.startswith(MEMBER_PREFIX), consistent_read=True)
        count = 0
        for member in members:
            check_time()
            user_id = member.sk.removeprefix(MEMBER_PREFIX)

            def fill(write: Transaction, member: MemberItem = member, user_id: str = user_id) -> None:
                membership = MembershipItem(user_id, member_sk(workspace_id))
                write.delete(membership, MembershipItem.pk.exists(), part="membership")
                write.delete(member)
                actions = [UserItem.organizations.add(-1), UserItem.released.delete({workspace_id})]
                write.update(UserItem(user_id, PROFILE), actions, UserItem.pk.exists(), part="user")

            try:
                write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
                count += 1
            except ConditionsFailed:
                # The person's own erasure has ended the membership; the member's item goes with the workspace.
                continue
        return count

    def delete_workspace(self, workspace_id: str, check_time: CheckTime) -> int:
        try:
            item = WorkspaceItem.get(workspace_id, PROFILE, consistent_read=True)
        except DoesNotExist:
            item = None
        if item is not None and item.slug:
            slug = slug_item(item.slug)
            mine = SlugItem.workspace_id == workspace_id
            conditional(lambda: slug.delete(mine))
        return delete_items(self._table, workspace_id, check_time)

    @staticmethod
    def _user(user_id: str) -> UserItem | None:
        try:
            return UserItem.get(user_id, PROFILE, consistent_read=True)
        except DoesNotExist:
            return None


def _owners(workspace_id: str) -> int:
    try:
        return int(WorkspaceItem.get(workspace_id, PROFILE, consistent_read=True).owners or 0)
    except DoesNotExist:
        return 0


def _heir(workspace_id: str, user_id: str) -> Member | None:
    """Who becomes the owner when the last one goes: the strongest role, then the longest membership, of those whose
    account stays; None where there is nobody."""
    items = MemberItem.query(workspace_id, MemberItem.sk.startswith(MEMBER_PREFIX), consistent_read=True)
    members = [member for member in map(decode_member, items) if member.user_id != user_id]
    strength = list(Role)
    for member in sorted(members, key=lambda each: (strength.index(each.role), each.joined_at, each.user_id)):
        user = UserItem.get(member.user_id, PROFILE, consistent_read=True)
        if user.status == UserStatus.ACTIVE.value and not user.deletion_due_at:
            return member
    return None


def _names(item: RawItem, user_id: str, words: PersonalWords) -> bool:
    """Whether an item is of the person, or names them."""
    texts = [value["S"] for value in item.values() if "S" in value]
    facts = [text for value in item.values() if "S" in value for text in _texts_in(value["S"])]
    return user_id in texts or any(words.is_in(text) for text in (*texts, *facts))


def _texts_in(text: str) -> Sequence[str]:
    """The texts of a JSON object with texts, such as a mail's facts."""
    if not text.startswith("{"):
        return ()
    try:
        return [value for value in json.loads(text).values() if isinstance(value, str)]
    except ValueError:
        return ()


def _tombstone(user: UserItem) -> UserItem:
    """What stays of an account: that it existed, and that it is erased. `deletion_due_at` stays, because its removal
    would be published as a restoration."""
    return UserItem(
        user.pk,
        PROFILE,
        email=ERASED,
        email_verified=False,
        name="",
        persona="none",
        platform_role="user",
        status=UserStatus.ERASED.value,
        workspace_id=user.workspace_id,
        created_at=user.created_at,
        last_login_at=user.created_at,
        deletion_due_at=user.deletion_due_at,
    )
