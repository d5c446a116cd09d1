"""The one way to a URL that somebody else chose: providers name where results are, and nothing else opens those names.

What is refused, and why no rule is enough alone: hosts that the catalogue does not list (a provider's answer may be
forged); a listed host that leads to an address inside (a name may point anywhere); a second look at the name (it may
point elsewhere by then, so the connection goes to the address that was checked); redirects; other schemes and ports;
more bytes or more time than allowed, however slowly they drip.
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

from atelier.addresses import Resolve, is_public, system_addresses

BYTES_MAX = 50 * 1024 * 1024
SECONDS_MAX = 30.0
CONNECT_SECONDS_MAX = 5.0
PIECE_BYTES = 64 * 1024


class FetchError(Exception):
    """The bytes could not be had; the text is for the log."""


class FetchRefused(FetchError):
    """The URL is not one we open, or what came broke a bound. Asking again is useless."""


class FetchGone(FetchError):
    """The host has it no more, or not for us: an expired result."""


class FetchFailed(FetchError):
    """The network or the host failed; asking again may help."""


class Fetcher:
    """local_hosts: `host:port` that may be opened with http and at private addresses: the stand-ins of this machine,
    and nothing in a deployment. They need not be listed for a provider."""

    def __init__(
        self,
        local_hosts: frozenset[str] = frozenset(),
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._local_hosts = local_hosts
        self._resolve = resolve or system_addresses
        self._tls = tls

    def fetch(
        self, url: str, *, hosts: tuple[str, ...], bytes_max: int = BYTES_MAX, seconds_max: float = SECONDS_MAX
    ) -> bytes:
        """The body of a 200 answer. hosts: names that are allowed, each with its subdomains. Raises FetchError."""
        deadline = time.monotonic() + seconds_max
        parts = _split(url)
        host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
        local = f"{host}:{port}" in self._local_hosts
        if not local:
            _check_allowed(parts, host, hosts)
        addresses = self._checked_addresses(host, port, local=local)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        try:
            with self._connected(addresses, port, host if parts.scheme == "https" else None, deadline) as connection:
                request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\n"
                request += "Accept-Encoding: identity\r\nUser-Agent: atelier\r\nConnection: close\r\n\r\n"
                connection.sendall(request.encode("ascii"))
                # The answer is parsed by the library, from a stream of ours that ends at the deadline.
                answer = http.client.HTTPResponse(_Timed(connection, deadline))  # pyright: ignore[reportArgumentType]
                answer.begin()
                return _body(answer, bytes_max)
        except (OSError, http.client.HTTPException) as error:
            raise FetchFailed(f"{type(error).__name__} from {host}") from error

    def _checked_addresses(self, host: str, port: int, *, local: bool) -> list[str]:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise FetchFailed(f"{host} does not resolve") from error
        if not addresses:
            raise FetchFailed(f"{host} does not resolve")
        if not local and not all(is_public(address) for address in addresses):
            raise FetchRefused(f"{host} leads inside")
        return addresses

    def _connected(self, addresses: list[str], port: int, tls_name: str | None, deadline: float) -> socket.socket:
        connection = _first_connection(addresses, port, deadline)
        if tls_name is None:
            return connection
        try:
            # The certificate must be the name's, though the connection went to an address.
            return (self._tls or _default_tls()).wrap_socket(connection, server_hostname=tls_name)
        except BaseException:
            connection.close()
            raise


def _split(url: str) -> SplitResult:
    # Browsers and libraries disagree on what these mean in a URL; no provider sends them.
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


def _first_connection(addresses: list[str], port: int, deadline: float) -> socket.socket:
    """To the first address that takes one; a network without IPv6 gets over the addresses it cannot reach."""
    for address in addresses[:-1]:
        with suppress(OSError):
            return socket.create_connection((address, port), timeout=min(_left(deadline), CONNECT_SECONDS_MAX))
    return socket.create_connection((addresses[-1], port), timeout=min(_left(deadline), CONNECT_SECONDS_MAX))


@cache
def _default_tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is up")
    return left


class _Timed(io.RawIOBase):
    """A socket's incoming bytes until a deadline: a time-out for each read would let an answer drip for ever."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)


class _Answer(Protocol):
    """The part of HTTPResponse that is used."""

    status: int
    length: int | None

    def getheader(self, name: str) -> str | None: ...

    def read(self, amt: int) -> bytes: ...


def _body(answer: _Answer, bytes_max: int) -> bytes:
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
    while piece := answer.read(PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > bytes_max:
            raise FetchRefused(f"more than {bytes_max} bytes")
    if announced is not None and size < announced:
        raise FetchFailed(f"the answer ended after {size} of {announced} bytes")
    return b"".join(pieces)
