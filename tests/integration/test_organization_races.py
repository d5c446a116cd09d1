"""Organisations under races: an owner always remains, an invitation makes one member, quotas and slugs are exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb import audit_log
from atelier.adapters.aws.dynamodb.idempotency import DynamoIdempotencyKeys
from atelier.adapters.aws.dynamodb.identity.accounts import DynamoAccounts
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, MembershipItem, UserItem, WorkspaceItem, member_sk
from atelier.adapters.aws.dynamodb.identity.profiles import DynamoProfiles
from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets
from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates
from atelier.adapters.aws.dynamodb.workspaces.invitations import DynamoInvitations
from atelier.adapters.aws.dynamodb.workspaces.members import DynamoMembers
from atelier.adapters.aws.dynamodb.workspaces.store import DynamoWorkspaces
from atelier.audit_log.model import Origin
from atelier.catalogue.quotas import Quota
from atelier.errors import AtelierError
from atelier.identity.delete_account import DELETION_DELAY
from atelier.identity.model import Credentials, Device, new_user, open_session
from atelier.identity.opening import Opening
from atelier.identity.permissions import Role
from atelier.mails.links import Link, LinkKey
from atelier.mails.mail import MailKind, mail_request
from atelier.workspaces import invitations, manage, members
from atelier.workspaces.invitation_limits import InvitationLimits
from atelier.workspaces.invitations import InvitationDeps, NewInvitation
from atelier.workspaces.manage import ManageDeps, NewOrganization
from atelier.workspaces.model import Actor
from tests.conftest import Tables
from tests.price_lists import with_tiers

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LIMIT = 5


class NoAssets:
    """A library without assets."""

    def is_kept(self, workspace_id: str, asset_id: str) -> bool:
        return False


@dataclass
class Team:
    """The use cases of organisations on the embedded AWS. members_max: of the tier."""

    members_max: int = LIMIT

    def __post_init__(self) -> None:
        self.workspaces, self.members, self.store = DynamoWorkspaces(), DynamoMembers(), DynamoInvitations()
        self.profiles = DynamoProfiles()
        self.manage = ManageDeps(self.workspaces, DynamoIdempotencyKeys(), NoAssets())
        self.prices = with_tiers(free={"members_max": self.members_max}, starter={"members_max": self.members_max + 1})
        self.deps = InvitationDeps(
            self.store,
            self.members,
            self.workspaces,
            LinkKey(b"key"),
            InvitationLimits(DynamoRequestRates()),
            lambda workspace_id, now: Quota("members", self.prices.tier("free"), self.prices),
        )

    def person(self, name: str) -> str:
        """Creates a verified account; returns the user's id."""
        user, workspace = new_user(f"{name}@example.com", name, NOW)
        session, _ = open_session(user.id, workspace.id, Device("", ""), NOW)
        DynamoAccounts().create(
            Credentials(user.email, user.id, workspace.id, "no hash"),
            replace(user, email_verified=True, email_verified_at=NOW),
            workspace,
            Opening(session),
        )
        return user.id

    def organization(self, owner: str, slug: str | None = None) -> str:
        """Creates an organisation; returns its id."""
        return manage.create_organization(
            NewOrganization(owner, "Atlas", slug), Origin(owner), deps=self.manage, now=NOW
        )[0].id

    def invite(self, workspace_id: str, by: str, email: str, role: Role = Role.EDITOR) -> str:
        """Invites an address; returns the token of the link."""
        new = NewInvitation(workspace_id, email, role)
        made, _ = invitations.invite(new, actor=Actor(by, Role.OWNER, Origin(by)), deps=self.deps, now=NOW)
        return self.token(workspace_id, made.id)

    def token(self, workspace_id: str, invitation_id: str) -> str:
        return self.deps.key.token(Link("invitation", workspace_id, f"lnk_{invitation_id[4:]}"))

    def accept(self, token: str, user_id: str) -> Any:
        return invitations.accept(token, user_id, Origin(user_id), deps=self.deps, now=NOW)

    def join(self, workspace_id: str, by: str, name: str, role: Role) -> str:
        """Creates a person who is invited and accepts; returns the user's id."""
        user_id = self.person(name)
        self.accept(self.invite(workspace_id, by, f"{name}@example.com", role), user_id)
        return user_id

    def remove(self, workspace_id: str, by: str, user_id: str) -> None:
        actor = Actor(by, Role.OWNER, Origin(by))
        members.remove_member(workspace_id, user_id, actor=actor, store=self.members, now=NOW)

    def change_role(self, workspace_id: str, by: str, user_id: str, role: Role) -> None:
        actor = Actor(by, Role.OWNER, Origin(by))
        members.change_role(workspace_id, user_id, role, actor=actor, store=self.members, now=NOW)

    def delete_account(self, user_id: str) -> None:
        user = self.profiles.user(user_id)
        mail = mail_request(MailKind.ACCOUNT_DELETION, user.id, user.email, None, NOW)
        self.profiles.request_deletion(user, NOW + DELETION_DELAY, events=(), mail=mail)

    def restore_account(self, user_id: str) -> None:
        self.profiles.restore(self.profiles.user(user_id), events=())

    def owners(self, workspace_id: str) -> int:
        """How many owners the organisation counts."""
        return int(WorkspaceItem.get(workspace_id, PROFILE, consistent_read=True).owners or 0)

    def leave(self, workspace_id: str, user_id: str, role: Role = Role.OWNER) -> None:
        members.leave(workspace_id, actor=Actor(user_id, role, Origin(user_id)), store=self.members, now=NOW)

    def require_consistent(self, workspace_id: str, expected: dict[str, Role]) -> None:
        """The two items of each membership and the counters say the same."""
        listed = {each.member.user_id: each.member.role for each in self.members.members(workspace_id)}
        assert listed == expected
        profile = WorkspaceItem.get(workspace_id, PROFILE, consistent_read=True)
        owners = sum(role is Role.OWNER for role in expected.values())
        assert (int(profile.members or 0), int(profile.owners or 0)) == (len(expected), owners)
        for user_id, role in expected.items():
            assert MembershipItem.get(user_id, member_sk(workspace_id), consistent_read=True).role == role.value


