"""A real browser on the whole stack: Chromium driven by Playwright, one clean profile for each test.

These tests need a Chromium (`.ci/chromium` installs Debian's); without one they are skipped with a message.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize

from tests.local.client import PASSWORD
from tests.local.conftest import BROWSER_SECONDS_MAX, Stack

# Phones and desktops of the pages' range; tests that say nothing get the desktop.
# What a test lets a page do that its policy refuses, so that it is reported.
DELIBERATE = "https://deliberate.example/"
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture
def context(browser: Browser, stack: Stack) -> Iterator[BrowserContext]:
    """A browser without cookies. At the end nothing may have been blocked by the Content-Security-Policy, and no script
    may have failed."""
    context = browser.new_context(base_url=stack.base_url, viewport=DESKTOP, locale="en-GB")
    context.set_default_timeout(BROWSER_SECONDS_MAX * 1000)
    wait_for_scripts(context)
    faults: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        # A refused request is written to the console as an error too, and so is a connection that is cut or too late;
        # the tests look at those answers themselves, and a page does without a connection.
        ignored = ("Failed to load resource", "WebSocket connection to")
        if message.type == "error" and not any(each in message.text for each in ignored):
            faults.append(message.text)

    context.on("console", heard)
    context.on("weberror", lambda error: faults.append(str(error.error)))
    yield context
    context.close()
    assert faults == []


def wait_for_scripts(context: BrowserContext) -> None:
    """Lets each action and expectation in this browser wait until the page has all its scripts: they come after it
    is shown, and somebody who is faster sends its forms without them."""

    def opened(page: Page) -> None:
        # After the handler the browser waits until the place is not to be seen any more.
        page.add_locator_handler(page.locator("html:has(meta[name=script])"), lambda: None)

    context.on("page", opened)


@pytest.fixture(scope="module", autouse=True)
def no_reported_violation(stack: Stack) -> Iterator[None]:
    """At the end of each file no browser has reported that a page broke its Content-Security-Policy."""
    started = int(time.time() * 1000)
    yield
    assert [each for each in reported_violations(stack, started) if DELIBERATE not in each] == []


def reported_violations(stack: Stack, since: int) -> list[str]:
    """Studio's log lines about reports of browsers. since: milliseconds of the epoch."""
    pages = stack.running.aws().client("logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName=stack.running.resource("Logs"), startTime=since)
    lines = [str(event["message"]) for page in found for event in page["events"]]
    return [line for line in lines if "content security policy" in line]


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def sign_up(page: Page) -> Callable[[], str]:
    """Makes an account by the form; returns its e-mail address. The page is then the one after signing up."""

    def sign_up() -> str:
        email = f"{uuid.uuid4().hex}@example.test"
        page.goto("/sign-up")
        page.get_by_label("Your name").fill("Ada Lovelace")
        page.get_by_label("E-mail address").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("main").get_by_role("button", name="Create an account").click()
        page.wait_for_url("**/create")
        return email

    return sign_up
