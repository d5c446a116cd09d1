"""A token in a browser: made, used by a program, revoked."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from tests.local.conftest import Stack


def test_a_token_is_shown_once_works_in_a_program_and_is_revoked(
    page: Page, sign_up: Callable[[], str], stack: Stack
) -> None:
    sign_up()
    page.goto("/tokens")
    page.get_by_label("Name", exact=True).fill("my <b>program</b>")
    page.get_by_label("Everything that an editor may do").uncheck()
    page.get_by_role("button", name="Make the token").click()
    expect(page.locator("#e-scopes")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("my <b>program</b>")
    page.get_by_text("Single permissions").click()
    page.get_by_label("Read balance, statement and proof").check()
    page.get_by_role("button", name="Make the token").click()
    secret = page.locator("#new-token").inner_text()
    assert secret.startswith("atl_")
    with httpx.Client(base_url=stack.base_url, headers={"authorization": f"Bearer {secret}"}, timeout=40) as program:
        assert program.get("/api/credits").status_code == 200
        assert program.get("/api/assets").status_code == 403
        page.goto("/tokens")
        expect(page.get_by_role("heading", name="my <b>program</b>")).to_be_visible()
        expect(page.get_by_text(secret)).to_have_count(0)
        page.get_by_text("Revoke", exact=True).click()
        page.get_by_role("button", name="Revoke “my <b>program</b>”").click()
        expect(page.get_by_text("No tokens yet")).to_be_visible()
        assert program.get("/api/credits").status_code == 401
