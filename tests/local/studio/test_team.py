"""An organisation in two browsers: created, paid for, shared by a mail, and ended for one of the two."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from tests.local.client import PASSWORD, link_in_mail, verify_email
from tests.local.conftest import BROWSER_SECONDS_MAX, Stack
from tests.local.studio.test_plan import fill_card


def test_a_team_is_formed_by_a_mail_and_a_removal_counts_at_once(
    page: Page, browser: Browser, sign_up: Callable[[], str], stack: Stack
) -> None:
    verify_email(stack.base_url, sign_up())
    page.goto("/team")
    page.get_by_label("Name").fill("Atlas Films")
    page.get_by_role("button", name="Create organisation").click()
    expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
    page.goto("/team")
    page.get_by_role("button", name="Work in Atlas Films").click()
    page.wait_for_url("**/create")
    # The plan that is bought now is the organisation's.
    page.goto("/plan")
    page.get_by_role("button", name="Get Studio for a month at a time").click()
    fill_card(page, "Subscribe")
    page.wait_for_url("**/plan/done?checkout=chk_*")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()

    email = f"{uuid.uuid4().hex}@example.test"
    page.goto("/team")
    page.get_by_role("link", name="Members of Atlas Films").click()
    page.get_by_role("link", name="Invitations").click()
    page.locator("#f-email").fill(email)
    page.locator("#f-role").select_option("editor")
    page.get_by_role("button", name="Invite", exact=True).click()
    expect(page.get_by_role("heading", name=email)).to_be_visible()

    context = browser.new_context(base_url=stack.base_url, locale="en-GB")
    context.set_default_timeout(BROWSER_SECONDS_MAX * 1000)
    eve = context.new_page()
    eve.goto("/sign-up")
    eve.get_by_label("Your name").fill("Eve")
    eve.get_by_label("E-mail address").fill(email)
    eve.get_by_label("Password").fill(PASSWORD)
    eve.get_by_role("main").get_by_role("button", name="Create an account").click()
    eve.wait_for_url("**/create")
    verify_email(stack.base_url, email)
    eve.goto(link_in_mail(stack.base_url, email, "/invitation"))
    expect(eve.get_by_text("Ada Lovelace invites you to Atlas Films.")).to_be_visible()
    eve.get_by_role("button", name="Accept the invitation").click()
    expect(eve.get_by_role("heading", name="Eve")).to_be_visible()

    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_text("Members: 2 of 50")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Stored files: 0\sB of [\d.]+\s[GT]B$"))).to_be_visible()
    page.get_by_role("link", name="Members").click()
    page.get_by_label("Role of Eve").select_option("admin")
    page.get_by_role("button", name="Change the role of Eve").click()
    eve.reload()
    expect(eve.get_by_role("link", name="Invitations")).to_be_visible()

    card = page.get_by_role("listitem").filter(has_text=email)
    card.get_by_text("Remove", exact=True).click()
    card.get_by_role("button", name="Remove Eve").click()
    expect(page.get_by_role("heading", name="Eve")).to_have_count(0)
    answer = eve.reload()
    assert answer is not None
    assert answer.status == 404
    eve.goto("/team")
    expect(eve.get_by_role("heading", name="Atlas Films")).to_have_count(0)
    context.close()
