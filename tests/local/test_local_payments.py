"""Payments of `make run`: Stripe's simulator beside the stack, for programs, for browsers, and after a restart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe
from playwright.sync_api import sync_playwright

from infra.local.stack_process import ROOT, RunningStack
from tests.lanes import need_browser
from tests.local.client import AccountClient, mails_to, poll_until, verify_email
from tests.local.conftest import Stack
from tests.simulators.stripe.flows import Browser, card, new_checkout, new_price

NARROWEST = 360
URLS = ("success_url", "cancel_url")


def kept_keys(running: RunningStack) -> dict[str, str]:
    return json.loads((running.data / "stripe.json").read_text())


def client(running: RunningStack) -> stripe.StripeClient:
    """The SDK as a developer uses it: through the edge, with the key that is kept in the data folder."""
    addresses: stripe.BaseAddresses = {"api": f"{running.base_url}/local/stripe"}
    return stripe.StripeClient(kept_keys(running)["api_key"], base_addresses=addresses, max_network_retries=0)


@pytest.fixture
def account(stack: Stack) -> stripe.StripeClient:
    return client(stack.running)


def test_the_keys_are_printed_and_are_those_of_the_functions(stack: Stack) -> None:
    keys = kept_keys(stack.running)
    printed = poll_until(
        lambda: [line for line in stack.running.lines if line.startswith("payments:")], lambda lines: len(lines) == 2
    )
    assert f"{stack.base_url}/local/stripe" in printed[0]
    assert keys["api_key"] in printed[1]
    assert keys["webhook_secret"] in printed[1]
    secret = stack.running.resource("DataStripeSecret")
    stored = stack.running.aws().client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    assert json.loads(stored) == {"api_key": keys["api_key"], "webhook_secrets": [keys["webhook_secret"]]}


def test_the_stack_accepts_the_simulators_webhooks(account: stripe.StripeClient) -> None:
    customer = account.v1.customers.create({"name": "Ada"})

    def sent() -> list[tuple[str, int]]:
        return [
            (event.type, event.pending_webhooks)
            for event in account.v1.events.list({"limit": 100})
            if event.data.object["id"] == customer.id
        ]

    poll_until(sent, lambda found: found == [("customer.created", 0)])


def test_a_browser_pays_at_the_edge(stack: Stack, account: stripe.StripeClient) -> None:
    back = f"{stack.base_url}/healthz"
    session = new_checkout(account, new_price(account).id, success_url=back)
    assert session.url == f"{stack.base_url}/local/stripe/c/pay/{session.id}"
    browser = Browser(session.url)
    assert "Your card was declined." in browser.press("Pay", **card("4000000000000002")).text
    # 3-D Secure is a page of its own, and leads back to the shop.
    browser.press("Pay", **card("4000002760003184")).press("Complete")
    assert browser.url == back
    assert account.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_the_price_list_is_there_from_the_start(stack: Stack, account: stripe.StripeClient) -> None:
    tiers = httpx.get(f"{stack.base_url}/api/billing/tiers", timeout=40).json()["data"]
    sold = sum(len(tier["prices"]) for tier in tiers["items"]) + len(tiers["packs"])
    versions = [each["id"].replace("@", ":") for each in (*tiers["items"], *tiers["packs"])]
    keys = {price.lookup_key for price in account.v1.prices.list({"active": True, "limit": 100}) if price.lookup_key}
    # A version that an administrator's test has replaced on this stack keeps its price for those who have it.
    on_sale = {key for key in keys if any(f":{version}:" in f"{key}:" for version in versions)}
    assert len(on_sale) == sold > 5


def bought(person: AccountClient, **order: object) -> str:
    """The page on which an order is paid."""
    urls = dict.fromkeys(URLS, f"{person.http.base_url}/")
    answer = person.http.post("/api/billing/checkout", json={**order, **urls})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]["url"]


def plan(person: AccountClient) -> tuple[str, str]:
    found = person.get("/api/billing/subscription").json()["data"]
    return found["tier"], found["status"]


def test_a_creator_upgrades_buys_fails_to_pay_and_months_go_by(stack: Stack, account: stripe.StripeClient) -> None:
    person = AccountClient(stack.base_url)
    refused = person.http.post("/api/billing/checkout", json={"pack": "small", **dict.fromkeys(URLS, stack.base_url)})
    assert (refused.status_code, refused.json()["details"]) == (403, {"reason": "email_not_verified"})
    verify_email(stack.base_url, person.email)
    Browser(bought(person, pack="small")).press("Pay", **card())
    bonus = poll_until(lambda: person.balance()["available"], lambda credits: credits > 50)
    Browser(bought(person, tier="pro", interval="month")).press("Subscribe", **card())
    poll_until(lambda: plan(person), lambda found: found == ("pro", "trialing"))
    portal = person.http.post("/api/billing/portal", json={"return_url": f"{stack.base_url}/"}).json()["data"]["url"]
    [customer] = account.v1.customers.list({"email": person.email})
    clock = f"{stack.base_url}/local/stripe/dashboard/clocks/{customer.test_clock}"

    httpx.post(clock, data={"action": "month"})
    poll_until(lambda: plan(person), lambda found: found == ("pro", "active"))
    paid = poll_until(lambda: person.balance()["available"], lambda credits: credits > bonus + 1000)
    # One for the pack and one for the month; the trial's invoice was of nothing.
    receipts = poll_until(
        lambda: [mail["text"] for mail in mails_to(stack.base_url, person.email) if "receipt" in mail["subject"]],
        lambda found: len(found) > 1,
    )
    assert len(receipts) == 2
    assert "6.00 USD" in receipts[-1]
    Browser(portal).press("Use this card", **card("4000000000000341"))
    httpx.post(clock, data={"action": "month"})
    poll_until(lambda: plan(person), lambda found: found == ("free", "ended"))
    assert person.balance()["available"] == paid
    person.assert_books_balance()


def test_the_api_and_the_pages_refuse_strangers(stack: Stack, account: stripe.StripeClient) -> None:
    place = f"{stack.base_url}/local/stripe"
    assert httpx.get(f"{place}/v1/customers").status_code == 401
    clock = account.v1.test_helpers.test_clocks.create({"frozen_time": 1_800_000_000})
    button = f"{place}/dashboard/clocks/{clock.id}"
    answer = httpx.post(button, data={"action": "month"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert account.v1.test_helpers.test_clocks.retrieve(clock.id).frozen_time == 1_800_000_000
    assert httpx.get(f"{stack.base_url}/local/stripes").status_code == 404


def test_a_month_goes_by_in_a_narrow_window(stack: Stack, account: stripe.StripeClient, tmp_path: Path) -> None:
    path = need_browser()
    clock = account.v1.test_helpers.test_clocks.create({"frozen_time": 1_800_000_000})
    email = f"{'long' * 12}@example.com"
    account.v1.customers.create({"email": email, "test_clock": clock.id})
    session = new_checkout(account, new_price(account, name="P" * 80).id)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        page = browser.new_page(viewport={"width": NARROWEST, "height": 700})
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        for url in (session.url, f"{stack.base_url}/local/stripe"):
            page.goto(url)
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROWEST, url
            page.screenshot(path=tmp_path / "page.png", full_page=True)
        page.get_by_role("heading", name=email).locator("xpath=following::button[2]").click()
        page.get_by_text("15 Feb 2027, 08:00 UTC").wait_for()
        browser.close()
    assert faults == []
    assert account.v1.test_helpers.test_clocks.retrieve(clock.id).frozen_time == 1_800_000_000 + 31 * 24 * 3600


def test_a_customer_survives_a_stack_that_was_killed(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data").start()
    customer = client(stack).v1.customers.create({"name": "Ada"}).id
    session = new_checkout(client(stack), new_price(client(stack)).id)
    keys, before = kept_keys(stack), stack.base_url
    stack.stop(signal.SIGKILL)
    with stack:
        assert kept_keys(stack) == keys
        assert stack.base_url != before
        again = client(stack)
        assert again.v1.customers.retrieve(customer).name == "Ada"
        assert again.v1.checkout.sessions.retrieve(session.id).url == session.url.replace(before, stack.base_url)

        # Our tables may have lost what they had accepted, so all of it is sent again.
        def accepted() -> set[Any]:
            sent = httpx.get(f"{stack.base_url}/local/stripe/_simulator/webhooks").json()["webhooks"]
            return {each["type"] for each in sent if each["status"] == 200}

        poll_until(accepted, lambda types: types >= {"customer.created", "price.created"})


def test_a_live_key_is_refused_before_anything_starts(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "infra.local", "--data", str(tmp_path / "data")],
        cwd=ROOT,
        env={**os.environ, "STRIPE_SECRET_KEY": "sk_live_51abc"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    [line] = (ended.stdout + ended.stderr).splitlines()
    assert line.startswith("atelier: STRIPE_SECRET_KEY is a live key, and would charge real cards")
    assert not (tmp_path / "data").exists()
