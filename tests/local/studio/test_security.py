"""Second factors in a browser: an authenticator app, recovery codes, a passkey of a virtual authenticator."""

from __future__ import annotations

import io
from collections.abc import Callable

import pyotp
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.local.client import PASSWORD
from tests.local.conftest import Stack
from tests.local.studio.test_oauth import choose


def sign_out(page: Page) -> None:
    page.get_by_label("Account").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url("**/welcome")


def sign_in_by_password(page: Page, email: str) -> None:
    page.goto("/sign-in?next=/security")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def add_authenticator(page: Page) -> None:
    """Gives the browser an authenticator that verifies its user by itself, as a phone's does by fingerprint."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def scanned(picture: bytes) -> str:
    """The text of the QR code in a picture."""
    [found] = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)), formats=zxingcpp.BarcodeFormat.QRCode)
    return found.text


def set_up_app(page: Page) -> list[str]:
    """Sets up an authenticator app on the page Security; returns the recovery codes. The page then shows them."""
    main = page.get_by_role("main")
    main.get_by_role("button", name="Set up an authenticator app").click()
    # The camera of a phone sees what the screen shows.
    url = scanned(page.get_by_role("img", name="QR code for your authenticator app").screenshot())
    app = pyotp.parse_uri(url)
    assert isinstance(app, pyotp.TOTP)
    assert app.secret == page.locator("#totp-key").inner_text().replace(" ", "")
    assert url == main.get_by_role("link", name="Open in the app").get_attribute("href")
    main.get_by_label("Code of your authenticator app").fill(app.now())
    main.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    return page.locator("#codes li").all_inner_texts()


def test_an_authenticator_app_is_set_up_and_asked_for(page: Page, sign_up: Callable[[], str]) -> None:
    email = sign_up()
    page.goto("/security")
    page.emulate_media(color_scheme="dark")
    codes = set_up_app(page)
    assert len(codes) == 10
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.path().read_text().split() == codes

    page.get_by_role("link", name="I have kept them").click()
    sign_out(page)
    sign_in_by_password(page, email)
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step")
    page.get_by_text("Without the app or the passkey").click()
    page.get_by_label("Recovery code").fill(codes[0])
    page.get_by_role("button", name="Go on").last.click()
    page.wait_for_url("**/security")
    expect(page.get_by_text("9 codes are left")).to_be_visible()
    expect(page.get_by_text("This device")).to_have_count(1)


def test_an_external_login_is_linked_after_the_second_factor(page: Page, sign_up: Callable[[], str]) -> None:
    email = sign_up()
    page.goto("/security")
    codes = set_up_app(page)
    page.get_by_role("link", name="I have kept them").click()
    sign_out(page)
    page.goto("/sign-in?next=/projects")
    page.get_by_role("link", name="Go on with Google").click()
    choose(page, email)
    page.get_by_label("Password of the account").fill(PASSWORD)
    page.get_by_role("button", name="Link and sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step")
    page.get_by_text("Without the app or the passkey").click()
    # A wrong code keeps what is to be linked.
    for code in ("AAAA-AAAA-AAAA", codes[0]):
        page.get_by_label("Recovery code").fill(code)
        page.get_by_role("button", name="Go on").last.click()
        if code != codes[0]:
            expect(page.get_by_role("alert")).to_be_visible()
            page.get_by_text("Without the app or the passkey").click()
    page.wait_for_url("**/projects")
    page.goto("/identities")
    expect(page.get_by_role("heading", name="Google")).to_be_visible()
    expect(page.get_by_text(email)).to_be_visible()


def test_an_older_session_confirms_the_factor_before_it_changes_one(
    browser: Browser, stack: Stack, page: Page, sign_up: Callable[[], str]
) -> None:
    email = sign_up()
    other = browser.new_context(base_url=stack.base_url, locale="en-GB").new_page()
    sign_in_by_password(other, email)
    other.wait_for_url("**/security")
    codes = set_up_app(other)
    other.context.close()

    page.goto("/security")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Is it you?")
    page.get_by_text("Without the app or the passkey").click()
    page.get_by_label("Recovery code").fill(codes[0])
    page.get_by_role("button", name="Confirm", exact=True).last.click()
    page.get_by_role("button", name="Send it now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Add a passkey")


def test_a_passkey_signs_in_without_a_password(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    add_authenticator(page)
    page.goto("/security")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_label("Name").fill("My phone")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("heading", name="My phone")).to_be_visible()
    sign_out(page)
    page.goto("/sign-in?next=/security")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/security")
    expect(page.get_by_text("by passkey")).to_be_visible()


def test_devices_are_signed_out_and_a_deleted_account_is_restored(
    context: BrowserContext, page: Page, sign_up: Callable[[], str]
) -> None:
    email = sign_up()
    context.clear_cookies()
    sign_in_by_password(page, email)
    page.wait_for_url("**/security")
    page.get_by_role("button", name="Sign out all other devices").click()
    expect(page.get_by_role("button", name="Sign out all other devices")).to_have_count(0)

    page.goto("/profile")
    page.get_by_label("Your name").fill("Ada L.")
    page.get_by_label("Time zone").fill("Nowhere/Land")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".field-error")).to_have_count(1)
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.get_by_text("Delete the account").last.click()
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account will be deleted")
    sign_in_by_password(page, email)
    page.get_by_role("button", name="Keep my account").click()
    page.wait_for_url("**/security")
