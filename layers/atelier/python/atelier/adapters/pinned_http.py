"""HTTP/1.1 to hosts that strangers choose (protection against server-side request forgery): what both the fetcher of
results and the sender of webhooks are built of.

No single rule is enough, so all of these apply. The addresses of a host must be public, because a name may point
anywhere. The connection goes to the checked address, because a second lookup of the name may give another one. Time is
bounded as a whole, however slowly bytes arrive. Nothing here follows a redirect."""

from __future__ import annotations

import io
import re
import socket
import ssl
import time
from contextlib import suppress
from functools import cache
from urllib.parse import SplitResult, urlsplit

from atelier.addresses import Resolver, is_public

CONNECT_SECONDS_MAX = 5.0


class AddressRefused(Exception):
    """The URL may not be opened; the text says why."""


def parse_url(url: str) -> SplitResult:
    """The parts of an http or https URL without credentials. Raises AddressRefused."""
    # URL parsers disagree about other characters and the backslash; no honest URL has them.
    if not re.fullmatch(r"[!-~]{1,4096}", url) or "\\" in url:
        raise AddressRefused("the URL has characters that it must not have")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
        parts = SplitResult("", "", "", "", "")
    if not usable or parts.username is not None or parts.password is not None:
        raise AddressRefused("the URL is not a plain http or https one")
    return parts


def port_of(parts: SplitResult) -> int:
    """The port of a URL, or the one of its scheme."""
    return parts.port or (443 if parts.scheme == "https" else 80)


def require_https(parts: SplitResult) -> None:
    """Raises AddressRefused for another scheme than https, or another port than its own."""
    if parts.scheme != "https":
        raise AddressRefused("only https is opened")
    if parts.port not in (None, 443):
        raise AddressRefused(f"port {parts.port} is not opened")


def resolve_public(host: str, port: int, resolve: Resolver, *, local: bool = False) -> list[str]:
    """The addresses of a host, each of which is public; local: they need not be. Raises AddressRefused, and OSError
    when the host has none."""
    try:
        addresses = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise OSError(f"{host} does not resolve") from error
    if not addresses:
        raise OSError(f"{host} does not resolve")
    if not local and not all(is_public(address) for address in addresses):
        raise AddressRefused(f"{host} leads inside")
    return addresses


def target_of(parts: SplitResult) -> str:
    """The path and query of a URL, as the first line of a request has them."""
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def connect(
    addresses: list[str], port: int, tls_name: str | None, deadline: float, tls: ssl.SSLContext | None = None
) -> socket.socket:
    """A connection to the first address that accepts. tls_name: the host name for which the certificate must be valid;
    None = without TLS. deadline: of the monotonic clock. Raises OSError."""
    connection = _connect_first(addresses, port, deadline)
    if tls_name is None:
        return connection
    try:
        # The connection went to an IP address, but the certificate must be valid for the host name.
        return (tls or _default_tls()).wrap_socket(connection, server_hostname=tls_name)
    except BaseException:
        connection.close()
        raise


def _connect_first(addresses: list[str], port: int, deadline: float) -> socket.socket:
    """Connect to the first address that accepts, so that a network without IPv6 skips the addresses it cannot reach."""
    for address in addresses[:-1]:
        with suppress(OSError):
            return socket.create_connection((address, port), timeout=min(seconds_left(deadline), CONNECT_SECONDS_MAX))
    return socket.create_connection((addresses[-1], port), timeout=min(seconds_left(deadline), CONNECT_SECONDS_MAX))


@cache
def _default_tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def seconds_left(deadline: float) -> float:
    """Seconds until a deadline of the monotonic clock; raises TimeoutError after it."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time is up")
    return seconds


class DeadlineReader(io.RawIOBase):
    """Reads from a socket until a deadline. A time-out for each read alone would let a slow response last for ever."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._connection.settimeout(seconds_left(self._deadline))
        return self._connection.recv_into(buffer)
