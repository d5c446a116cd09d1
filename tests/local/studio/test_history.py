"""The history in a browser: what was done is shown, filtered and taken along, and the proof verifies."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from atelier.ledger.verify import verify_events
from tests.polling import wait_until


def test_what_was_done_is_shown_filtered_and_exported(page: Page, sign_up: Callable[[], str], tmp_path: Path) -> None:
    sign_up()
    page.goto("/tokens")
    page.get_by_label("Name", exact=True).fill("=my <b>program</b>")
    page.get_by_role("button", name="Make the token").click()
    expect(page.locator("#new-token")).to_be_visible()

    page.goto("/history")
    event = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="API token made"))
    expect(event).to_have_count(1)
    event.get_by_text("Details").click()
    expect(event.get_by_text("=my <b>program</b>")).to_be_visible()
    page.get_by_label("What", exact=True).select_option("Budgets")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No event matches")).to_be_visible()
    page.get_by_label("What", exact=True).select_option("API tokens")
    page.get_by_role("button", name="Show").click()
    expect(event).to_have_count(1)

    with page.expect_download() as download:
        page.get_by_role("link", name="Table (CSV)").click()
    download.value.save_as(tmp_path / "log.csv")
    [row] = csv.DictReader((tmp_path / "log.csv").read_text().splitlines())
    assert (row["action"], json.loads(row["facts"])["name"]) == ("token.issued", "=my <b>program</b>")

    page.get_by_role("link", name="Your security log").click()
    expect(page.get_by_role("heading", name="API token made")).to_be_visible()

    def proof() -> str:
        """The proof, once the stream has sealed the event."""
        with page.expect_download() as download:
            page.get_by_role("link", name="Proof").click()
        download.value.save_as(tmp_path / "proof.ndjson")
        lines = [json.loads(line) for line in (tmp_path / "proof.ndjson").read_text().splitlines()]
        return verify_events([lines]) if "token.issued" in str(lines) else ""

    assert wait_until(proof).startswith("sound: ")
