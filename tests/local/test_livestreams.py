"""A livestream without a streaming service, played in a real browser through signed cookies of the edge."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tests.lanes import need_browser
from tests.local.chromium import chromium
from tests.local.client import PASSWORD, AccountClient
from tests.local.conftest import Stack

PLAY = """
(async known => {
  const call = async (path, options) => (await (await fetch(path, options)).json()).data;
  const json = {"content-type": "application/json"};
  const account = {email: known.email, password: known.password, name: "Viewer", token_delivery: "body"};
  const signed = await call("/api/auth/signup", {method: "POST", headers: json, body: JSON.stringify(account)});
  const asked = {headers: {authorization: `Bearer ${signed.access_token}`}};
  const {playback} = await call(`/api/livestreams/${known.id}/playback`, asked);
  const video = document.createElement("video");
  video.muted = true;
  video.src = playback.url;
  document.body.append(video);
  await video.play();
  await new Promise(seen => video.addEventListener("timeupdate", () => video.currentTime > 0 && seen()));
  return [playback.type, video.videoWidth, document.cookie, video.currentTime > 0];
})
"""


def live(stack: Stack) -> tuple[AccountClient, str]:
    """A livestream for everybody that is live, and its host."""
    host = AccountClient(stack.base_url)
    said = {"title": "A lake at dawn", "starts_at": datetime.now(UTC).isoformat(), "access": "public"}
    livestream_id: str = host.http.post("/api/livestreams", json=said).json()["data"]["livestream"]["id"]
    started = host.http.post(f"/api/livestreams/{livestream_id}/start", timeout=60)
    assert started.json()["data"]["livestream"]["status"] == "live", started.text
    return host, livestream_id


def test_a_browser_plays_a_livestream_through_signed_cookies(stack: Stack, tmp_path: Path) -> None:
    path, (_, livestream_id) = need_browser(), live(stack)
    known = {"email": f"{uuid.uuid4().hex}@example.test", "password": PASSWORD, "id": livestream_id}

    async def watch() -> Any:
        async with chromium(path, tmp_path, "--autoplay-policy=no-user-gesture-required") as tab:
            await tab.open_page(f"{stack.base_url}/welcome")
            return await tab.evaluate(f"({PLAY.strip()})({json.dumps(known)})")

    assert asyncio.run(watch()) == ["application/vnd.apple.mpegurl", 640, "", True]


def test_the_cookies_open_one_livestream_and_nothing_else(stack: Stack) -> None:
    (host, first), (_, second) = live(stack), live(stack)
    answer = host.http.get(f"/api/livestreams/{first}/playback")
    playlist = answer.json()["data"]["playback"]["url"]
    given = [each.split(";")[0].partition("=") for each in answer.headers.get_list("set-cookie")]
    cookies = {name: value for name, _, value in given}
    with httpx.Client(base_url=stack.base_url) as http:

        def status(path: str, **changed: str) -> int:
            sent = {**cookies, **changed}
            return http.get(path, headers={"cookie": "; ".join(f"{name}={sent[name]}" for name in sent)}).status_code

        assert http.get(playlist).status_code == 403
        assert (status(playlist), status(playlist.replace("index.m3u8", "part000.ts"))) == (200, 200)
        # Another livestream, the state of this one with its key, and files of the library.
        assert status(playlist.replace(first, second)) == 403
        assert status(playlist.replace("/index.m3u8", ".json")) == 403
        assert status(playlist.replace(f"streams/{first}/", "")) == 403
        flipped = cookies["CloudFront-Signature"]
        assert status(playlist, **{"CloudFront-Signature": flipped[:-6] + "AAAA" + flipped[-2:]}) == 403
        assert status(playlist, **{"CloudFront-Policy": cookies["CloudFront-Policy"][:-8]}) == 403
        assert status(playlist, **{"CloudFront-Key-Pair-Id": "KOTHER"}) == 403
