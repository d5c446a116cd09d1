"""functions/api/oauth with Google's and GitHub's simulators: signing in, and every attack on it that has a name."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import botocore.session
import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.identity.external_logins import DynamoExternalLogins
from atelier.adapters.aws.dynamodb.identity.pending_links import DynamoPendingLinks
from atelier.adapters.oauth._http import OAuthHttp
from atelier.audit_log.model import Origin
from atelier.clock import rfc3339, system_clock
from atelier.identity.issue_token import NewToken
from atelier.identity.oauth.model import ProviderRefused, ProviderUnavailable, s256_challenge
from atelier.identity.permissions import Role
from atelier.mails.links import Link, LinkKey
from atelier.wiring import identity, tokens
from infra.simulators.oauth.github import GitHubSimulator
from infra.simulators.oauth.google import GoogleSimulator
from infra.simulators.oauth.identity_provider import CLIENT_ID
from tests.embedded_aws import Tables, clear_wiring_caches
from tests.functions.conftest import LINKS_KEY, PUBLIC_URL
from tests.functions.oauth_browser import EMAIL, Browser, provider_urls, query_of
from tests.functions.responses import Reply, error_of, invoke_app, success_data
from tests.integration.world import before_first_request
from tests.invoke import event, load_function

FRONTEND = "https://app.example.com"
COOKIE = "__Host-atelier-oauth"
PASSWORD = "correct horse battery"
VERIFIER = "v" * 43
CLIENT = {"client_id": CLIENT_ID, "code_challenge_method": "S256", "code_challenge": s256_challenge(VERIFIER)}
REDIRECT_URIS = {name: f"{PUBLIC_URL}/api/auth/oauth/{name}/callback" for name in ("google", "github")}


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleSimulator]:
    with GoogleSimulator(redirect_uri=REDIRECT_URIS["google"]) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def github() -> Iterator[GitHubSimulator]:
    with GitHubSimulator(redirect_uri=REDIRECT_URIS["github"]) as simulator:
        yield simulator


@pytest.fixture
def app(
    deployed: Tables,
    aws: botocore.session.Session,
    monkeypatch: pytest.MonkeyPatch,
    google: GoogleSimulator,
    github: GitHubSimulator,
) -> ModuleType:
    secret = f"oauth-{deployed.identity}"
    registrations = json.dumps({"google": google.access, "github": github.access})
    aws.create_client("secretsmanager").create_secret(Name=secret, SecretString=registrations)
    monkeypatch.setenv("ATELIER_SECRET_OAUTH", secret)
    monkeypatch.setenv("ATELIER_OAUTH_URLS", provider_urls(google, github))
    monkeypatch.setenv("ATELIER_STAGE", "local")
    monkeypatch.setenv("ATELIER_FRONTEND_ORIGINS", f"{FRONTEND},http://localhost:*")
    clear_wiring_caches(clients=False)
    return load_function("api/oauth")


@pytest.fixture
def browser(app: ModuleType) -> Browser:
    return Browser(app)


def items(tables: Tables, table: str = "identity") -> list[dict[str, Any]]:
    """All items of a table, in DynamoDB's JSON."""
    found: list[dict[str, Any]] = client("dynamodb").scan(TableName=getattr(tables, table), ConsistentRead=True)[
        "Items"
    ]
    return found


def accounts(tables: Tables) -> list[str]:
    """The ids of all users."""
    return [
        each["pk"]["S"] for each in items(tables) if each["pk"]["S"].startswith("usr_") and each["sk"]["S"] == "profile"
    ]


def key_reads(google: GoogleSimulator) -> int:
    return len([call for call in google.calls if call["path"] == "/jwks"])


def turn_clock(app: ModuleType, **forward: float) -> None:
    """Sets the clock of a function forward."""
    vars(app)["api"]._clock = lambda: system_clock() + timedelta(**forward)


# ---- signing in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["google", "github"])
def test_a_first_sign_in_makes_a_verified_account_and_the_next_opens_it(browser: Browser, provider: str) -> None:
    first = browser.sign_in(provider)
    assert first["user"]["email"] == EMAIL
    assert first["user"]["email_verified"] is True
    assert first["workspace"]["role"] == "owner"
    assert first["refresh_token"].startswith("usr_")
    again = Browser(browser.app).sign_in(provider)
    assert again["user"] == first["user"]
    [link] = success_data(browser.call("GET /api/auth/identities"))["items"]
    assert link["provider"] == provider
    assert link["last_used_at"] is not None


def sign_up(email: str = EMAIL, name: str = "Ada") -> dict[str, Any]:
    """An account with a password, whose e-mail address is not verified; the data of its sign-up."""
    body = {"email": email, "password": PASSWORD, "name": name, "token_delivery": "body"}
    return dict(success_data(invoke_app(load_function("api/auth"), event("api/auth/signup", body=body))))


def verify(email: str = EMAIL) -> None:
    identity.verify_email(email, system_clock())


def log_in(email: str = EMAIL) -> int:
    body = {"email": email, "password": PASSWORD, "token_delivery": "body"}
    return int(invoke_app(load_function("api/auth"), event("api/auth/login", body=body))["statusCode"])


def signed_up(app: ModuleType, email: str = EMAIL) -> Browser:
    """A browser with the session of a new account with a password and a verified e-mail address."""
    browser = Browser(app)
    browser.remember(sign_up(email))
    verify(email)
    return browser


