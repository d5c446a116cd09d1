"""Calls of the API for the person whose request is being answered: their session, their address, their language.

Studio has no permission of its own. What it can do, every program with the same session can do."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

if TYPE_CHECKING:
    import urllib3

Json = dict[str, Any]

# The gateway gives an answer up after 30 s, and our own request with it.
SECONDS_MAX = 28.0
CONNECT_SECONDS_MAX = 3.0
CALLS_AT_ONCE_MAX = 3
# What the edge says about the viewer. The API believes it only together with the edge's own key.
FORWARDED = ("atelier-edge-key", "atelier-viewer-address", "user-agent", "accept-language")

_threads = ThreadPoolExecutor(CALLS_AT_ONCE_MAX, thread_name_prefix="api")


@cache
def _pool() -> urllib3.PoolManager:
    """The open connections. Imported here, because pages without a call need none of it: a tenth of a cold start."""
    import urllib3

    limits = urllib3.Timeout(connect=CONNECT_SECONDS_MAX, read=SECONDS_MAX)
    # What found no connection has carried nothing; and a GET may be sent again when an idle connection was closed.
    retries = urllib3.Retry(connect=1, read=1, redirect=0, status=0, other=0, allowed_methods={"GET"})
    return urllib3.PoolManager(maxsize=CALLS_AT_ONCE_MAX, retries=retries, timeout=limits)


class ApiError(Exception):
    """The API refused, failed, or did not answer. Fields as in its error envelope."""

    def __init__(self, status: int, envelope: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {envelope.get('error')}: {envelope.get('message')}")
        self.status = status
        self.code = str(envelope.get("error", "INTERNAL"))
        self.message = str(envelope.get("message", ""))
        self.details: Json = dict(envelope.get("details") or {})
        self.request_id = str(envelope.get("request_id", ""))
        self.retryable = bool(envelope.get("retryable", False))

    @property
    def fields(self) -> dict[str, str]:
        """The message of each refused field, by the field's path (`parameters.width`); {} for other errors."""
        return {str(each["path"]): str(each["message"]) for each in self.details.get("fields", [])}


class Answer:
    """A successful answer. `data`: of the envelope; {} when there is no body, or when it is a file, `body`. `cookies`:
    its Set-Cookie values."""

    def __init__(
        self, status: int, data: Json, headers: Mapping[str, str], cookies: Sequence[str], body: bytes = b""
    ) -> None:
        self.status = status
        self.data = data
        self.headers = headers
        self.cookies = cookies
        self.body = body


class ApiClient:
    """The API as one viewer sees it. `headers`: of the viewer's request, by lower-case name. `calls`: how many were
    made. `waited_seconds`: how long the page waited for them."""

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        self._base_url = base_url
        self._headers = {name: headers[name] for name in FORWARDED if name in headers}
        self.access_token = ""
        # The workspace in which the person works; empty = the personal one.
        self.workspace_id = ""
        self.calls = 0
        self.waited_seconds = 0.0

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One call. query: parameters; those that are None or empty are left out. Raises ApiError."""
        started = time.perf_counter()
        try:
            return self._send(method, path, body, query, headers)
        finally:
            self.waited_seconds += time.perf_counter() - started

    def get(self, path: str, **query: Any) -> Json:
        """The data of a GET. Raises ApiError."""
        return self.call("GET", path, query=query).data

    def get_together(self, *requests: tuple[str, Mapping[str, Any]]) -> list[Json]:
        """The data of several GETs, (path, query) each, sent at the same time. Raises the first one's ApiError."""
        started = time.perf_counter()
        try:
            calls = [_threads.submit(self._send, "GET", path, None, query, None) for path, query in requests]
            return [each.result().data for each in calls]
        finally:
            self.waited_seconds += time.perf_counter() - started

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> Answer:
        self.calls += 1
        chosen = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        url = self._base_url + path + ("?" + urlencode(chosen, doseq=True) if chosen else "")
        sent = {**self._headers, "accept": "application/json", **(headers or {})}
        sent["authorization"] = f"Bearer {self.access_token}" if self.access_token else "none"
        if self.workspace_id:
            sent["atelier-workspace"] = self.workspace_id
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            sent["content-type"] = "application/json"
        pool = _pool()
        from urllib3.exceptions import HTTPError

        try:
            response = pool.request(method, url, body=data, headers=sent, redirect=False)
        except HTTPError as error:
            unavailable = {"error": "UNAVAILABLE", "message": "The service does not answer.", "retryable": True}
            raise ApiError(503, unavailable) from error
        envelope = _parsed(response.data)
        if response.status >= 400:
            raise ApiError(response.status, envelope)
        cookies = response.headers.getlist("set-cookie")
        return Answer(response.status, envelope.get("data", envelope), response.headers, cookies, response.data)


def _parsed(body: bytes) -> Json:
    try:
        found: Any = json.loads(body) if body else {}
    except ValueError:
        # The gateway's own error pages are no JSON.
        found = {}
    return cast("Json", found) if isinstance(found, dict) else {"data": found}
