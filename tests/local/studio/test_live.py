"""A page with a connection: it is told what happens, and asks no more by itself."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, Route, WebSocket, expect

from tests.local.client import AccountClient, verify_email
from tests.local.conftest import Stack
from tests.local.teams import create_organization, invite, subscribe

# The whole stack tells what happens, on a machine that may be busy.
TOLD_MS = 120_000


def test_the_end_of_a_generation_comes_by_the_connection_while_the_page_does_not_ask(
    page: Page, sign_up: Callable[[], str]
) -> None:
    sign_up()
    sockets = list[str]()

    def opened(socket: WebSocket) -> None:
        sockets.append(socket.url)

    page.on("websocket", opened)
    page.get_by_label("Model", exact=True).select_option("replicate/sdxl")
    page.locator("#f-prompt").fill("a slow river [[run:slow=600]]")
    expect(page.locator("#quote .price")).to_contain_text("credit")
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url("**/generations/*")
    look = page.locator("[data-live]")
    # Connected: from here on no answer brings the page's next question with it.
    expect(look).to_have_attribute("hx-trigger", "look", timeout=TOLD_MS)
    asked = list[str]()

    def only_when_told(route: Route) -> None:
        asked.append(route.request.url)
        if "live=1" in route.request.url:
            route.continue_()
        else:
            route.abort()

    page.route("**/generations/*look=*", only_when_told)
    attempts = page.locator("details#attempts")
    expect(attempts).to_have_count(1, timeout=TOLD_MS)
    attempts.locator("summary").click()
    expect(attempts).to_have_attribute("open", "")

    # Somebody else ends it.
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Cancel").click()
    expect(page.locator(".status")).to_contain_text("Cancelled", timeout=TOLD_MS)
    assert asked
    assert all("live=1" in each for each in asked)
    # What somebody has opened stays open when the end comes.
    expect(attempts).to_have_attribute("open", "")
    assert any("/ws?ticket=" in each for each in sockets)


def test_a_page_that_loses_its_connection_asks_again_by_itself(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.route_web_socket("**/ws?*", lambda socket: socket.close())
    page.get_by_label("Model", exact=True).select_option("replicate/sdxl")
    page.locator("#f-prompt").fill("a slow river [[run:slow=600]]")
    expect(page.locator("#quote .price")).to_contain_text("credit")
    with page.expect_response("**/parts/live", timeout=TOLD_MS):
        page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator(".status")).to_contain_text("Being made", timeout=TOLD_MS)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".status")).to_contain_text("Cancelled", timeout=TOLD_MS)


def test_the_bell_of_a_page_that_stays_open_counts_what_comes(
    page: Page, sign_up: Callable[[], str], stack: Stack
) -> None:
    page.clock.install()
    email = sign_up()
    verify_email(stack.base_url, email)
    owner = AccountClient(stack.base_url)
    organization = create_organization(owner)
    subscribe(stack, owner, organization)
    page.goto("/library")
    bell = page.locator("[data-bell]")
    expect(bell.locator("[data-unread]")).to_have_text("")
    with page.expect_websocket() as connected:
        # A page is connected when somebody has looked at it for a while.
        page.clock.fast_forward("00:31")
    with connected.value.expect_event("framereceived", lambda frame: '"subscribed"' in str(frame)):
        pass
    invite(owner, organization, email)
    expect(bell.locator("[data-unread]")).to_contain_text("1", timeout=TOLD_MS)
    assert page.url.endswith("/library")


def test_the_list_beside_a_result_follows_other_generations_without_a_reload(
    page: Page, sign_up: Callable[[], str]
) -> None:
    sign_up()
    order_slowly(page, "a slow river")
    first = page.url
    # Another tab orders a second one, and the first tab shows it and what becomes of it.
    other = page.context.new_page()
    other.goto("/create")
    order_slowly(other, "a slow cloud")
    beside = page.get_by_role("complementary").get_by_role("link", name="a slow cloud")
    expect(beside).to_be_visible(timeout=TOLD_MS)
    other.get_by_role("button", name="Cancel").click()
    expect(beside).to_contain_text("Cancelled", timeout=TOLD_MS)
    assert page.url == first
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".status")).to_contain_text("Cancelled", timeout=TOLD_MS)


def order_slowly(page: Page, prompt: str) -> None:
    """Orders an image that does not end by itself within a test."""
    page.get_by_label("Model", exact=True).select_option("replicate/sdxl")
    page.locator("#f-prompt").fill(f"{prompt} [[run:slow=600]]")
    expect(page.locator("#quote .price")).to_contain_text("credit")
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url("**/generations/*")
