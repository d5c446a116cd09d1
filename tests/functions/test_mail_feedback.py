"""What SES reports of an address, and receipts for paid invoices."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.embedded_aws import Tables, clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.example_data import WORKSPACE
from tests.functions.mail_inbox import inbox, send_mails, verify_sender
from tests.functions.responses import authorized_event, error_of, invoke_app, success_data
from tests.invoke import event, load_function

SENDER = "mail@atelier.example"
BUYER = "of-the-examples@example.com"


@pytest.fixture(autouse=True)
def sending(deployed: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    verify_sender(SENDER)
    monkeypatch.setenv("ATELIER_MAILS_PER_SECOND", "1000")
    clear_wiring_caches(clients=False)


def report(address: str, **changes: str) -> None:
    """An event of SES about an address, with other values of its bounce."""
    reported = event("events/mail_feedback/bounced")
    reported["detail"]["bounce"] |= {"bouncedRecipients": [{"emailAddress": address.upper()}], **changes}
    load_function("events/mail_feedback").handler(reported, None)


@pytest.mark.parametrize(("kind", "mails"), [("Permanent", 0), ("Transient", 1)])
def test_an_address_that_bounced_for_good_gets_no_more_mails(
    deployed: Tables, emulator: str, kind: str, mails: int
) -> None:
    address = f"ada-{uuid.uuid4().hex[:12]}@example.com"
    report(address, bounceType=kind)
    report(address, bounceType=kind)
    body = {"email": address, "password": "correct horse battery", "name": "Ada", "token_delivery": "body"}
    success_data(invoke_app(load_function("api/auth"), event("api/auth/signup", body=body)))
    send_mails(deployed.identity)
    assert len(inbox(emulator, address)) == mails


def pay(**changes: object) -> None:
    """The event of a paid invoice, twice."""
    paid: dict[str, Any] = event("events/send_receipt/invoice_paid")
    paid["detail"] |= changes
    for _ in range(2):
        load_function("events/send_receipt").handler(paid, None)


def receipts(emulator: str, invoice: str) -> list[dict[str, Any]]:
    return [mail for mail in inbox(emulator, BUYER) if invoice in mail["BodyText"]]


@pytest.mark.parametrize(
    ("currency", "total", "tax", "text"),
    [
        ("usd", 2261, 361, "22.61 USD, of which 3.61 USD tax"),
        ("jpy", 1980, 180, "1,980 JPY, of which 180 JPY tax"),
        ("usd", 1000, 0, "10.00 USD."),
    ],
)
def test_a_paid_invoice_has_one_receipt_with_its_amounts(
    cloud: AwsResources, emulator: str, currency: str, total: int, tax: int, text: str
) -> None:
    invoice = f"in_{uuid.uuid4().hex}"
    pay(invoice_id=invoice, currency=currency, total=total, tax=tax, workspace_id=WORKSPACE)
    send_mails(cloud.tables.identity)
    [mail] = receipts(emulator, invoice)
    assert mail["Subject"] == "Your receipt from Atelier"
    assert text in mail["BodyText"]


def test_a_paid_pack_has_one_receipt(cloud: AwsResources, emulator: str) -> None:
    paid = event("events/send_receipt/invoice_paid")
    number = f"pi_{uuid.uuid4().hex}"
    facts = {"workspace_id": WORKSPACE, "payment_id": number, "currency": "usd", "amount": 600, "credits": 500}
    paid |= {"detail-type": "pack.paid", "detail": {"version": 1, "paid_at": "2026-11-29T02:00:00.000Z", **facts}}
    for _ in range(2):
        load_function("events/send_receipt").handler(paid, None)
    send_mails(cloud.tables.identity)
    [mail] = receipts(emulator, number)
    assert "6.00 USD.\n\n500 credits were added." in mail["BodyText"]


def test_an_invoice_of_nothing_has_no_receipt(cloud: AwsResources, emulator: str) -> None:
    invoice = f"in_{uuid.uuid4().hex}"
    pay(invoice_id=invoice, total=0, tax=0, workspace_id=WORKSPACE)
    pay(invoice_id=invoice, workspace_id="wsp_01M7XCN60QZZZZZZZZZZZZZZZZ")
    send_mails(cloud.tables.identity)
    assert receipts(emulator, invoice) == []


def test_nobody_buys_before_the_address_is_verified(cloud: AwsResources) -> None:
    address = f"ada-{uuid.uuid4().hex[:12]}@example.com"
    body = {"email": address, "password": "correct horse battery", "name": "Ada", "token_delivery": "body"}
    session = success_data(invoke_app(load_function("api/auth"), event("api/auth/signup", body=body)))
    header = f"Bearer {session['access_token']}"
    request = event("authorizer/request", headers={"authorization": header}, identitySource=[header])
    claims = load_function("authorizer").handler(request, None)["context"]
    for call in ("start_checkout", "open_portal"):
        refused = invoke_app(load_function("api/billing"), authorized_event(f"api/billing/{call}", claims))
        assert error_of(refused) == (403, "FORBIDDEN")
        assert json.loads(refused["body"])["details"] == {"reason": "email_not_verified"}
