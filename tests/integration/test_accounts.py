"""Profiles, and the deletion of accounts, on the emulator's tables."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from atelier.adapters.aws.dynamodb import audit_log
from atelier.adapters.aws.dynamodb.identity.access_reads import DynamoAccessReads
from atelier.adapters.aws.dynamodb.identity.accounts import DynamoAccounts
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, IdentityItem, MembershipItem, WorkspaceItem, member_sk
from atelier.adapters.aws.dynamodb.identity.profiles import DynamoProfiles
from atelier.adapters.aws.dynamodb.identity.sessions import DynamoSessions
from atelier.adapters.aws.dynamodb.identity.sign_ins import DynamoSignIns
from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets
from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates
from atelier.audit_log.model import Origin
from atelier.clock import rfc3339
from atelier.errors import Conflict, Unauthenticated, ValidationFailed
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.delete_account import DeleteAccountDeps, SoleOwner, request_deletion, restore_account
from atelier.identity.log_in import LogIn, log_in
from atelier.identity.model import DeletionPending, Device, SignedIn, SignInResult
from atelier.identity.profile import ProfileChanges, change_profile
from atelier.identity.rate_limit import SignInLimits
from atelier.identity.sign_in import SignInDeps
from atelier.identity.sign_up import SignUp, sign_up
from atelier.ids import new_id
from tests.embedded_aws import Tables
from tests.unit.identity.fakes import ISSUER, FakeKeySets, FastPasswords

NOW = datetime(2026, 11, 20, 21, 0, 5, tzinfo=UTC)
DEVICE = Device("Firefox", "203.0.113.7")
ORIGIN = Origin(address="203.0.113.7", user_agent="Firefox")
PASSWORD = "correct horse battery"


class World:
    """Accounts on the emulator."""

    def __init__(self, tables: Tables) -> None:
        DynamoProfiles.bind(tables.identity)
        DynamoWallets.bind(tables.ledger)
        DynamoRequestRates.bind(tables.requests)
        audit_log.bind(tables.audit)
        self.profiles, self.sessions = DynamoProfiles(), DynamoSessions()
        self.limits = SignInLimits(DynamoRequestRates(), 1000, 1000, 1000)
        self.sign_in = SignInDeps(DynamoSignIns(), audit_log.DynamoAuditLog(), AccessTokens(FakeKeySets(), ISSUER))
        self.deps = DeleteAccountDeps(self.profiles, self.sessions, self.sign_in)

    def sign_up(self, name: str) -> SignedIn:
        result = sign_up(
            SignUp(f"{name}@example.com", PASSWORD, name, DEVICE),
            accounts=DynamoAccounts(),
            passwords=FastPasswords(),
            limits=self.limits,
            deps=self.sign_in,
            now=NOW,
        )
        assert isinstance(result, SignedIn)
        return result

    def log_in(self, name: str, now: datetime = NOW) -> SignInResult:
        command = LogIn(f"{name}@example.com", PASSWORD, DEVICE)
        accounts, passwords = DynamoAccounts(), FastPasswords()
        return log_in(command, accounts=accounts, passwords=passwords, limits=self.limits, deps=self.sign_in, now=now)

    def organization(self, owners: list[SignedIn], members: int) -> str:
        """An organisation with these owners, and further members up to a number."""
        workspace_id = new_id("wsp", NOW)
        WorkspaceItem(
            workspace_id,
            PROFILE,
            name="Team",
            workspace_kind="organization",
            owner_id=owners[0].user.id,
            tier="free",
            created_at=rfc3339(NOW),
            owners=len(owners),
            members=members,
        ).save()
        for owner in owners:
            MembershipItem(owner.user.id, member_sk(workspace_id), role="owner", created_at=rfc3339(NOW)).save()
        return workspace_id

    def owners_of(self, workspace_id: str) -> int:
        return int(WorkspaceItem.get(workspace_id, PROFILE, consistent_read=True).owners)

    def delete(self, account: SignedIn, now: datetime = NOW) -> datetime:
        return request_deletion(account.user.id, ORIGIN, deps=self.deps, now=now)


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables)


def at_once(acts: list[Callable[[], object]]) -> list[object]:
    """What parallel calls returned or raised."""
    barrier = threading.Barrier(len(acts))

    def call(act: Callable[[], object]) -> object:
        barrier.wait(timeout=30)
        try:
            return act()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(call, acts))


def kinds_of(user_id: str, prefix: str) -> list[str]:
    return [item.sk for item in IdentityItem.query(user_id, IdentityItem.sk.startswith(prefix), consistent_read=True)]


def test_a_deleted_account_leads_to_its_restoration_and_nowhere_else(world: World) -> None:
    ada = world.sign_up("ada")
    due_at = world.delete(ada)
    assert due_at == NOW + timedelta(days=14)
    # Asking again later changes nothing.
    assert world.delete(ada, NOW + timedelta(days=1)) == due_at
    session = world.sessions.session(ada.user.id, ada.tokens.refresh_token.session_id)
    assert session is not None
    assert not session.is_live(NOW)
    assert len(kinds_of(ada.user.id, "mail#")) == 2

    for _ in range(2):
        pending = world.log_in("ada")
        assert isinstance(pending, DeletionPending)
        assert pending.due_at == due_at
    assert DynamoAccessReads().token_access(ada.user.id, ada.workspace.id, new_id("tok", NOW)).role is None

    back = restore_account(str(pending.ticket), DEVICE, ORIGIN, deps=world.deps, now=NOW)
    assert isinstance(back, SignedIn)
    assert back.user.deletion_due_at is None
    with pytest.raises(Unauthenticated):
        restore_account(str(pending.ticket), DEVICE, ORIGIN, deps=world.deps, now=NOW)
    assert isinstance(world.log_in("ada"), SignedIn)


def test_the_only_owner_of_a_shared_organisation_hands_it_over_first(world: World) -> None:
    ada, bob = world.sign_up("ada"), world.sign_up("bob")
    shared, alone = world.organization([ada], members=2), world.organization([ada], members=1)
    with pytest.raises(SoleOwner) as refused:
        world.delete(ada)
    assert refused.value.facts == {"workspaces": [shared]}
    assert isinstance(world.log_in("ada"), SignedIn)
    WorkspaceItem(shared, PROFILE).update([WorkspaceItem.owners.set(2)])
    MembershipItem(bob.user.id, member_sk(shared), role="owner", created_at=rfc3339(NOW)).save()
    world.delete(ada)
    assert (world.owners_of(shared), world.owners_of(alone)) == (1, 1)
    with pytest.raises(SoleOwner):
        world.delete(bob)
    pending = world.log_in("ada")
    assert isinstance(pending, DeletionPending)
    restore_account(str(pending.ticket), DEVICE, ORIGIN, deps=world.deps, now=NOW)
    assert world.owners_of(shared) == 2


def test_of_two_owners_who_delete_at_once_one_stays(world: World) -> None:
    for number in range(5):
        owners = [world.sign_up(f"{name}{number}") for name in ("ada", "bob")]
        shared = world.organization(owners, members=3)
        answers = at_once([lambda owner=owner: world.delete(owner) for owner in owners])
        assert sum(isinstance(answer, datetime) for answer in answers) == 1
        assert sum(isinstance(answer, Conflict) for answer in answers) == 1
        assert world.owners_of(shared) == 1


class OneImage:
    """AvatarImages with one image."""

    def is_image(self, workspace_id: str, asset_id: str) -> bool:
        return asset_id == "ast_01M7XCN60Q5W8Z1C4F7J0M3Q6T"


def test_a_profile_is_changed_field_by_field_and_told(world: World) -> None:
    ada = world.sign_up("ada")

    def change(**fields: str) -> None:
        changes = ProfileChanges(**fields)
        ids = ada.user.id, ada.workspace.id
        change_profile(*ids, changes, ORIGIN, profiles=world.profiles, images=OneImage(), now=NOW)

    change(persona="artist", locale="de", time_zone="Europe/Berlin", avatar_asset_id="ast_01M7XCN60Q5W8Z1C4F7J0M3Q6T")
    change(name="Ada L.", time_zone="")
    with pytest.raises(ValidationFailed):
        change(avatar_asset_id="ast_01M7XCN60QZZZZZZZZZZZZZZZZ")
    user = world.profiles.user(ada.user.id)
    assert (user.name, user.persona, user.locale, user.time_zone) == ("Ada L.", "artist", "de", None)
    assert user.avatar_asset_id == "ast_01M7XCN60Q5W8Z1C4F7J0M3Q6T"
