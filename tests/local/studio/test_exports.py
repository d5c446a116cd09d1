"""An export in a browser: requested, followed and downloaded."""

from __future__ import annotations

import zipfile
from collections.abc import Callable

from playwright.sync_api import Page, expect


def test_an_export_is_requested_and_downloaded(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/exports")
    expect(page.get_by_text("No exports yet")).to_be_visible()
    page.get_by_label("What", exact=True).select_option(label="Usage by day")
    page.get_by_role("button", name="Request the export").click()
    expect(page.get_by_role("heading", name="Usage by day")).to_be_visible()
    ready = page.get_by_role("link", name="Download")
    for _ in range(60):
        if ready.count():
            break
        page.goto("/exports")
    with page.expect_download() as begun:
        ready.click()
    assert begun.value.suggested_filename.startswith("usage-")
    assert begun.value.path().read_text().startswith("day,project_id,")


def test_everything_is_requested_and_downloaded(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/exports")
    page.get_by_role("link", name="Everything of this workspace").click()
    expect(page.get_by_text("No exports yet")).to_be_visible()
    page.get_by_role("button", name="Request everything").click()
    ready = page.get_by_role("link", name="Download part 1")
    for _ in range(60):
        if ready.count():
            break
        page.goto("/exports/everything")
    with page.expect_download() as begun:
        ready.click()
    assert begun.value.suggested_filename.endswith("-1.zip")
    with zipfile.ZipFile(begun.value.path()) as archive:
        assert archive.testzip() is None
        assert {"README.txt", "account/profile.ndjson", "workspace/profile.ndjson"} <= set(archive.namelist())


def test_a_wrong_time_is_shown_in_the_form(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/exports")
    page.get_by_label("First day").fill("2026-11-20")
    page.get_by_label("Last day").fill("2026-11-01")
    page.get_by_role("button", name="Request the export").click()
    expect(page.locator("#e-last")).to_be_visible()
    expect(page.get_by_label("First day")).to_have_value("2026-11-20")
