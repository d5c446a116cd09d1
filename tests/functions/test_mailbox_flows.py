"""Forgotten passwords, changes of password and address: from the request to the mails, sessions and audit events."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.identity.external_logins import DynamoExternalLogins
from atelier.clock import system_clock
from atelier.identity.oauth.model import ExternalLogin
from atelier.wiring import identity
from tests.embedded_aws import Tables, clear_wiring_caches
from tests.functions.mail_inbox import code_of, inbox, send_mails, token_of, verify_sender
from tests.functions.responses import Reply, error_of, invoke_app, success_data
from tests.invoke import event, load_function, with_request

SENDER = "mail@atelier.example"
PASSWORD, NEW_PASSWORD = "correct horse battery", "a lighthouse at dusk"


@pytest.fixture(autouse=True)
def sending(deployed: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    verify_sender(SENDER)
    monkeypatch.setenv("ATELIER_MAIL_FROM", SENDER)
    monkeypatch.setenv("ATELIER_MAILS_PER_SECOND", "1000")
    monkeypatch.setenv("ATELIER_RATE_SIGN_INS_PER_ADDRESS", "1000")
    clear_wiring_caches(clients=False)


class Person:
    """Someone with an account. `mails`: subject → the last mail with it."""

    def __init__(self, deployed: Tables, emulator: str, name: str = "ada") -> None:
        self.table, self.emulator = deployed.identity, emulator
        self.email = f"{name}-{uuid.uuid4().hex[:12]}@example.com"
        self.auth, self.mailbox = load_function("api/auth"), load_function("api/mailbox")
        body = {"email": self.email, "password": PASSWORD, "name": "Ada", "token_delivery": "body"}
        self.access_token = success_data(post(self.auth, "signup", body))["access_token"]

    def log_in(self, password: str, email: str | None = None) -> Reply:
        body = {"email": email or self.email, "password": password, "token_delivery": "body"}
        return post(self.auth, "login", body)

    def call(self, path: str, body: object = None) -> Reply:
        """A call with the person's access token, as the gateway passes it on."""
        header = f"Bearer {self.access_token}"
        asked = event("authorizer/request", headers={"authorization": header}, identitySource=[header])
        claims = load_function("authorizer").handler(asked, None)["context"]
        request = with_request(
            event("api/auth/signup"), f"POST /api/auth/{path}", f"ANY /api/auth/{path}", {"authorization": header}, body
        )
        request["requestContext"]["authorizer"] = {"lambda": claims}
        return invoke_app(self.mailbox, request)

    def open(self, path: str, body: object) -> Reply:
        """A call of somebody who is not signed in."""
        return post(self.mailbox, path, body)

    def mail(self, subject: str, email: str | None = None) -> dict[str, Any]:
        """The last mail with this subject, after all that are waiting were sent."""
        send_mails(self.table)
        return [mail for mail in inbox(self.emulator, email or self.email) if mail["Subject"] == subject][-1]

    def is_signed_in(self, access_token: str) -> bool:
        self.access_token, kept = access_token, self.access_token
        answer = self.call("verify-email/resend")
        self.access_token = kept
        return answer["statusCode"] != 401


def post(app: ModuleType, path: str, body: object) -> Reply:
    request = with_request(event("api/auth/signup"), f"POST /api/auth/{path}", "ANY /api/auth/{proxy+}", {}, body)
    return invoke_app(app, request)


@pytest.fixture
def ada(deployed: Tables, emulator: str) -> Person:
    return Person(deployed, emulator)


def actions(deployed: Tables) -> list[str]:
    """The actions of all audit events."""
    items = client("dynamodb").scan(TableName=deployed.audit, ConsistentRead=True)["Items"]
    return sorted(item["action"]["S"] for item in items)


# ---- verification, sent again ----------------------------------------------------------------------------------------


def test_a_mail_that_is_sent_again_replaces_the_earlier_link(ada: Person) -> None:
    first = token_of(ada.mail("Confirm your e-mail address"))
    assert ada.call("verify-email/resend")["statusCode"] == 202
    second = token_of(ada.mail("Confirm your e-mail address"))
    assert error_of(ada.open("verify-email", {"token": first})) == (422, "VALIDATION_FAILED")
    assert success_data(ada.open("verify-email", {"token": second}))["email_verified"] is True
    assert error_of(ada.call("verify-email/resend")) == (409, "CONFLICT")


