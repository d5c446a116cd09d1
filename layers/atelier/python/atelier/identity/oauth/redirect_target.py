"""Where the browser goes after the identity provider: only to pages of this deployment or of its frontends."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from atelier.errors import ValidationFailed

TARGET_CHARACTERS_MAX = 1000
# Scheme, host, port; then path and query of visible ASCII. No user information, no fragment, no backslash: programs
# read such addresses differently, and only the browser's reading counts.
_TARGET = re.compile(r"(https?://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?)(/[!\"$-\[\]-~]*)?")
_OWN_PATH = re.compile(r"/(?:[!\"$-.0-\[\]-~][!\"$-\[\]-~]*)?")
# Names that we add, and that nobody else may set.
OUR_PARAMETERS = frozenset({"code", "error", "state", "iss"})


def redirect_target(text: str, *, own: str, is_allowed: Callable[[str], bool]) -> str:
    """The absolute address to which the browser is sent back. text: an address, or a path of this deployment. own: the
    deployment's public URL. is_allowed: whether pages of an origin may act for the user. Raises ValidationFailed."""
    if len(text) > TARGET_CHARACTERS_MAX:
        raise _refused("is too long")
    if _OWN_PATH.fullmatch(text):
        text = own + text
    found = _TARGET.fullmatch(text)
    if found is None or not (found[1] == own or is_allowed(found[1])):
        raise _refused("is no page of this deployment or of its frontends")
    if OUR_PARAMETERS & {name for name, _ in parse_qsl(urlsplit(text).query, keep_blank_values=True)}:
        raise _refused(f"has one of the parameters {', '.join(sorted(OUR_PARAMETERS))}")
    return text


def with_parameters(target: str, **parameters: str) -> str:
    """The address with these parameters added to its query."""
    parts = urlsplit(target)
    query = "&".join(filter(None, (parts.query, urlencode(parameters))))
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, ""))


def _refused(message: str) -> ValidationFailed:
    return ValidationFailed([{"path": "redirect_to", "message": message}])
