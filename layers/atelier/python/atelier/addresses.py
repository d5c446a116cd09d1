"""Which addresses are out in the internet. Whoever opens a name that somebody else chose asks here first."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

# The addresses of a host and port; raises OSError. The system's resolver, unless a test brings its own.
Resolve = Callable[[str, int], list[str]]

# A range that carries an IPv4 address inside: what it leads to is judged, not how it is written.
NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Special ranges that some Python versions take for public: one holds another cloud's metadata service.
SPECIAL = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("fec0::/10"))


def is_public(address: str) -> bool:
    """Whether an IP address is out in the internet: not private, loopback, link-local (the metadata service), shared,
    multicast or reserved, in whatever notation IPv6 hides an IPv4 address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if any(inner) or ip.packed[:12] == bytes(12):
            return False
    special = any(ip in network for network in SPECIAL)
    return ip.is_global and not special and not ip.is_multicast and not ip.is_reserved


def system_addresses(host: str, port: int) -> list[str]:
    """What the system's resolver finds."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[4][0]) for place in found]
