"""Address and password in a browser, by the links and codes of the mails on the local page of mails."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.local.client import PASSWORD, link_in_mail, mails_to
from tests.local.conftest import Stack

NEW_PASSWORD = "an even longer passphrase 28"


def test_an_address_is_confirmed_by_the_link_on_the_page_of_mails(
    page: Page, sign_up: Callable[[], str], stack: Stack
) -> None:
    email = sign_up()
    expect(page.get_by_label("Confirm your e-mail address")).to_be_visible()
    link_in_mail(stack.base_url, email, "/verify")
    page.goto("/local/mail")
    page.get_by_role("listitem").filter(has_text=email).get_by_role("link", name="Confirm your e-mail address").click()
    page.frame_locator("iframe").get_by_role("link", name="Confirm the address").click()
    page.wait_for_url("**/verify?token=*")
    page.get_by_role("main").get_by_role("button", name="Confirm the address").click()
    expect(page.locator("#done")).to_contain_text(email)
    page.goto("/create")
    expect(page.get_by_label("Confirm your e-mail address")).to_have_count(0)


def test_an_address_moves_and_comes_back_and_passwords_are_set_anew(
    page: Page, sign_up: Callable[[], str], stack: Stack
) -> None:
    email = sign_up()
    link_in_mail(stack.base_url, email, "/verify")
    [code] = re.findall(r"^(\d{6})$", mails_to(stack.base_url, email)[0]["text"], re.MULTILINE)
    page.locator("#f-banner-code").fill(f"{code[:3]} {code[3:]}")
    page.locator(".banner").get_by_role("button").click()
    expect(page.locator("#state")).to_have_text("confirmed")

    new = f"{uuid.uuid4().hex}@example.test"
    page.get_by_label("New address").fill(new)
    page.get_by_role("button", name="Send a link").click()
    expect(page.locator("#done")).to_contain_text("on their way")
    page.goto(link_in_mail(stack.base_url, new, "/confirm-email"))
    page.get_by_role("button", name="Confirm the address").click()
    expect(page.locator("#done")).to_contain_text(new)
    page.goto(link_in_mail(stack.base_url, email, "/undo-email-change"))
    page.get_by_role("button", name="Give the account its old address back").click()
    expect(page.locator("#done")).to_contain_text(email)

    page.get_by_role("link", name="Set a new password").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Send a link").click()
    page.goto(link_in_mail(stack.base_url, email, "/reset-password"))
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Set a new password").click()
    page.get_by_role("main").get_by_role("link", name="Sign in", exact=True).click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(NEW_PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()

    page.goto("/mailbox")
    expect(page.locator("#address")).to_have_text(email)
    expect(page.get_by_role("main").get_by_role("link", name="Security")).to_have_attribute("href", "/security")
    page.get_by_label("Present password").fill("not the present one")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_text("This is not your present password.")).to_be_visible()
    page.get_by_label("Present password").fill(NEW_PASSWORD)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    expect(page.locator("#done")).to_contain_text("Your password was changed")