def test_only_enabled_providers_are_offered_and_others_do_not_exist(
    browser: Browser, aws: botocore.session.Session, monkeypatch: pytest.MonkeyPatch, google: GoogleSimulator
) -> None:
    offered = success_data(browser.call("GET /api/auth/oauth"))
    assert offered == {"providers": [{"id": "google", "name": "Google"}, {"id": "github", "name": "GitHub"}]}
    halves = {"google": google.access, "github": {"client_id": "only half"}, "myspace": google.access}
    aws.create_client("secretsmanager").create_secret(Name="some-providers", SecretString=json.dumps(halves))
    monkeypatch.setenv("ATELIER_SECRET_OAUTH", "some-providers")
    clear_wiring_caches(clients=False)
    assert success_data(browser.call("GET /api/auth/oauth")) == {"providers": [{"id": "google", "name": "Google"}]}
    for path in ("start", "callback?state=x"):
        for provider in ("github", "myspace", "Google"):
            reply = browser.call(f"GET /api/auth/oauth/{provider}/{path}")
            assert error_of(reply) == (404, "NOT_FOUND")


def test_the_request_to_the_provider_is_complete_and_holds_no_stored_secret(
    browser: Browser, google: GoogleSimulator, deployed: Tables
) -> None:
    url = browser.start()
    assert url.startswith(f"{google.url}/authorize?")
    asked = query_of(url)
    assert asked["redirect_uri"] == REDIRECT_URIS["google"]
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["scope"].split() == ["openid", "email", "profile"]
    for name in ("state", "nonce", "code_challenge"):
        # 256 bits in base64url.
        assert len(asked[name]) == 43
    second = query_of(browser.start())
    assert {second[name] for name in ("state", "nonce", "code_challenge")}.isdisjoint(asked.values())
    stored = json.dumps(client("dynamodb").scan(TableName=deployed.identity)["Items"])
    for secret in (asked["state"], asked["nonce"], asked["code_challenge"], browser.cookies[COOKIE]):
        assert secret not in stored


def test_the_cookie_is_bound_to_the_host_and_comes_back_from_another_site(app: ModuleType) -> None:
    reply = Browser(app).call("GET /api/auth/oauth/google/start?redirect_to=/")
    [cookie] = reply["cookies"]
    assert cookie.startswith(f"{COOKIE}=")
    assert cookie.endswith("; Path=/; Max-Age=2700; Secure; HttpOnly; SameSite=Lax")
    assert reply["headers"]["Referrer-Policy"] == "no-referrer"
    assert reply["headers"]["Cache-Control"] == "no-store"


def test_two_tabs_of_one_browser_sign_in_at_the_same_time(browser: Browser) -> None:
    callbacks = [browser.consent(browser.start()), browser.consent(browser.start("github"), "eve@example.com")]
    codes = [browser.come_back(callback)["code"] for callback in callbacks]
    assert [browser.exchange(code)["statusCode"] for code in codes] == [200, 200]


def test_the_person_may_say_no(browser: Browser) -> None:
    assert browser.come_back(browser.consent(browser.start(), action="deny")) == {"error": "access_denied"}


def test_codes_and_states_are_in_no_log_line(browser: Browser, log: io.StringIO) -> None:
    callback = browser.consent(browser.start())
    code = browser.come_back(callback)["code"]
    browser.exchange(code)
    for secret in (code, query_of(callback)["state"], query_of(callback)["code"], browser.cookies[COOKIE]):
        assert secret not in log.getvalue()


def test_each_start_is_counted_for_its_address(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_RATE_SIGN_INS_PER_ADDRESS", "2")
    clear_wiring_caches(clients=False)
    statuses = [browser.call("GET /api/auth/oauth/google/start?redirect_to=/")["statusCode"] for _ in range(3)]
    assert statuses == [302, 302, 429]


# ---- what the provider says ------------------------------------------------------------------------------------------

REFUSED_ANSWERS = {
    "google": [
        *("no_iss", "other_iss", "token_iss", "no_nonce", "other_nonce", "other_aud", "two_auds", "other_azp"),
        *("expired", "old", "alg_none", "alg_hs256", "unknown_key", "wrong_signature", "foreign_code", "no_id_token"),
        *("garbage", "redirect"),
    ],
    "github": ["other_iss", "foreign_code", "no_user", "garbage", "redirect"],
}


@pytest.mark.parametrize(
    ("provider", "fault"), [(provider, fault) for provider, faults in REFUSED_ANSWERS.items() for fault in faults]
)
def test_an_answer_that_cannot_be_trusted_signs_nobody_in(
    browser: Browser, provider: str, fault: str, deployed: Tables
) -> None:
    callback = browser.consent(browser.start(provider), fault=fault)
    assert browser.come_back(callback) == {"error": "invalid_response"}
    assert not accounts(deployed)


@pytest.mark.parametrize("provider", ["google", "github"])
@pytest.mark.parametrize("fault", ["500", "huge"])
def test_a_provider_that_fails_is_temporarily_unavailable(browser: Browser, provider: str, fault: str) -> None:
    callback = browser.consent(browser.start(provider), fault=fault)
    assert browser.come_back(callback) == {"error": "temporarily_unavailable"}


def test_a_provider_that_does_not_answer_is_given_up(github: GitHubSimulator) -> None:
    http = OAuthHttp({github.host}, allows_http=True, seconds_max=0.3)
    url = f"{github.url}/login/oauth/authorize?{urlencode({'redirect_uri': REDIRECT_URIS['github']})}"
    callback = Browser(ModuleType("none")).consent(f"{url}&{urlencode(CLIENT)}", fault="slow")
    fields = {**github.access, "code": query_of(callback)["code"], "redirect_uri": REDIRECT_URIS["github"]}
    with pytest.raises(ProviderUnavailable, match="no answer"):
        http.post_form(f"{github.url}/login/oauth/access_token", {**fields, "code_verifier": VERIFIER})


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "https://github.com.evil.example/", "http://github.com/"])
def test_only_the_providers_own_hosts_are_called_and_by_tls(url: str) -> None:
    with pytest.raises(ProviderRefused, match="not the provider's"):
        OAuthHttp({"github.com"}, allows_http=False).get(url)


