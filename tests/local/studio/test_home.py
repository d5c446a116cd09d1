"""Home in a browser: where a person arrives who has an account, and how they begin there."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.local.client import PASSWORD

# A result is made by the whole stack, on a machine that may be busy.
MADE_MS = 60_000


def test_a_person_who_comes_back_begins_at_home_and_finds_what_they_made(
    page: Page, sign_up: Callable[[], str]
) -> None:
    email = sign_up()
    # What was begun before does not take the place of what is asked for at home.
    page.locator("#f-prompt").fill("an older draft")
    page.get_by_label("Account").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/home")
    expect(page.get_by_text("Nothing has been made yet.")).to_be_visible()

    page.get_by_label("What would you like to make?").fill("a <b>red</b> kite")
    page.get_by_role("button", name="Create").click()
    page.wait_for_url("**/create?*")
    expect(page.locator("#f-prompt")).to_have_value("a <b>red</b> kite")
    expect(page.locator("#quote .price")).to_contain_text("credit")
    page.locator("#f-prompt").fill("a <b>red</b> kite over the sea")
    page.reload()
    expect(page.locator("#f-prompt")).to_have_value("a <b>red</b> kite over the sea")
    expect(page.locator("#quote .price")).to_contain_text("credit")
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url("**/generations/*")
    expect(page.locator(".status")).to_contain_text("Done", timeout=MADE_MS)

    page.goto("/")
    page.wait_for_url("**/home")
    results = page.get_by_role("region", name="Latest results")
    expect(results.get_by_role("link", name="a <b>red</b> kite over the sea")).to_be_visible()
    latest = page.get_by_role("region", name="Latest generations")
    latest.get_by_role("link", name="a <b>red</b> kite over the sea").click()
    page.wait_for_url("**/generations/*")


def test_the_menu_of_managing_says_where_the_person_is(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.locator("summary", has_text="Manage").click()
    page.get_by_role("navigation", name="Manage").get_by_role("link", name="Credits").click()
    page.wait_for_url("**/credits")
    page.locator("summary", has_text="Manage").click()
    menu = page.get_by_role("navigation", name="Manage")
    expect(menu.get_by_role("link", name="Credits")).to_have_attribute("aria-current", "page")
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