@pytest.fixture
def team(tables: Tables) -> Team:
    DynamoWorkspaces.bind(tables.identity)
    DynamoWallets.bind(tables.ledger)
    DynamoRequestRates.bind(tables.requests)
    DynamoIdempotencyKeys.bind(tables.requests)
    audit_log.bind(tables.audit)
    return Team()


def at_once(actions: Sequence[Callable[[], Any]]) -> list[str]:
    """Runs actions at the same time; returns for each "ok" or the code of its refusal."""
    barrier = Barrier(len(actions))

    def run(action: Callable[[], Any]) -> str:
        barrier.wait()
        try:
            action()
        except AtelierError as error:
            return error.code
        return "ok"

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


@pytest.mark.parametrize("repetition", range(5))
def test_of_two_owners_who_leave_at_once_one_stays(team: Team, repetition: int) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    eve = team.join(atlas, ada, "eve", Role.OWNER)
    outcomes = at_once([lambda: team.leave(atlas, ada), lambda: team.leave(atlas, eve)])
    assert sorted(outcomes) == ["CONFLICT", "ok"]
    team.require_consistent(atlas, {(eve if outcomes[0] == "ok" else ada): Role.OWNER})


def test_of_owners_who_demote_and_remove_one_another_one_remains(team: Team) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    owners = [ada, *(team.join(atlas, ada, name, Role.OWNER) for name in ("eve", "max", "bob"))]

    def removal(by: str, user_id: str) -> Callable[[], None]:
        actor = Actor(by, Role.OWNER, Origin(by))
        return lambda: members.remove_member(atlas, user_id, actor=actor, store=team.members, now=NOW)

    def demotion(by: str, user_id: str) -> Callable[[], Any]:
        actor = Actor(by, Role.OWNER, Origin(by))
        return lambda: members.change_role(atlas, user_id, Role.VIEWER, actor=actor, store=team.members, now=NOW)

    pairs = [(by, user_id) for by in owners for user_id in owners if by != user_id]
    at_once([(removal if number % 2 else demotion)(*pair) for number, pair in enumerate(pairs)])
    left = {each.member.user_id: each.member.role for each in team.members.members(atlas)}
    assert Role.OWNER in left.values()
    team.require_consistent(atlas, left)


def test_fifty_accepts_of_one_invitation_make_one_member(team: Team) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    eve = team.person("eve")
    token = team.invite(atlas, ada, "eve@example.com")
    assert at_once([lambda: team.accept(token, eve)] * 50) == ["ok"] * 50
    team.require_consistent(atlas, {ada: Role.OWNER, eve: Role.EDITOR})
    assert int(UserItem.get(eve, PROFILE, consistent_read=True).organizations or 0) == 1
    events = audit_log.AuditEventItem.query(eve, consistent_read=True)
    assert [event.action for event in events] == ["member.joined"]


