"""The showcase in a browser: a work is published, approved by a moderator, found, liked, taken and reported."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.local.client import AccountClient
from tests.local.conftest import Stack
from tests.local.studio.test_admin import administrator as administrator
from tests.local.studio.test_every_page import MARKER, check_page
from tests.local.test_showcase import image


def publish(account: AccountClient, title: str, price: int = 0) -> str:
    """A listing that waits for a moderator."""
    work = {"asset_id": image(account), "title": title, "description": title, "price_credits": price}
    listing_id: str = account.http.post("/api/showcase", json=work).json()["data"]["listing"]["id"]
    return listing_id


def test_a_moderator_approves_a_work_and_somebody_takes_it(administrator: Page, stack: Stack) -> None:
    page, ada = administrator, AccountClient(stack.base_url)
    listing_id = publish(ada, MARKER)
    page.goto("/showcase/reviews")
    check_page(page, "showcase_reviews_moderator", "/showcase/reviews")
    check_page(page, "showcase_review_moderator", f"/showcase/reviews/{listing_id}")
    page.get_by_label("Reason").fill("Fine")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url("**/showcase/reviews")

    page.goto("/showcase")
    page.locator(f'a[href="/showcase/{listing_id}"]').click()
    expect(page.get_by_text("made with AI")).to_be_visible()
    page.get_by_role("button", name="Like", exact=True).click()
    expect(page.get_by_role("heading", name="1 like")).to_be_visible()
    page.get_by_role("button", name="Get it").click()
    expect(page.get_by_text("bought", exact=True)).to_be_visible()
    check_page(page, "showcase_bought", f"/showcase/{listing_id}")
    page.get_by_role("button", name="Take into the library").click()
    expect(page.get_by_text("in your library", exact=True)).to_be_visible()
    check_page(page, "showcase_gallery", "/showcase")
    check_page(page, "showcase_purchases", "/showcase/own")
    page.goto(f"/showcase/{listing_id}")
    page.get_by_text("Report …").click()
    page.get_by_label("What is wrong").select_option("spam")
    page.get_by_role("button", name="Tell the moderators").click()
    expect(page.get_by_text("The moderators will look at it")).to_be_visible()


def test_a_work_that_is_not_there_is_refused_in_the_form(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/showcase/publish?asset=none")
    page.get_by_label("Title").fill("Nothing")
    page.get_by_role("button", name="Hand it to the moderators").click()
    expect(page.get_by_text("There is no such work in this workspace")).to_be_visible()
    page.goto("/showcase/own")
    expect(page.get_by_text("Nothing published yet")).to_be_visible()
