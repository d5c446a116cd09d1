"""The only code that calls addresses that workspaces choose for webhooks; see `pinned_http.py` for what it refuses."""

from __future__ import annotations

import email.utils
import http.client
import re
import ssl
import time
from collections.abc import Mapping
from datetime import UTC
from urllib.parse import SplitResult

from atelier.adapters.pinned_http import (
    AddressRefused,
    DeadlineReader,
    connect,
    parse_url,
    port_of,
    require_https,
    resolve_public,
    seconds_left,
    target_of,
)
from atelier.addresses import Resolver, resolve_host
from atelier.clock import system_clock
from atelier.webhook_endpoints.model import ANSWER_BYTES_KEPT, SECONDS_MAX
from atelier.webhook_endpoints.ports import WebhookAnswer

URL_CHARACTERS_MAX = 1000


class HttpWebhookSender:
    """WebhookSender over HTTP/1.1. local_hosts: `host:port` pairs that may be called with http and at private
    addresses, `*` for any port; only of a developer's machine, empty in a deployment."""

    def __init__(
        self,
        local_hosts: frozenset[str] = frozenset(),
        resolve: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        seconds_max: float = SECONDS_MAX,
    ) -> None:
        self._local_hosts = local_hosts
        self._resolve = resolve or resolve_host
        self._tls = tls
        self._seconds_max = seconds_max

    def check(self, url: str) -> str | None:
        if len(url) > URL_CHARACTERS_MAX:
            return f"it has more than {URL_CHARACTERS_MAX} characters"
        try:
            parts = parse_url(url)
            if parts.fragment or "#" in url:
                return "it has a fragment"
            self._addresses(parts)
        except (AddressRefused, OSError) as error:
            return str(error)
        return None

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        deadline = time.monotonic() + self._seconds_max
        try:
            parts = parse_url(url)
            # Looked up now, whatever it was when the address was saved; and connected to what was looked up.
            addresses = self._addresses(parts)
            host = str(parts.hostname)
            tls_name = host if parts.scheme == "https" else None
            with connect(addresses, port_of(parts), tls_name, deadline, self._tls) as connection:
                connection.settimeout(seconds_left(deadline))
                connection.sendall(_head(parts, headers, len(body)) + body)
                # The standard library parses the response, from a stream that raises TimeoutError at the deadline.
                answer = http.client.HTTPResponse(DeadlineReader(connection, deadline))  # pyright: ignore[reportArgumentType]
                answer.begin()
                return _answer(answer)
        except TimeoutError:
            return WebhookAnswer(None, f"no answer within {self._seconds_max:g} s")
        except AddressRefused as error:
            return WebhookAnswer(None, f"refused: {error}")
        except ssl.SSLError as error:
            return WebhookAnswer(None, f"TLS: {error.reason or 'failed'}")
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            return WebhookAnswer(None, _reason(error))

    def _addresses(self, parts: SplitResult) -> list[str]:
        host, port = str(parts.hostname), port_of(parts)
        local = bool({f"{host}:{port}", f"{host}:*"} & self._local_hosts)
        if not local:
            require_https(parts)
        return resolve_public(host, port, self._resolve, local=local)


def _head(parts: SplitResult, headers: Mapping[str, str], length: int) -> bytes:
    lines = [f"POST {target_of(parts)} HTTP/1.1", f"host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {length}", "accept: */*", "accept-encoding: identity", "connection: close", "", ""]
    return "\r\n".join(lines).encode("ascii")


def _answer(answer: http.client.HTTPResponse) -> WebhookAnswer:
    status = answer.status
    try:
        beginning = answer.read(ANSWER_BYTES_KEPT)
    except (OSError, http.client.HTTPException):
        # The status counts; what should have followed it is for people to read.
        beginning = b""
    error = None
    if 300 <= status < 400:
        error = "redirects are not followed"
    return WebhookAnswer(status, error, _printable(beginning), _retry_after(answer.getheader("retry-after")))


def _printable(beginning: bytes) -> str:
    return re.sub(r"[^\t\n\x20-\x7e\xa0-\uffff]", "\ufffd", beginning.decode("utf-8", "replace"))


def _retry_after(text: str | None) -> int | None:
    """Seconds of the header Retry-After (RFC 9110): a number, or a date."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", text):
        return int(text)
    try:
        at = email.utils.parsedate_to_datetime(text)
        return max(int((at.replace(tzinfo=at.tzinfo or UTC) - system_clock()).total_seconds()), 0)
    except (ValueError, OverflowError):
        return None


def _reason(error: Exception) -> str:
    names = {ConnectionRefusedError: "the connection was refused", ConnectionResetError: "the connection was reset"}
    known = next((text for kind, text in names.items() if isinstance(error, kind)), None)
    return known or (str(error) if "does not resolve" in str(error) else type(error).__name__)
