"""The showcase in a browser: a work is published, approved by a moderator, found, liked, taken and reported."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.local.administrator import create_administrator
from tests.local.client import PASSWORD, AccountClient
from tests.local.conftest import Stack
from tests.local.studio.test_admin import administrator as administrator
from tests.local.studio.test_every_page import MARKER, check_page
from tests.local.test_showcase import image, offered, rich


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


def sign_in(page: Page, account: AccountClient) -> None:
    page.context.clear_cookies()
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(account.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/home")


def test_a_price_is_held_until_the_buyer_takes_the_work(page: Page, stack: Stack) -> None:
    root, ada = create_administrator(stack.base_url, stack.running), AccountClient(stack.base_url)
    bob = rich(stack, root)
    listing_id = offered(ada, root, image(ada), 100, "Quiet harbour")
    sign_in(page, bob)
    page.goto(f"/showcase/{listing_id}")
    page.get_by_role("button", name="Buy").click()
    page.get_by_text("Undo the purchase …").click()
    page.get_by_role("button", name="Undo the purchase").click()
    expect(page.get_by_text("refunded", exact=True)).to_be_visible()
    page.goto("/credits")
    for text in ("Reserved for a purchase in the showcase", "Purchase in the showcase refunded"):
        expect(page.get_by_text(text)).to_be_visible()

    other = offered(ada, root, image(ada), 200, "Loud harbour")
    page.goto(f"/showcase/{other}")
    page.get_by_role("button", name="Buy").click()
    expect(page.get_by_text("bought", exact=True)).to_be_visible()
    sign_in(page, ada)
    check_page(page, "showcase_earnings_waiting", "/showcase/earnings")
    expect(page.get_by_text("0 credits received")).to_be_visible()
    expect(page.get_by_text("180 credits wait until")).to_be_visible()
    expect(page.get_by_text("waiting", exact=True)).to_be_visible()
    sign_in(page, bob)
    page.goto(f"/showcase/{other}")
    page.get_by_role("button", name="Take into the library").click()
    expect(page.get_by_text("in your library", exact=True)).to_be_visible()
    check_page(page, "credits_of_a_buyer", "/credits")
    expect(page.get_by_text("Bought in the showcase")).to_be_visible()
    sign_in(page, ada)
    page.goto("/showcase/earnings")
    expect(page.get_by_text("180 credits received")).to_be_visible()
    expect(page.get_by_text("wait until")).to_have_count(0)


def test_a_work_that_is_not_there_is_refused_in_the_form(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/showcase/publish?asset=none")
    page.get_by_label("Title").fill("Nothing")
    page.get_by_role("button", name="Hand it to the moderators").click()
    expect(page.get_by_text("There is no such work in this workspace")).to_be_visible()
    page.goto("/showcase/own")
    expect(page.get_by_text("Nothing published yet")).to_be_visible()