def test_mails_to_one_address_are_limited(ada: Person) -> None:
    for _ in range(5):
        assert ada.call("verify-email/resend")["statusCode"] == 202
    assert error_of(ada.call("verify-email/resend")) == (429, "RATE_LIMITED")
    assert error_of(ada.open("forgot-password", {"email": ada.email})) == (429, "RATE_LIMITED")


def test_without_a_sender_no_mail_is_promised(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_MAIL_FROM", "")
    clear_wiring_caches(clients=False)
    for path, body in (("verify-email/resend", None), ("change-email", {"email": "new@example.com"})):
        refused = ada.call(path, body)
        assert (error_of(refused), json.loads(refused["body"])["details"]) == ((409, "CONFLICT"), {"reason": "no_mail"})


# ---- a forgotten password --------------------------------------------------------------------------------------------


def test_a_forgotten_password_is_set_anew_and_ends_all_sessions(ada: Person, deployed: Tables) -> None:
    other = success_data(ada.log_in(PASSWORD))["access_token"]
    assert ada.open("forgot-password", {"email": ada.email.upper()})["statusCode"] == 202
    body = {"token": token_of(ada.mail("Set a new password")), "password": NEW_PASSWORD}
    assert success_data(ada.open("reset-password", body)) == {"identities": []}
    assert not ada.is_signed_in(ada.access_token)
    assert not ada.is_signed_in(other)
    assert error_of(ada.log_in(PASSWORD)) == (401, "UNAUTHENTICATED")
    signed_in = success_data(ada.log_in(NEW_PASSWORD))
    # Whoever opens the link has the mailbox.
    assert signed_in["user"]["email_verified"] is True
    assert "Your password was changed" in ada.mail("Your password was changed")["BodyText"]
    assert error_of(ada.open("reset-password", body)) == (422, "VALIDATION_FAILED")
    assert {"password.reset", "email.verified"} <= set(actions(deployed))


def test_an_address_without_an_account_is_answered_alike_and_gets_no_mail(
    ada: Person, emulator: str, deployed: Tables
) -> None:
    stranger = f"eve-{uuid.uuid4().hex[:12]}@example.com"
    known, known_calls = counted(lambda: ada.open("forgot-password", {"email": ada.email}))
    unknown, unknown_calls = counted(lambda: ada.open("forgot-password", {"email": stranger}))
    assert {**known, "headers": {}} == {**unknown, "headers": {}}
    assert known_calls == unknown_calls
    send_mails(deployed.identity)
    assert inbox(emulator, stranger) == []
    items = json.dumps(client("dynamodb").scan(TableName=deployed.identity)["Items"])
    assert stranger not in items


def test_of_two_resets_with_one_link_one_is_done(ada: Person) -> None:
    ada.open("forgot-password", {"email": ada.email})
    token = token_of(ada.mail("Set a new password"))
    passwords = [f"{NEW_PASSWORD} {number}" for number in range(6)]

    def reset(password: str) -> int:
        status: int = ada.open("reset-password", {"token": token, "password": password})["statusCode"]
        return status

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(reset, passwords))
    assert sorted(answers) == [200, 422, 422, 422, 422, 422]
    winner = passwords[answers.index(200)]
    assert ada.log_in(winner)["statusCode"] == 200


def test_a_new_password_leaves_external_logins_and_says_so(ada: Person) -> None:
    now, user_id = system_clock(), success_data(ada.log_in(PASSWORD))["user"]["id"]
    user = identity.accounts().user(user_id)
    assert user is not None
    for provider, label in (("google", ada.email), ("github", "ada-l")):
        login = ExternalLogin(provider, f"https://{provider}.example", ada.email, ada.email, True, "Ada", label)
        DynamoExternalLogins().link(user, login, now)
    ada.open("forgot-password", {"email": ada.email})
    body = {"token": token_of(ada.mail("Set a new password")), "password": NEW_PASSWORD}
    kept = success_data(ada.open("reset-password", body))["identities"]
    assert sorted((each["provider"], each["label"]) for each in kept) == [("github", "ada-l"), ("google", ada.email)]
    # So does the mail, with the page where they can be unlinked; and that of a change.
    body = {"current": NEW_PASSWORD, "new": PASSWORD}
    ada.access_token = success_data(ada.log_in(NEW_PASSWORD))["access_token"]
    assert ada.call("change-password", body)["statusCode"] == 204
    send_mails(ada.table)
    mails = [mail for mail in inbox(ada.emulator, ada.email) if mail["Subject"] == "Your password was changed"]
    assert len(mails) == 2
    for mail in mails:
        assert f"GitHub (ada-l), Google ({ada.email})" in mail["BodyText"]
        assert "/identities" in mail["BodyText"]


