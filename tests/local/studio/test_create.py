"""Create and the page of a generation in a browser: what is ordered, what is seen of it, and what is never lost."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.local.client import PASSWORD
from tests.local.conftest import Stack

SignUp = Callable[[], str]
# A result is made by the whole stack, on a machine that may be busy.
MADE_MS = 60_000


def prompt_of(page: Page) -> str:
    return page.locator("#f-prompt").input_value()


def write(page: Page, prompt: str) -> None:
    """Writes the prompt, and waits until its price is shown."""
    page.locator("#f-prompt").fill(prompt)
    with page.expect_response("**/parts/create/quote"):
        pass
    expect(page.locator("#quote .price")).to_contain_text("credit")


def order(page: Page) -> None:
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url("**/generations/*")


def expect_status(page: Page, status: str) -> None:
    expect(page.locator(".status")).to_contain_text(status, timeout=MADE_MS)


def test_a_first_visit_ends_with_a_first_image(page: Page, sign_up: SignUp) -> None:
    page.goto("/")
    page.wait_for_url("**/welcome")
    sign_up()
    write(page, "a lighthouse at dusk")
    order(page)
    expect_status(page, "Done")
    expect(page.get_by_role("img", name="a lighthouse at dusk")).to_have_js_property("complete", True)
    page.get_by_text("It cost ").click()
    expect(page.get_by_role("cell", name="charged")).to_be_visible()
    page.get_by_role("link", name="Make a video of it").click()
    expect(page.get_by_role("checkbox", name="a lighthouse at dusk")).to_be_checked()


def test_a_script_that_comes_late_is_told_what_was_changed_before(page: Page, sign_up: SignUp) -> None:
    sign_up()
    # The page after signing up asks for the script too; that request is not the one that is held.
    page.goto("about:blank")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/static/htmx.*", hold)
    with page.expect_request("**/static/htmx.*"):
        page.goto("/create")
    # What a person does, without the waiting for scripts that all other tests do.
    page.evaluate("document.querySelector('#create select').dispatchEvent(new Event('change', { bubbles: true }))")
    told = "addEventListener('change', event => window.told = event.target.tagName)"
    page.evaluate(told)
    assert page.evaluate("window.told") is None
    held[0].continue_()
    # A function: an expression would be evaluated as a text, which the page's policy forbids, and reports.
    page.wait_for_function("() => window.told === 'SELECT'")


def test_the_keyboard_alone_makes_an_image(page: Page, sign_up: SignUp) -> None:
    sign_up()
    expect(page.locator("#f-prompt")).to_be_focused()
    page.keyboard.type("a quiet harbour")
    expect(page.locator("#quote .price")).to_contain_text("credits")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.locator("#order").evaluate("each => each === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/generations/*")


def test_an_image_is_made_without_a_script_and_its_price_is_seen_first(
    browser: Browser, stack: Stack, page: Page, sign_up: SignUp
) -> None:
    sign_up()
    plain = browser.new_context(
        base_url=stack.base_url, java_script_enabled=False, storage_state=page.context.storage_state()
    )
    plain.set_default_timeout(MADE_MS)
    page = plain.new_page()
    page.goto("/create")
    page.locator("#f-prompt").fill("a red kite")
    page.get_by_label("Model", exact=True).select_option("local/canvas")
    page.get_by_role("button", name="Show this model's settings").click()
    page.get_by_label("Size").select_option("own")
    page.get_by_label("Width in pixels").fill("256")
    page.get_by_label("Height in pixels").fill("192")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing is ordered yet")
    page.get_by_role("button", name="Create for 1 credit").click()
    page.wait_for_url("**/generations/*")
    expect_status(page, "Done")
    expect(page.get_by_role("figure")).to_contain_text("256 × 192")
    plain.close()


def test_a_generation_is_cancelled_and_says_what_that_costs(page: Page, sign_up: SignUp) -> None:
    sign_up()
    page.get_by_label("Model", exact=True).select_option("replicate/sdxl")
    write(page, "a slow river [[run:slow=50]]")
    order(page)
    expect_status(page, "Being made")
    page.get_by_role("button", name="Cancel").click()
    expect_status(page, "Cancelled")
    # This model is billed by the time that it has run.
    expect(page.locator("#generation .notice")).to_have_text(re.compile(r"You were charged (nothing|\d credits?)\."))


def test_a_provider_that_fails_is_explained_and_the_form_comes_back(page: Page, sign_up: SignUp) -> None:
    sign_up()
    page.get_by_label("Model", exact=True).select_option("replicate/sdxl")
    write(page, "a broken jar [[create:422]]")
    order(page)
    expect_status(page, "Failed")
    expect(page.get_by_role("heading", name="It did not work")).to_be_visible()
    expect(page.locator("#generation")).to_contain_text("You were charged nothing")
    expect(page.locator(".attempts")).to_contain_text("The model did not accept what was asked.")
    page.get_by_role("link", name="Change it").click()
    assert prompt_of(page) == "a broken jar [[create:422]]"
    expect(page.get_by_label("Model", exact=True)).to_have_value("replicate/sdxl")


def test_a_session_that_ends_in_the_middle_loses_no_text(page: Page, context: BrowserContext, sign_up: SignUp) -> None:
    email = sign_up()
    write(page, "what took me an hour to write")
    for cookie in ("__Host-studio-access", "__Host-atelier-refresh"):
        context.clear_cookies(name=cookie)
    page.locator("#f-prompt").press("End")
    page.keyboard.type(", and more")
    expect(page.get_by_role("alert")).to_contain_text("What you wrote is still here")
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("what took me an hour to write, and more")).to_be_visible()
    page.get_by_role("button", name="Send it now").click()
    page.wait_for_url("**/generations/*")
    expect(page.locator(".asked")).to_have_text("what took me an hour to write, and more")


def test_a_draft_survives_a_reload_the_other_tab_and_the_back_button(
    page: Page, context: BrowserContext, sign_up: SignUp
) -> None:
    sign_up()
    write(page, "the first tab's text")
    page.get_by_label("How many").fill("2")
    other = context.new_page()
    other.goto("/create")
    write(other, "the other tab's text")
    page.reload()
    expect(page.locator("#quote .price")).to_contain_text("16 credits")
    assert (prompt_of(page), prompt_of(other)) == ("the first tab's text", "the other tab's text")
    for tab in (page, other):
        order(tab)
    page.go_back()
    expect(page.get_by_label("How many")).to_have_value("2")
    assert prompt_of(page) == "the first tab's text"
    other.get_by_role("link", name="Something new").click()
    other.wait_for_url("**/create?*")
    assert prompt_of(other) == ""


def test_without_a_connection_the_text_stays_and_the_page_says_so(
    page: Page, context: BrowserContext, sign_up: SignUp
) -> None:
    sign_up()
    notice = page.get_by_text("You are offline")
    expect(notice).to_be_hidden()
    write(page, "written at home")
    context.set_offline(True)
    expect(notice).to_be_visible()
    page.locator("#f-prompt").press("End")
    page.keyboard.type(" and in the tunnel")
    page.get_by_role("button", name="Create", exact=True).click()
    context.set_offline(False)
    expect(notice).to_be_hidden()
    page.reload()
    assert prompt_of(page) == "written at home and in the tunnel"


def test_an_uploaded_image_is_enlarged(page: Page, sign_up: SignUp) -> None:
    sign_up()
    page.goto("/create?kind=upscale")
    expect(page.locator("#quote")).to_contain_text("Image to start from")
    file = io.BytesIO()
    Image.new("RGB", (80, 60), (200, 120, 40)).save(file, "PNG")
    chooser = page.get_by_label("Choose a file")
    chooser.set_input_files({"name": "tile.png", "mimeType": "image/png", "buffer": file.getvalue()})
    expect(page.get_by_role("checkbox", name="tile.png")).to_be_checked()
    expect(page.locator("#quote .price")).to_contain_text("2 credits")
    page.reload()
    expect(page.get_by_role("checkbox", name="tile.png")).to_be_checked()
    expect(page.locator("#quote .price")).to_contain_text("2 credits")
    order(page)
    expect_status(page, "Done")
    expect(page.get_by_role("figure")).to_contain_text("160 × 120")


def test_too_few_credits_are_said_before_anything_is_sent(page: Page, sign_up: SignUp) -> None:
    sign_up()
    page.get_by_label("Model", exact=True).select_option("local/canvas")
    page.get_by_label("Size").select_option("own")
    for side in ("Width in pixels", "Height in pixels"):
        page.get_by_label(side).fill("2048")
    page.get_by_label("How many").fill("4")
    write(page, "everything")
    expect(page.locator("#quote")).to_contain_text("credits short")


def test_a_setting_that_changes_while_those_of_another_model_come_is_kept(page: Page, sign_up: SignUp) -> None:
    sign_up()
    expect(page.locator("#quote .price")).to_contain_text("credit")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/create", hold)
    for model, width, height in (("local/canvas", "512", "640"), ("replicate/sdxl", "768", "384")):
        with page.expect_request("**/create"):
            page.get_by_label("Model", exact=True).select_option(model)
        page.get_by_label("Size").select_option("own")
        page.get_by_label("Width in pixels").fill(width)
        page.get_by_label("Height in pixels").fill(height)
        held.pop().continue_()
        expect(page.locator(".settings")).to_have_attribute("data-model", model)
        expect(page.get_by_label("Width in pixels")).to_have_value(width)
        expect(page.get_by_label("Height in pixels")).to_have_value(height)
        expect(page.get_by_label("Size")).to_have_value("own")


def test_several_steps_show_each_result(page: Page, sign_up: SignUp) -> None:
    sign_up()
    page.get_by_role("link", name="Several steps").click()
    expect(page.get_by_role("heading", name="2. Avatar")).to_be_visible()
    page.get_by_role("region", name="Audio").get_by_label("Voice").select_option("cora")
    page.get_by_role("region", name="Avatar").get_by_label("Model", exact=True).select_option("local/talker")
    write(page, "Good evening.")
    order(page)
    expect_status(page, "Done")
    expect(page.locator(".stages li")).to_have_count(2)
    expect(page.locator("video")).to_be_visible()


def test_a_suggested_prompt_is_taken_over(page: Page, sign_up: SignUp) -> None:
    sign_up()
    write(page, "a lighthouse")
    page.get_by_role("button", name="Improve the prompt").click()
    suggestion = page.locator(".suggestion")
    expect(suggestion).to_contain_text("a lighthouse", timeout=MADE_MS)
    words = suggestion.inner_text()
    page.get_by_role("button", name="Use this text").click()
    assert prompt_of(page) == words


def test_a_conversation_is_continued_and_changed(page: Page, sign_up: SignUp) -> None:
    sign_up()
    page.goto("/create?kind=text")
    write(page, "two lines about the sea")
    order(page)
    expect_status(page, "Done")
    told = page.locator("#result-text").inner_text()
    page.get_by_role("link", name="Continue the conversation").click()
    turns = page.locator(".turns li")
    expect(turns).to_have_count(2)
    expect(turns.first).to_contain_text("two lines about the sea")
    assert told.split()[0] in turns.last.inner_text()
    write(page, "and now about the land")
    order(page)
    expect_status(page, "Done")
    expect(page.locator(".asked")).to_have_text("and now about the land")
    page.get_by_text("Earlier in the conversation").click()
    expect(page.locator(".turns li")).to_have_count(2)
    page.get_by_role("link", name="Change it").click()
    expect(page.locator(".turns li")).to_have_count(2)
    assert prompt_of(page) == "and now about the land"
