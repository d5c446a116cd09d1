"""Daily credits are granted to a mailbox, not to an address or an account; if configured, only to a verified one."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.identity.items import IdentityItem
from atelier.adapters.aws.dynamodb.ledger.items import WalletItem
from infra.verify_email import verify
from tests.embedded_aws import Tables, clear_wiring_caches
from tests.functions.responses import authorized_event, invoke_app, success_data
from tests.invoke import event, load_function

DAILY = 50
PERSON = {"password": "correct horse battery", "name": "Ada", "token_delivery": "body"}


@pytest.fixture(autouse=True)
def everyone(deployed: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    gives_to("everyone", monkeypatch)


def gives_to(whom: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_DAILY_CREDITS", whom)
    clear_wiring_caches(clients=False)


def signed_up(email: str) -> dict[str, Any]:
    """The claims of a new account."""
    session = success_data(
        invoke_app(load_function("api/auth"), event("api/auth/signup", body={**PERSON, "email": email}))
    )
    header = f"Bearer {session['access_token']}"
    request = event("authorizer/request", headers={"authorization": header}, identitySource=[header])
    found: dict[str, Any] = load_function("authorizer").handler(request, None)["context"]
    return found


def balance(claims: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = success_data(
        invoke_app(load_function("api/credits"), authorized_event("api/credits/balance", claims))
    )
    return found


def test_plus_and_dot_addresses_of_one_mailbox_share_one_daily_grant() -> None:
    written = ["ada.king@gmail.com", "adaking@gmail.com", "a.d.a.k.i.n.g+1@googlemail.com", "ADA.KING+2@gmail.com"]
    balances = [balance(signed_up(email)) for email in written]
    assert [each["available"] for each in balances] == [DAILY, 0, 0, 0]
    assert [each["daily_credits_withheld"] for each in balances] == [None, *["mailbox_shared"] * 3]
    assert [each["next_daily_reset_at"] is None for each in balances] == [False, True, True, True]


def test_a_deleted_account_gets_no_second_daily_grant_after_signing_up_again() -> None:
    first = signed_up("ada@example.com")
    assert balance(first)["available"] == DAILY
    # What the deletion of an account removes: all items of the user and of the workspace.
    for partition in ("email#ada@example.com", first["user_id"], first["workspace_id"]):
        for item in list(IdentityItem.query(partition)):
            item.delete()
    WalletItem(first["workspace_id"], "wallet").delete()
    for email in ("ada@example.com", "ada+again@example.com"):
        assert balance(signed_up(email))["available"] == 0


def test_daily_credits_are_withheld_until_the_email_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    gives_to("verified", monkeypatch)
    claims = signed_up("ada@example.com")
    before = balance(claims)
    assert (before["available"], before["daily_credits_withheld"]) == (0, "email_unverified")
    assert before["next_daily_reset_at"] is None
    report = load_function("tasks/verify_email").handler({"email": "Ada@Example.com"}, None)
    assert report["user_id"] == claims["user_id"]
    assert load_function("tasks/verify_email").handler({"email": "ada@example.com"}, None) == report
    after = balance(claims)
    assert (after["available"], after["daily_credits_withheld"]) == (DAILY, None)
    assert after["next_daily_reset_at"]


def test_withheld_credits_are_granted_when_verification_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    gives_to("verified", monkeypatch)
    claims = signed_up("ada@example.com")
    assert balance(claims)["available"] == 0
    gives_to("everyone", monkeypatch)
    assert balance(claims)["available"] == DAILY


class Deployed:
    """CloudFormation's and Lambda's responses about the function that verifies an e-mail address."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def describe_stack_resource(self, **parameters: str) -> dict[str, Any]:
        self.calls.append(parameters)
        return {"StackResourceDetail": {"PhysicalResourceId": "atelier-verify"}}

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        self.calls.append(FunctionName)
        try:
            report = load_function("tasks/verify_email").handler(json.loads(Payload), None)
        except Exception as error:
            return {
                "FunctionError": "Unhandled",
                "Payload": io.BytesIO(json.dumps({"errorMessage": str(error)}).encode()),
            }
        return {"Payload": io.BytesIO(json.dumps(report).encode())}


def test_an_operator_verifies_an_email_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    aws, claims = Deployed(), signed_up("ada@example.com")
    assert verify("ada@example.com", "mine", cloudformation=aws, functions=aws) == 0
    assert claims["user_id"] in capsys.readouterr().out
    assert aws.calls == [{"StackName": "mine", "LogicalResourceId": "TasksVerifyEmailFunction"}, "atelier-verify"]
    assert verify("eve@example.com", "mine", cloudformation=aws, functions=aws) == 1
    assert "no account with this e-mail" in capsys.readouterr().err