def test_keys_that_were_rotated_are_read_anew(browser: Browser, google: GoogleSimulator) -> None:
    browser.sign_in()
    before = key_reads(google)
    # An unknown key is looked for once in half a minute at most, so the next worker finds it.
    clear_wiring_caches(clients=False)
    assert "code" in browser.come_back(browser.consent(browser.start(), fault="rotate"))
    assert "code" in browser.come_back(browser.consent(browser.start()))
    assert browser.come_back(browser.consent(browser.start(), fault="unknown_key")) == {"error": "invalid_response"}
    assert key_reads(google) == before + 1


@pytest.mark.parametrize(
    ("provider", "fault"),
    [
        ("google", "unverified"),
        ("google", "verified_text"),
        ("google", "no_email"),
        ("github", "unverified"),
        ("github", "other_verified"),
        ("github", "no_email"),
        ("github", "hidden"),
    ],
)
def test_an_address_that_the_provider_does_not_vouch_for_is_refused_with_words(
    browser: Browser, provider: str, fault: str, deployed: Tables
) -> None:
    reply = browser.exchange(browser.code(provider, fault=fault))
    assert error_of(reply) == (403, "FORBIDDEN")
    assert json.loads(reply["body"])["details"] == {"reason": "provider_email_not_verified"}
    assert "Verify it at" in json.loads(reply["body"])["message"]
    assert not accounts(deployed)


def test_a_linked_login_signs_in_whatever_its_address_is_now(browser: Browser) -> None:
    first = browser.sign_in("google")
    again = success_data(browser.exchange(browser.code("google", fault="no_email")))
    assert again["user"]["id"] == first["user"]["id"]


# ---- attacks ---------------------------------------------------------------------------------------------------------


def test_a_code_of_google_is_refused_at_githubs_callback(browser: Browser) -> None:
    """Mix-up: the state belongs to one provider, and each has its own callback."""
    callback = browser.consent(browser.start("google"))
    mixed = callback.replace("/google/", "/github/")
    assert error_of(browser.callback(mixed)) == (400, "BAD_REQUEST")
    # Nothing was used up by it.
    assert "code" in browser.come_back(callback)


def test_somebody_elses_code_with_my_state_is_refused(app: ModuleType) -> None:
    """Code injection: the code belongs to another PKCE challenge and another nonce."""
    victim, attacker = Browser(app), Browser(app)
    stolen = query_of(victim.consent(victim.start()))["code"]
    mine = query_of(attacker.consent(attacker.start(), "eve@example.com"))
    parameters = urlencode({**mine, "code": stolen})
    callback = f"{REDIRECT_URIS['google']}?{parameters}"
    assert attacker.come_back(callback) == {"error": "invalid_response"}


def test_a_state_is_used_once(browser: Browser) -> None:
    callback = browser.consent(browser.start())
    assert "code" in browser.come_back(callback)
    assert browser.come_back(callback) == {"error": "expired"}


def test_parallel_callbacks_with_one_state_ask_the_provider_once(browser: Browser, google: GoogleSimulator) -> None:
    callback = browser.consent(browser.start())
    before = len([call for call in google.calls if call["path"] == "/token"])
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(browser.come_back, [callback] * 4))
    assert sorted(map(str, map(list, answers))) == ["['code']", *3 * ["['error']"]]
    assert len([call for call in google.calls if call["path"] == "/token"]) == before + 1


@pytest.mark.parametrize("cookie", [None, "A" * 43, ""])
def test_a_callback_in_another_browser_is_refused(app: ModuleType, cookie: str | None, deployed: Tables) -> None:
    """Login CSRF: the victim's browser is sent to the attacker's callback."""
    attacker = Browser(app)
    callback = attacker.consent(attacker.start(), "eve@example.com")
    victim = Browser(app, {} if cookie is None else {COOKIE: cookie})
    assert error_of(victim.callback(callback)) == (400, "BAD_REQUEST")
    # The cookie of a visit of its own does not fit either.
    victim.start()
    assert error_of(victim.callback(callback)) == (400, "BAD_REQUEST")
    assert not accounts(deployed)


@pytest.mark.parametrize("state", ["", "x", "A" * 43, "A" * 200])
def test_an_invented_state_is_refused(browser: Browser, state: str) -> None:
    browser.start()
    reply = browser.callback(f"/api/auth/oauth/google/callback?code=x&state={state}")
    assert error_of(reply) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(("minutes", "answer"), [(9.9, "code"), (10, "error")])
