"""A project moves into an organisation in a browser, and is found there."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect


def test_a_project_moves_into_an_organization_and_is_found_there(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/projects/new")
    page.get_by_label("Name").fill("Spring campaign")
    page.get_by_label("Budget in US dollars").fill("12.50")
    page.get_by_role("button", name="Create the project").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Spring campaign")
    address = page.url
    page.get_by_role("link", name="Move into an organisation").click()
    expect(page.get_by_role("heading", name="You own no organisation")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="Workspaces").click()
    page.get_by_label("Name").fill("Atlas Films")
    page.get_by_role("button", name="Create organisation").click()
    page.wait_for_url("**/team/wsp_*")

    page.goto(f"{address}/move")
    page.get_by_label("Organisation").select_option("Atlas Films")
    page.get_by_role("button", name="Move the project").click()
    # The page looks by itself whether the move has come to its end.
    expect(page.get_by_role("heading", name="The project has moved")).to_be_visible()
    # The project's own page leads here too, and the list does not show it any more.
    page.goto(address)
    expect(page.get_by_role("heading", name="The project has moved")).to_be_visible()
    page.goto("/projects")
    expect(page.get_by_role("heading", name="No projects yet")).to_be_visible()

    page.goto(f"{address}/move")
    page.get_by_role("button", name="Work in Atlas Films").click()
    page.wait_for_url("**/create")
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_have_text("Spring campaign")
    expect(page.get_by_role("img", name="$0.00 of $12.50 spent")).to_be_visible()
    expect(page.get_by_role("link", name="Move into an organisation")).to_have_count(0)
