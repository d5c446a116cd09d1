"""The contract of identity's ports, kept by the adapters in memory and on DynamoDB (on moto and on the emulator)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import botocore.session
import pytest
from moto import mock_aws

from atelier.adapters.aws.dynamodb import audit_log
from atelier.adapters.aws.dynamodb.identity.access_reads import DynamoAccessReads
from atelier.adapters.aws.dynamodb.identity.accounts import DynamoAccounts
from atelier.adapters.aws.dynamodb.identity.api_tokens import DynamoApiTokens
from atelier.adapters.aws.dynamodb.identity.sessions import DynamoSessions
from atelier.adapters.aws.dynamodb.identity.sign_ins import DynamoSignIns
from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets
from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates
from atelier.errors import NotFound
from atelier.identity.access import Access, WorkspaceState
from atelier.identity.api_tokens import (
    TOKENS_PER_WORKSPACE_MAX,
    ApiToken,
    TokenExists,
    TokenPage,
    TooManyTokens,
    new_token,
)
from atelier.identity.model import (
    Credentials,
    Device,
    EmailTaken,
    Membership,
    RefreshToken,
    Session,
    User,
    UserAccount,
    UserStatus,
    Workspace,
    new_user,
    open_session,
)
from atelier.identity.opening import Opening
from atelier.identity.permissions import Role
from atelier.identity.ports import AccessReads, Accounts, ApiTokens, RateWindows, Sessions, SignIns
from atelier.ids import new_id
from atelier.ledger.model import MailboxState
from tests.embedded_aws import Tables, clear_wiring_caches, create_tables
from tests.unit.identity.fakes import InMemoryIdentity, InMemoryRateWindows

NOW = datetime(2026, 11, 20, 21, 4, 5, 123_000, tzinfo=UTC)
LATER = NOW + timedelta(seconds=3)


class Store(Accounts, Sessions, SignIns, ApiTokens, AccessReads, Protocol):
    """All ports that the identity table serves."""


class DynamoIdentity(DynamoAccounts, DynamoSessions, DynamoSignIns, DynamoApiTokens, DynamoAccessReads):
    """The stores of all these ports on DynamoDB."""


@pytest.fixture(params=["memory", "moto", "emulator"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "moto":
        with mock_aws():
            clear_wiring_caches()
            dynamodb = botocore.session.get_session().create_client("dynamodb")
            bind(create_tables(dynamodb, monkeypatch, only=("identity", "audit", "ledger", "requests")))
            yield request.param
        clear_wiring_caches()
        return
    if request.param == "emulator":
        bind(request.getfixturevalue("tables"))
    yield request.param


def bind(tables: Tables) -> None:
    DynamoIdentity.bind(tables.identity)
    audit_log.bind(tables.audit)
    DynamoWallets.bind(tables.ledger)
    audit_log.bind(tables.audit)
    DynamoRequestRates.bind(tables.requests)


@pytest.fixture
def store(place: str) -> Store:
    return InMemoryIdentity() if place == "memory" else DynamoIdentity()


@pytest.fixture
def windows(place: str) -> RateWindows:
    return InMemoryRateWindows() if place == "memory" else DynamoRequestRates()


def account(
    email: str = "ada@example.com", signup_key: str | None = None, mailbox: str | None = None
) -> tuple[Credentials, User, Workspace, Session, RefreshToken]:
    user, workspace = new_user(email, "Ada", NOW)
    session, token = open_session(user.id, workspace.id, Device("Firefox", "203.0.113.7"), NOW)
    return (
        Credentials(email, user.id, workspace.id, "$argon2id$…", signup_key, mailbox),
        user,
        workspace,
        session,
        token,
    )


def test_a_created_account_is_read_back_unchanged(store: Store) -> None:
    credentials, user, workspace, session, _ = account(signup_key="digest")
    store.create(credentials, user, workspace, Opening(session))
    assert store.credentials("ada@example.com") == credentials
    assert store.user_with_workspace(user.id, workspace.id) == (user, workspace)
    assert store.account(user.id, NOW) == UserAccount(user, (Membership(workspace, Role.OWNER),), "free")
    assert store.session(user.id, session.id) == session
    assert store.session_access(user.id, session.id, workspace.id, personal=True) == Access(Role.OWNER, session)


def mailbox_of(store: Store, workspace: Workspace) -> MailboxState:
    """The mailbox state stored in the wallet of a workspace."""
    if isinstance(store, InMemoryIdentity):
        return store.wallets[workspace.id]
    return DynamoWallets().wallet(workspace.id).mailbox


def test_the_first_account_of_a_mailbox_has_its_credits_until_another_is_verified(store: Store) -> None:
    accounts = [account(email, mailbox="digest") for email in ("a@example.com", "b@example.com", "c@example.com")]
    for credentials, user, workspace, session, _ in accounts:
        store.create(credentials, user, workspace, Opening(session))
    assert store.credentials("b@example.com") == accounts[1][0]
    workspaces = [workspace for _, _, workspace, _, _ in accounts]
    known = [mailbox_of(store, workspace) for workspace in workspaces]
    assert known == [MailboxState.UNVERIFIED, MailboxState.SHARED, MailboxState.SHARED]
    verified = store.verify(accounts[1][1].id, "digest", LATER)
    assert (verified.email_verified, verified.email_verified_at) == (True, LATER)
    assert store.user_with_workspace(verified.id, verified.workspace_id)[0] == verified
    # Verifying the first account comes too late, and verifying the second again changes nothing.
    store.verify(accounts[0][1].id, "digest", LATER)
    assert store.verify(verified.id, "digest", LATER + timedelta(days=1)) == verified
    known = [mailbox_of(store, workspace) for workspace in workspaces]
    assert known == [MailboxState.SHARED, MailboxState.ELIGIBLE, MailboxState.SHARED]
    with pytest.raises(NotFound):
        store.verify(new_id("usr", NOW), "digest", LATER)


def test_an_account_without_a_stored_mailbox_counts_and_can_be_verified(store: Store) -> None:
    credentials, user, workspace, session, _ = account()
    store.create(credentials, user, workspace, Opening(session))
    assert mailbox_of(store, workspace) is MailboxState.ELIGIBLE
    store.verify(user.id, "digest", LATER)
    assert mailbox_of(store, workspace) is MailboxState.ELIGIBLE


def test_an_account_without_a_stored_mailbox_claims_its_own_once(store: Store) -> None:
    old, user, workspace, session, _ = account()
    store.create(old, user, workspace, Opening(session))
    for _ in range(2):
        store.claim_mailbox(old, "digest")
    assert store.credentials(old.email) == replace(old, mailbox="digest")
    variant, user, second, session, _ = account("a+1@example.com", mailbox="digest")
    store.create(variant, user, second, Opening(session))
    # A mailbox that belongs to an account cannot be claimed by another one.
    later, user, third, session, _ = account("a+2@example.com")
    store.create(later, user, third, Opening(session))
    store.claim_mailbox(later, "digest")
    known = [mailbox_of(store, each) for each in (workspace, second, third)]
    assert known == [MailboxState.ELIGIBLE, MailboxState.SHARED, MailboxState.ELIGIBLE]


def test_a_missing_account_session_or_role_is_not_found(store: Store) -> None:
    credentials, user, workspace, session, _ = account()
    store.create(credentials, user, workspace, Opening(session))
    nobody, nowhere, never = new_id("usr", NOW), new_id("wsp", NOW), new_id("ses", NOW)
    assert store.credentials("eve@example.com") is None
    assert store.session(user.id, never) is None
    assert store.session(nobody, session.id) is None
    assert store.session_access(user.id, never, workspace.id, personal=True) == Access(Role.OWNER)
    assert store.session_access(user.id, session.id, nowhere, personal=False) == Access(None, session)
    foreign = store.session_access(nobody, session.id, workspace.id, personal=False)
    assert foreign == Access(None, workspace=WorkspaceState())
    with pytest.raises(NotFound):
        store.account(nobody, NOW)
    with pytest.raises(NotFound):
        store.user_with_workspace(user.id, nowhere)


def test_an_email_is_claimed_once_and_the_second_claim_writes_nothing(store: Store) -> None:
    first, second = account(), account()
    store.create(*first[:3], Opening(first[3]))
    with pytest.raises(EmailTaken):
        store.create(*second[:3], Opening(second[3]))
    assert store.credentials("ada@example.com") == first[0]
    with pytest.raises(NotFound):
        store.account(second[1].id, NOW)
    assert store.session(second[1].id, second[3].id) is None
    assert store.session_access(second[1].id, second[3].id, second[2].id, personal=False) == Access(None)


def test_a_rotation_is_stored_once(store: Store) -> None:
    credentials, user, workspace, session, token = account()
    store.create(credentials, user, workspace, Opening(session))
    ours, _ = session.rotate(token, LATER)
    theirs, _ = session.rotate(token, LATER)
    assert store.rotate(session, ours)
    assert not store.rotate(session, theirs)
    assert store.session(user.id, session.id) == ours


def test_a_revoked_session_cannot_be_rotated(store: Store) -> None:
    credentials, user, workspace, session, token = account()
    store.create(credentials, user, workspace, Opening(session))
    store.revoke(user.id, session.id, LATER)
    after, _ = session.rotate(token, LATER)
    assert not store.rotate(session, after)
    assert store.session(user.id, session.id) == replace(session, revoked_at=LATER)


def test_a_second_revocation_of_a_session_changes_nothing(store: Store) -> None:
    credentials, user, workspace, session, _ = account()
    store.create(credentials, user, workspace, Opening(session))
    store.revoke(user.id, session.id, LATER)
    store.revoke(user.id, session.id, LATER + timedelta(days=1))
    found = store.session(user.id, session.id)
    assert found is not None
    assert found.revoked_at == LATER


def test_revoking_a_missing_session_creates_nothing(store: Store) -> None:
    _, user, _, session, _ = account()
    store.revoke(user.id, session.id, NOW)
    assert store.session(user.id, session.id) is None


def test_a_second_session_is_independent_of_the_first(store: Store) -> None:
    credentials, user, workspace, first, _ = account()
    store.create(credentials, user, workspace, Opening(first))
    second, _ = open_session(user.id, workspace.id, Device("", ""), LATER)
    store.open(Opening(second), spent=None, use=None)
    store.revoke(user.id, first.id, LATER)
    assert store.session(user.id, second.id) == second


def test_a_password_hash_is_not_replaced_over_a_concurrent_change(store: Store) -> None:
    credentials, user, workspace, session, _ = account()
    store.create(credentials, user, workspace, Opening(session))
    store.replace_password_hash(credentials, "stronger")
    store.replace_password_hash(credentials, "stale")
    assert store.credentials(credentials.email) == replace(credentials, password_hash="stronger")


def test_recording_a_sign_in_leaves_the_user_readable(store: Store) -> None:
    credentials, user, workspace, session, _ = account()
    store.create(credentials, user, workspace, Opening(session))
    later, _ = open_session(user.id, workspace.id, Device("", ""), LATER)
    store.open(Opening(later), spent=None, use=None)
    assert store.user_with_workspace(user.id, workspace.id) == (user, workspace)


def test_a_rate_window_admits_requests_up_to_its_limit(windows: RateWindows) -> None:
    assert [windows.try_add_one("sign-in#a", 3, 300, NOW) for _ in range(5)] == [True, True, True, False, False]
    assert windows.try_add_one("sign-in#b", 3, 300, NOW)
    assert windows.try_add_one("sign-in#a", 3, 300, NOW + timedelta(seconds=300))


def test_a_rate_window_sums_its_additions_until_it_slides(windows: RateWindows) -> None:
    assert windows.add("account#usr_1", 20, 60, NOW) == 20
    assert windows.add("account#usr_1", 20, 60, NOW + timedelta(seconds=54)) == 40
    assert windows.add("account#usr_1", 20, 60, NOW + timedelta(seconds=55)) == 20
    assert windows.add("account#usr_2", 1, 60, NOW) == 1


def token(workspace_id: str, user_id: str, at: datetime = NOW, name: str = "n8n") -> ApiToken:
    """A token as it is stored."""
    scopes = ("generations.create", "read")
    return new_token(new_id("tok", at), workspace_id, user_id, name, scopes, at + timedelta(days=9), at)[0]


def test_a_token_can_be_read_with_its_users_role(store: Store) -> None:
    credentials, user, workspace, session, _ = account()
    store.create(credentials, user, workspace, Opening(session))
    made = token(workspace.id, user.id)
    store.add_token(made)
    assert store.token(workspace.id, made.id) == made
    assert store.token_access(user.id, workspace.id, made.id) == Access(
        Role.OWNER, token=made, workspace=WorkspaceState(), user=user
    )


def test_a_token_is_found_only_in_its_own_workspace(store: Store) -> None:
    credentials, user, workspace, session, _ = account()
    store.create(credentials, user, workspace, Opening(session))
    made, nowhere = token(workspace.id, user.id), new_id("wsp", NOW)
    store.add_token(made)
    assert store.token(nowhere, made.id) is None
    assert store.token(workspace.id, new_id("tok", NOW)) is None
    assert store.token_access(user.id, nowhere, made.id) == Access(None, user=user)
    assert store.token_access(new_id("usr", NOW), workspace.id, made.id) == Access(
        None, token=made, workspace=WorkspaceState()
    )
    assert not store.revoke_token(nowhere, made.id, LATER)
    assert store.tokens(nowhere, None, 10) == TokenPage((), None)
    assert store.token(workspace.id, made.id) == made


def test_a_suspended_users_token_has_no_role(store: Store) -> None:
    credentials, user, workspace, session, _ = account()
    user = replace(user, status=UserStatus.SUSPENDED)
    store.create(credentials, user, workspace, Opening(session))
    made = token(workspace.id, user.id)
    store.add_token(made)
    assert store.token_access(user.id, workspace.id, made.id) == Access(
        None, token=made, workspace=WorkspaceState(), user=user
    )


def test_a_token_is_added_once(store: Store) -> None:
    made = token(new_id("wsp", NOW), new_id("usr", NOW))
    store.add_token(made)
    with pytest.raises(TokenExists):
        store.add_token(replace(made, digest="another"))
    assert store.token(made.workspace_id, made.id) == made
    assert store.revoke_token(made.workspace_id, made.id, LATER)
    with pytest.raises(TokenExists):
        store.add_token(made)


def test_a_revoked_token_is_kept_but_not_listed(store: Store) -> None:
    workspace_id, user_id = new_id("wsp", NOW), new_id("usr", NOW)
    first, second = token(workspace_id, user_id), token(workspace_id, user_id, LATER)
    store.add_token(first)
    store.add_token(second)
    assert store.revoke_token(workspace_id, first.id, LATER)
    assert not store.revoke_token(workspace_id, first.id, LATER + timedelta(days=1))
    assert store.token(workspace_id, first.id) == replace(first, revoked_at=LATER)
    assert store.tokens(workspace_id, None, 10) == TokenPage((second,), None)
    store.note_use(first, LATER)
    assert store.token(workspace_id, first.id) == replace(first, revoked_at=LATER)


def test_tokens_are_listed_newest_first_page_by_page(store: Store) -> None:
    workspace_id, user_id = new_id("wsp", NOW), new_id("usr", NOW)
    made = [token(workspace_id, user_id, NOW + timedelta(seconds=number)) for number in range(5)]
    for each in made:
        store.add_token(each)
    store.revoke_token(workspace_id, made[2].id, LATER)
    store.add_token(token(new_id("wsp", NOW), user_id))
    found: list[ApiToken] = []
    after, pages = None, 0
    while pages == 0 or after is not None:
        page = store.tokens(workspace_id, after, 2)
        found += page.tokens
        after, pages = page.next_key, pages + 1
        assert len(page.tokens) <= 2
    assert found == [made[4], made[3], made[1], made[0]]


def test_a_workspace_has_a_maximum_number_of_tokens(store: Store) -> None:
    workspace_id, user_id = new_id("wsp", NOW), new_id("usr", NOW)
    made = [token(workspace_id, user_id) for _ in range(TOKENS_PER_WORKSPACE_MAX)]
    for each in made:
        store.add_token(each)
    with pytest.raises(TooManyTokens):
        store.add_token(token(workspace_id, user_id))
    store.add_token(token(new_id("wsp", NOW), user_id))
    # A second revocation of the same token makes no room for another.
    assert [store.revoke_token(workspace_id, made[0].id, LATER) for _ in "ab"] == [True, False]
    store.add_token(token(workspace_id, user_id))
    with pytest.raises(TooManyTokens):
        store.add_token(token(workspace_id, user_id))


def test_recording_a_tokens_use_creates_no_missing_token(store: Store) -> None:
    made = token(new_id("wsp", NOW), new_id("usr", NOW))
    store.note_use(made, LATER)
    assert store.token(made.workspace_id, made.id) is None
    store.add_token(made)
    store.note_use(made, LATER)
    assert store.token(made.workspace_id, made.id) == replace(made, last_used_at=LATER)
