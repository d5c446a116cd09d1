"""The links and codes in mails. Neither is stored anywhere: both are derived from the deployment's key and from the
link's purpose and id, so that a repeated mail contains the same ones, and whoever reads the database can make none.

    token = <owner's id>.<link's id>.<HMAC-SHA256 in base64url>
    code  = six digits of another HMAC

What a link may still do (its expiry, its one use) is in a record of its owner; see `identity/pending_link.py`.
"""

from __future__ import annotations

import base64
import hmac
import re
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.ids import new_id

CODE_DIGITS = 6
TOKEN_LENGTH_MAX = 128
_TOKEN = re.compile(r"([a-z]{3}_[0-9A-HJKMNP-TV-Z]{26})\.(lnk_[0-9A-HJKMNP-TV-Z]{26})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Link:
    """A link to something that its owner alone may do. purpose: a name that the derived texts depend on, so that a link
    serves one purpose only. owner_id: the user or workspace. id: `lnk_…`, new for each link."""

    purpose: str
    owner_id: str
    id: str


@dataclass(frozen=True, slots=True)
class LinkToken:
    """The parsed token of a link that a caller sent. Its ids may be invented until `LinkKey.made` has confirmed it."""

    owner_id: str
    link_id: str
    text: str

    @classmethod
    def parse(cls, text: str) -> LinkToken | None:
        """None for a text without the form of a token."""
        match = _TOKEN.fullmatch(text)
        return cls(match[1], match[2], text) if match else None

    def __repr__(self) -> str:
        return f"LinkToken({self.link_id})"


class LinkKey:
    """The deployment's key for links and codes."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, link: Link) -> str:
        """The token for the link's address."""
        mac = base64.urlsafe_b64encode(self._mac("token", link)).decode().rstrip("=")
        return f"{link.owner_id}.{link.id}.{mac}"

    def code(self, link: Link) -> str:
        """The code that does the same as the link, to be typed."""
        number = int.from_bytes(self._mac("code", link)[:8], "big") % 10**CODE_DIGITS
        return f"{number:0{CODE_DIGITS}}"

    def made(self, token: LinkToken, link: Link) -> bool:
        """Whether `token` is the token of `link`."""
        return hmac.compare_digest(token.text.encode(), self.token(link).encode())

    def made_code(self, code: str, link: Link) -> bool:
        """Whether `code` is the code of `link`."""
        return hmac.compare_digest(code.encode(), self.code(link).encode())

    def _mac(self, use: str, link: Link) -> bytes:
        return hmac.digest(self._key, f"{use} {link.purpose} {link.owner_id} {link.id}".encode(), "sha256")


def new_link(purpose: str, owner_id: str, now: datetime) -> Link:
    """A new link."""
    return Link(purpose, owner_id, new_id("lnk", now))