def test_a_visit_ends_after_ten_minutes(browser: Browser, minutes: float, answer: str) -> None:
    callback = browser.consent(browser.start("github"))
    turn_clock(browser.app, minutes=minutes)
    assert list(browser.come_back(callback)) == [answer]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "https://app.example.com.evil.example/",
        "https://evil.example/https://app.example.com/",
        "https://app.example.com@evil.example/",
        "https://user:pass@app.example.com/",
        "https://app.example.com:8443/",
        "http://app.example.com/",
        "https://APP.example.com/",
        "https://app.example.com\\@evil.example/",
        "https:\\\\evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/\t/evil.example/",
        "https://app.example.com/a b",
        "https://app.example.com/\r\nSet-Cookie: a=b",
        "https://app.example.com/ü",
        "https://app.example.com/#code=1",
        "https://app.example.com?code=1",
        "https://app.example.com/?code=1",
        "https://app.example.com/?a=1&error=2",
        "https://app.example.com/?%63ode=1",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://",
        "app.example.com",
        "https://app.example.com/" + "a" * 1000,
    ],
)
def test_a_page_that_is_not_ours_is_no_target(browser: Browser, target: str) -> None:
    reply = browser.call(f"GET /api/auth/oauth/google/start?{urlencode({'redirect_to': target})}")
    assert error_of(reply) == (422, "VALIDATION_FAILED")
    assert reply["cookies"] == []


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("/", f"{PUBLIC_URL}/?code="),
        ("/a/b?c=d", f"{PUBLIC_URL}/a/b?c=d&code="),
        (f"{FRONTEND}/in", f"{FRONTEND}/in?code="),
        (f"{FRONTEND}", f"{FRONTEND}/?code="),
        ("http://localhost:5173/in?next=%2Fx", "http://localhost:5173/in?next=%2Fx&code="),
    ],
)
def test_the_browser_goes_on_to_pages_of_the_deployment_and_its_frontends(
    browser: Browser, target: str, address: str
) -> None:
    reply = browser.callback(browser.consent(browser.start(redirect_to=target)))
    assert reply["headers"]["Location"].startswith(address)


# ---- the exchange ----------------------------------------------------------------------------------------------------


def test_a_code_is_exchanged_once_and_by_its_own_browser(app: ModuleType) -> None:
    browser = Browser(app)
    code = browser.code()
    for other in (Browser(app), Browser(app, {COOKIE: "A" * 43})):
        assert error_of(other.exchange(code)) == (401, "UNAUTHENTICATED")
    assert browser.exchange(code)["statusCode"] == 200
    assert error_of(browser.exchange(code)) == (401, "UNAUTHENTICATED")
    assert error_of(browser.exchange("A" * 43)) == (401, "UNAUTHENTICATED")


def test_parallel_exchanges_of_one_code_open_one_session(browser: Browser, deployed: Tables) -> None:
    code = browser.code()
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(reply["statusCode"] for reply in pool.map(browser.exchange, [code] * 4))
    assert statuses == [200, 401, 401, 401]
    assert len([item for item in items(deployed) if item["sk"]["S"].startswith("session#")]) == 1


def test_a_code_ends_after_a_minute(browser: Browser) -> None:
    code = browser.code()
    turn_clock(browser.app, seconds=60)
    assert error_of(browser.exchange(code)) == (401, "UNAUTHENTICATED")


def test_a_frontend_of_another_site_uses_a_verifier_in_place_of_the_cookie(app: ModuleType) -> None:
    challenge = s256_challenge(VERIFIER)
    browser, frontend = Browser(app), Browser(app)
    for wrong in ({}, {"verifier": "w" * 43}):
        code = browser.come_back(browser.consent(browser.start(challenge=challenge)))["code"]
        assert error_of(browser.exchange(code, **wrong)) == (401, "UNAUTHENTICATED")
    code = browser.come_back(browser.consent(browser.start(challenge=challenge)))["code"]
    assert frontend.exchange(code, verifier=VERIFIER)["statusCode"] == 200


@pytest.mark.parametrize(("origin", "status"), [("https://evil.example", 403), (FRONTEND, 200), (PUBLIC_URL, 200)])
def test_a_page_of_another_site_signs_nobody_in(browser: Browser, origin: str, status: int) -> None:
    code = browser.code()
    body = {"code": code, "token_delivery": "cookie"}
    reply = browser.call("POST /api/auth/oauth/exchange", body, origin=origin)
    assert reply["statusCode"] == status
    assert [cookie.partition("=")[0] for cookie in reply["cookies"]] == ["__Host-atelier-refresh"] * (status == 200)


def test_parallel_first_sign_ins_of_one_person_make_one_account(app: ModuleType, deployed: Tables) -> None:
    browsers = [Browser(app) for _ in range(4)]
    codes = [browser.code() for browser in browsers]
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(Browser.exchange, browsers, codes))
    assert [reply["statusCode"] for reply in replies] == [200] * 4
    assert len({success_data(reply)["user"]["id"] for reply in replies}) == 1
    assert len(accounts(deployed)) == 1


def test_an_account_that_a_parallel_sign_in_made_between_two_reads_is_entered(
    app: ModuleType, deployed: Tables
) -> None:
    first, second = Browser(app), Browser(app)
    codes = first.code(), second.code()
    with before_first_request(lambda: first.exchange(codes[0]), "GetItem", f"email#{EMAIL}"):
        reply = second.exchange(codes[1])
    assert success_data(reply)["user"]["email"] == EMAIL
    assert len(accounts(deployed)) == 1


