"""Journeys through several rooms, and pages as people have them who enlarge them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.local.conftest import BROWSER_SECONDS_MAX, Stack

# A result is made by the whole stack, on a machine that may be busy.
MADE_MS = 60_000
# What a window of 1280 × 800 px has at 200 %.
ENLARGED: ViewportSize = {"width": 640, "height": 400}


def test_a_budget_stops_an_order_is_raised_and_lets_it_pass(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/projects/new")
    page.get_by_label("Name", exact=True).fill("Small <b>fair</b>")
    page.get_by_label("Budget in US dollars").fill("0.01")
    page.get_by_role("button", name="Create the project").click()
    page.get_by_role("link", name="Make something for it").click()
    page.get_by_label("Model", exact=True).select_option("replicate/sdxl")
    page.get_by_label("How many").fill("4")
    page.locator("#f-prompt").fill("a poster for the fair")
    # It is said before anything is sent, and refused if it is sent all the same.
    quote = page.locator("#quote")
    expect(quote).to_contain_text("The budget of “Small <b>fair</b>” has only $0.01 left.")
    page.get_by_role("button", name="Create", exact=True).click()
    refusal = page.get_by_role("alert").filter(has_text="The budget does not allow this.")
    expect(refusal).to_be_visible()
    expect(page.locator("#f-prompt")).to_have_value("a poster for the fair")

    page.get_by_role("link", name="Raise the budget").click()
    page.get_by_label("Budget in US dollars").fill("5")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("img", name="$0.00 of $5.00 spent")).to_be_visible()
    page.get_by_role("link", name="Make something for it").click()
    # What was written is still there.
    expect(page.locator("#f-prompt")).to_have_value("a poster for the fair")
    expect(page.get_by_label("Model", exact=True)).to_have_value("replicate/sdxl")
    expect(page.get_by_label("How many")).to_have_value("4")
    expect(quote.locator(".price")).to_contain_text("credit")
    expect(quote).not_to_contain_text("budget")
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url("**/generations/*")
    expect(page.locator(".status")).to_contain_text("Done", timeout=MADE_MS)


@pytest.mark.parametrize("path", ["/create", "/home", "/library", "/projects/new", "/credits", "/plan"])
def test_a_page_at_200_percent_is_read_and_used(
    browser: Browser, page: Page, sign_up: Callable[[], str], stack: Stack, path: str
) -> None:
    """A browser at 200 % shows half as many CSS pixels, each as four of the screen's."""
    sign_up()
    context = browser.new_context(
        base_url=stack.base_url,
        viewport=ENLARGED,
        device_scale_factor=2,
        locale="en-GB",
        storage_state=page.context.storage_state(),
    )
    context.set_default_timeout(BROWSER_SECONDS_MAX * 1000)
    large = context.new_page()
    large.goto(path)
    # What the page loads after itself takes the place of elements.
    large.wait_for_load_state("networkidle")
    assert large.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Whatever the keyboard reaches is seen: nothing that stays in its place covers it.
    covered = large.evaluate(
        """async () => {
            const found = [];
            for (const each of document.querySelectorAll("main :is(a[href], button, input, select, textarea)")) {
                if (!each.checkVisibility() || each.matches(".visually-hidden, [tabindex='-1']")) continue;
                each.focus();
                await new Promise(done => requestAnimationFrame(done));
                const box = each.getBoundingClientRect();
                if (!box.width || box.bottom <= 0 || box.top >= innerHeight) {
                    found.push(each.outerHTML.slice(0, 80));
                    continue;
                }
                const y = Math.min(Math.max(box.top + box.height / 2, 1), innerHeight - 2);
                const seen = document.elementFromPoint(Math.min(box.left + box.width / 2, innerWidth - 2), y);
                if (!seen || !(each.contains(seen) || seen.contains(each) || seen.closest("label")?.contains(each)))
                    found.push(each.outerHTML.slice(0, 80));
            }
            return found;
        }"""
    )
    assert covered == []
    context.close()
