"""Providers in a browser: their order, and own keys of a provider that a simulator stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import BrowserContext, Page, expect

from infra.simulators.replicate import API_TOKEN
from tests.local.conftest import Stack


def settings_of(context: BrowserContext, stack: Stack) -> list[dict[str, Any]]:
    """The providers' settings, by the API with the browser's session."""
    [token] = [str(cookie.get("value")) for cookie in context.cookies() if cookie.get("name") == "__Host-studio-access"]
    headers = {"authorization": f"Bearer {token}"}
    answer = httpx.get(f"{stack.base_url}/api/settings/providers", headers=headers, timeout=40)
    return answer.json()["data"]["providers"]


def add_key(page: Page, name: str, key: str) -> None:
    form = page.get_by_role("region", name="Add a key for Replicate")
    form.get_by_label("Name").fill(name)
    form.get_by_label("Key", exact=True).fill(key)
    form.get_by_role("button", name="Add", exact=True).click()


def test_an_own_key_is_added_tested_switched_off_and_removed(
    page: Page, sign_up: Callable[[], str], context: BrowserContext, stack: Stack
) -> None:
    sign_up()
    page.goto("/providers/replicate")
    add_key(page, "ours", "short")
    expect(page.locator(".field-error")).to_contain_text("8 to 512 characters")
    expect(page.get_by_label("Name")).to_have_value("ours")
    expect(page.get_by_label("Key", exact=True)).to_have_value("")
    add_key(page, "wrong", "r8_this_is_no_key_at_all")
    page.get_by_role("button", name="Test wrong").click()
    expect(page.get_by_text("The provider does not accept this key.")).to_be_visible()
    add_key(page, "ours", API_TOKEN)
    ours = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="ours"))
    expect(ours).to_contain_text("in use")
    assert API_TOKEN not in page.content()
    ours.get_by_role("button", name="Test ours").click()
    expect(ours).to_contain_text("The provider accepts this key.")
    page.get_by_label("If my key fails, use Atelier's access").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("If my key fails, use Atelier's access")).to_be_checked()
    [replicate] = [each for each in settings_of(context, stack) if each["id"] == "replicate"]
    assert (replicate["platform_fallback"], replicate["use_own_key"] is not None) == (True, True)
    ours.get_by_role("button", name="Switch off ours").click()
    expect(ours).to_contain_text("switched off")
    for name in ("ours", "wrong"):
        key = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name))
        key.get_by_text("Remove", exact=True).click()
        key.get_by_role("button", name=f"Remove “{name}” for good").click()
        expect(key).to_have_count(0)
    expect(page.get_by_text("No keys of yours.")).to_be_visible()


def test_providers_are_put_in_order_and_switched_off(
    page: Page, sign_up: Callable[[], str], context: BrowserContext, stack: Stack
) -> None:
    sign_up()
    page.goto("/providers")
    names = page.get_by_role("heading", level=2)
    before = names.all_inner_texts()
    page.get_by_role("button", name="Move fal up").click()
    place = before.index("fal")
    after = [*before[: place - 1], "fal", before[place - 1], *before[place + 1 :]]
    expect(names).to_have_text(after)
    page.get_by_role("button", name="Switch off fal").click()
    expect(page.locator("#p-fal")).to_contain_text("Switched off")
    stored = settings_of(context, stack)
    assert [each["id"] for each in stored].index("fal") == place - 1
    assert [each["id"] for each in stored if not each["enabled"]] == ["fal"]
    page.get_by_role("link", name="Models of Atelier, built in").click()
    expect(page.get_by_role("listitem").filter(has_text="local/canvas")).to_contain_text("4 credits a megapixel")


def test_an_endpoint_that_is_refused_keeps_what_was_written(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/providers/custom")
    page.get_by_label("Name", exact=True).fill("team")
    page.get_by_label("Key", exact=True).fill("a key of the team 1")
    page.get_by_label("Base URL").fill("http://10.0.0.1/v1")
    page.get_by_label("Name of model 1").fill("llama")
    page.get_by_label("Makes").first.select_option("image")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#e-base_url")).to_be_visible()
    expect(page.get_by_label("Base URL")).to_have_value("http://10.0.0.1/v1")
    expect(page.get_by_label("Name of model 1")).to_have_value("llama")
    expect(page.get_by_label("Makes").first).to_have_value("image")


def test_two_windows_do_not_overwrite_one_anothers_settings(
    page: Page, sign_up: Callable[[], str], context: BrowserContext, stack: Stack
) -> None:
    sign_up()
    page.goto("/providers/replicate")
    add_key(page, "ours", API_TOKEN)
    platform, save = page.get_by_role("radio", name="Atelier's access"), page.get_by_role("button", name="Save")
    own = page.get_by_role("radio", name="My key “ours”")
    expect(own).to_be_checked()
    other = context.new_page()
    other.goto("/providers")
    order = other.get_by_role("heading", level=2)
    before = order.all_inner_texts()
    platform.check()
    page.get_by_label("If my key fails, use Atelier's access").check()
    third = context.new_page()
    third.goto("/providers")
    third.get_by_role("button", name="Switch off fal").click()
    expect(third.locator("#p-fal")).to_contain_text("Switched off")
    save.click()
    expect(page.get_by_text("The settings were changed in another window meanwhile.")).to_be_visible()
    expect(platform).to_be_checked()
    expect(page.get_by_label("If my key fails, use Atelier's access")).to_be_checked()
    other.get_by_role("button", name="Move fal up").click()
    expect(other.get_by_text("The order was changed in another window.")).to_be_visible()
    expect(order).to_have_text(before)
    save.click()
    expect(page.get_by_text("The settings were changed in another window meanwhile.")).to_have_count(0)
    by_id = {each["id"]: each for each in settings_of(context, stack)}
    assert (by_id["replicate"]["use_own_key"], by_id["fal"]["enabled"]) == (None, False)
