"""The only code that fetches URLs from a provider's response (protection against server-side request forgery).

No single rule is enough, so all of these apply. Only hosts that the catalogue lists are fetched, because a response may
be forged. Their addresses must be public, because a name may point anywhere. The connection goes to the checked
address, because a second lookup of the name may give another one. Redirects and other schemes and ports are refused,
and so are more bytes or more time than allowed, however slowly the bytes arrive.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import time
from contextlib import suppress
from functools import cache
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from atelier.addresses import Resolver, is_public, resolve_host

BYTES_MAX = 50 * 1024 * 1024
SECONDS_MAX = 30.0
CONNECT_SECONDS_MAX = 5.0
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
        parts = _parse_url(url)
        host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
        local = f"{host}:{port}" in self._local_hosts
        if not local:
            _check_allowed(parts, host, hosts)
        addresses = self._resolve_allowed(host, port, local=local)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        try:
            with self._connect(addresses, port, host if parts.scheme == "https" else None, deadline) as connection:
                request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\n"
                request += "Accept-Encoding: identity\r\nUser-Agent: atelier\r\nConnection: close\r\n\r\n"
                connection.sendall(request.encode("ascii"))
                # The standard library parses the response, from a stream that raises TimeoutError at the deadline.
                answer = http.client.HTTPResponse(_DeadlineReader(connection, deadline))  # pyright: ignore[reportArgumentType]
                answer.begin()
                return _read_body(answer, bytes_max)
        except (OSError, http.client.HTTPException) as error:
            raise FetchFailed(f"{type(error).__name__} from {host}") from error

    def _resolve_allowed(self, host: str, port: int, *, local: bool) -> list[str]:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise FetchFailed(f"{host} does not resolve") from error
        if not addresses:
            raise FetchFailed(f"{host} does not resolve")
        if not local and not all(is_public(address) for address in addresses):
            raise FetchRefused(f"{host} leads inside")
        return addresses

    def _connect(self, addresses: list[str], port: int, tls_name: str | None, deadline: float) -> socket.socket:
        connection = _connect_first(addresses, port, deadline)
        if tls_name is None:
            return connection
        try:
            # The connection went to an IP address, but the certificate must be valid for the host name.
            return (self._tls or _default_tls()).wrap_socket(connection, server_hostname=tls_name)
        except BaseException:
            connection.close()
            raise


def _parse_url(url: str) -> SplitResult:
    # URL parsers disagree about other characters and the backslash; no provider sends them.
    if not re.fullmatch(r"[!-~]{1,4096}", url) or "\\" in url:
        raise FetchRefused("the URL has characters that it must not have")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
        parts = SplitResult("", "", "", "", "")
    if not usable or parts.username is not None or parts.password is not None:
        raise FetchRefused("the URL is not a plain http or https one")
    return parts


def _check_allowed(parts: SplitResult, host: str, hosts: tuple[str, ...]) -> None:
    if parts.scheme != "https":
        raise FetchRefused("only https is opened")
    if parts.port not in (None, 443):
        raise FetchRefused(f"port {parts.port} is not opened")
    if not any(host == allowed or host.endswith(f".{allowed}") for allowed in hosts):
        raise FetchRefused(f"{host} is not listed")


def _connect_first(addresses: list[str], port: int, deadline: float) -> socket.socket:
    """Connect to the first address that accepts, so that a network without IPv6 skips the addresses it cannot reach."""
    for address in addresses[:-1]:
        with suppress(OSError):
            return socket.create_connection((address, port), timeout=min(_seconds_left(deadline), CONNECT_SECONDS_MAX))
    return socket.create_connection((addresses[-1], port), timeout=min(_seconds_left(deadline), CONNECT_SECONDS_MAX))


@cache
def _default_tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _seconds_left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time is up")
    return seconds


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until a deadline. A time-out for each read alone would let a slow response last for ever."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._connection.settimeout(_seconds_left(self._deadline))
        return self._connection.recv_into(buffer)


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
