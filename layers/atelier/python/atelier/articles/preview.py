"""Previews: a signed address that shows one version of an article for a while.

    wsp_… . art_… . <version> . <expiry, seconds since 1970> . <HMAC-SHA256 in hex>

Nothing is stored. Whoever has the address sees the version, until it expires."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta

from atelier.articles.deps import ArticleDeps
from atelier.articles.model import PublicArticle
from atelier.articles.read_articles import read_preview
from atelier.articles.save_article import own_article
from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.ids import is_id

PREVIEW_LIFETIME = timedelta(hours=24)
MAC_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class ArticlePreview:
    """A signed address of a version."""

    token: str
    url: str
    version: int
    expires_at: datetime


def create_preview(
    workspace_id: str,
    article_id: str,
    number: int | None,
    key: Callable[[], bytes],
    *,
    deps: ArticleDeps,
    now: datetime,
) -> ArticlePreview:
    """Sign an address for a version of an article; None = the newest. Raises NotFound."""
    article = own_article(workspace_id, article_id, deps)
    version = deps.store.version(workspace_id, article_id, number or article.version)
    expires_at = (now + PREVIEW_LIFETIME).replace(microsecond=0)
    signed = f"{workspace_id}.{article_id}.{version.number}.{int(expires_at.timestamp())}"
    token = f"{signed}.{_mac(signed, key())}"
    return ArticlePreview(token, f"{deps.base_url}/articles/preview/{token}", version.number, expires_at)


def show_preview(token: str, key: Callable[[], bytes], *, deps: ArticleDeps, now: datetime) -> PublicArticle:
    """What a signed address shows. Raises NotFound for one that we did not sign, or that has expired."""
    signed, _, mac = token.rpartition(".")
    parts = signed.split(".")
    is_form = len(parts) == 4 and all(map(is_id, parts[:2], ("wsp", "art"))) and signed.isascii()
    if not is_form or not hmac.compare_digest(mac.encode(), _mac(signed, key()).encode()):
        raise NotFound("There is no such preview.")
    if int(parts[3]) <= now.timestamp():
        raise NotFound("This preview has expired. Make a new one.")
    return read_preview(parts[0], parts[1], int(parts[2]), deps=deps, now=now)


def preview_key(attempts_key: bytes) -> bytes:
    """The key that signs previews of articles, derived from the key that signs attempts. Because the keys differ, a
    signature of one kind is never valid for the other."""
    return hmac.new(attempts_key, b"article-previews", hashlib.sha256).digest()


def _mac(signed: str, key: bytes) -> str:
    return hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()[:MAC_CHARACTERS]
