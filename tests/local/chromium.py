"""A real browser, driven over its DevTools protocol: Debian's `chromium`, or another Chromium on the path."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_SECONDS_MAX = 60.0
ANSWER_SECONDS_MAX = 120.0


def find_browser() -> str | None:
    """The browser's path; None when there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab. `port`: where other programs reach this browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, port: int) -> None:
        self._socket = socket
        self.port = port
        self._numbers = itertools.count(1)

    async def open_page(self, url: str) -> None:
        """Opens a page and waits until it has loaded."""
        await self._call("Page.enable")
        await self._call("Page.navigate", url=url)
        await self.evaluate("document.readyState === 'complete' || new Promise(seen => addEventListener('load', seen))")
        assert await self.evaluate("location.href") == url

    async def set_cookies(self, url: str, cookies: Mapping[str, str]) -> None:
        """Gives the browser cookies of our own pages, as they set them."""
        for name, value in cookies.items():
            await self._call("Network.setCookie", url=url, name=name, value=value, secure=True, path="/")

    async def evaluate(self, script: str) -> Any:
        """Evaluates an expression in the page and returns its value; a promise is awaited. Raises AssertionError when
        the expression throws."""
        ran = await self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in ran, ran["exceptionDetails"]
        return ran["result"].get("value")

    async def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            while True:
                message = await self._socket.receive_json()
                if message.get("id") == number:
                    assert "error" not in message, message
                    return message["result"]


@asynccontextmanager
async def chromium(path: str, folder: Path, *arguments: str) -> AsyncIterator[Page]:
    """A browser with one empty tab, its profile in `folder`."""
    command = [path, "--headless", "--remote-debugging-port=0", f"--user-data-dir={folder}", "--no-first-run"]
    # Chromium's sandbox does not work for root. It is not needed, because only our own pages are shown.
    command += ["--no-sandbox"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [*command, "--disable-gpu", *arguments, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with aiohttp.ClientSession() as session:
            port = await _port(folder / "DevToolsActivePort")
            async with session.get(f"http://127.0.0.1:{port}/json/list") as tabs:
                [tab] = [each for each in json.loads(await tabs.text()) if each["type"] == "page"]
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Page(socket, port)
    finally:
        process.terminate()
        process.wait(30)


async def _port(file: Path) -> int:
    async with asyncio.timeout(START_SECONDS_MAX):
        while not (file.exists() and file.read_text()):
            await asyncio.sleep(0.05)
    return int(file.read_text().split()[0])
