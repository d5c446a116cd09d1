"""The plan in a browser: Stripe's page, back again, and the credits are there."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.local.client import verify_email
from tests.local.conftest import Stack


def fill_card(page: Page, button: str, number: str = "4242424242424242") -> None:
    """Pay on the simulator's page."""
    page.wait_for_url("**/local/stripe/c/pay/**")
    page.get_by_label("Card number").fill(number)
    page.get_by_label("Expiry (MM / YY)").fill("12 / 34")
    page.get_by_label("CVC").fill("123")
    page.get_by_role("button", name=button).click()


def test_a_plan_and_credits_are_bought_on_stripes_page_and_are_there_on_the_way_back(
    page: Page, sign_up: Callable[[], str], stack: Stack
) -> None:
    verify_email(stack.base_url, sign_up())
    page.goto("/plan")
    expect(page.locator("#plan-status")).to_have_text("You pay nothing.")
    page.get_by_role("button", name="Get Studio for a month at a time").click()
    fill_card(page, "Subscribe", "4000000000000002")
    expect(page.get_by_text("Your card was declined.")).to_be_visible()
    fill_card(page, "Subscribe")
    page.wait_for_url("**/plan/done?checkout=chk_*")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    page.goto("/plan")
    expect(page.locator("#h-now")).to_have_text("Studio")
    expect(page.get_by_role("cell", name="$99.00")).to_be_visible()

    page.locator("#pack-small").get_by_label("How many").fill("2")
    page.locator("#pack-small").get_by_role("button").click()
    fill_card(page, "Pay")
    page.wait_for_url("**/plan/done?checkout=chk_*")
    expect(page.locator("#outcome")).to_contain_text("1000 credits")
    page.goto("/credits")
    expect(page.locator("#available")).to_have_text("12\u202f550")

    page.goto("/plan")
    page.get_by_role("button", name="Starter by the month").click()
    expect(page.locator("#due")).to_have_text("$0.00")
    page.get_by_role("button", name="Change to Starter").click()
    expect(page.get_by_text("Changes to starter on")).to_be_visible()
    page.get_by_role("button", name="Keep Studio").click()
    page.get_by_text("Cancel the plan").click()
    page.get_by_role("button", name="Cancel Studio").click()
    expect(page.get_by_text("The plan ends on")).to_be_visible()
    page.get_by_role("button", name="Go on after all").click()
    expect(page.get_by_text("Renews on")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Starter by the month").click()
    expect(page.get_by_role("alert")).to_have_text("The plan is paused. Go on with it first, and then change it.")
    page.get_by_role("button", name="Go on after all").click()
    expect(page.get_by_text("Renews on")).to_be_visible()
    page.goto("/plan/payments")
    expect(page.get_by_role("cell", name="$12.00")).to_be_visible()
