"""The bell and the room of notifications in a browser, with an event that goes through the whole stack."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.local.client import AccountClient, verify_email
from tests.local.conftest import Stack
from tests.local.teams import invite, subscribe
from tests.polling import wait_until

ORGANIZATION = "Atlas <b>Films</b>"


def test_an_invitation_rings_the_bell_and_stays_until_it_is_done(
    page: Page, stack: Stack, sign_up: Callable[[], str]
) -> None:
    email = sign_up()
    verify_email(stack.base_url, email)
    owner = AccountClient(stack.base_url)
    made = owner.http.post("/api/workspaces", json={"name": ORGANIZATION}).json()["data"]["workspace"]
    subscribe(stack, owner, made["id"])
    invite(owner, made["id"], email)

    def is_there() -> bool:
        page.goto("/notifications")
        return page.locator("[data-notification]").count() == 1

    wait_until(is_there, 90)
    expect(page.get_by_role("heading", name=f"You are invited to {ORGANIZATION}")).to_be_visible()
    # The page has told the next one how many are unread, so the bell asks for nothing.
    with page.expect_response("**/library") as answered:
        page.goto("/library")
    assert answered.value.ok
    expect(page.locator("[data-unread]")).to_contain_text("1")
    assert page.locator("[data-unread][hx-get]").count() == 0
    page.locator("[data-bell]").click()
    page.get_by_role("button", name="Mark as read").first.click()
    expect(page.get_by_text("To do")).to_be_visible()
    expect(page.locator("[data-unread]")).to_have_text("")
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_text("Nothing here")).to_be_visible()
    page.get_by_role("link", name="Archive").click()
    expect(page.get_by_role("heading", name=f"You are invited to {ORGANIZATION}")).to_be_visible()


def test_the_bell_asks_once_a_minute(page: Page, sign_up: Callable[[], str]) -> None:
    calls = list[str]()
    page.on(
        "request", lambda request: calls.append(request.url) if "/parts/notifications/count" in request.url else None
    )
    with page.expect_response("**/parts/notifications/count"):
        sign_up()
    for path in ("/library", "/projects"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
    assert sum("/parts/notifications/count" in each for each in calls) == 1


def test_preferences_are_kept(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/notifications/preferences")
    mails = page.get_by_label("A budget is nearly spent: By mail")
    expect(mails).to_be_checked()
    mails.uncheck()
    page.get_by_label("From", exact=True).fill("22:00")
    page.get_by_label("Until").fill("07:00")
    page.get_by_label("Together, each morning").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.goto("/notifications/preferences")
    expect(page.get_by_label("A budget is nearly spent: By mail")).not_to_be_checked()
    expect(page.get_by_label("A budget is nearly spent: In Studio")).to_be_checked()
    expect(page.get_by_label("From", exact=True)).to_have_value("22:00")
    expect(page.get_by_label("Together, each morning")).to_be_checked()
