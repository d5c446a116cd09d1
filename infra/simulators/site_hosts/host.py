"""What the simulators of hosts share: the account's token, faults on request, and the sites that they show.

`fail("POST /v2/files", "429-seconds")` lets the next request whose method and path fit that pattern fail. Kinds:
429-seconds, 429-date, 429-reset, 429-body, 429 (each with its hint to wait, or none), 500, lost, and after-500,
after-lost: the request was carried out, and then its answer fails. `fate`: what becomes of deploys (ready, stuck,
error); `slow_polls`: after how many polls one is ready. `is_revoked`: the token is not valid any more.

A request whose Host header names one of `sites` is a visitor's, and is answered with the file that the host shows."""

from __future__ import annotations

import mimetypes
import re
import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from infra.simulators.kit.faults import http_date_in
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.server import ConnectionLost, Simulator


class HostSimulator(Simulator, ABC):
    """A host of sites, on loopback. sites: what it shows, path → bytes, by the address's host."""

    wait_seconds: ClassVar[int] = 7

    def __init__(self, port: int = 0, **options: Any) -> None:
        self.sites: dict[str, dict[str, bytes]] = {}
        self.fate, self.slow_polls, self.is_revoked = "ready", 1, False
        self._faults: list[tuple[re.Pattern[str], str]] = []
        super().__init__(port, **options)

    def fail(self, requests: str, *kinds: str) -> None:
        """Let the next requests that fit the pattern fail, one for each kind."""
        with self.lock:
            self._faults += [(re.compile(requests), kind) for kind in kinds]

    def uploads(self) -> list[dict[str, Any]]:
        """The requests that sent a file."""
        with self.lock:
            return [call for call in self.calls if self.is_upload(call["method"], call["path"])]

    @abstractmethod
    def is_upload(self, method: str, path: str) -> bool:
        """Whether a request sends a file."""

    def check_request(self, request: Request) -> Response | None:
        if self.is_revoked or request.headers.get("authorization") != f"Bearer {self.api_key}":
            return self.unauthorized()
        return None

    def unauthorized(self) -> Response:
        """The host's refusal of a token."""
        return Response(401, {"code": 401, "message": "Access Denied"})

    def handle(self, request: Request) -> Response:
        shown = self._shown(request)
        if shown is not None:
            return shown
        kind = None if request.path.startswith("/_") else self._fault(f"{request.method} {request.path}")
        if kind is None:
            return super().handle(request)
        if kind.startswith("after-"):
            super().handle(request)
            kind = kind.removeprefix("after-")
        if kind == "lost":
            raise ConnectionLost
        return self._failure(kind)

    def _shown(self, request: Request) -> Response | None:
        """What a visitor gets; None for a request to the API."""
        with self.lock:
            places = [(urlsplit(url), files) for url, files in self.sites.items()]
        found = next(((url, files) for url, files in places if url.netloc == request.headers.get("host")), None)
        if found is None:
            return None
        url, files = found
        path = "/" + unquote(request.path).removeprefix(url.path.rstrip("/")).lstrip("/")
        file = f"{path}index.html" if path.endswith("/") else path
        if file not in files:
            return Response(404, files.get("/404.html", b"Not found"), {"content-type": "text/html; charset=utf-8"})
        kind = mimetypes.guess_type(file)[0] or "application/octet-stream"
        return Response(200, files[file], {"content-type": f"{kind}; charset=utf-8" if "text" in kind else kind})

    def _fault(self, called: str) -> str | None:
        with self.lock:
            for number, (pattern, kind) in enumerate(self._faults):
                if pattern.fullmatch(called):
                    del self._faults[number]
                    return kind
        return None

    def _failure(self, kind: str) -> Response:
        status, _, hint = kind.partition("-")
        reset = int(time.time()) + self.wait_seconds
        body: dict[str, Any] = {"code": int(status), "message": "Too many requests" if status == "429" else "Oops"}
        match hint:
            case "seconds":
                return Response(int(status), body, {"retry-after": str(self.wait_seconds)})
            case "date":
                return Response(int(status), body, {"retry-after": http_date_in(self.wait_seconds)})
            case "reset":
                headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}
                return Response(int(status), body, headers)
            case "body":
                limit = {"remaining": 0, "reset": reset, "total": 100}
                return Response(int(status), {"error": {"code": "rate_limited", "message": "Slow", "limit": limit}})
            case _:
                return Response(int(status), body)