def test_an_open_invitation_taken_by_many_people_at_once_is_one_persons(team: Team) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    opened = replace(team.workspaces.profile(atlas).settings, open_invitations=True)
    manage.change_workspace(
        atlas, lambda before: replace(before, settings=opened), Origin(ada), has_mfa=False, deps=team.manage, now=NOW
    )
    people = [team.person(f"person{number}") for number in range(8)]
    token = team.invite(atlas, ada, "somebody@example.com")
    outcomes = at_once([lambda user_id=user_id: team.accept(token, user_id) for user_id in people])
    assert sorted(outcomes) == ["NOT_FOUND"] * 7 + ["ok"]
    team.require_consistent(atlas, {ada: Role.OWNER, people[outcomes.index("ok")]: Role.EDITOR})


def test_the_member_quota_is_exact_when_all_accept_at_once(team: Team) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    people = [team.person(f"person{number}") for number in range(LIMIT + 3)]
    tokens = [team.invite(atlas, ada, f"person{number}@example.com") for number in range(len(people))]
    outcomes = at_once(
        [
            lambda token=token, user_id=user_id: team.accept(token, user_id)
            for token, user_id in zip(tokens, people, strict=True)
        ]
    )
    joined = [user_id for user_id, outcome in zip(people, outcomes, strict=True) if outcome == "ok"]
    assert sorted(outcomes) == ["QUOTA_EXCEEDED"] * 4 + ["ok"] * (LIMIT - 1)
    team.require_consistent(atlas, {ada: Role.OWNER} | dict.fromkeys(joined, Role.EDITOR))


def test_a_slug_that_many_choose_at_once_is_one_organizations(team: Team) -> None:
    people = [team.person(f"person{number}") for number in range(6)]
    outcomes = at_once([lambda user_id=user_id: team.organization(user_id, "atlas") for user_id in people])
    assert sorted(outcomes) == ["CONFLICT"] * 5 + ["ok"]
    slugs = [workspace.slug for user_id in people for workspace, _ in team.workspaces.of_user(user_id)]
    assert sorted(filter(None, slugs)) == ["atlas"]


@pytest.mark.parametrize("repetition", range(5))
def test_an_invitation_is_accepted_or_revoked_never_both(team: Team, repetition: int) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    eve = team.person("eve")
    new = NewInvitation(atlas, "eve@example.com", Role.EDITOR)
    actor = Actor(ada, Role.OWNER, Origin(ada))
    made, _ = invitations.invite(new, actor=actor, deps=team.deps, now=NOW)
    token = team.token(atlas, made.id)
    outcomes = at_once(
        [
            lambda: team.accept(token, eve),
            lambda: invitations.revoke(atlas, made.id, actor=actor, deps=team.deps, now=NOW),
        ]
    )
    assert sorted(outcomes) == ["NOT_FOUND", "ok"]
    joined = {eve: Role.EDITOR} if outcomes[0] == "ok" else {}
    team.require_consistent(atlas, {ada: Role.OWNER} | joined)


def test_an_invitation_is_void_when_its_sender_may_not_invite_any_more(team: Team) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    eve, bob = team.join(atlas, ada, "eve", Role.OWNER), team.person("bob")
    token = team.invite(atlas, eve, "bob@example.com", Role.OWNER)
    actor = Actor(ada, Role.OWNER, Origin(ada))
    members.change_role(atlas, eve, Role.ADMIN, actor=actor, store=team.members, now=NOW)
    # An admin makes no owners, also not by an invitation from before.
    assert at_once([lambda: team.accept(token, bob)]) == ["NOT_FOUND"]
    team.require_consistent(atlas, {ada: Role.OWNER, eve: Role.ADMIN})


def test_an_actor_whose_role_has_changed_meanwhile_changes_nothing(team: Team) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    eve, bob = team.join(atlas, ada, "eve", Role.ADMIN), team.join(atlas, ada, "bob", Role.EDITOR)
    # Eve's request was authorised as an admin's; then she was removed.
    authorised = Actor(eve, Role.ADMIN, Origin(eve))
    members.remove_member(atlas, eve, actor=Actor(ada, Role.OWNER, Origin(ada)), store=team.members, now=NOW)
    late = [
        lambda: members.remove_member(atlas, bob, actor=authorised, store=team.members, now=NOW),
        lambda: members.change_role(atlas, bob, Role.ADMIN, actor=authorised, store=team.members, now=NOW),
        lambda: invitations.invite(
            NewInvitation(atlas, "new@example.com", Role.ADMIN), actor=authorised, deps=team.deps, now=NOW
        ),
    ]
    assert [at_once([action])[0] for action in late] == ["FORBIDDEN"] * 3
    team.require_consistent(atlas, {ada: Role.OWNER, bob: Role.EDITOR})


