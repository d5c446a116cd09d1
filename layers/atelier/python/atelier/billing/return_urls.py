"""The pages to which a buyer may return from Stripe: those of this deployment and of its front ends."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

URL_CHARACTERS_MAX = 2000
# A browser reads a backslash as a slash, and drops tabs and line ends; a name before `@` hides the host.
_PLAIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:[/?#][!-\[\]-~]*)?")


def is_allowed_url(url: str, *, allows_origin: Callable[[str], bool]) -> bool:
    """Whether a buyer may be sent to `url`: its origin is allowed, and it is nothing but what it seems to be."""
    if len(url) > URL_CHARACTERS_MAX or _PLAIN.fullmatch(url) is None:
        return False
    parts = urlsplit(url)
    return allows_origin(f"{parts.scheme}://{parts.netloc}".lower())
