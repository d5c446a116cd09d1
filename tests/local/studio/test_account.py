"""Signing up, in and out in a browser; what a session that ends in the middle loses: nothing."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.local.client import PASSWORD


def test_a_visitor_signs_up_out_and_in_again(page: Page, sign_up: Callable[[], str]) -> None:
    page.goto("/")
    page.wait_for_url("**/welcome")
    email = sign_up()
    page.get_by_label("Account").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/welcome")
    page.goto("/credits")
    page.wait_for_url("**/sign-in?next=%2Fcredits")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill("not the password 1")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    expect(page.get_by_label("E-mail address")).to_have_value(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/credits")


def test_a_refused_sign_up_keeps_what_was_written_and_says_why(page: Page) -> None:
    page.goto("/sign-up")
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("E-mail address").fill("ada@example.test")
    page.get_by_label("Password").fill("password1234")
    page.get_by_role("main").get_by_role("button").click()
    expect(page.locator(".field-error")).to_have_count(1)
    expect(page.get_by_label("Your name")).to_have_value("Ada")
    expect(page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")


def test_the_language_is_the_browsers_until_one_is_chosen(page: Page) -> None:
    page.goto("/welcome")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_label("Account").click()
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mit KI gestalten und wissen, was es kostet")
    expect(page.locator("html")).to_have_attribute("lang", "de")


def test_a_form_of_another_origin_changes_nothing(
    context: BrowserContext, page: Page, sign_up: Callable[[], str]
) -> None:
    sign_up()
    sent = context.request.post(
        "/sign-out", form={"form_token": "AAAA"}, headers={"origin": "https://elsewhere.example"}
    )
    assert sent.status == 403
    page.goto("/create")
    assert page.url.endswith("/create")
