"""Livestreams in a browser: one is announced, started and watched by somebody else, and its recording opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from infra.local.stack_process import RunningStack
from infra.simulators.streaming.mux import MuxSimulator
from tests.local.client import AccountClient
from tests.local.conftest import BROWSER_SECONDS_MAX, PARAMETERS, Stack
from tests.local.studio.conftest import wait_for_scripts
from tests.local.studio.test_security import sign_in_by_password

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

    # This stack has no streaming service to send a video to, and the API's refusal says what to do instead.
    page.get_by_role("button", name="Send a video …").click()
    expect(page.get_by_text("Upload the video to the library.")).to_be_visible()

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


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[RunningStack, MuxSimulator]]:
    """A stack with a streaming service."""
    with MuxSimulator() as simulator:
        secrets = tmp_path / "providers.json"
        secrets.write_text(json.dumps({"mux": simulator.access}))
        parameters = PARAMETERS | {"ProviderUrls": f"mux={simulator.url}"}
        arguments = ["--provider-secrets-file", str(secrets)]
        with RunningStack(tmp_path / "data", parameters=parameters, arguments=arguments) as running:
            simulator.webhook_url = f"{running.base_url}/api/webhooks/mux"
            yield running, simulator


def test_a_video_is_sent_in_place_of_a_livestream(
    browser: Browser, served: tuple[RunningStack, MuxSimulator], tmp_path: Path
) -> None:
    running, simulator = served
    host, film = AccountClient(running.base_url), tmp_path / "film.mp4"
    film.write_bytes(simulator.film)
    said = {"title": "A lake", "starts_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(), "access": "public"}
    livestream_id = host.http.post("/api/livestreams", json=said).json()["data"]["livestream"]["id"]
    with browser.new_context(base_url=running.base_url, locale="en-GB") as context:
        context.set_default_timeout(BROWSER_SECONDS_MAX * 1000)
        wait_for_scripts(context)
        page = context.new_page()
        sign_in_by_password(page, host.email)
        page.wait_for_url("**/security")
        page.goto(f"/live/{livestream_id}")
        page.get_by_role("button", name="Send a video …").click()
        shown = page.get_by_role("region", name="Send a video instead")
        shown.get_by_text("Or send it with a program …").click()
        expect(shown.locator("code")).to_contain_text(f"curl --upload-file film.mp4 '{simulator.url}/upload/")
        shown.get_by_label("Video").set_input_files(film)
        shown.get_by_role("button", name="Send it").click()
        # The service tells that the video is there, and the page is the livestream's again.
        page.wait_for_url(f"**/live/{livestream_id}")
        assert list(simulator.received.values()) == [simulator.film]
        # That it comes to the library, within minutes, is shown under a virtual clock.
        expect(page.get_by_text("is being made")).to_be_visible()
        page.get_by_role("button", name="Start", exact=True).click()
        expect(page.get_by_text("A video is being sent in place of this livestream.")).to_be_visible()


def test_without_a_script_the_command_of_a_program_is_shown(
    browser: Browser, served: tuple[RunningStack, MuxSimulator]
) -> None:
    running, simulator = served
    host = AccountClient(running.base_url)
    said = {"title": "A lake", "starts_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(), "access": "public"}
    livestream_id = host.http.post("/api/livestreams", json=said).json()["data"]["livestream"]["id"]
    with browser.new_context(base_url=running.base_url, locale="en-GB", java_script_enabled=False) as context:
        page = context.new_page()
        sign_in_by_password(page, host.email)
        page.wait_for_url("**/security")
        page.goto(f"/live/{livestream_id}")
        page.get_by_role("button", name="Send a video …").click()
        expect(page.get_by_role("button", name="Send it")).to_have_count(0)
        page.get_by_text("Or send it with a program …").click()
        expect(page.get_by_text(f"{simulator.url}/upload/")).to_be_visible()
