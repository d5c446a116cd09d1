"""Sites in a browser: a page is written, two people meet in one block, a version is restored."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from playwright.sync_api import Page, expect


def test_a_page_is_written_and_a_conflict_is_decided(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/sites")
    page.get_by_label("Name", exact=True).fill("Harbour lights")
    page.get_by_label("Short name").fill("www")
    page.get_by_role("button", name="Create the site").click()
    expect(page.locator("#e-slug")).to_contain_text("reserved")
    page.get_by_label("Short name").fill(f"harbour-{uuid.uuid4().hex[:12]}")
    page.get_by_role("button", name="Create the site").click()

    page.get_by_label("Title").fill("Home")
    page.get_by_role("button", name="Create the page").click()
    page.get_by_role("button", name="Add a block").click()
    page.get_by_label("HTML", exact=True).fill('<h2 onclick="mark()">One</h2>')
    page.get_by_role("button", name="Add a block").click()
    page.get_by_label("HTML", exact=True).nth(1).fill("<p>Two</p>")
    page.get_by_role("button", name="Move block 2 up").click()
    expect(page.get_by_text("Not saved yet.")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    expect(page.get_by_text("onclick of <h2>")).to_be_visible()
    expect(page.get_by_label("HTML", exact=True).first).to_have_value("<p>Two</p>")

    # A second window began with the same version; the first one saves both blocks, then the second one of them.
    other = page.context.new_page()
    other.goto(page.url.partition("?")[0])
    page.get_by_label("HTML", exact=True).first.fill("<p>Two by the first</p>")
    page.get_by_label("HTML", exact=True).nth(1).fill("<h2>One by the first</h2>")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version 3.")).to_be_visible()
    other.get_by_label("HTML", exact=True).first.fill("<p>Two by the second</p>")
    other.get_by_role("button", name="Save", exact=True).click()
    expect(other.get_by_text("Somebody else has changed the same parts")).to_be_visible()
    expect(other.get_by_text("<p>Two by the first</p>")).to_be_visible()
    other.get_by_role("button", name="Save my version of these").click()
    expect(other.get_by_text("Changes of others were merged")).to_be_visible()
    expect(other.get_by_label("HTML", exact=True).first).to_have_value("<p>Two by the second</p>")
    expect(other.get_by_label("HTML", exact=True).nth(1)).to_have_value("<h2>One by the first</h2>")

    other.get_by_label("Comment", exact=True).fill("Too <b>long</b>")
    other.get_by_role("button", name="Send the comment").click()
    expect(other.get_by_text("Too <b>long</b>")).to_be_visible()
    other.get_by_role("button", name="Resolve").click()
    expect(other.get_by_text("Resolved", exact=True)).to_be_visible()

    other.get_by_role("link", name="Versions").click()
    other.get_by_role("link", name="What version 4 changed").click()
    expect(other.get_by_text("+<p>Two by the second</p>")).to_be_visible()
    other.get_by_role("button", name="Restore version 2").click()
    expect(other.get_by_label("HTML", exact=True).first).to_have_value("<p>Two</p>")
    other.get_by_role("button", name="Publish", exact=True).click()
    expect(other.get_by_text("Published", exact=True)).to_be_visible()
    other.get_by_role("button", name="Preview").click()
    expect(other.get_by_role("heading", name="One")).to_be_visible()
    # The preview is on no origin: it cannot read the session of the one that it is served from.
    assert other.evaluate("window.origin") == "null"
    other.close()