@pytest.mark.parametrize("password", ["short", "password1234", "Ada Ada Ada!"])
def test_a_new_password_obeys_the_policy(ada: Person, password: str) -> None:
    ada.open("forgot-password", {"email": ada.email})
    token = token_of(ada.mail("Set a new password"))
    refused = ada.open("reset-password", {"token": token, "password": password})
    assert json.loads(refused["body"])["details"]["fields"][0]["path"] == "password"
    assert ada.open("reset-password", {"token": token, "password": NEW_PASSWORD})["statusCode"] == 200


def test_a_link_serves_no_other_purpose(ada: Person) -> None:
    verification = token_of(ada.mail("Confirm your e-mail address"))
    ada.open("forgot-password", {"email": ada.email})
    reset = token_of(ada.mail("Set a new password"))
    for path, body in (
        ("reset-password", {"token": verification, "password": NEW_PASSWORD}),
        ("verify-email", {"token": reset}),
        ("change-email/confirm", {"token": verification}),
        ("change-email/undo", {"token": reset}),
    ):
        assert error_of(ada.open(path, body)) == (422, "VALIDATION_FAILED")


# ---- a new password --------------------------------------------------------------------------------------------------


def test_a_changed_password_keeps_this_session_and_ends_the_others(ada: Person, deployed: Tables) -> None:
    other = success_data(ada.log_in(PASSWORD))["access_token"]
    wrong = ada.call("change-password", {"current": "not the password", "new": NEW_PASSWORD})
    assert json.loads(wrong["body"])["details"]["fields"][0]["path"] == "current"
    assert ada.call("change-password", {"current": PASSWORD, "new": NEW_PASSWORD})["statusCode"] == 204
    assert ada.is_signed_in(ada.access_token)
    assert not ada.is_signed_in(other)
    assert ada.log_in(NEW_PASSWORD)["statusCode"] == 200
    assert ada.mail("Your password was changed")["To"] == [ada.email]
    assert "password.changed" in actions(deployed)


@pytest.mark.parametrize("way", ["reset", "change"])
def test_a_new_password_ends_the_links_that_somebody_else_may_have_caused(ada: Person, way: str) -> None:
    """A thief with a session has begun to move the account to an address of theirs, and has read a mail."""
    theirs = f"thief-{uuid.uuid4().hex[:12]}@example.com"
    assert ada.call("change-email", {"email": theirs})["statusCode"] == 202
    move = token_of(ada.mail("Confirm your new e-mail address", theirs))
    ada.open("forgot-password", {"email": ada.email})
    reset = token_of(ada.mail("Set a new password"))
    if way == "reset":
        assert ada.open("reset-password", {"token": reset, "password": NEW_PASSWORD})["statusCode"] == 200
    else:
        assert ada.call("change-password", {"current": PASSWORD, "new": NEW_PASSWORD})["statusCode"] == 204
    for path, body in (
        ("change-email/confirm", {"token": move}),
        ("reset-password", {"token": reset, "password": "another long one 1"}),
    ):
        assert error_of(ada.open(path, body)) == (422, "VALIDATION_FAILED")
    assert ada.log_in(NEW_PASSWORD)["statusCode"] == 200
    # The owner may still begin both.
    ada.open("forgot-password", {"email": ada.email})
    body = {"token": token_of(ada.mail("Set a new password")), "password": PASSWORD}
    assert ada.open("reset-password", body)["statusCode"] == 200


def test_guesses_of_the_present_password_are_limited(ada: Person) -> None:
    statuses = {
        ada.call("change-password", {"current": f"guess number {number}", "new": NEW_PASSWORD})["statusCode"]
        for number in range(12)
    }
    assert statuses == {422, 429}


# ---- another address -------------------------------------------------------------------------------------------------


def change_address(ada: Person) -> str:
    """Moves the account to a new address, which is returned."""
    new = f"new-{uuid.uuid4().hex[:12]}@example.com"
    assert ada.call("change-email", {"email": new})["statusCode"] == 202
    token = token_of(ada.mail("Confirm your new e-mail address", new))
    assert success_data(ada.open("change-email/confirm", {"token": token})) == {"email": new, "email_verified": True}
    return new


