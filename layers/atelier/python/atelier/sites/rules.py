"""What the pages of a site may load and contain. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from atelier.dataclass import dataclass
from atelier.ids import is_id

ASSET_SCHEME = "asset:"
# A part's parameter in place of a whole address; what it becomes is sanitised when the part is rendered.
PLACEHOLDER = re.compile(r"\{\{ ?[a-z][a-z0-9_]{0,39} ?\}\}")
LINK_SCHEMES = frozenset({"https", "http", "mailto", "tel"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class SanitizeRules:
    """allowed_hosts: hosts to load images, media and fonts from, beside the library. scripts: whether blocks may have
    scripts of their own. slots: whether the HTML is of a part, which has slots and parameters."""

    allowed_hosts: frozenset[str] = frozenset()
    scripts: bool = False
    slots: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """Something that was taken out: what, such as `<script>` or `onclick of <a>`; where: `html` or `css`; of which
    block, None = of a part."""

    what: str
    where: str
    block_id: str | None = None


def asset_in(source: str) -> str | None:
    """The id of the asset that an address names (`asset:ast_…`)."""
    id = source.strip().removeprefix(ASSET_SCHEME)
    return id if source.strip().startswith(ASSET_SCHEME) and is_id(id, "ast") else None


def is_allowed_source(source: str, rules: SanitizeRules) -> bool:
    """Whether a page may load from an address: an asset of the library, a host that the site allows, a parameter of a
    part, or a part of the page itself (`#name`)."""
    text = source.strip()
    if asset_in(text) or text.startswith("#"):
        return True
    if PLACEHOLDER.fullmatch(text):
        return rules.slots
    return _host_of(text) in rules.allowed_hosts


def is_allowed_link(address: str) -> bool:
    """Whether a link may lead to an address: a page of the site, another site, a mail or a telephone number."""
    text = "".join(character for character in address if character > " ").lower()
    scheme = _SCHEME.match(text)
    return scheme is None or scheme[0].removesuffix(":") in LINK_SCHEMES


def _host_of(address: str) -> str | None:
    """The host of an https address without credentials and port."""
    try:
        parts = urlsplit(address)
        is_plain = parts.scheme == "https" and not parts.username and parts.port is None
        return parts.hostname if is_plain and "\\" not in address else None
    except ValueError:
        return None
