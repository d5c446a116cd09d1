"""The gate, the authorizer's context and the permission table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from atelier.errors import Forbidden, NotFound, Unauthenticated
from atelier.identity.access import WorkspaceState
from atelier.identity.api_tokens import new_token
from atelier.identity.authenticate import authenticate
from atelier.identity.authorize import Authorized, authorize
from atelier.identity.model import Device, SignedIn
from atelier.identity.permissions import WEAKEST, Role, permits
from atelier.identity.sign_up import SignUp, sign_up
from atelier.identity.step_up import STEP_UP_LIFETIME, StepUp, StepUpRequired
from atelier.ids import new_id
from tests.unit.identity.fakes import IdentityFakes

NOW = datetime(2026, 11, 20, 21, 0, 5, tzinfo=UTC)


@pytest.fixture
def identity() -> IdentityFakes:
    return IdentityFakes()


def user(identity: IdentityFakes, email: str = "ada@example.com") -> SignedIn:
    result = sign_up(SignUp(email, "correct horse battery", "Ada", Device("", "")), **identity.sign_in_ports, now=NOW)
    assert isinstance(result, SignedIn)
    return result


def claims_of(identity: IdentityFakes, signed_in: SignedIn) -> dict[str, str | int]:
    header = f"Bearer {signed_in.tokens.access_token}"
    return authorized(identity, header)


def authorized(identity: IdentityFakes, header: str) -> dict[str, str | int]:
    return authenticate(header, access_tokens=identity.access_tokens, api_tokens=lambda: identity.store, now=NOW)


def let_in(
    identity: IdentityFakes,
    claims: dict[str, str | int],
    workspace_id: str | None = None,
    permission: str = "generations.create",
    *,
    fresh: bool = True,
    now: datetime = NOW,
) -> Authorized:
    return authorize(claims, workspace_id, permission, fresh=fresh, access_reads=identity.store, now=now)


def test_the_authorizer_returns_the_tokens_claims(identity: IdentityFakes) -> None:
    ada = user(identity)
    assert claims_of(identity, ada) == {
        "user_id": ada.user.id,
        "session_id": ada.tokens.refresh_token.session_id,
        "workspace_id": ada.workspace.id,
        "expires_at": int(NOW.timestamp()) + 600,
    }


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", " Bearer "])
def test_the_bearer_scheme_is_case_insensitive(identity: IdentityFakes, scheme: str) -> None:
    token = user(identity).tokens.access_token
    assert "user_id" in authorized(identity, f"{scheme} {token}")


@pytest.mark.parametrize(
    "header", ["", "none", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer atl_123", "é"]
)
def test_the_authorizer_names_the_reason_of_a_refusal(identity: IdentityFakes, header: str) -> None:
    context = authorized(identity, header)
    assert set(context) == {"reason"}
    assert "token" in str(context["reason"])


def test_a_read_in_the_personal_workspace_needs_no_store_read(identity: IdentityFakes) -> None:
    ada = user(identity)
    admitted = let_in(identity, claims_of(identity, ada), permission="credits.read", fresh=False)
    assert (admitted.user_id, admitted.workspace_id, admitted.role) == (ada.user.id, ada.workspace.id, Role.OWNER)
    assert identity.store.reads == 0


def test_the_header_may_name_the_personal_workspace(identity: IdentityFakes) -> None:
    ada = user(identity)
    claims = claims_of(identity, ada)
    assert let_in(identity, claims, ada.workspace.id) == let_in(identity, claims)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_guest_has_their_own_role_in_the_workspace(identity: IdentityFakes, fresh: bool) -> None:
    ada, eve = user(identity), user(identity, "eve@example.com")
    identity.store.roles[eve.user.id, ada.workspace.id] = Role.EDITOR
    admitted = let_in(identity, claims_of(identity, eve), ada.workspace.id, fresh=fresh)
    assert (admitted.workspace_id, admitted.role) == (ada.workspace.id, Role.EDITOR)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_role_without_the_permission_is_forbidden(identity: IdentityFakes, fresh: bool) -> None:
    ada, eve = user(identity), user(identity, "eve@example.com")
    identity.store.roles[eve.user.id, ada.workspace.id] = Role.VIEWER
    with pytest.raises(Forbidden):
        let_in(identity, claims_of(identity, eve), ada.workspace.id, fresh=fresh)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_foreign_workspace_gets_the_response_of_a_missing_one(identity: IdentityFakes, fresh: bool) -> None:
    ada, eve = user(identity), user(identity, "eve@example.com")
    claims = claims_of(identity, eve)
    messages: set[str] = set()
    for workspace_id in (ada.workspace.id, new_id("wsp", NOW), "wsp_1", "../..", ada.user.id):
        with pytest.raises(NotFound) as missing:
            let_in(identity, claims, workspace_id, "credits.read", fresh=fresh)
        messages.add(missing.value.message)
    assert len(messages) == 1


def test_a_revoked_session_is_refused_on_a_mutation(identity: IdentityFakes) -> None:
    ada = user(identity)
    claims = claims_of(identity, ada)
    assert let_in(identity, claims)
    identity.store.revoke(ada.user.id, ada.tokens.refresh_token.session_id, NOW)
    with pytest.raises(Unauthenticated):
        let_in(identity, claims)
    # A read is still allowed for the token's last minutes.
    assert let_in(identity, claims, permission="credits.read", fresh=False)


def test_a_deleted_session_is_refused_on_a_mutation(identity: IdentityFakes) -> None:
    ada = user(identity)
    identity.store.sessions.clear()
    with pytest.raises(Unauthenticated):
        let_in(identity, claims_of(identity, ada))


def test_a_removed_membership_is_refused_on_a_mutation(identity: IdentityFakes) -> None:
    ada, eve = user(identity), user(identity, "eve@example.com")
    identity.store.roles[eve.user.id, ada.workspace.id] = Role.EDITOR
    claims = claims_of(identity, eve)
    assert let_in(identity, claims, ada.workspace.id)
    del identity.store.roles[eve.user.id, ada.workspace.id]
    with pytest.raises(NotFound):
        let_in(identity, claims, ada.workspace.id)


@pytest.mark.parametrize("fresh", [False, True])
def test_the_gateways_authorizer_cache_does_not_prolong_a_token(identity: IdentityFakes, fresh: bool) -> None:
    claims = claims_of(identity, user(identity))
    assert let_in(identity, claims, fresh=fresh, now=NOW + timedelta(seconds=629))
    with pytest.raises(Unauthenticated, match="expired"):
        let_in(identity, claims, fresh=fresh, now=NOW + timedelta(seconds=630))


def test_a_stronger_role_has_all_permissions_of_a_weaker_one() -> None:
    for stronger, weaker in pairwise(Role):
        may = {permission for permission in WEAKEST if permits(weaker, permission)}
        assert may <= {permission for permission in WEAKEST if permits(stronger, permission)}


def test_the_permission_table_lists_each_roles_permissions() -> None:
    # Every read permission, except for the lists of keys and of tokens, what was paid, what single members used, and
    # whole files of records.
    others = ("api-keys", "audit", "billing", "exports", "member-analytics", "tokens", "webhooks")
    reading = sorted(name for name in WEAKEST if name.endswith(".read") and not name.startswith(others))
    # Everybody manages the own account.
    own = sorted(["account.manage", "members.leave", *reading])
    owning = {"billing.manage", "projects.move", "workspace.delete", "workspace.export"} | {
        "workspace.restore",
        "workspace.transfer",
    }
    administering = {"api-keys.manage", "audit.read", "billing.read", "budgets.manage", "providers.manage"} | {
        "events.manage",
        "integrations.manage",
        "member-analytics.read",
        "members.manage",
        "webhooks.manage",
        "webhooks.read",
        "workspace.manage",
    }
    community = ("showcase.buy", "showcase.react", "sites.comment", "workshops.enrol")
    assert {role: sorted(name for name in WEAKEST if permits(role, name)) for role in Role} == {
        Role.OWNER: sorted(WEAKEST),
        Role.ADMIN: sorted(WEAKEST.keys() - owning),
        Role.EDITOR: sorted(WEAKEST.keys() - owning - administering),
        Role.MEMBER: sorted([*own, "events.track", *community]),
        Role.VIEWER: own,
    }


def test_an_undeclared_permission_raises_key_error() -> None:
    with pytest.raises(KeyError):
        permits(Role.OWNER, "money.print")


def test_a_step_up_route_wants_a_fresh_proof_of_what_the_account_has(identity: IdentityFakes) -> None:
    ada, store, late = user(identity), identity.store, NOW + STEP_UP_LIFETIME + timedelta(milliseconds=1)
    claims = {**claims_of(identity, ada), "expires_at": int(late.timestamp()) + 60}

    def refusals(now: datetime) -> list[str | None]:
        return [_step_up_refusal(identity, claims, step_up, now) for step_up in (True, "always")]

    # Without a second factor the sign-in counts for ten minutes, where the route asks for it.
    assert refusals(NOW + STEP_UP_LIFETIME) == [None, None]
    assert refusals(late) == [None, "password"]
    # With one, only its own proof counts.
    store.users[ada.user.id] = replace(ada.user, second_factors=("totp", "passkey"))
    assert refusals(NOW) == ["totp", "totp"]
    key = ada.user.id, str(claims["session_id"])
    store.sessions[key] = replace(store.sessions[key], mfa_at=NOW)
    assert refusals(NOW + STEP_UP_LIFETIME) == [None, None]
    assert refusals(late) == ["totp", "totp"]


def _step_up_refusal(
    identity: IdentityFakes, claims: dict[str, str | int], step_up: StepUp, now: datetime
) -> str | None:
    try:
        reads = identity.store
        authorize(claims, None, "account.manage", fresh=True, step_up=step_up, access_reads=reads, now=now)
    except StepUpRequired as error:
        return str(error.facts["factor"])
    return None


def test_an_api_token_passes_no_step_up_route(identity: IdentityFakes) -> None:
    claims: dict[str, str | int] = {"token_id": new_id("tok", NOW), "user_id": "", "workspace_id": ""}
    with pytest.raises(Forbidden):
        authorize(claims, None, "projects.manage", fresh=True, step_up=True, access_reads=identity.store, now=NOW)
    assert identity.store.reads == 0


def test_a_second_factor_is_wanted_of_sessions_and_of_the_makers_of_tokens(identity: IdentityFakes) -> None:
    ada, eve = user(identity), user(identity, "eve@example.com")
    workspace_id, store = ada.workspace.id, identity.store
    store.roles[eve.user.id, workspace_id] = Role.ADMIN
    store.states[workspace_id] = WorkspaceState(require_mfa=True)
    claims = claims_of(identity, eve)
    with pytest.raises(Forbidden) as refused:
        let_in(identity, claims, workspace_id, fresh=False)
    assert refused.value.facts["reason"] == "mfa_required"

    made, _ = new_token(new_id("tok", NOW), workspace_id, eve.user.id, "n8n", ("all",), NOW + timedelta(days=9), NOW)
    store.add_token(made)
    by_token = {"user_id": eve.user.id, "token_id": made.id, "workspace_id": workspace_id, "expires_at": 2**40}
    with pytest.raises(Forbidden):
        let_in(identity, by_token)
    store.users[eve.user.id] = replace(store.users[eve.user.id], second_factors=("totp",))
    assert let_in(identity, by_token).role is Role.ADMIN
    # The personal workspace is not concerned.
    assert let_in(identity, claims).role is Role.OWNER