def test_an_owner_whose_account_is_being_deleted_is_counted_out_once(team: Team) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    eve, max_ = (team.join(atlas, ada, name, Role.OWNER) for name in ("eve", "max"))
    team.delete_account(eve)
    team.delete_account(max_)
    assert team.owners(atlas) == 1
    team.remove(atlas, ada, eve)
    team.change_role(atlas, ada, max_, Role.EDITOR)
    team.require_consistent(atlas, {ada: Role.OWNER, max_: Role.EDITOR})
    # Nor does their restoration count them in again.
    team.restore_account(eve)
    team.restore_account(max_)
    team.require_consistent(atlas, {ada: Role.OWNER, max_: Role.EDITOR})


@pytest.mark.parametrize("repetition", range(5))
def test_a_removal_and_a_deletion_or_restoration_at_once_count_one_owner(team: Team, repetition: int) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    eve, max_ = (team.join(atlas, ada, name, Role.OWNER) for name in ("eve", "max"))
    team.delete_account(max_)
    acts = [
        lambda: team.delete_account(eve),
        lambda: team.remove(atlas, ada, eve),
        lambda: team.restore_account(max_),
        lambda: team.change_role(atlas, ada, max_, Role.VIEWER),
    ]
    outcomes = at_once(acts)
    # A deletion that meets the removal may have to be asked for again.
    assert outcomes[1:] == ["ok"] * 3
    team.require_consistent(atlas, {ada: Role.OWNER, max_: Role.VIEWER})


@pytest.mark.parametrize("repetition", range(5))
def test_nobody_becomes_an_owner_whose_account_is_being_deleted(team: Team, repetition: int) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    eve, max_ = (team.join(atlas, ada, name, Role.EDITOR) for name in ("eve", "max"))
    token = team.invite(atlas, ada, "kim@example.com", Role.OWNER)
    kim = team.person("kim")
    actor = Actor(ada, Role.OWNER, Origin(ada))
    acts = [
        lambda: team.delete_account(eve),
        lambda: team.change_role(atlas, ada, eve, Role.OWNER),
        lambda: team.delete_account(kim),
        lambda: team.accept(token, kim),
    ]
    at_once(acts)
    for user_id in (eve, kim):
        if not team.profiles.user(user_id).deletion_due_at:
            team.delete_account(user_id)
    team.delete_account(max_)
    # Ada alone is left, whatever came first, so the counter keeps her.
    assert team.owners(atlas) == 1
    for act in (
        lambda: team.change_role(atlas, ada, max_, Role.OWNER),
        lambda: members.transfer_ownership(atlas, max_, actor=actor, store=team.members, now=NOW),
        lambda: team.leave(atlas, ada),
    ):
        with pytest.raises(AtelierError):
            act()
    assert team.owners(atlas) == 1


def test_the_invitation_of_somebody_whose_account_is_being_deleted_is_void(team: Team) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    token, eve = team.invite(atlas, ada, "eve@example.com"), team.person("eve")
    # Nobody else belongs to the organisation, so it keeps its counted owner.
    team.delete_account(ada)
    assert at_once([lambda: team.accept(token, eve)]) == ["NOT_FOUND"]
    team.restore_account(ada)
    assert at_once([lambda: team.accept(token, eve)]) == ["ok"]


def test_an_organisation_that_comes_back_counts_no_owner_who_is_being_deleted(team: Team) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    eve = team.join(atlas, ada, "eve", Role.OWNER)
    manage.delete_organization(atlas, Origin(ada), store=team.workspaces, now=NOW)
    team.delete_account(ada)
    manage.restore_organization(atlas, Origin(eve), store=team.workspaces, now=NOW)
    assert at_once([lambda: team.leave(atlas, eve)]) == ["CONFLICT"]
    assert team.owners(atlas) == 1
    team.restore_account(ada)
    team.require_consistent(atlas, {ada: Role.OWNER, eve: Role.OWNER})


def test_the_only_owner_of_a_deleted_organisation_may_delete_the_account(team: Team) -> None:
    ada = team.person("ada")
    atlas = team.organization(ada)
    eve = team.join(atlas, ada, "eve", Role.EDITOR)
    manage.delete_organization(atlas, Origin(ada), store=team.workspaces, now=NOW)
    team.delete_account(ada)
    team.restore_account(ada)
    manage.restore_organization(atlas, Origin(ada), store=team.workspaces, now=NOW)
    team.require_consistent(atlas, {ada: Role.OWNER, eve: Role.EDITOR})
