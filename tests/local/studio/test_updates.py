"""Updates in a browser: written, changed, sent through the whole stack to one person, and counted."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from tests.local.client import AccountClient
from tests.local.conftest import Stack
from tests.local.studio.test_admin import administrator as administrator
from tests.local.studio.test_admin import write_update
from tests.polling import wait_until

SECONDS_MAX = 60


def test_an_update_is_written_sent_and_counted(administrator: Page, stack: Stack) -> None:
    person, page = AccountClient(stack.base_url), administrator
    user_id = person.get("/api/auth/me").json()["data"]["user"]["id"]
    update = write_update(page, "A new <b>model</b>", user_id)
    page.get_by_label("Title").fill("A newer model")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="A newer model", level=1)).to_be_visible()
    page.get_by_label("At (UTC)").fill("2030-01-01T12:00")
    page.get_by_role("button", name="Schedule").click()
    expect(page.get_by_text("Scheduled", exact=True)).to_be_visible()
    page.get_by_role("button", name="Send now").click()
    expect(page.locator(".lead time")).not_to_contain_text("2030")
    # As the schedule does each minute.
    stack.running.aws().client("lambda").invoke(
        FunctionName=stack.running.resource("QueuesUpdatesFunction"), InvocationType="Event", Payload=b"{}"
    )

    def received() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = person.get("/api/notifications").json()["data"]["items"]
        return items

    (item,) = wait_until(received, SECONDS_MAX)
    assert (item["title"], item["kind"], item["action"]["url"]) == ("A newer model", "update", "/plan")
    assert person.http.post(f"/api/notifications/{item['id']}/acknowledge").status_code == 200

    def is_sent() -> bool:
        page.goto(f"/admin/updates/{update}")
        return page.get_by_text("Sent", exact=True).count() == 1

    wait_until(is_sent, SECONDS_MAX)
    assert [each.strip() for each in page.locator("[data-counts] dd").all_inner_texts()] == ["1", "1", "1"]


def test_a_draft_is_refused_and_deleted_where_that_is_right(administrator: Page) -> None:
    page = administrator
    page.goto("/admin/updates")
    page.get_by_label("Title").fill("A link")
    page.get_by_label("Text", exact=True).fill("Somewhere else")
    page.get_by_label("Label of the link").fill("Go")
    page.get_by_label("Address of the link").fill("javascript:alert(1)")
    page.get_by_role("button", name="Keep as a draft").click()
    expect(page.get_by_text("is neither a path")).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value("A link")
    write_update(page, "For nobody")
    page.get_by_role("button", name="Delete the draft").click()
    expect(page.get_by_role("heading", name="All updates")).to_be_visible()
    expect(page.get_by_role("link", name="For nobody")).to_have_count(0)
