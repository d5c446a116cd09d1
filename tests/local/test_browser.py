"""A page of another origin in a real browser: its use of the API, of media and of a file that it uploads.

These tests need a Chromium (`.ci/chromium` installs Debian's); without one they are skipped with a message.
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.lanes import need_browser
from tests.local.chromium import chromium
from tests.local.client import PASSWORD
from tests.local.conftest import Stack

PAGE = Path(__file__).with_name("frontend.js")
STRANGER = "stranger.example"


class Frontend(BaseHTTPRequestHandler):
    """An empty page of an origin that is not the API's."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>frontend</title>")

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of the frontend's server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Frontend) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def seen(stack: Stack, folder: Path, page: str, call: str) -> dict[str, Any]:
    """What a function of frontend.js reports on a page."""
    path = need_browser()
    known = {"api": stack.base_url, "email": f"{uuid.uuid4().hex}@example.test", "password": PASSWORD}

    async def look() -> dict[str, Any]:
        async with chromium(path, folder, f"--host-resolver-rules=MAP {STRANGER} 127.0.0.1") as tab:
            await tab.open_page(page)
            return await tab.evaluate(f"{PAGE.read_text()}\n{call}({json.dumps(known)})")

    return asyncio.run(look())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_allowed_origin_can_use_the_whole_api_in_a_browser(
    stack: Stack, port: int, tmp_path: Path, host: str
) -> None:
    did = seen(stack, tmp_path, f"http://{host}:{port}/", "everything")
    assert did["signup"] == 201
    # SameSite: another port is the same site, another host is not; programs there keep the token themselves.
    assert did["refreshed"] == (200 if host == "localhost" else 401)
    assert did["made"] == [202, True, True]
    assert did["replayed"] == "true"
    assert (did["shown"], did["file"], did["range"]) == (256, "image/png", [206, 10, True])
    assert did["refusals"] == [
        [401, "UNAUTHENTICATED"],
        [404, "NOT_FOUND"],
        [405, "METHOD_NOT_ALLOWED"],
        [422, "VALIDATION_FAILED"],
        [403, "FORBIDDEN"],
    ]
    assert did["chat"] == [200, True]
    assert did["upload"] == [204, 200]


def test_a_page_of_an_unlisted_origin_can_read_nothing(stack: Stack, port: int, tmp_path: Path) -> None:
    assert seen(stack, tmp_path, f"http://{STRANGER}:{port}/", "nothing") == {
        "plain": "TypeError",
        "preflighted": "TypeError",
        "credentials": "TypeError",
    }
