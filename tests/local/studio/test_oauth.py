"""Signing in with Google and GitHub in a browser, at their simulators; and whose account it is."""

from __future__ import annotations

import json
import re
import urllib.request
import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from infra.local.mail import MESSAGES_PATH
from tests.local.client import PASSWORD
from tests.local.client import link_in_mail as mailed_link
from tests.local.conftest import Stack
from tests.polling import wait_until


def new_email() -> str:
    return f"{uuid.uuid4().hex}@example.test"


def choose(page: Page, email: str, fault: str = "") -> None:
    """Is this person at the provider."""
    expect(page.get_by_text("This is a simulator")).to_be_visible()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Then").select_option(fault)
    page.get_by_role("button", name="Go on").click()


def link_in_mail(stack: Stack, email: str) -> str | None:
    """The link of the mail that links a login, if it has come."""
    with urllib.request.urlopen(f"{stack.base_url}{MESSAGES_PATH}", timeout=10) as answer:
        texts = [each["text"] for each in json.load(answer) if email in each["to"]]
    found = (re.search(r"https?://\S+/oauth/confirm\?token=\S+", text) for text in texts)
    return next((match[0] for match in found if match), None)


def sign_out(page: Page) -> None:
    page.get_by_label("Account").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/welcome")


@pytest.mark.parametrize("provider", ["Google", "GitHub"])
def test_a_person_signs_up_and_in_again_with_a_provider(page: Page, provider: str) -> None:
    email = new_email()
    page.goto("/sign-up")
    page.get_by_role("link", name=f"Go on with {provider}").click()
    choose(page, email)
    page.wait_for_url("**/create")
    expect(page.get_by_role("navigation", name="Rooms")).to_be_visible()
    sign_out(page)
    page.goto("/credits")
    page.get_by_role("link", name=f"Go on with {provider}").click()
    choose(page, email)
    page.wait_for_url("**/credits")
    page.goto("/identities")
    expect(page.get_by_role("heading", name=provider)).to_be_visible()
    page.get_by_role("button", name=f"Unlink {provider}").click()
    expect(page.get_by_role("alert")).to_contain_text("last way to sign in")


def test_an_account_with_that_address_is_linked_by_its_password(page: Page, sign_up: Callable[[], str]) -> None:
    email = sign_up()
    sign_out(page)
    page.goto("/sign-in?next=/projects")
    page.get_by_role("link", name="Go on with Google").click()
    choose(page, email)
    expect(page.get_by_role("heading", level=1)).to_have_text("You already have an account")
    page.get_by_label("Password of the account").fill("not the password 1")
    page.get_by_role("button", name="Link and sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("The password is wrong")
    page.get_by_label("Password of the account").fill(PASSWORD)
    page.get_by_role("button", name="Link and sign in").click()
    page.wait_for_url("**/projects")
    page.goto("/identities")
    expect(page.get_by_text(email)).to_be_visible()


def test_a_new_password_leaves_the_logins_and_names_them(page: Page, stack: Stack) -> None:
    email = new_email()
    page.goto("/sign-up")
    page.get_by_role("link", name="Go on with GitHub").click()
    choose(page, email)
    page.wait_for_url("**/create")
    sign_out(page)
    page.goto("/forgot-password")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Send a link").click()
    page.goto(mailed_link(stack.base_url, email, "/reset-password"))
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set a new password").click()
    expect(page.locator("#logins")).to_have_text(re.compile("^GitHub: "))
    page.get_by_role("link", name="Other logins").click()
    page.wait_for_url("**/sign-in?next=*")


def test_an_account_without_a_password_is_linked_by_a_mail(page: Page, stack: Stack) -> None:
    email = new_email()
    page.goto("/sign-up")
    page.get_by_role("link", name="Go on with Google").click()
    choose(page, email)
    page.wait_for_url("**/create")
    sign_out(page)
    page.goto("/sign-in")
    page.get_by_role("link", name="Go on with GitHub").click()
    choose(page, email)
    page.get_by_role("button", name="Send a link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mailbox")
    page.goto(wait_until(lambda: link_in_mail(stack, email)))
    page.get_by_role("button", name="Link and sign in").click()
    page.wait_for_url("**/identities")
    expect(page.get_by_role("button", name="Unlink GitHub")).to_be_visible()
    expect(page.get_by_role("button", name="Unlink Google")).to_be_visible()


def test_a_signed_in_person_links_and_unlinks_a_login(page: Page) -> None:
    page.goto("/sign-up")
    page.get_by_role("link", name="Go on with Google").click()
    choose(page, new_email())
    page.wait_for_url("**/create")
    page.goto("/identities")
    page.get_by_role("button", name="Link GitHub").click()
    other = new_email()
    choose(page, other)
    expect(page.get_by_role("button", name="Unlink GitHub")).to_be_visible()
    page.get_by_role("button", name="Unlink GitHub").click()
    expect(page.get_by_role("button", name="Link GitHub")).to_be_visible()


@pytest.mark.parametrize(
    ("fault", "text"), [("no_nonce", "could not be verified"), ("unverified", "Verify it at Google")]
)
def test_a_sign_in_that_fails_says_why(page: Page, fault: str, text: str) -> None:
    page.goto("/sign-in")
    page.get_by_role("link", name="Go on with Google").click()
    choose(page, new_email(), fault)
    expect(page.get_by_role("alert")).to_contain_text(text)
    expect(page.get_by_role("link", name="Go on with Google")).to_be_visible()


def test_signing_in_with_a_provider_needs_no_script(browser: Browser, stack: Stack) -> None:
    context = browser.new_context(base_url=stack.base_url, java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto("/sign-in")
    page.get_by_role("link", name="Go on with GitHub").click()
    choose(page, new_email())
    page.wait_for_url("**/home")
    expect(page.get_by_role("navigation", name="Rooms")).to_be_visible()
    context.close()
