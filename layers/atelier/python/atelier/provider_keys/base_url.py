"""Check where a custom provider's base URL leads, so that nobody reaches our internal network through us (SSRF)."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from atelier.addresses import Resolver, is_public, resolve_host


def is_public_url(url: str, simulator_hosts: Collection[str] = (), resolve: Resolver = resolve_host) -> bool:
    """Whether a base URL is https and every address of its host is public. simulator_hosts: `host:port` that are
    allowed too, on a developer's machine. It is checked again whenever the key is used, because DNS can change."""
    parts = urlsplit(url)
    if parts.netloc in simulator_hosts:
        return True
    if parts.scheme != "https" or not parts.hostname:
        return False
    try:
        addresses = resolve(parts.hostname, parts.port or 443)
    except (OSError, UnicodeError):
        return False
    return bool(addresses) and all(is_public(address) for address in addresses)
