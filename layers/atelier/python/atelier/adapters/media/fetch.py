"""The only code that fetches URLs from a provider's response (protection against server-side request forgery).

Beside what `pinned_http.py` refuses: only hosts that the catalogue lists are fetched, because a response may be forged,
and no more bytes and time than allowed are taken.
"""

from __future__ import annotations

import http.client
import ssl
import time
from typing import Protocol
from urllib.parse import urlsplit

from atelier.adapters.pinned_http import (
    AddressRefused,
    DeadlineReader,
    connect,
    parse_url,
    port_of,
    require_https,
    resolve_public,
    target_of,
)
from atelier.addresses import Resolver, resolve_host

BYTES_MAX = 50 * 1024 * 1024
SECONDS_MAX = 30.0
CHUNK_BYTES = 64 * 1024


class FetchError(Exception):
    """The file could not be fetched; the text is for the log."""


class FetchRefused(FetchError):
    """The URL is not allowed, or the response exceeds a limit. A retry is useless."""


class FetchGone(FetchError):
    """The host no longer has the file or denies access: an expired result. A retry is useless."""


class FetchFailed(FetchError):
    """The network or the host failed; a retry may help."""


class Fetcher:
    """Fetches files over HTTP. local_hosts: `host:port` pairs that may be fetched with http and at private addresses,
    and that no provider needs to list: the provider simulators of a local stack; empty in a deployment."""

    def __init__(
        self,
        local_hosts: frozenset[str] = frozenset(),
        resolve: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._local_hosts = local_hosts
        self._resolve = resolve or resolve_host
        self._tls = tls

    def fetch_from_its_host(self, url: str, *, bytes_max: int, seconds_max: float) -> bytes | None:
        """The bytes at an https URL that the sender of a request chose, wherever it is in the internet; None = they
        cannot be fetched."""
        try:
            host = urlsplit(url).hostname or ""
            return self.fetch(url, hosts=(host,), bytes_max=bytes_max, seconds_max=seconds_max)
        except (FetchError, ValueError):
            return None

    def fetch(
        self, url: str, *, hosts: tuple[str, ...], bytes_max: int = BYTES_MAX, seconds_max: float = SECONDS_MAX
    ) -> bytes:
        """The body of a 200 response. hosts: the allowed host names, each including its subdomains. Raises
        FetchError."""
        deadline = time.monotonic() + seconds_max
        try:
            parts = parse_url(url)
            host, port = str(parts.hostname), port_of(parts)
            local = f"{host}:{port}" in self._local_hosts
            if not local:
                require_https(parts)
                _check_listed(host, hosts)
            addresses = resolve_public(host, port, self._resolve, local=local)
        except AddressRefused as error:
            raise FetchRefused(str(error)) from error
        except OSError as error:
            raise FetchFailed(str(error)) from error
        tls_name = host if parts.scheme == "https" else None
        try:
            with connect(addresses, port, tls_name, deadline, self._tls) as connection:
                request = f"GET {target_of(parts)} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\n"
                request += "Accept-Encoding: identity\r\nUser-Agent: atelier\r\nConnection: close\r\n\r\n"
                connection.sendall(request.encode("ascii"))
                # The standard library parses the response, from a stream that raises TimeoutError at the deadline.
                answer = http.client.HTTPResponse(DeadlineReader(connection, deadline))  # pyright: ignore[reportArgumentType]
                answer.begin()
                return _read_body(answer, bytes_max)
        except (OSError, http.client.HTTPException) as error:
            raise FetchFailed(f"{type(error).__name__} from {host}") from error


def _check_listed(host: str, hosts: tuple[str, ...]) -> None:
    if not any(host == allowed or host.endswith(f".{allowed}") for allowed in hosts):
        raise FetchRefused(f"{host} is not listed")


class _ResponseLike(Protocol):
    """The part of http.client.HTTPResponse that is used here."""

    status: int
    length: int | None

    def getheader(self, name: str) -> str | None: ...

    def read(self, amt: int) -> bytes: ...


def _read_body(answer: _ResponseLike, bytes_max: int) -> bytes:
    if answer.status in (401, 403, 404, 410):
        raise FetchGone(f"status {answer.status}")
    if answer.status == 429 or answer.status >= 500:
        raise FetchFailed(f"status {answer.status}")
    if answer.status != 200:
        raise FetchRefused(f"status {answer.status}")
    if answer.getheader("content-encoding") not in (None, "identity"):
        raise FetchRefused("a compressed answer was not asked for")
    announced = answer.length
    if announced is not None and announced > bytes_max:
        raise FetchRefused(f"{announced} bytes are more than {bytes_max}")
    pieces: list[bytes] = []
    size = 0
    while piece := answer.read(CHUNK_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > bytes_max:
            raise FetchRefused(f"more than {bytes_max} bytes")
    if announced is not None and size < announced:
        raise FetchFailed(f"the answer ended after {size} of {announced} bytes")
    return b"".join(pieces)
