"""Signing up, in and out in a browser; what a session that ends in the middle loses: nothing."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.local.client import PASSWORD
from tests.local.conftest import BROWSER_SECONDS_MAX, Stack
from tests.local.studio.conftest import DELIBERATE, reported_violations
from tests.polling import wait_until


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
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    expect(page.get_by_label("E-mail address")).to_have_value(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
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


@pytest.mark.parametrize("scripts", [True, False])
def test_the_chosen_colours_are_in_the_next_page_as_it_is_sent(browser: Browser, stack: Stack, scripts: bool) -> None:
    context = browser.new_context(base_url=stack.base_url, java_script_enabled=scripts, locale="en-GB")
    context.set_default_timeout(BROWSER_SECONDS_MAX * 1000)
    page = context.new_page()
    page.goto("/welcome")
    for name, theme in (("Dark", "dark"), ("Light", "light"), ("Automatic", None)):
        page.get_by_label("Account").click()
        page.get_by_role("button", name=name).click()
        expect(page.locator(f'html[data-theme="{theme}"]' if theme else "html:not([data-theme])")).to_have_count(1)
        answer = page.goto("/welcome")
        assert answer is not None
        sent = re.search(r'<html [^>]*?(?: data-theme="(\w+)")?>', answer.text())
        assert sent
        assert sent[1] == theme
    context.close()


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


def end_session(context: BrowserContext) -> None:
    """Removes the session's cookies from the browser, as its end does; the form's token stays."""
    context.clear_cookies(name="__Host-studio-access")
    context.clear_cookies(name="__Host-atelier-refresh")


def test_a_form_that_meets_an_ended_session_is_sent_after_signing_in(
    context: BrowserContext, page: Page, sign_up: Callable[[], str]
) -> None:
    email = sign_up()
    page.goto("/projects/new")
    page.get_by_label("Name", exact=True).fill("Coast <b>road</b>")
    end_session(context)
    page.get_by_role("main").get_by_role("button").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("Coast <b>road</b>")).to_be_visible()
    page.get_by_role("button", name="Send it now").click()
    page.goto("/projects")
    expect(page.get_by_text("Coast <b>road</b>")).to_have_count(1)


def test_an_access_token_that_has_ended_is_renewed_unseen_in_two_tabs(
    context: BrowserContext, page: Page, sign_up: Callable[[], str]
) -> None:
    sign_up()
    other = context.new_page()
    context.clear_cookies(name="__Host-studio-access")
    for tab in (page, other):
        tab.goto("/projects", wait_until="commit")
    for tab in (page, other):
        expect(tab.get_by_role("heading", level=1)).to_be_visible()
        assert tab.url.endswith("/projects")
    context.clear_cookies(name="__Host-studio-access")
    page.goto("/library")
    assert page.url.endswith("/library")


def test_a_link_on_another_site_arrives_signed_in(
    context: BrowserContext, page: Page, sign_up: Callable[[], str], stack: Stack
) -> None:
    sign_up()
    link = f'<a href="{stack.base_url}/projects?archived=1">projects</a>'
    context.route("https://elsewhere.example/", lambda route: route.fulfill(body=link, content_type="text/html"))
    page.goto("https://elsewhere.example/")
    page.get_by_role("link").click()
    expect(page.get_by_role("navigation", name="Rooms")).to_be_visible()
    assert page.url.endswith("/projects?archived=1")


def test_what_a_page_may_not_do_is_refused_and_reported(browser: Browser, stack: Stack) -> None:
    """Without this, the silence of all other tests would say nothing."""
    started = int(time.time() * 1000)
    context = browser.new_context(base_url=stack.base_url, locale="en-GB")
    page = context.new_page()
    page.goto("/welcome")
    page.evaluate(f"document.body.append(Object.assign(new Image(), {{ src: '{DELIBERATE}a.png' }}))")
    assert wait_until(lambda: reported_violations(stack, started), 60)
    context.close()


def test_pages_work_without_a_script(browser: Browser, stack: Stack) -> None:
    context = browser.new_context(base_url=stack.base_url, java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto("/sign-up")
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("E-mail address").fill(f"{uuid.uuid4().hex}@example.test")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button").click()
    page.wait_for_url("**/create")
    page.goto("/projects/new")
    page.get_by_label("Name", exact=True).fill("Quiet")
    page.get_by_role("main").get_by_role("button").first.click()
    page.goto("/projects")
    expect(page.get_by_text("Quiet")).to_have_count(1)
    context.close()
