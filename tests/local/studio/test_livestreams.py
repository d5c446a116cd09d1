"""Livestreams in a browser: one is announced, started and watched by somebody else, and its recording opened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect

from tests.local.client import AccountClient
from tests.local.conftest import Stack

IS_PLAYING = "() => { const video = document.querySelector('video'); return video && video.currentTime > 0 }"


def test_a_host_announces_starts_and_ends_and_the_recording_stays(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/live")
    page.get_by_role("link", name="New livestream").click()
    start = datetime.now(UTC) + timedelta(days=1)

    page.get_by_label("Title").fill("A <b>lake</b> at dawn")
    page.get_by_label("Begins").fill(f"{start:%Y-%m-%d}T18:00")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_label("Who may watch").select_option("tier")
    page.get_by_role("button", name="Announce").click()
    expect(page.get_by_text("are named for the access")).to_be_visible()
    page.get_by_label("Who may watch").select_option("public")
    page.get_by_role("button", name="Announce").click()
    expect(page.get_by_text("It has not begun yet.")).to_be_visible()

    page.get_by_role("button", name="Show server and key").click()
    shown = page.get_by_role("region", name="Send the picture")
    first = shown.locator("code").last.inner_text()
    page.get_by_text("Replace the key …").click()
    page.get_by_role("button", name="Replace it").click()
    expect(shown.locator("code").last).not_to_have_text(first)
    page.get_by_text("Forward it to another place …").click()
    page.get_by_label("Address", exact=True).fill("rtmps://live.example.com/app")
    page.get_by_label("Stream key").fill("their-key")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Remove rtmps://live.example.com/app").click()
    expect(page.get_by_text("rtmps://live.example.com/app")).to_have_count(0)

    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    page.wait_for_function(IS_PLAYING)
    page.get_by_text("End the livestream …").click()
    page.get_by_role("button", name="End it").click()
    expect(page.get_by_text("ended", exact=True)).to_be_visible()
    page.get_by_role("link", name="To the recording").click()
    expect(page.get_by_role("heading", name="A <b>lake</b> at dawn")).to_be_visible()


def test_somebody_else_watches_and_sees_no_key(page: Page, sign_up: Callable[[], str], stack: Stack) -> None:
    host = AccountClient(stack.base_url)
    said = {"title": "A lake", "starts_at": datetime.now(UTC).isoformat(), "access": "public"}
    livestream_id = host.http.post("/api/livestreams", json=said).json()["data"]["livestream"]["id"]
    host.http.post(f"/api/livestreams/{livestream_id}/start", timeout=60)
    sign_up()
    page.goto(f"/live/{livestream_id}")
    page.wait_for_function(IS_PLAYING)
    expect(page.get_by_text("Stream key")).to_have_count(0)
    page.reload()
    expect(page.get_by_text("about 2 people watch")).to_be_visible()
    # The script asks to watch on: the answer has the cookies, and the same place.
    renewed = page.evaluate("document.querySelector('video').dataset.playback")
    answer = page.request.get(renewed)
    assert answer.json()["url"].endswith("/index.m3u8")
    assert "CloudFront-Policy=" in answer.headers["set-cookie"]