def test_new_accounts_are_counted_for_their_address(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_RATE_SIGN_UPS_PER_ADDRESS", "1")
    clear_wiring_caches(clients=False)
    assert browser.exchange(browser.code())["statusCode"] == 200
    assert error_of(browser.exchange(browser.code("google", "eve@example.com"))) == (429, "RATE_LIMITED")
    assert browser.exchange(browser.code())["statusCode"] == 200


def test_the_mailboxs_daily_credits_go_to_the_account_with_the_verified_address(
    browser: Browser, deployed: Tables
) -> None:
    tagged = sign_up("ada+squatter@example.com")
    data = browser.sign_in()
    second = Browser(browser.app).sign_in("google", "ada+second@example.com")
    states = {
        item["pk"]["S"]: item.get("mailbox", {"S": "eligible"})["S"]
        for item in items(deployed, "ledger")
        if item["sk"]["S"] == "wallet"
    }
    found = [states[each["workspace"]["id"]] for each in (tagged, data, second)]
    assert found == ["shared", "eligible", "shared"]


# ---- accounts that exist ---------------------------------------------------------------------------------------------


def link_ticket(browser: Browser, provider: str = "google") -> str:
    data = success_data(browser.exchange(browser.code(provider)))
    assert data["link_required"] is True
    return str(data["link_ticket"])


def by_password(browser: Browser, ticket: str, password: str = PASSWORD) -> Reply:
    body = {"link_ticket": ticket, "password": password, "token_delivery": "body"}
    return browser.call("POST /api/auth/oauth/link", body)


@pytest.mark.parametrize("verified", [True, False])
def test_a_login_with_the_address_of_an_account_is_not_linked_silently(
    browser: Browser, deployed: Tables, verified: bool
) -> None:
    """Pre-registration: whoever made the account does not get the person who proves the address later."""
    sign_up()
    if verified:
        verify()
    reply = browser.exchange(browser.code())
    data = success_data(reply)
    assert set(data) == {"link_required", "link_ticket", "provider", "email", "has_password", "by_mail"}
    assert (data["email"], data["has_password"]) == (EMAIL, True)
    assert reply["cookies"] == []
    assert not [item for item in items(deployed) if "login#" in item["pk"]["S"] + item["sk"]["S"]]


@pytest.mark.parametrize("verified", [True, False])
def test_the_accounts_password_links_the_login_and_signs_in(browser: Browser, verified: bool) -> None:
    account = sign_up()
    if verified:
        verify()
    ticket = link_ticket(browser)
    assert error_of(by_password(browser, ticket, "not the password")) == (401, "UNAUTHENTICATED")
    data = success_data(by_password(browser, ticket))
    assert data["user"]["id"] == account["user"]["id"]
    assert error_of(by_password(browser, ticket)) == (401, "UNAUTHENTICATED")
    again = Browser(browser.app).sign_in()
    assert again["user"]["id"] == account["user"]["id"]
    assert again["user"]["email_verified"] is True
    assert log_in() == 200


def test_guesses_at_the_password_are_limited_before_they_are_hashed(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_RATE_SIGN_INS_PER_ACCOUNT", "3")
    clear_wiring_caches(clients=False)
    sign_up()
    ticket = link_ticket(browser)
    statuses = [by_password(browser, ticket, "not the password")["statusCode"] for _ in range(3)]
    assert statuses[-1] == 429
    assert by_password(browser, ticket)["statusCode"] == 429


def test_a_ticket_ends_after_half_an_hour_and_is_no_code(browser: Browser) -> None:
    sign_up()
    ticket = link_ticket(browser)
    assert error_of(browser.exchange(ticket)) == (401, "UNAUTHENTICATED")
    assert error_of(by_password(browser, browser.code())) == (401, "UNAUTHENTICATED")
    turn_clock(browser.app, minutes=30)
    assert error_of(by_password(browser, ticket)) == (401, "UNAUTHENTICATED")


def test_an_account_without_a_password_cannot_be_guessed(browser: Browser) -> None:
    browser.sign_in("github")
    other = Browser(browser.app)
    data = success_data(other.exchange(other.code("google")))
    assert data["has_password"] is False
    for password in ("x", PASSWORD, "None"):
        assert error_of(by_password(other, data["link_ticket"], password)) == (401, "UNAUTHENTICATED")
    assert log_in() == 401


def test_a_suspended_account_is_refused_whatever_the_way(browser: Browser, deployed: Tables) -> None:
    user_id = browser.sign_in()["user"]["id"]
    key = {"pk": {"S": user_id}, "sk": {"S": "profile"}}
    client("dynamodb").update_item(
        TableName=deployed.identity,
        Key=key,
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": {"S": "suspended"}},
    )
    assert error_of(browser.exchange(browser.code())) == (401, "UNAUTHENTICATED")
    assert error_of(by_password(browser, link_ticket(browser, "github"))) == (401, "UNAUTHENTICATED")


def mail_token(tables: Tables, user_id: str) -> str:
    """The token of the link in the last mail; the test knows the deployment's key."""
    sent = [each for each in items(tables) if each.get("mail_kind", {}).get("S") == "link_login"]
    last = max(sent, key=lambda each: each["link_id"]["S"])
    assert last["pk"]["S"] == user_id
    assert last["to"]["S"] == EMAIL
    return LinkKey(bytes.fromhex(LINKS_KEY)).token(Link("link_login", user_id, last["link_id"]["S"]))


def ask_for_mail(browser: Browser, ticket: str) -> int:
    return int(browser.call("POST /api/auth/oauth/link/mail", {"link_ticket": ticket})["statusCode"])


def confirm(browser: Browser, token: str, **more: str) -> Reply:
    body = {"token": token, "token_delivery": "body", **more}
    return browser.call("POST /api/auth/oauth/link/confirm", body)


def test_a_link_in_a_mail_links_the_login_of_a_verified_account(browser: Browser, deployed: Tables) -> None:
    user_id = sign_up()["user"]["id"]
    verify()
    ticket = link_ticket(browser)
    assert ask_for_mail(browser, ticket) == 202
    token = mail_token(deployed, user_id)
    assert success_data(confirm(browser, token))["user"]["id"] == user_id
    assert error_of(confirm(browser, token)) == (422, "VALIDATION_FAILED")
    assert Browser(browser.app).sign_in()["user"]["id"] == user_id
    # The account was its owner's: nothing of it has ended.
    assert log_in() == 200


def test_a_link_in_a_mail_works_in_the_browser_that_began_alone(app: ModuleType, deployed: Tables) -> None:
    """The attacker has a login with the owner's address, and lets the owner press the link."""
    user_id = sign_up()["user"]["id"]
    verify()
    attacker, owner = Browser(app), Browser(app)
    ticket = link_ticket(attacker)
    ask_for_mail(attacker, ticket)
    token = mail_token(deployed, user_id)
    assert error_of(confirm(owner, token)) == (401, "UNAUTHENTICATED")
    owner.start()
    assert error_of(confirm(owner, token)) == (401, "UNAUTHENTICATED")
    assert error_of(confirm(owner, token, link_ticket="A" * 43)) == (401, "UNAUTHENTICATED")
    own_ticket = link_ticket(owner)
    assert error_of(confirm(owner, token, link_ticket=own_ticket)) == (401, "UNAUTHENTICATED")
    # A frontend of another site sends no cookie; it shows its ticket.
    assert "access_token" in success_data(confirm(Browser(app), token, link_ticket=ticket))


def test_a_pre_registered_account_is_taken_over_only_after_all_ways_in_have_ended(
    app: ModuleType, deployed: Tables
) -> None:
    """Pre-registration: the attacker has signed up with the owner's address; there are a session, a token, a factor."""
    attacker = Browser(app)
    attacker.remember(sign_up(name="Mallory"))
    assert attacker.claims is not None
    user_id, workspace_id = attacker.claims["user_id"], attacker.claims["workspace_id"]
    new = NewToken(workspace_id, user_id, Role.OWNER, "all", ("all",), None)
    issued = tokens.issue(new, Origin(), system_clock())
    with_second_factor(deployed, user_id)
    owner = Browser(app)
    ticket = link_ticket(owner)
    assert ask_for_mail(owner, ticket) == 202
    data = success_data(confirm(owner, mail_token(deployed, user_id)))
    assert (data["user"]["id"], data["user"]["email_verified"]) == (user_id, True)

    assert log_in() == 401
    assert error_of(attacker.call("POST /api/auth/identities/google", {})) == (401, "UNAUTHENTICATED")
    token_claims = {**attacker.claims, "token_id": issued.token.id}
    del token_claims["session_id"]
    program = Browser(app, claims=token_claims)
    assert error_of(program.call("GET /api/auth/identities")) == (401, "UNAUTHENTICATED")
    owner.remember(data)
    [link] = success_data(owner.call("GET /api/auth/identities"))["items"]
    assert link["provider"] == "google"
    assert error_of(owner.call("DELETE /api/auth/identities/google")) == (409, "CONFLICT")
    assert Browser(app).sign_in()["user"]["id"] == user_id


def test_a_take_over_that_was_interrupted_is_finished_by_the_next_link(browser: Browser, deployed: Tables) -> None:
    user_id = sign_up()["user"]["id"]
    ticket = link_ticket(browser)
    ask_for_mail(browser, ticket)
    token = mail_token(deployed, user_id)
    user, pending = identity.accounts().user(user_id), DynamoPendingLinks().pending(user_id, "link_login")
    assert user is not None
    assert pending is not None
    DynamoExternalLogins().remove_ways_in(user, pending, system_clock())
    assert log_in() == 401
    assert error_of(confirm(browser, token)) == (422, "VALIDATION_FAILED")
    ask_for_mail(browser, ticket)
    assert success_data(confirm(browser, mail_token(deployed, user_id)))["user"]["id"] == user_id


INVENTED = "usr_01M7XCN60QCB8JGMC722TFVM7C.lnk_01M7XCN60QCB8JGMC722TFVM7C." + "A" * 43


@pytest.mark.parametrize("token", ["", "x", INVENTED])
def test_an_invented_link_is_refused(browser: Browser, token: str) -> None:
    browser.start()
    assert error_of(confirm(browser, token)) == (422, "VALIDATION_FAILED")


def test_a_link_of_another_purpose_or_an_ended_one_links_nothing(browser: Browser, deployed: Tables) -> None:
    user_id = sign_up()["user"]["id"]
    ask_for_mail(browser, link_ticket(browser))
    token = mail_token(deployed, user_id)
    link_id = token.split(".")[1]
    other = LinkKey(bytes.fromhex(LINKS_KEY)).token(Link("verify_email", user_id, link_id))
    assert error_of(confirm(browser, other)) == (422, "VALIDATION_FAILED")
    turn_clock(browser.app, minutes=30)
    assert error_of(confirm(browser, token)) == (422, "VALIDATION_FAILED")


@pytest.mark.parametrize("verified", [True, False])
def test_two_confirmations_at_once_link_once(browser: Browser, deployed: Tables, verified: bool) -> None:
    user_id = sign_up()["user"]["id"]
    if verified:
        verify()
    ask_for_mail(browser, link_ticket(browser))
    token = mail_token(deployed, user_id)
    with ThreadPoolExecutor(3) as pool:
        statuses = [reply["statusCode"] for reply in pool.map(confirm, [browser] * 3, [token] * 3)]
    assert 200 in statuses
    assert set(statuses) <= {200, 422}
    events = [item["action"]["S"] for item in items(deployed, "audit") if item["pk"]["S"] == user_id]
    assert events.count("identity.linked") == 1
    assert Browser(browser.app).sign_in()["user"]["id"] == user_id


def with_second_factor(tables: Tables, user_id: str) -> None:
    """Gives an account a confirmed authenticator."""
    client("dynamodb").update_item(
        TableName=tables.identity,
        Key={"pk": {"S": user_id}, "sk": {"S": "profile"}},
        UpdateExpression="SET totp = :t",
        ExpressionAttributeValues={":t": {"S": "fac_01M7XCN60QZZZZZZZZZZZZZZZZ"}},
    )


def with_proof(tables: Tables, claims: dict[str, Any]) -> None:
    """Lets a session have proven the second factor just now."""
    client("dynamodb").update_item(
        TableName=tables.identity,
        Key={"pk": {"S": claims["user_id"]}, "sk": {"S": f"session#{claims['session_id']}"}},
        UpdateExpression="SET mfa_at = :n",
        ExpressionAttributeValues={":n": {"S": rfc3339(system_clock())}},
    )


def test_an_external_login_does_not_replace_the_second_factor(browser: Browser, deployed: Tables) -> None:
    with_second_factor(deployed, browser.sign_in()["user"]["id"])
    reply = browser.exchange(browser.code(), token_delivery="cookie")
    data = success_data(reply)
    assert set(data) == {"mfa_required", "mfa_ticket", "factors", "expires_in"}
    assert data["factors"] == ["totp"]
    assert reply["cookies"] == []


def test_an_account_with_a_second_factor_is_linked_only_after_it(app: ModuleType, deployed: Tables) -> None:
    """Whoever has stolen the password must not add a way of their own."""
    owner = signed_up(app)
    assert owner.claims is not None
    with_second_factor(deployed, owner.claims["user_id"])
    browser = Browser(app)
    ticket = link_ticket(browser)
    assert "mfa_ticket" in success_data(by_password(browser, ticket))
    assert success_data(browser.exchange(browser.code()))["link_required"] is True
    # The session with the second factor may use the ticket; this one has not proven it.
    reply = owner.call("POST /api/auth/identities", {"link_ticket": ticket})
    assert error_of(reply) == (403, "STEP_UP_REQUIRED")


def test_a_mail_links_an_account_with_a_second_factor_after_it(app: ModuleType, deployed: Tables) -> None:
    owner, stranger, browser = signed_up(app), signed_up(app, "eve@example.com"), Browser(app)
    assert owner.claims is not None
    user_id = owner.claims["user_id"]
    verify()
    with_second_factor(deployed, user_id)
    ask_for_mail(browser, link_ticket(browser))
    token = mail_token(deployed, user_id)
    assert "mfa_ticket" in success_data(confirm(browser, token))
    link = "POST /api/auth/identities"
    assert error_of(owner.call(link, {"token": token})) == (403, "STEP_UP_REQUIRED")
    with_proof(deployed, owner.claims)
    # Signed in with both factors, the token of the mail links it: for its owner, in the browser that began.
    assert error_of(owner.call(link, {"token": token})) == (401, "UNAUTHENTICATED")
    stranger.cookies = dict(browser.cookies)
    assert error_of(stranger.call(link, {"token": token})) == (422, "VALIDATION_FAILED")
    browser.claims = owner.claims
    assert success_data(browser.call(link, {"token": token}))["provider"] == "google"
    assert error_of(browser.call(link, {"token": token})) == (422, "VALIDATION_FAILED")


def test_a_ticket_links_the_login_to_its_own_account_only(app: ModuleType) -> None:
    owner, stranger, browser = signed_up(app), signed_up(app, "eve@example.com"), Browser(app)
    ticket = link_ticket(browser)
    body = {"link_ticket": ticket}
    assert error_of(stranger.call("POST /api/auth/identities", body)) == (401, "UNAUTHENTICATED")
    assert owner.call("POST /api/auth/identities", body)["statusCode"] == 200
    assert error_of(owner.call("POST /api/auth/identities", body)) == (401, "UNAUTHENTICATED")
    assert "access_token" in browser.sign_in()


# ---- linking from the account's own pages ----------------------------------------------------------------------------


def test_a_signed_in_person_links_lists_and_unlinks_logins(app: ModuleType, deployed: Tables) -> None:
    browser = signed_up(app)
    assert success_data(browser.call("GET /api/auth/identities")) == {"items": []}
    linked = success_data(browser.link("google", "ada.at.google@example.com"))
    assert linked["label"] == "ada.at.google@example.com"
    browser.link("github", "ada@users.example.com", "unverified")
    found = success_data(browser.call("GET /api/auth/identities"))["items"]
    assert [each["provider"] for each in found] == ["github", "google"]
    signed_in = Browser(app).sign_in("google", "ada.at.google@example.com")
    assert signed_in["user"]["email"] == EMAIL
    assert browser.call("DELETE /api/auth/identities/google")["statusCode"] == 204
    assert error_of(browser.call("DELETE /api/auth/identities/google")) == (404, "NOT_FOUND")
    stranger = Browser(app).sign_in("google", "ada.at.google@example.com")
    assert stranger["user"]["id"] != signed_in["user"]["id"]
    events = [item["action"]["S"] for item in items(deployed, "audit") if item["pk"]["S"] == signed_in["user"]["id"]]
    assert sorted(event for event in events if event.startswith("identity.")) == [
        *2 * ["identity.linked"],
        "identity.unlinked",
    ]


def test_a_link_that_another_account_began_is_refused(app: ModuleType) -> None:
    """CSRF: the attacker's visit ends in the victim's browser, or the victim's code in the attacker's account."""
    attacker, victim = signed_up(app, "eve@example.com"), signed_up(app)
    callback = attacker.consent(attacker.begin_link(), "eve@example.com")
    assert error_of(victim.callback(callback)) == (400, "BAD_REQUEST")
    code = attacker.come_back(callback)["code"]
    assert error_of(victim.call("POST /api/auth/identities", {"code": code})) == (401, "UNAUTHENTICATED")
    # With the attacker's cookie too, since the account is another one.
    victim.cookies = dict(attacker.cookies)
    assert error_of(victim.call("POST /api/auth/identities", {"code": code})) == (401, "UNAUTHENTICATED")
    # A code for a link opens no session, and a code for a session links nothing.
    assert error_of(attacker.exchange(code)) == (401, "UNAUTHENTICATED")
    sign_in = victim.code()
    assert error_of(victim.call("POST /api/auth/identities", {"code": sign_in})) == (401, "UNAUTHENTICATED")


def test_a_login_opens_one_account_and_an_account_has_one_of_each_provider(app: ModuleType) -> None:
    ada, eve = signed_up(app), signed_up(app, "eve@example.com")
    assert ada.link("google", "ada@example.com")["statusCode"] == 200
    assert ada.link("google", "ada@example.com")["statusCode"] == 200
    taken = eve.link("google", "ada@example.com")
    assert error_of(taken) == (409, "CONFLICT")
    assert "another account here" in json.loads(taken["body"])["message"]
    second = ada.link("google", "second@example.com")
    assert error_of(second) == (409, "CONFLICT")
    assert "Unlink it first" in json.loads(second["body"])["message"]


def test_an_unverified_account_takes_no_login_but_one_that_proves_its_address(app: ModuleType) -> None:
    """Pre-registration, the other way: the attacker's own login would outlive the owner's new password."""
    browser = Browser(app)
    browser.remember(sign_up())
    for email, fault in (("eve@example.com", ""), (EMAIL, "unverified")):
        reply = browser.link("google", email, fault)
        assert error_of(reply) == (403, "FORBIDDEN")
        assert json.loads(reply["body"])["details"]["reason"] == "email_not_verified"
    assert browser.link("google", EMAIL)["statusCode"] == 200
    assert Browser(app).sign_in()["user"]["email_verified"] is True


def test_the_last_way_in_stays(browser: Browser) -> None:
    browser.sign_in("google")
    assert error_of(browser.call("DELETE /api/auth/identities/google")) == (409, "CONFLICT")
    assert browser.link("github")["statusCode"] == 200
    assert browser.call("DELETE /api/auth/identities/google")["statusCode"] == 204
    assert error_of(browser.call("DELETE /api/auth/identities/github")) == (409, "CONFLICT")
    assert Browser(browser.app).sign_in("github")["user"]["email"] == EMAIL


def test_of_two_removals_at_once_one_is_refused(browser: Browser) -> None:
    browser.sign_in("google")
    browser.link("github")
    paths = [f"DELETE /api/auth/identities/{provider}" for provider in ("google", "github")]
    with ThreadPoolExecutor(2) as pool:
        statuses = sorted(reply["statusCode"] for reply in pool.map(browser.call, paths))
    assert statuses == [204, 409]
    assert len(success_data(browser.call("GET /api/auth/identities"))["items"]) == 1


def test_an_account_with_a_password_may_unlink_its_only_login(app: ModuleType) -> None:
    browser = signed_up(app)
    browser.link()
    assert browser.call("DELETE /api/auth/identities/google")["statusCode"] == 204


@pytest.mark.parametrize(
    "request_line",
    ["GET /api/auth/identities", "POST /api/auth/identities/google", "DELETE /api/auth/identities/google"],
)
def test_identities_need_a_session_and_no_api_token_has_them(app: ModuleType, request_line: str) -> None:
    body = {} if request_line.startswith("POST") else None
    assert error_of(Browser(app).call(request_line, body)) == (401, "UNAUTHENTICATED")
    browser = signed_up(app)
    assert browser.claims is not None
    new = NewToken(browser.claims["workspace_id"], browser.claims["user_id"], Role.OWNER, "all", ("all", "read"), None)
    issued = tokens.issue(new, Origin(), system_clock())
    claims = {**browser.claims, "token_id": issued.token.id}
    del claims["session_id"]
    assert error_of(Browser(app, claims=claims).call(request_line, body)) == (403, "FORBIDDEN")
