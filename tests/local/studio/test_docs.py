"""The API's page in a browser: a call tried out, and the table without JavaScript."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.local.conftest import Stack


def test_a_call_of_the_api_is_tried_out_with_the_session_of_the_page(
    browser: Browser, context: BrowserContext, page: Page, sign_up: Callable[[], str], stack: Stack
) -> None:
    sign_up()
    page.goto("/docs")
    page.locator("#operations-tag-credits").click()
    call = page.locator("#operations-credits-get_api_credits")
    call.locator(".opblock-summary-control").click()
    with page.expect_response("**/api/credits") as answer:
        call.get_by_role("button", name="Execute").click()
    assert answer.value.status == 200
    expect(call.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    expect(call.locator(".live-responses-table")).to_contain_text('"available": 50')
    plain = browser.new_context(
        base_url=stack.base_url, storage_state=context.storage_state(), java_script_enabled=False
    )
    without_script = plain.new_page()
    without_script.goto("/docs")
    row = without_script.get_by_role("row").filter(has_text="POST").filter(has_text="/api/tokens")
    expect(row).to_contain_text("Create an API token")
    plain.close()
