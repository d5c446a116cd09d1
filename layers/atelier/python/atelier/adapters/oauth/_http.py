"""The HTTP client of the identity providers: only to their own hosts, no redirects, small answers, little time."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode, urlsplit

from atelier.identity.oauth.model import ProviderRefused, ProviderUnavailable

if TYPE_CHECKING:
    import urllib3

CONNECT_SECONDS_MAX = 3.0
# A callback waits for three at most, and its function has 15 s.
ANSWER_SECONDS_MAX = 4.0
ANSWER_BYTES_MAX = 256 * 1024
CHUNK_BYTES = 16 * 1024


@cache
def _pool() -> urllib3.PoolManager:
    import urllib3

    return urllib3.PoolManager(retries=False)


class OAuthHttp:
    """Requests to `hosts` (host, or host:port). allows_http: whether they may be sent without TLS, for simulators.
    seconds_max: for one answer as a whole."""

    def __init__(self, hosts: Collection[str], *, allows_http: bool, seconds_max: float = ANSWER_SECONDS_MAX) -> None:
        self._hosts = frozenset(hosts)
        self._seconds_max = seconds_max
        self._schemes = ("https", "http") if allows_http else ("https",)

    def check(self, url: str) -> str:
        """The address, if it may be called. Raises ProviderRefused."""
        parts = urlsplit(url)
        if parts.scheme not in self._schemes or parts.netloc not in self._hosts:
            raise ProviderRefused("an address is not the provider's")
        return url

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON of a GET. Raises ProviderUnavailable or ProviderRefused."""
        return self._send("GET", url, None, headers or {})

    def post_form(self, url: str, fields: Mapping[str, str]) -> Any:
        """The JSON of a POST of a form, sent once. Raises ProviderUnavailable or ProviderRefused."""
        sent = {"content-type": "application/x-www-form-urlencoded"}
        return self._send("POST", url, urlencode(fields).encode(), sent)

    def _send(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        timeout = Timeout(connect=min(CONNECT_SECONDS_MAX, self._seconds_max), read=self._seconds_max)
        sent = {"accept": "application/json", "user-agent": "atelier", **headers}
        deadline = time.monotonic() + self._seconds_max
        content = bytearray()
        try:
            response = _pool().request(
                method,
                self.check(url),
                body=body,
                headers=sent,
                timeout=timeout,
                redirect=False,
                preload_content=False,
            )
            try:
                for chunk in response.stream(CHUNK_BYTES, decode_content=True):
                    content += chunk
                    if len(content) > ANSWER_BYTES_MAX or time.monotonic() > deadline:
                        response.close()
                        raise ProviderUnavailable("an answer is too large or too slow")
            finally:
                response.release_conn()
        except HTTPError as error:
            raise ProviderUnavailable(f"no answer: {type(error).__name__}") from error
        return _parsed(response.status, bytes(content))


def _parsed(status: int, content: bytes) -> Any:
    if status >= 500 or status == 429:
        raise ProviderUnavailable(f"status {status}")
    try:
        value: Any = json.loads(content)
    except ValueError as error:
        raise ProviderRefused(f"status {status} without JSON") from error
    if not 200 <= status < 300:
        raise ProviderRefused(f"status {status}: {error_code(value)}")
    return value


def as_object(value: Any) -> dict[str, Any]:
    """A JSON object. Raises ProviderRefused for anything else."""
    if not isinstance(value, dict):
        raise ProviderRefused("an answer is no object")
    return cast("dict[str, Any]", value)


def error_code(value: Any) -> str:
    """The OAuth error code of an answer (RFC 6749 §5.2), for the log; its text is not shown, since a provider may
    repeat what we sent."""
    code = cast("dict[str, Any]", value).get("error") if isinstance(value, dict) else None
    return code if isinstance(code, str) and code.isidentifier() and len(code) <= 64 else "no code"
