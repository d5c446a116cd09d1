"""Row 14: the time from a submission with `Prefer: wait` until the image's bytes are in hand, painted by the embedded
model on the local stack."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

SIDE = 1024
PROMPT = "a lighthouse at dusk, waves below, oil on canvas, warm light in the windows, a storm far out"
IMAGES_OF_AN_ACCOUNT = 10
"""A day's credits pay for no more."""


class Caller:
    """A client of one local stack, over one connection. It signs up anew when an account's credits are used up."""

    def __init__(self, base_url: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", urlsplit(base_url).port or 80, timeout=60)
        self._token = ""
        self._images = self._accounts = 0

    def seconds_to_picture(self, seed: int) -> float:
        """Order one image and fetch it; returns the seconds from the order to its last byte."""
        if self._images % IMAGES_OF_AN_ACCOUNT == 0:
            self._token = self._sign_up()
        self._images += 1
        parameters = {"width": SIDE, "height": SIDE, "seed": seed}
        body = {"prompt": PROMPT, "model": "local/canvas", "parameters": parameters}
        started = time.perf_counter()
        status, content = self._call("POST", "/api/generate/image", body, {"prefer": "wait=20"})
        assert status == 200, content
        generation = json.loads(content)["data"]["generation"]
        assert generation["status"] == "succeeded", generation
        url = urlsplit(generation["assets"][0]["url"])
        status, image = self._call("GET", f"{url.path}?{url.query}")
        seconds = time.perf_counter() - started
        assert status == 200, image[:200]
        assert len(image) > SIDE, "an image has more bytes than a line of pixels"
        return seconds

    def _sign_up(self) -> str:
        self._accounts += 1
        account = {
            "email": f"picture{self._accounts}@example.com",
            "password": "seven words for one bench",
            "name": "B",
        }
        status, content = self._call("POST", "/api/auth/signup", account)
        assert status == 201, content
        return str(json.loads(content)["data"]["access_token"])

    def _call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        own = {"content-type": "application/json"} | (headers or {})
        if self._token and not path.startswith("/media"):
            own["authorization"] = f"Bearer {self._token}"
        self._connection.request(method, path, None if body is None else json.dumps(body), own)
        answer = self._connection.getresponse()
        return answer.status, answer.read()