def test_an_address_changes_once_the_new_one_is_confirmed_and_both_learn_of_it(ada: Person, deployed: Tables) -> None:
    old = ada.email
    new = change_address(ada)
    assert ada.log_in(PASSWORD, new)["statusCode"] == 200
    assert error_of(ada.log_in(PASSWORD, old)) == (401, "UNAUTHENTICATED")
    assert new in ada.mail("Your e-mail address was changed", old)["BodyText"]
    assert old in ada.mail("Your account has a new e-mail address", new)["BodyText"]
    assert "email.changed" in actions(deployed)


def test_the_old_address_takes_a_change_back_and_ends_all_sessions(ada: Person, deployed: Tables) -> None:
    old = ada.email
    new = change_address(ada)
    token = token_of(ada.mail("Your e-mail address was changed", old))
    assert success_data(ada.open("change-email/undo", {"token": token})) == {"email": old, "email_verified": True}
    assert not ada.is_signed_in(ada.access_token)
    assert ada.log_in(PASSWORD, old)["statusCode"] == 200
    assert error_of(ada.log_in(PASSWORD, new)) == (401, "UNAUTHENTICATED")
    assert new in ada.mail("Your e-mail address is back", old)["BodyText"]
    assert error_of(ada.open("change-email/undo", {"token": token})) == (422, "VALIDATION_FAILED")
    assert "email.change_undone" in actions(deployed)


def test_nobody_takes_the_old_address_while_the_change_can_be_taken_back(ada: Person) -> None:
    change_address(ada)
    body = {"email": ada.email, "password": PASSWORD, "name": "Eve", "token_delivery": "body"}
    assert error_of(post(ada.auth, "signup", body)) == (409, "CONFLICT")
    refused = ada.call("change-email", {"email": f"third-{uuid.uuid4().hex[:8]}@example.com"})
    assert json.loads(refused["body"])["details"] == {"reason": "recent_change"}


def test_the_code_confirms_a_new_address_too(ada: Person) -> None:
    new = f"new-{uuid.uuid4().hex[:12]}@example.com"
    ada.call("change-email", {"email": new})
    code = code_of(ada.mail("Confirm your new e-mail address", new))
    assert error_of(ada.open("change-email/confirm", {"code": code})) == (401, "UNAUTHENTICATED")
    assert success_data(ada.call("change-email/confirm", {"code": code}))["email"] == new


def test_of_two_accounts_that_want_one_address_one_gets_it(ada: Person, deployed: Tables, emulator: str) -> None:
    bob = Person(deployed, emulator, "bob")
    wanted = f"new-{uuid.uuid4().hex[:12]}@example.com"
    tokens = []
    for person in (ada, bob):
        assert person.call("change-email", {"email": wanted})["statusCode"] == 202
        tokens.append(token_of(person.mail("Confirm your new e-mail address", wanted)))

    def confirm(token: str) -> int:
        status: int = ada.open("change-email/confirm", {"token": token})["statusCode"]
        return status

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(confirm, tokens)) == [200, 409]
    assert ada.log_in(PASSWORD, wanted)["statusCode"] == 200
    # The other account is as it was.
    answers = {person.log_in(PASSWORD)["statusCode"] for person in (ada, bob)}
    assert answers == {200, 401}


@pytest.mark.parametrize("whose", ["own", "anothers"])
def test_an_address_that_is_in_use_is_refused(ada: Person, deployed: Tables, emulator: str, whose: str) -> None:
    email = ada.email if whose == "own" else Person(deployed, emulator, "bob").email
    assert ada.call("change-email", {"email": email})["statusCode"] == (422 if whose == "own" else 409)


def test_a_reset_link_to_an_address_that_the_account_has_left_is_refused(ada: Person) -> None:
    ada.open("forgot-password", {"email": ada.email})
    token = token_of(ada.mail("Set a new password"))
    change_address(ada)
    refused = ada.open("reset-password", {"token": token, "password": NEW_PASSWORD})
    assert error_of(refused) == (422, "VALIDATION_FAILED")


def counted(call: Callable[[], Reply]) -> tuple[Reply, list[str]]:
    """The response of a call, and the names of the operations of DynamoDB that it took."""
    from atelier.adapters.aws.dynamodb import connection

    names: list[str] = []
    emitter = connection().client.meta.events
    emitter.register("before-call.dynamodb", lambda model, **_: names.append(model.name), unique_id="counted")
    try:
        return call(), names
    finally:
        emitter.unregister("before-call.dynamodb", unique_id="counted")
