"""functions/api/auth, functions/api/account and functions/authorizer, fed with events and wired to the emulator."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from types import ModuleType
from typing import Any

import botocore.session
import pytest

from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.ledger.transactions import put_tier
from atelier.clock import system_clock
from atelier.http.api import Api
from atelier.http.response import Response
from atelier.identity.refresh_cookie import COOKIE_NAME
from atelier.wiring.auth import gate, limiter
from tests.embedded_aws import Tables, clear_wiring_caches
from tests.functions.conftest import PUBLIC_URL
from tests.functions.responses import Reply, authorized_event, error_of, invoke_app, success_data
from tests.invoke import event, load_function

SIGN_UP = {"email": "ada@example.com", "password": "correct horse battery", "name": "Ada", "token_delivery": "body"}
LOG_IN = {"email": "ada@example.com", "password": "correct horse battery", "token_delivery": "body"}


@pytest.fixture
def auth(deployed: Tables) -> ModuleType:
    return load_function("api/auth")


@pytest.fixture
def authorizer(deployed: Tables) -> ModuleType:
    return load_function("authorizer")


def post(auth: ModuleType, call: str, body: object = None, **changes: Any) -> Reply:
    return invoke_app(auth, event(f"api/auth/{call}", **({} if body is None else {"body": body}), **changes))


def context(authorizer: ModuleType, access_token: str) -> dict[str, Any]:
    header = f"Bearer {access_token}"
    answer = authorizer.handler(
        event("authorizer/request", headers={"authorization": header}, identitySource=[header]), None
    )
    assert answer["isAuthorized"] is True
    found: dict[str, Any] = answer["context"]
    return found


def refresh_cookie(response: Reply) -> str:
    return str(response["cookies"][0].partition(";")[0])


def test_a_sign_up_answers_with_the_account_and_sets_the_cookie(auth: ModuleType) -> None:
    response = post(auth, "signup")
    assert response["statusCode"] == 201
    answer = success_data(response)
    assert set(answer) == {"user", "workspace", "access_token", "token_type", "expires_in"}
    assert answer["user"]["email"] == "ada@example.com"
    assert answer["workspace"] == {
        "id": answer["workspace"]["id"],
        "name": "Ada's workspace",
        "kind": "personal",
        "role": "owner",
    }
    assert answer["expires_in"] == 600
    (cookie,) = response["cookies"]
    assert cookie.startswith(f"{COOKIE_NAME}=usr_")
    assert cookie.endswith("; Path=/; Max-Age=604800; Secure; HttpOnly; SameSite=Strict")
    assert response["headers"]["Cache-Control"] == "no-store"


def test_a_sign_up_returns_the_refresh_token_in_the_body_on_request(auth: ModuleType) -> None:
    response = post(auth, "signup", SIGN_UP)
    assert success_data(response)["refresh_token"].startswith("usr_")
    assert response["cookies"] == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"email": "ada"}, "email"),
        ({"email": None}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "password1234"}, "password"),
        ({"password": 123456789012}, "password"),
        ({"password": " " * 12}, "password"),
        ({"password": "ADA@example.com"}, "password"),
        ({"password": "moc.elpmaxe@ada"}, "password"),
        ({"name": ""}, "name"),
        ({"name": " \t"}, "name"),
        ({"name": "Ada\r\nBcc: eve"}, "name"),
        ({"token_delivery": "pigeon"}, "token_delivery"),
        ({"platform_role": "admin"}, "platform_role"),
    ],
    ids=repr,
)
def test_a_bad_sign_up_names_the_field(auth: ModuleType, change: dict[str, Any], path: str) -> None:
    response = post(auth, "signup", {**SIGN_UP, **change})
    assert error_of(response) == (422, "VALIDATION_FAILED")
    fields = json.loads(response["body"])["details"]["fields"]
    assert [field["path"] for field in fields] == [path]


def test_a_refused_password_is_not_echoed(auth: ModuleType) -> None:
    assert "password1234" not in post(auth, "signup", {**SIGN_UP, "password": "password1234"})["body"]


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_without_a_json_content_type_is_refused(auth: ModuleType, kind: str) -> None:
    response = post(auth, "login", LOG_IN, headers={"content-type": kind})
    assert error_of(response) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert "Content-Type: application/json" in json.loads(response["body"])["message"]


@pytest.mark.parametrize("kind", ["Application/JSON;charset=utf-8", "application/vnd.atelier+json"])
def test_a_body_with_another_json_content_type_is_accepted(auth: ModuleType, kind: str) -> None:
    assert error_of(post(auth, "login", LOG_IN, headers={"content-type": kind})) == (401, "UNAUTHENTICATED")


def test_an_existing_email_in_another_spelling_is_a_conflict(auth: ModuleType) -> None:
    assert post(auth, "signup", SIGN_UP)["statusCode"] == 201
    again = post(auth, "signup", {**SIGN_UP, "email": " ADA@example.com "})
    assert error_of(again) == (409, "CONFLICT")


def test_a_sign_up_repeated_with_its_idempotency_key_is_replayed(auth: ModuleType) -> None:
    key = {"idempotency-key": "sign-up-1"}
    first = post(auth, "signup", SIGN_UP, headers=key)
    again = post(auth, "signup", SIGN_UP, headers=key)
    assert (first["statusCode"], again["statusCode"]) == (201, 201)
    assert "Idempotent-Replayed" not in first["headers"]
    assert again["headers"]["Idempotent-Replayed"] == "true"
    assert success_data(again)["user"] == success_data(first)["user"]
    other = post(auth, "signup", {**SIGN_UP, "password": "another good one"}, headers=key)
    assert error_of(other) == (422, "IDEMPOTENCY_MISMATCH")


def test_a_login_opens_a_session(auth: ModuleType) -> None:
    user = success_data(post(auth, "signup"))["user"]
    response = post(auth, "login")
    assert response["statusCode"] == 200
    assert success_data(response)["user"] == user
    assert response["cookies"]


def test_a_wrong_password_and_an_unknown_email_get_the_same_response(auth: ModuleType) -> None:
    post(auth, "signup")
    wrong = post(auth, "login", {**LOG_IN, "password": "wrong horse battery"})
    unknown = post(auth, "login", {**LOG_IN, "email": "eve@example.com"})
    assert error_of(wrong) == error_of(unknown) == (401, "UNAUTHENTICATED")
    assert wrong["body"] == unknown["body"]


def test_a_refresh_with_the_cookie_rotates_the_cookie(auth: ModuleType) -> None:
    first = refresh_cookie(post(auth, "signup"))
    response = post(auth, "refresh", cookies=[first])
    assert set(success_data(response)) == {"access_token", "token_type", "expires_in"}
    second = refresh_cookie(response)
    assert second != first
    # Within its grace period the first token gives the same successor; the emulator leaves cookies in the header.
    assert refresh_cookie(post(auth, "refresh", headers={"cookie": f"theme=dark; {first}"})) == second


def test_a_refresh_token_from_the_body_is_rotated_in_the_body(auth: ModuleType) -> None:
    first = success_data(post(auth, "signup", SIGN_UP))["refresh_token"]
    response = post(auth, "refresh", {"refresh_token": first}, headers={"origin": "https://app.example.org"})
    assert success_data(response)["refresh_token"] != first
    assert response["cookies"] == []


@pytest.mark.parametrize("call", ["refresh", "logout"])
def test_another_site_cannot_use_the_cookie(auth: ModuleType, call: str) -> None:
    cookie = refresh_cookie(post(auth, "signup"))
    forged = post(auth, call, cookies=[cookie], headers={"origin": "https://evil.example.com"})
    assert error_of(forged) == (403, "FORBIDDEN")
    assert post(auth, "refresh", cookies=[cookie])["statusCode"] == 200


@pytest.mark.parametrize("call", ["signup", "login", "logout"])
@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "null", f"{PUBLIC_URL}.evil.example", "http://localhost"]
)
def test_another_site_cannot_sign_a_user_in_or_out(auth: ModuleType, call: str, origin: str) -> None:
    response = post(auth, call, headers={"origin": origin})
    assert error_of(response) == (403, "FORBIDDEN")
    assert response["cookies"] == []


def test_the_public_origin_and_configured_frontends_may_sign_in(
    auth: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_FRONTEND_ORIGINS", "https://app.example.org,http://localhost:*")
    clear_wiring_caches(clients=False)
    assert post(auth, "signup", headers={"origin": PUBLIC_URL})["statusCode"] == 201
    for origin in ("https://app.example.org", "http://localhost:5173"):
        assert post(auth, "login", headers={"origin": origin})["statusCode"] == 200
    assert error_of(post(auth, "login", headers={"origin": "https://app.example.org:8443"})) == (403, "FORBIDDEN")


@pytest.mark.parametrize("body", [{}, {"refresh_token": "rubbish"}, {"refresh_token": None}, ""], ids=repr)
def test_a_refresh_without_a_valid_token_is_unauthenticated(auth: ModuleType, body: object) -> None:
    response = post(auth, "refresh", body)
    assert error_of(response) == (401, "UNAUTHENTICATED")
    assert response["headers"]["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("way", ["cookie", "body", "bearer"])
def test_a_logout_ends_the_session_and_can_be_repeated(auth: ModuleType, way: str) -> None:
    session = success_data(post(auth, "signup", SIGN_UP))
    token = session["refresh_token"]
    shown: dict[str, Any] = {
        "cookie": {"cookies": [f"{COOKIE_NAME}={token}"]},
        "body": {"body": {"refresh_token": token}},
        "bearer": {"headers": {"authorization": f"Bearer {session['access_token']}"}},
    }[way]
    for _ in range(2):
        response = post(auth, "logout", **shown)
        assert (response["statusCode"], response["body"]) == (204, "")
        assert response["cookies"] == [f"{COOKIE_NAME}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict"]
    assert error_of(post(auth, "refresh", {"refresh_token": token})) == (401, "UNAUTHENTICATED")


def test_a_logout_without_a_token_succeeds(auth: ModuleType) -> None:
    assert post(auth, "logout", "")["statusCode"] == 204


@pytest.mark.parametrize("path", ["/.well-known/jwks.json", "/api/auth/.well-known/jwks.json"])
def test_the_public_keys_are_published_without_an_envelope(auth: ModuleType, path: str) -> None:
    request = event("api/auth/jwks", rawPath=path)
    request["requestContext"]["http"]["path"] = path
    response = invoke_app(auth, request)
    (key,) = json.loads(response["body"])["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert response["headers"]["Cache-Control"] == "public, max-age=300"


def test_the_me_route_returns_the_account_of_the_token(auth: ModuleType, authorizer: ModuleType) -> None:
    session = success_data(post(auth, "signup"))
    claims = context(authorizer, session["access_token"])
    assert claims["user_id"] == session["user"]["id"]
    response = invoke_app(load_function("api/account"), authorized_event("api/account/me", claims))
    assert success_data(response) == {"user": session["user"], "workspaces": [session["workspace"]], "tier": "free"}


@pytest.mark.parametrize(("days_left", "name"), [(None, "pro"), (1, "pro"), (0, "free")])
def test_the_me_route_shows_the_tier_that_the_wallet_has_now(
    auth: ModuleType, authorizer: ModuleType, days_left: int | None, name: str
) -> None:
    session = success_data(post(auth, "signup"))
    ends_at = None if days_left is None else system_clock() + timedelta(days=days_left)
    with transaction() as write:
        put_tier(write, session["workspace"]["id"], "pro@2", ends_at, part="wallet")
    claims = context(authorizer, session["access_token"])
    response = invoke_app(load_function("api/account"), authorized_event("api/account/me", claims))
    assert success_data(response)["tier"] == name


def test_the_me_route_with_an_invalid_token_names_the_reason(authorizer: ModuleType) -> None:
    claims = context(authorizer, "forged")
    response = invoke_app(load_function("api/account"), authorized_event("api/account/me", claims))
    assert error_of(response) == (401, "UNAUTHENTICATED")
    assert json.loads(response["body"])["message"] == "The access token is not valid."


def test_a_foreign_workspace_gets_the_response_of_a_missing_one(auth: ModuleType, authorizer: ModuleType) -> None:
    ada = success_data(post(auth, "signup", SIGN_UP))
    eve = success_data(post(auth, "signup", {**SIGN_UP, "email": "eve@example.com"}))
    claims = context(authorizer, eve["access_token"])
    account = load_function("api/account")
    answers: list[Any] = []
    for workspace_id in (ada["workspace"]["id"], ada["workspace"]["id"][:-1] + "Z", "wsp_1"):
        request = authorized_event("api/account/me", claims, headers={"atelier-workspace": workspace_id})
        response = invoke_app(account, request)
        answers.append(json.loads(response["body"]))
        assert response["statusCode"] == 404
    assert answers[0] == answers[1] == answers[2]


def mutating() -> Api:
    """An API with a mutation behind the authorization gate, as every context has."""
    api = Api("test", gate=gate, limiter=limiter)
    api.route("POST", "/api/auth/me", permission="generations.create")(lambda request: Response(request.caller.role))
    return api


def mutation(claims: dict[str, Any]) -> Reply:
    request = authorized_event("api/account/me", claims)
    request["requestContext"]["http"]["method"] = "POST"
    return request


def test_a_mutation_after_logout_is_refused_despite_the_cached_authorizer(
    auth: ModuleType, authorizer: ModuleType
) -> None:
    session = success_data(post(auth, "signup", SIGN_UP))
    claims = context(authorizer, session["access_token"])
    api = mutating()
    assert success_data(invoke_app(api, mutation(claims))) == "owner"
    post(auth, "logout", {"refresh_token": session["refresh_token"]})
    assert error_of(invoke_app(api, mutation(claims))) == (401, "UNAUTHENTICATED")


def test_a_mutation_after_a_forged_refresh_token_is_refused(auth: ModuleType, authorizer: ModuleType) -> None:
    session = success_data(post(auth, "signup", SIGN_UP))
    claims = context(authorizer, session["access_token"])
    head, _, _ = session["refresh_token"].rpartition(".")
    post(auth, "refresh", {"refresh_token": f"{head}.{'A' * 43}"})
    assert error_of(invoke_app(mutating(), mutation(claims))) == (401, "UNAUTHENTICATED")


def limited(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    for name, value in limits.items():
        monkeypatch.setenv(f"ATELIER_RATE_{name.upper()}", str(value))
    clear_wiring_caches(clients=False)


def until_refused(attempt: Any, limit: int) -> Reply:
    """The first response with status 429. If a window ends meanwhile, a second one is used up."""
    for number in range(2 * limit + 1):
        response: Reply = attempt(number)
        if response["statusCode"] == 429:
            return response
    raise AssertionError("never refused")


def test_rotating_x_forwarded_for_does_not_evade_the_limit_of_an_address(
    auth: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, sign_ins_per_address=3)

    def attempt(number: int) -> Reply:
        body = {**LOG_IN, "email": f"user{number}@example.com"}
        return post(auth, "login", body, headers={"x-forwarded-for": f"198.51.100.{number}, 192.0.2.{number}"})

    response = until_refused(attempt, 3)
    assert error_of(response) == (429, "RATE_LIMITED")
    assert 1 <= int(response["headers"]["Retry-After"]) <= 300
    assert json.loads(response["body"])["retryable"]
    elsewhere = post(auth, "login", LOG_IN, headers={"atelier-viewer-address": "198.51.100.200"})
    assert error_of(elsewhere) == (401, "UNAUTHENTICATED")


def test_sign_ins_of_one_account_from_many_addresses_are_rate_limited(
    auth: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, sign_ins_per_account=3)

    def attempt(number: int) -> Reply:
        body = {**LOG_IN, "password": f"guess number {number}"}
        return post(auth, "login", body, headers={"atelier-viewer-address": f"198.51.100.{number}"})

    assert error_of(until_refused(attempt, 3)) == (429, "RATE_LIMITED")


def test_requests_of_an_account_are_rate_limited(
    auth: ModuleType, authorizer: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = context(authorizer, success_data(post(auth, "signup"))["access_token"])
    limited(monkeypatch, requests_per_minute=4)
    account = load_function("api/account")
    response = until_refused(lambda _: invoke_app(account, authorized_event("api/account/me", claims)), 4)
    assert error_of(response) == (429, "RATE_LIMITED")
    assert response["headers"]["RateLimit-Policy"] == '"default";q=4'


def test_the_log_contains_no_password_and_no_token(
    auth: ModuleType, authorizer: ModuleType, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    session = success_data(post(auth, "signup", SIGN_UP))
    pair = success_data(post(auth, "refresh", {"refresh_token": session["refresh_token"]}))
    post(auth, "signup", {**SIGN_UP, "email": "canary", "password": "another good canary"})
    post(auth, "login", {**LOG_IN, "password": "wrong horse canary"})
    post(auth, "login", '{"email": "ada@example.com", "password": "broken horse canary"')
    context(authorizer, session["access_token"])
    context(authorizer, "forged.canary.token")
    post(auth, "refresh", {"refresh_token": "rubbish.canary.token"})
    post(auth, "logout", {"refresh_token": pair["refresh_token"]}, headers={"authorization": "Bearer canary"})
    out, err = capfd.readouterr()
    lines = log.getvalue() + out + err
    assert lines.count("request_id") >= 9
    secrets = [
        SIGN_UP["password"],
        "canary",
        session["access_token"].rpartition(".")[2],
        session["refresh_token"].rpartition(".")[2],
        pair["access_token"].rpartition(".")[2],
        pair["refresh_token"].rpartition(".")[2],
    ]
    assert [secret for secret in secrets if secret in lines] == []


def test_neither_a_password_nor_a_usable_token_is_stored(
    auth: ModuleType, deployed: Tables, aws: botocore.session.Session
) -> None:
    session = success_data(post(auth, "signup", SIGN_UP))
    pair = success_data(post(auth, "refresh", {"refresh_token": session["refresh_token"]}))
    dynamodb = aws.create_client("dynamodb")
    stored = json.dumps(
        [dynamodb.scan(TableName=table)["Items"] for table in (deployed.identity, deployed.requests, deployed.ledger)]
    )
    assert "argon2id" in stored
    for secret in (SIGN_UP["password"], session["access_token"], pair["refresh_token"], session["refresh_token"]):
        assert secret.rpartition(".")[2] not in stored


def sessions_event(claims: dict[str, Any], method: str = "GET", session_id: str = "") -> Reply:
    request = authorized_event("api/account/list_sessions", claims)
    request["requestContext"]["http"] |= {
        "method": method,
        "path": f"/api/auth/sessions{session_id and '/'}{session_id}",
    }
    return request


def test_sessions_are_listed_in_words_and_ended_one_by_one_or_all_others(
    auth: ModuleType, authorizer: ModuleType
) -> None:
    account = load_function("api/account")
    opened = [success_data(post(auth, "signup", SIGN_UP)), *(success_data(post(auth, "login", LOG_IN)) for _ in "ab")]
    claims = context(authorizer, opened[1]["access_token"])

    items = success_data(invoke_app(account, sessions_event(claims)))["items"]
    assert [item["id"] for item in items if item["current"]] == [claims["session_id"]]
    assert {item["way"] for item in items} == {"password"}
    assert {item["address"] for item in items} == {"203.0.113.0/24"}
    ids = [context(authorizer, session["access_token"])["session_id"] for session in opened]
    assert {item["id"] for item in items} == set(ids)

    for _ in range(2):
        assert invoke_app(account, sessions_event(claims, "DELETE", ids[0]))["statusCode"] == 204
    assert error_of(post(auth, "refresh", {"refresh_token": opened[0]["refresh_token"]})) == (401, "UNAUTHENTICATED")
    assert invoke_app(account, sessions_event(claims, "DELETE"))["statusCode"] == 204
    assert error_of(post(auth, "refresh", {"refresh_token": opened[2]["refresh_token"]})) == (401, "UNAUTHENTICATED")
    items = success_data(invoke_app(account, sessions_event(claims)))["items"]
    assert [item["id"] for item in items] == [claims["session_id"]]
    missing = invoke_app(account, sessions_event(claims, "DELETE", "ses_01M7XCN60QZZZZZZZZZZZZZZZZ"))
    assert error_of(missing) == (404, "NOT_FOUND")
