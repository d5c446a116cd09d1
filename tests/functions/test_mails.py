"""Mails: requested with what they report, sent by the table's stream, and what their links and codes do."""

from __future__ import annotations

import io
import json
import uuid
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.mails.ports import MailOutcome
from tests.embedded_aws import Tables, clear_wiring_caches
from tests.functions.mail_inbox import code_of, inbox, send_mails, stream_event, token_of, verify_sender
from tests.functions.responses import Reply, error_of, invoke_app, success_data
from tests.invoke import event, load_function, with_request

SENDER = "mail@atelier.example"


@pytest.fixture(autouse=True)
def sending(deployed: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    verify_sender(SENDER)
    monkeypatch.setenv("ATELIER_MAIL_FROM", SENDER)
    # More than any test sends in a second.
    monkeypatch.setenv("ATELIER_MAILS_PER_SECOND", "1000")
    clear_wiring_caches(clients=False)


@pytest.fixture
def auth(deployed: Tables) -> ModuleType:
    return load_function("api/auth")


@pytest.fixture
def mailbox(deployed: Tables) -> ModuleType:
    return load_function("api/mailbox")


@pytest.fixture
def address() -> str:
    """An address that no other test uses: all tests share one inbox."""
    return f"ada-{uuid.uuid4().hex[:12]}@example.com"


def post(app: ModuleType, path: str, body: object, **headers: str) -> Reply:
    request = with_request(event("api/auth/signup"), f"POST /api/auth/{path}", "ANY /api/auth/{proxy+}", headers, body)
    return invoke_app(app, request)


def sign_up(auth: ModuleType, address: str, **headers: str) -> dict[str, Any]:
    person = {"email": address, "password": "correct horse battery", "name": "Ada", "token_delivery": "body"}
    answer: dict[str, Any] = success_data(post(auth, "signup", person, **headers))
    return answer


def test_a_sign_up_sends_a_mail_whose_link_verifies_the_address(
    auth: ModuleType, mailbox: ModuleType, deployed: Tables, emulator: str, address: str
) -> None:
    assert sign_up(auth, address)["user"]["email_verified"] is False
    send_mails(deployed.identity)
    [mail] = inbox(emulator, address)
    assert (mail["Source"], mail["Subject"]) == (f"Atelier <{SENDER}>", "Confirm your e-mail address")
    assert f"https://media.example.com/verify?token={token_of(mail)}" in mail["BodyHtml"]
    answer = success_data(post(mailbox, "verify-email", {"token": token_of(mail)}))
    assert answer == {"email": address, "email_verified": True}
    send_mails(deployed.identity)
    assert [mail["Subject"] for mail in inbox(emulator, address)][1:] == ["Welcome to Atelier"]


def test_mails_are_in_the_language_of_the_sign_up(
    auth: ModuleType, mailbox: ModuleType, deployed: Tables, emulator: str, address: str
) -> None:
    sign_up(auth, address, **{"accept-language": "de-CH,de;q=0.9,en;q=0.8"})
    send_mails(deployed.identity)
    [mail] = inbox(emulator, address)
    assert mail["Subject"] == "Bestätigen Sie Ihre E-Mail-Adresse"
    success_data(post(mailbox, "verify-email", {"token": token_of(mail)}))
    send_mails(deployed.identity)
    assert [mail["Subject"] for mail in inbox(emulator, address)][1:] == ["Willkommen bei Atelier"]


def test_the_code_of_a_mail_verifies_the_account_that_is_signed_in(
    auth: ModuleType, mailbox: ModuleType, deployed: Tables, emulator: str, address: str
) -> None:
    bearer = {"authorization": f"Bearer {sign_up(auth, address)['access_token']}"}
    send_mails(deployed.identity)
    [mail] = inbox(emulator, address)
    code = {"code": code_of(mail)}
    assert error_of(post(mailbox, "verify-email", code)) == (401, "UNAUTHENTICATED")
    assert success_data(post(mailbox, "verify-email", code, **bearer))["email_verified"] is True
    # Both of the mail's ways are used up together.
    assert error_of(post(mailbox, "verify-email", code, **bearer)) == (422, "VALIDATION_FAILED")
    assert error_of(post(mailbox, "verify-email", {"token": token_of(mail)})) == (422, "VALIDATION_FAILED")


def test_five_wrong_codes_end_the_code_and_leave_the_link(
    auth: ModuleType, mailbox: ModuleType, deployed: Tables, emulator: str, address: str
) -> None:
    bearer = {"authorization": f"Bearer {sign_up(auth, address)['access_token']}"}
    send_mails(deployed.identity)
    [mail] = inbox(emulator, address)
    code = code_of(mail)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for _ in range(5):
        refused = post(mailbox, "verify-email", {"code": wrong}, **bearer)
        assert json.loads(refused["body"])["details"]["fields"][0]["path"] == "code"
    assert error_of(post(mailbox, "verify-email", {"code": code}, **bearer)) == (422, "VALIDATION_FAILED")
    assert success_data(post(mailbox, "verify-email", {"token": token_of(mail)}))["email_verified"] is True


@pytest.mark.parametrize(
    "body", [{}, {"token": "x", "code": "123456"}, {"code": "12345"}, {"code": "１２３４５６"}, {"token": "a" * 200}]
)
def test_a_verification_takes_one_token_or_one_code(mailbox: ModuleType, body: dict[str, str]) -> None:
    assert error_of(post(mailbox, "verify-email", body)) == (422, "VALIDATION_FAILED")


def test_a_repeated_record_of_the_stream_sends_nothing_more(
    auth: ModuleType, deployed: Tables, emulator: str, address: str
) -> None:
    sign_up(auth, address)
    send_mails(deployed.identity)
    send_mails(deployed.identity)
    assert len(inbox(emulator, address)) == 1


def test_a_crash_after_the_sending_sends_the_same_mail_again(
    auth: ModuleType, deployed: Tables, emulator: str, address: str
) -> None:
    sign_up(auth, address)
    send_mails(deployed.identity)
    forget_outcomes(deployed.identity)
    send_mails(deployed.identity)
    first, second = inbox(emulator, address)
    assert all(first[part] == second[part] for part in ("Subject", "BodyText", "BodyHtml"))


def test_a_deployment_without_a_sender_sends_nothing(
    auth: ModuleType, deployed: Tables, emulator: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_MAIL_FROM", "")
    clear_wiring_caches(clients=False)
    sign_up(auth, address)
    send_mails(deployed.identity)
    assert inbox(emulator, address) == []
    assert outcomes(deployed.identity) == [MailOutcome.NOT_SENT]


def test_a_mail_that_ses_refuses_holds_up_no_other(
    auth: ModuleType, deployed: Tables, emulator: str, address: str, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    sign_up(auth, address)
    monkeypatch.setenv("ATELIER_MAIL_FROM", "nobody@unverified.example")
    clear_wiring_caches(clients=False)
    send_mails(deployed.identity)
    assert outcomes(deployed.identity) == [MailOutcome.REJECTED]
    assert "MessageRejected" in log.getvalue()
    assert address not in log.getvalue()


def test_no_link_and_no_code_is_in_a_table_or_in_the_log(
    auth: ModuleType, mailbox: ModuleType, deployed: Tables, emulator: str, address: str, log: io.StringIO
) -> None:
    sign_up(auth, address)
    send_mails(deployed.identity)
    [mail] = inbox(emulator, address)
    success_data(post(mailbox, "verify-email", {"token": token_of(mail)}))
    items = json.dumps(client("dynamodb").scan(TableName=deployed.identity)["Items"])
    secret_part = token_of(mail).rpartition(".")[2]
    for place in (items, log.getvalue()):
        assert secret_part not in place
        assert f'"{code_of(mail)}"' not in place


def outcomes(table: str) -> list[str | None]:
    """What became of the mails of a table."""
    items = (record["dynamodb"]["NewImage"] for record in stream_event(table)["Records"])
    return [item.get("outcome", {}).get("S") for item in items]


def forget_outcomes(table: str) -> None:
    """Puts the mails of a table back to the moment before their outcome was written."""
    for record in stream_event(table)["Records"]:
        client("dynamodb").update_item(
            TableName=table, Key=record["dynamodb"]["Keys"], UpdateExpression="REMOVE outcome, done_at"
        )
