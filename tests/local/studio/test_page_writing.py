"""Write with AI in a browser: the price first, then the draft, then a proposal to improve it."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from playwright.sync_api import Page, expect

# The embedded model answers at once; a machine under load may need this long for the whole way of a generation.
MILLISECONDS_MAX = 120_000


def test_a_page_is_written_and_then_improved(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/sites")
    page.get_by_label("Name", exact=True).fill("Brot & Salz")
    page.get_by_label("Short name").fill(f"brot-{uuid.uuid4().hex[:12]}")
    page.get_by_role("button", name="Create the site").click()

    page.get_by_role("link", name="Write with AI").click()
    page.get_by_label("What shall it say?").fill("A page for my bakery in Leipzig, with rye bread")
    page.get_by_role("button", name="Show the price").click()
    expect(page.get_by_text("Price: 2 credits, at most 2.")).to_be_visible()
    page.get_by_role("button", name="Write it at this price").click()
    expect(page.get_by_text("The draft is saved.")).to_be_visible(timeout=MILLISECONDS_MAX)
    page.get_by_role("link", name="Open the draft").click()
    expect(page.get_by_role("heading", level=1, name="Bakery in Leipzig")).to_be_visible()
    expect(page.get_by_label("HTML", exact=True)).to_have_count(4)

    page.get_by_role("link", name="Write SEO with AI").click()
    page.get_by_role("button", name="Show the price").click()
    page.get_by_role("button", name="Write it at this price").click()
    expect(page.get_by_text("The draft is saved.")).to_be_visible(timeout=MILLISECONDS_MAX)
    page.get_by_role("link", name="Open the draft").click()
    page.get_by_role("link", name="Versions").click()
    expect(page.get_by_text("AI: seo")).to_be_visible()
