"""Usage in a browser: what was made is counted, drawn, and readable without the picture."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from playwright.sync_api import BrowserContext, Page, expect

from tests.local.conftest import Stack
from tests.local.studio.test_credits import make_image
from tests.polling import wait_until


def test_a_month_shows_what_was_made_by_model_project_and_member(
    page: Page, sign_up: Callable[[], str], context: BrowserContext, stack: Stack
) -> None:
    sign_up()
    page.locator("summary", has_text="Manage").click()
    page.get_by_role("link", name="Usage", exact=True).click()
    expect(page.get_by_text("Nothing was made in this month")).to_be_visible()
    _, price = make_image(context, stack)

    def counted() -> bool:
        """Whether the streams have brought the generation and its settlement."""
        page.goto("/usage")
        spent = page.get_by_role("row", name=re.compile("^Spent")).get_by_role("cell").first
        return page.get_by_role("row", name="local/canvas").count() == 1 and spent.inner_text() == str(price)

    assert wait_until(counted)
    cells = page.get_by_role("row", name="local/canvas").get_by_role("cell")
    assert cells.all_inner_texts()[:4] == ["1", "1", "0", str(price)]
    page.get_by_role("link", name="Project", exact=True).click()
    expect(page.get_by_role("row", name="No project")).to_have_count(1)
    page.get_by_role("link", name="Member", exact=True).click()
    expect(page.get_by_role("row", name="Ada Lovelace")).to_have_count(1)
    page.get_by_role("link", name="The month before").click()
    expect(page.get_by_text("Nothing was made in this month")).to_be_visible()
    page.get_by_role("link", name="The month after").click()
    expect(page.get_by_role("row", name="Ada Lovelace")).to_have_count(1)


def test_charts_are_drawn_for_the_theme_and_have_tables(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    for scheme, other in (("light", "dark"), ("dark", "light")):
        page.emulate_media(color_scheme=scheme)
        page.goto("/usage")
        charts = page.get_by_role("img", name=re.compile("^Chart of"))
        expect(charts).to_have_count(4)
        for place in range(4):
            charts.nth(place).scroll_into_view_if_needed()
            assert f"theme={scheme}" in (charts.nth(place).get_attribute("src") or "")
            charts.nth(place).evaluate("image => image.decode()")
        expect(page.locator(f"img.on-{other}").first).to_be_hidden()
    chart = "/parts/usage/charts/credits?theme=dark&month=2026-02"
    sent = page.request.get(chart)
    assert (sent.status, sent.headers["content-type"]) == (200, "image/svg+xml")
    assert page.request.get(chart, headers={"if-none-match": sent.headers["etag"]}).status == 304
    # Nothing has cost anything, so there is no model to be a column.
    for name, days in {"Cost": 0, "Requests": 28, "Durations": 28, "Credits": 28}.items():
        page.goto("/usage?month=2026-02")
        page.get_by_role("link", name=f"{name} as a table").click()
        expect(page.get_by_role("columnheader", name="Day")).to_be_visible()
        expect(page.get_by_role("rowheader", name=re.compile("2026-02-"))).to_have_count(days)
    assert page.request.get("/parts/usage/charts/weather").status == 404


def test_a_table_of_the_present_month_has_no_days_to_come(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/usage/table/usage")
    shown = date.fromisoformat(page.get_by_role("rowheader").last.inner_text())
    assert abs(datetime.now(UTC).date() - shown) <= timedelta(days=1)
