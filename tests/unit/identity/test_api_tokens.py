"""API tokens: their text, their user, and that scopes only narrow the user's permissions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from atelier.audit_log.model import Origin
from atelier.errors import Conflict, Forbidden, IdempotencyMismatch, NotFound, Unauthenticated, ValidationFailed
from atelier.identity.api_tokens import (
    LAST_USED_INTERVAL,
    TOKEN_LIFETIME_MAX,
    TOKENS_PER_WORKSPACE_MAX,
    ApiToken,
    TokenText,
    TooManyTokens,
    new_token,
)
from atelier.identity.authenticate import authenticate
from atelier.identity.authorize import Authorized, authorize
from atelier.identity.issue_token import IssuedToken, NewToken, issue_token, revoke_token
from atelier.identity.model import Device, SignedIn, UserStatus
from atelier.identity.permissions import WEAKEST, Role, permits
from atelier.identity.scopes import EXCLUDED_PERMISSIONS, SCOPES, covers
from atelier.identity.sign_up import SignUp, sign_up
from atelier.ids import new_id
from tests.unit.identity.fakes import IdentityFakes, InMemoryIdempotencyKeys

NOW = datetime(2026, 11, 20, 21, 0, 5, 123_000, tzinfo=UTC)
ORIGIN = Origin("usr_1", None, "203.0.113.7", "curl/8", "req-1")
SOON = NOW + timedelta(hours=1)
# The permissions that administer a workspace.
MANAGING = {name for name in WEAKEST if not permits(Role.EDITOR, name)} - EXCLUDED_PERMISSIONS


@pytest.fixture
def identity() -> IdentityFakes:
    return IdentityFakes()


@pytest.fixture
def ada(identity: IdentityFakes) -> SignedIn:
    command = SignUp("ada@example.com", "correct horse battery", "Ada", Device("", ""))
    return sign_up(command, **identity.sign_in_ports, now=NOW)


def new(ada: SignedIn, *scopes: str, role: Role = Role.OWNER, key: str | None = None) -> NewToken:
    return NewToken(ada.workspace.id, ada.user.id, role, "n8n", scopes or ("all",), None, key)


def issue(
    identity: IdentityFakes, new: NewToken, bindings: InMemoryIdempotencyKeys | None = None, now: datetime = NOW
) -> IssuedToken:
    keys = bindings or InMemoryIdempotencyKeys()
    return issue_token(new, tokens=identity.store, idempotency_keys=keys, origin=ORIGIN, now=now)


def issued(identity: IdentityFakes, new: NewToken) -> tuple[ApiToken, str]:
    answer = issue(identity, new)
    assert answer.text is not None
    return answer.token, answer.text


def context(identity: IdentityFakes, text: str, now: datetime = NOW) -> dict[str, str | int]:
    header = f"Bearer {text}"
    return authenticate(header, access_tokens=identity.access_tokens, api_tokens=lambda: identity.store, now=now)


def let_in(
    identity: IdentityFakes,
    claims: dict[str, str | int],
    permission: str = "generations.create",
    *,
    workspace_id: str | None = None,
    fresh: bool = True,
    now: datetime = NOW,
) -> Authorized:
    return authorize(claims, workspace_id, permission, fresh=fresh, access_reads=identity.store, now=now)


def sample() -> tuple[ApiToken, str]:
    ids = new_id("tok", NOW), new_id("wsp", NOW), new_id("usr", NOW)
    return new_token(*ids, "n8n", ("all",), SOON, NOW)


def test_a_tokens_text_names_its_record_and_matches_its_digest() -> None:
    token, text = sample()
    shown = TokenText.parse(text)
    assert (shown.workspace_id, shown.token_id) == (token.workspace_id, token.id)
    assert shown.matches(token)
    assert re.fullmatch(r"atl_[0-9A-Za-z]{101}", text), "one word for a double click, one pattern for a scanner"


def test_token_texts_are_unique_and_not_stored() -> None:
    texts = [sample()[1] for _ in range(100)]
    assert len({text[56:99] for text in texts}) == 100
    token, text = sample()
    assert text[56:] not in repr(token)
    assert text[56:] not in repr(TokenText.parse(text))
    assert token.digest not in repr(token)


def test_another_tokens_text_does_not_match_the_digest() -> None:
    token, _ = sample()
    _, other = new_token(token.id, token.workspace_id, token.user_id, "n8n", ("all",), SOON, NOW)
    assert TokenText.parse(other).token_id == token.id
    assert not TokenText.parse(other).matches(token)


@pytest.mark.parametrize("place", range(4, 105))
def test_a_text_with_one_wrong_letter_is_refused_by_its_checksum(place: int) -> None:
    _, text = sample()
    wrong = text[:place] + ("7" if text[place] != "7" else "5") + text[place + 1 :]
    with pytest.raises(Unauthenticated):
        TokenText.parse(wrong)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: text + "\u0661",
        lambda text: text.lower(),
        lambda text: text.replace("atl_", "atl_atl_"),
        lambda text: text[:56],
        lambda text: "atl_",
    ],
)
def test_an_invalid_token_text_is_refused_without_a_store_read(
    identity: IdentityFakes, ada: SignedIn, change: Callable[[str], str]
) -> None:
    _, text = issued(identity, new(ada))
    reads = identity.store.reads
    assert context(identity, change(text)) == {"reason": "The API token is not valid."}
    assert identity.store.reads == reads


def test_the_authorizer_names_the_tokens_user_and_workspace(identity: IdentityFakes, ada: SignedIn) -> None:
    token, text = issued(identity, new(ada))
    assert context(identity, text) == {
        "user_id": ada.user.id,
        "token_id": token.id,
        "workspace_id": ada.workspace.id,
        "expires_at": int(token.expires_at.timestamp()),
    }


def test_a_session_token_needs_no_api_token_store(identity: IdentityFakes, ada: SignedIn) -> None:
    def never() -> None:
        raise AssertionError("a session's token needs no table")

    header = f"Bearer {ada.tokens.access_token}"
    found = authenticate(header, access_tokens=identity.access_tokens, api_tokens=never, now=NOW)  # type: ignore[arg-type]
    assert found["user_id"] == ada.user.id


def test_a_refused_token_names_its_reason(identity: IdentityFakes, ada: SignedIn) -> None:
    token, text = issued(identity, new(ada))
    _, forged = new_token(token.id, token.workspace_id, token.user_id, "n8n", ("all",), SOON, NOW)
    _, unknown = sample()
    assert context(identity, forged) == context(identity, unknown) == {"reason": "The API token is not valid."}
    assert context(identity, text, token.expires_at) == {"reason": "The API token has expired."}
    assert identity.store.revoke_token(token.workspace_id, token.id, NOW)
    assert context(identity, text) == {"reason": "The API token has been revoked."}


def test_a_tokens_last_use_is_written_at_intervals(identity: IdentityFakes, ada: SignedIn) -> None:
    token, text = issued(identity, new(ada))
    noted: list[datetime | None] = []
    for seconds in (0, 1, 599, 600, 601, 1200):
        context(identity, text, NOW + timedelta(seconds=seconds))
        found = identity.store.token(token.workspace_id, token.id)
        assert found is not None
        noted.append(found.last_used_at)
    later = NOW + LAST_USED_INTERVAL
    assert noted == [NOW, NOW, NOW, later, later, later + LAST_USED_INTERVAL]


@pytest.mark.parametrize("fresh", [False, True])
def test_a_token_acts_as_its_user_in_its_workspace(identity: IdentityFakes, ada: SignedIn, fresh: bool) -> None:
    token, text = issued(identity, new(ada, "generations.create"))
    expected = Authorized(ada.user.id, None, ada.workspace.id, Role.OWNER, token.id, ("generations.create",))
    claims = context(identity, text)
    assert let_in(identity, claims, fresh=fresh) == expected
    assert let_in(identity, claims, workspace_id=ada.workspace.id, fresh=fresh) == expected


@pytest.mark.parametrize("fresh", [False, True])
def test_a_token_is_not_valid_in_another_workspace(identity: IdentityFakes, ada: SignedIn, fresh: bool) -> None:
    """Not even in another workspace of its user."""
    _, text = issued(identity, new(ada))
    claims = context(identity, text)
    second = new_id("wsp", NOW)
    identity.store.roles[ada.user.id, second] = Role.OWNER
    messages: set[str] = set()
    for workspace_id in (second, new_id("wsp", NOW), "wsp_1", "", "../.."):
        with pytest.raises(NotFound) as missing:
            let_in(identity, claims, "credits.read", workspace_id=workspace_id, fresh=fresh)
        messages.add(missing.value.message)
    assert messages == {"There is no such workspace."}


@pytest.mark.parametrize("fresh", [False, True])
def test_an_ended_token_is_refused_despite_the_gateways_authorizer_cache(
    identity: IdentityFakes, ada: SignedIn, fresh: bool
) -> None:
    def refused(claims: dict[str, str | int], now: datetime = NOW) -> str:
        with pytest.raises(Unauthenticated) as error:
            let_in(identity, claims, "credits.read", fresh=fresh, now=now)
        return error.value.message

    token, text = issued(identity, new(ada))
    claims = context(identity, text)
    assert refused(claims, token.expires_at) == "The API token has expired."
    user = identity.store.users[ada.user.id]
    identity.store.users[ada.user.id] = replace(user, status=UserStatus.SUSPENDED)
    assert refused(claims) == "The API token is not valid."
    identity.store.users[ada.user.id] = user
    assert let_in(identity, claims, "credits.read", fresh=fresh)
    role = identity.store.roles.pop((ada.user.id, ada.workspace.id))
    assert refused(claims) == "The API token is not valid."
    identity.store.roles[ada.user.id, ada.workspace.id] = role
    identity.store.revoke_token(token.workspace_id, token.id, NOW)
    assert refused(claims) == "The API token has been revoked."
    identity.store.api_tokens.clear()
    assert refused(claims) == "The API token is not valid."


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_needs_both_its_scope_and_its_users_current_role(
    identity: IdentityFakes, ada: SignedIn, scope: str, role: Role
) -> None:
    _, text = issued(identity, new(ada, scope))
    claims = context(identity, text)
    identity.store.roles[ada.user.id, ada.workspace.id] = role
    for permission in WEAKEST:
        if covers([scope], permission) and permits(role, permission):
            assert let_in(identity, claims, permission)
        else:
            with pytest.raises(Forbidden):
                let_in(identity, claims, permission)


def test_each_scope_covers_its_permissions() -> None:
    def covered(*scopes: str) -> set[str]:
        return {permission for permission in WEAKEST if covers(scopes, permission)}

    reading = {name for name in WEAKEST if name.endswith(".read")}
    assert covered("read") == reading - {
        "account.read",
        "api-keys.read",
        "audit.read",
        "billing.read",
        "exports.read",
        "member-analytics.read",
        "tokens.read",
        "webhooks.read",
        "workspace.read",
    }
    # Administrative permissions must be named, and no scope covers the user's own account.
    assert covered("all") == WEAKEST.keys() - MANAGING - EXCLUDED_PERMISSIONS
    for permission in SCOPES[2:]:
        assert covered(permission) == {permission}
    assert covered(*SCOPES) == WEAKEST.keys() - EXCLUDED_PERMISSIONS
    assert covered(*EXCLUDED_PERMISSIONS, "", "*", "tokens", "generations.*") == set()


@pytest.mark.parametrize("scope", sorted(MANAGING))
def test_a_scope_beyond_the_issuers_role_is_forbidden(identity: IdentityFakes, ada: SignedIn, scope: str) -> None:
    with pytest.raises(Forbidden):
        issue(identity, new(ada, "read", scope, role=Role.EDITOR))
    assert identity.store.api_tokens == {}
    assert issue(identity, new(ada, "read", scope, role=Role.ADMIN))


@pytest.mark.parametrize(
    "life",
    [timedelta(0), timedelta(seconds=-1), TOKEN_LIFETIME_MAX + timedelta(milliseconds=1), timedelta(days=99999)],
    ids=str,
)
def test_an_expiry_in_the_past_or_beyond_a_year_is_refused(
    identity: IdentityFakes, ada: SignedIn, life: timedelta
) -> None:
    with pytest.raises(ValidationFailed):
        issue(identity, replace(new(ada), expires_at=NOW + life))
    assert identity.store.api_tokens == {}


def test_a_token_without_an_expiry_lives_a_year(identity: IdentityFakes, ada: SignedIn) -> None:
    assert issue(identity, new(ada)).token.expires_at == NOW + TOKEN_LIFETIME_MAX
    soon = issue(identity, replace(new(ada), expires_at=SOON + timedelta(microseconds=7)))
    assert soon.token.expires_at == SOON


def test_a_workspace_has_a_bounded_number_of_tokens(identity: IdentityFakes, ada: SignedIn) -> None:
    tokens = [issue(identity, new(ada)).token for _ in range(TOKENS_PER_WORKSPACE_MAX)]
    with pytest.raises(TooManyTokens):
        issue(identity, new(ada))
    revoke_token(
        ada.workspace.id, tokens[0].id, ada.user.id, Role.EDITOR, tokens=identity.store, origin=ORIGIN, now=NOW
    )
    assert issue(identity, new(ada))


def test_a_repeated_idempotency_key_returns_no_second_token(identity: IdentityFakes, ada: SignedIn) -> None:
    bindings = InMemoryIdempotencyKeys()
    first = issue(identity, new(ada, key="once"), bindings)
    again = issue(identity, new(ada, key="once"), bindings, NOW + timedelta(days=1))
    assert first.text is not None
    assert (again.token, again.text) == (first.token, None)
    with pytest.raises(IdempotencyMismatch):
        issue(identity, new(ada, "read", key="once"), bindings)
    identity.store.revoke_token(ada.workspace.id, first.token.id, NOW)
    with pytest.raises(Conflict):
        issue(identity, new(ada, key="once"), bindings)
    assert len(identity.store.api_tokens) == 1


def test_a_token_is_revoked_by_its_user_or_an_admin(identity: IdentityFakes, ada: SignedIn) -> None:
    def revoke(token: ApiToken, user_id: str, role: Role, workspace_id: str = ada.workspace.id) -> None:
        revoke_token(workspace_id, token.id, user_id, role, tokens=identity.store, origin=ORIGIN, now=NOW)

    first, second = (issue(identity, new(ada)).token for _ in range(2))
    eve = new_id("usr", NOW)
    with pytest.raises(Forbidden):
        revoke(first, eve, Role.EDITOR)
    with pytest.raises(NotFound):
        revoke(first, eve, Role.OWNER, new_id("wsp", NOW))
    revoke(first, ada.user.id, Role.EDITOR)
    revoke(second, eve, Role.ADMIN)
    for token in (first, second):
        with pytest.raises(NotFound):
            revoke(token, ada.user.id, Role.OWNER)
    # Each change that happened is told to the workspace and to the token's user, and no refused one is.
    both = [ada.workspace.id, ada.user.id]
    told = [event for event in identity.store.events if event.action.startswith("token.")]
    assert [(event.log, event.action, event.target) for event in told] == [
        (log, action, token.id)
        for action, token in (
            ("token.issued", first),
            ("token.issued", second),
            ("token.revoked", first),
            ("token.revoked", second),
        )
        for log in both
    ]
