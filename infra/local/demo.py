"""The demo of `make run`, through the public API alone: sign up, generate an image, show what it cost."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

EMAIL = "demo@example.com"
PROMPT = "a lighthouse at dusk, long shadows, quiet sea"
PICTURE_SECONDS_MAX = 60.0


class DemoFailed(Exception):
    """A step got an unexpected response; the text names the step and the response."""


async def show(base_url: str, data: Path, trouble: str | None = None) -> None:
    """Runs the demo and prints its steps. A failure is printed as one sentence, and the stack goes on serving. trouble:
    a marker for the prompt that makes the first candidate's stand-in refuse, which shows the fallback to the next."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=35)) as session:
        try:
            await _show(_Api(session, base_url), data, trouble)
        except (DemoFailed, aiohttp.ClientError, TimeoutError) as error:
            _tell(str(error) or type(error).__name__)


async def _show(api: _Api, data: Path, trouble: str | None) -> None:
    await _sign_in(api, data / "demo.json")
    _tell(f"asking for a picture of “{PROMPT}”")
    body = {"prompt": PROMPT, "parameters": {"width": 1024, "height": 1024}}
    generation = await _finished(api, (await api.call("POST", "/api/generate/image", body))["generation"])
    asset = generation["assets"][0]
    picture = data / f"{generation['id']}.{asset['format']}"
    path = asset["url"].removeprefix(api.base_url)
    picture.write_bytes(await api.download(path))
    _tell(f"saved {picture} ({asset['width']} × {asset['height']}, {picture.stat().st_size // 1024} KiB)")
    _tell(f"to be seen for ten minutes at {api.base_url + path}")
    if trouble:
        await _show_fallback(api, trouble)
    _tell_statement(await api.call("GET", "/api/credits/entries?limit=6"), await api.call("GET", "/api/credits"))


async def _show_fallback(api: _Api, trouble: str) -> None:
    _tell(f"asking again, and the first provider refuses: “{PROMPT} [[{trouble}]]”")
    asked = await api.call("POST", "/api/generate/image", {"prompt": f"{PROMPT} [[{trouble}]]"})
    for attempt in (await _finished(api, asked["generation"]))["attempts"]:
        _tell(f"{attempt['model']:<28}{attempt['status']:<11}{attempt['error_class'] or ''}")


async def _sign_in(api: _Api, kept: Path) -> None:
    account = _account(kept)
    body = {**account, "token_delivery": "body"}
    status, answer = await api.ask("POST", "/api/auth/login", body)
    if status == 401:
        status, answer = await api.ask("POST", "/api/auth/signup", {**body, "name": "Demo"})
        _tell(f"signed up {account['email']}; the password is in {kept}")
    else:
        _tell(f"logged in {account['email']}; the password is in {kept}")
    if status not in (200, 201):
        raise DemoFailed(f"signing in was answered {status}: {answer}")
    api.access_token = answer["data"]["access_token"]


def _account(kept: Path) -> dict[str, str]:
    """E-mail and password of the account stored in the file `kept`, or of a new one. When a crash cut the file short,
    the new account has a new address, because the old one may be taken."""
    email = EMAIL
    if kept.exists():
        try:
            return json.loads(kept.read_text("utf-8"))
        except ValueError:
            email = EMAIL.replace("@", f"-{secrets.token_hex(4)}@")
    account = {"email": email, "password": secrets.token_urlsafe(18)}
    kept.touch(mode=0o600)
    kept.write_text(json.dumps(account), "utf-8")
    return account


async def _finished(api: _Api, generation: Mapping[str, Any]) -> Mapping[str, Any]:
    deadline = time.monotonic() + PICTURE_SECONDS_MAX
    told = ""
    while generation["status"] in ("queued", "running"):
        state = f"{generation['status']} {generation['progress']} %"
        if state != told:
            _tell(state)
            told = state
        if time.monotonic() > deadline:
            raise DemoFailed(f"the picture was not ready within {PICTURE_SECONDS_MAX:.0f} s")
        await asyncio.sleep(0.2)
        generation = (await api.call("GET", f"/api/generations/{generation['id']}"))["generation"]
    if generation["status"] != "succeeded":
        raise DemoFailed(f"the generation {generation['status']}: {generation['error']}")
    _tell(f"succeeded in {generation['duration_ms'] / 1000:.1f} s with {generation['model']}")
    return generation


def _tell_statement(statement: Mapping[str, Any], balance: Mapping[str, Any]) -> None:
    """Prints a table of movements, oldest first: how each changed the available and the held credits."""
    _tell(f"{'movement':<10}{'available':>10}{'held':>6}  of")
    for movement in reversed(statement["items"]):
        _tell(f"{movement['kind']:<10}{movement['available']:>+10}{movement['held']:>+6}  {movement['subject']}")
    _tell(f"{'now':<10}{balance['available']:>10}{balance['held']:>6}")


def _tell(text: str) -> None:
    print(f"demo: {text}", flush=True)


class _Api:
    """A client of Atelier's public API."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self.base_url = base_url
        self.access_token = ""

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """The status and the parsed body of one call."""
        headers = {"authorization": f"Bearer {self.access_token}"} if self.access_token else {}
        async with self._session.request(method, self.base_url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """The `data` of a successful call; raises DemoFailed."""
        status, answer = await self.ask(method, path, body)
        if status >= 400:
            raise DemoFailed(f"{method} {path} was answered {status}: {answer.get('message') or answer}")
        return answer["data"]

    async def download(self, path: str) -> bytes:
        """The bytes behind a signed path, which is sent exactly as given; raises DemoFailed."""
        async with self._session.get(URL(self.base_url + path, encoded=True)) as answer:
            if answer.status != 200:
                raise DemoFailed(f"the picture's URL was answered {answer.status}")
            return await answer.read()
