"""Tell public IP addresses from private ones. Code that connects to a host that a caller chose checks here first, so
that no request reaches our internal network through us (SSRF)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

# Looks up the IP addresses of a host name and port; raises OSError. Tests pass their own in place of the system's.
Resolver = Callable[[str, int], list[str]]

# IPv6 addresses of this range contain an IPv4 address, and packets go there: that IPv4 address is checked instead.
NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Special ranges that some Python versions report as public. The first holds another cloud's metadata service.
NOT_PUBLIC_NETWORKS = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("fec0::/10"))


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet: not private, loopback, link-local (the metadata service),
    shared, multicast or reserved. An IPv4 address inside an IPv6 address is checked too. False for text that is no
    address."""
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
    special = any(ip in network for network in NOT_PUBLIC_NETWORKS)
    return ip.is_global and not special and not ip.is_multicast and not ip.is_reserved


def resolve_host(host: str, port: int) -> list[str]:
    """The IP addresses of a host name, from the system's resolver; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[4][0]) for place in found]
