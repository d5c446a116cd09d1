"""Sanity: published documents by its HTTP API for queries (GROQ), and its signed webhooks.

Settings of an account: `project_id`, `dataset`, `document_type` (without one: `post`); its credentials: a token that
may read. The documents have the fields of Sanity's own example of a blog: title, slug, excerpt, body, mainImage,
author, publishedAt; and, where there are, language and tags."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from atelier.adapters.content.portable_text import markdown_of
from atelier.articles.model import (
    BODY_CHARACTERS_MAX,
    LOCALE,
    SLUG,
    SLUG_CHARACTERS_MAX,
    TAGS_MAX,
    ArticleContent,
    slug_of,
)
from atelier.articles.source_ports import SourceAccount, SourceArticle, SourceBusy, SourcePage, SourceRefused
from atelier.clock import parse_rfc3339
from atelier.deployments.ports import HostAccount
from atelier.errors import ProviderFailed

if TYPE_CHECKING:
    import urllib3

API_VERSION = "v2025-02-19"
DOCUMENTS = 25
BYTES_MAX = 10_000_000
SECONDS_MAX, CONNECT_SECONDS_MAX = 20.0, 3.0
WAIT_SECONDS, WAIT_SECONDS_MAX = 60, 900
IMAGE_HOST = "cdn.sanity.io"
SIGNATURE_HEADER = "sanity-webhook-signature"
QUERY = (
    "*[_type == $type && defined(slug.current) && _id > $after] | order(_id asc) [0...$end] "
    '{_id, _rev, _createdAt, title, "slug": slug.current, "summary": coalesce(excerpt, summary), publishedAt, '
    '"locale": coalesce(language, locale), tags, "author": author->name, "image": mainImage, body}'
)
_SIGNATURE = re.compile(r"t=(\d{1,15})[, ]{1,3}v1=([A-Za-z0-9_-]{43})")
_PROJECT, _DATASET = re.compile(r"[a-z0-9-]{1,40}"), re.compile(r"[a-z0-9_~-]{1,64}")
_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_IMAGE = re.compile(r"image-([A-Za-z0-9]{1,80})-(\d{1,6}x\d{1,6})-([a-z0-9]{2,5})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class Sanity:
    """ArticleSource. base_url: of the API, in place of the project's own; of a simulator."""

    def __init__(self, base_url: str = "") -> None:
        self._base_url = base_url

    def page(self, account: SourceAccount, after: str | None) -> SourcePage:
        found, skipped = list[SourceArticle](), list[str]()
        documents = self._documents(account, after or "")
        for document in documents:
            article = _article(document, account)
            if article is None:
                skipped.append(str(document.get("_id"))[:80])
            else:
                found.append(article)
        last = str(documents[-1].get("_id") or "") if len(documents) == DOCUMENTS else ""
        return SourcePage(tuple(found), last or None, tuple(skipped))

    def test(self, account: HostAccount) -> str | None:
        """Make a call with an account; returns why it does not work, None = it does. Raises ProviderFailed when Sanity
        cannot be asked."""
        try:
            self._documents(SourceAccount(account.credentials, account.settings), "")
        except SourceRefused as error:
            return str(error)
        except SourceBusy as error:
            raise ProviderFailed(f"It cannot be asked now: {error}") from error
        return None

    def is_genuine(self, body: bytes, headers: Mapping[str, str], secret: str) -> bool:
        found = _SIGNATURE.fullmatch(headers.get(SIGNATURE_HEADER, "").strip())
        if found is None or not body:
            return False
        signed = hmac.new(secret.encode(), found[1].encode() + b"." + body, hashlib.sha256).digest()
        return hmac.compare_digest(base64.urlsafe_b64encode(signed).rstrip(b"=").decode(), found[2])

    def _documents(self, account: SourceAccount, after: str) -> list[Mapping[str, Any]]:
        place, kind = _place(account)
        base = self._base_url.rstrip("/") or f"https://{account.settings['project_id']}.api.sanity.io"
        parameters = {"$type": kind, "$after": after, "$end": DOCUMENTS}
        fields = {"query": QUERY, **{name: json.dumps(value) for name, value in parameters.items()}}
        answer = _get(f"{base}/{place}", {**fields, "perspective": "published"}, account.credentials)
        result: Any = cast("Mapping[str, Any]", answer).get("result") if isinstance(answer, dict) else None
        if not isinstance(result, list):
            raise SourceBusy(WAIT_SECONDS, "It answered something else than documents.")
        return [cast("Mapping[str, Any]", each) for each in cast("list[Any]", result) if isinstance(each, dict)]


def _place(account: SourceAccount) -> tuple[str, str]:
    """The path of queries, and the type of documents. Raises SourceRefused for names that no project can have."""
    settings = account.settings
    dataset, kind = settings.get("dataset", ""), settings.get("document_type", "post")
    if not _PROJECT.fullmatch(settings.get("project_id", "")) or not _DATASET.fullmatch(dataset):
        raise SourceRefused("There is no such project or dataset.")
    if not _TYPE.fullmatch(kind):
        raise SourceRefused("There is no such type of documents.")
    return f"{API_VERSION}/data/query/{dataset}", kind


@cache
def _connections() -> urllib3.PoolManager:
    import urllib3

    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS_MAX, read=SECONDS_MAX), retries=False, maxsize=2
    )


def _get(url: str, fields: Mapping[str, str], token: str) -> Any:
    from urllib3.exceptions import HTTPError

    headers = {"authorization": f"Bearer {token}", "accept": "application/json", "user-agent": "Atelier/1.0"}
    try:
        response = _connections().request(
            "GET", url, fields=dict(fields), headers=headers, redirect=False, preload_content=False
        )
        with response:
            status, hint = response.status, response.headers.get("retry-after", "")
            body = response.read(BYTES_MAX + 1, decode_content=True)
    except HTTPError as error:
        raise SourceBusy(WAIT_SECONDS, "It does not answer.") from error
    if status in (401, 403):
        raise SourceRefused("The token is not valid, or may not read this dataset.")
    if status in (400, 404):
        raise SourceRefused("There is no such project or dataset.")
    if status != 200:
        raise SourceBusy(
            min(int(hint), WAIT_SECONDS_MAX) if hint.isdecimal() else WAIT_SECONDS, f"It answered {status}."
        )
    if len(body) > BYTES_MAX:
        raise SourceBusy(WAIT_SECONDS_MAX, f"Its answer is larger than {BYTES_MAX} bytes.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SourceBusy(WAIT_SECONDS, "Its answer is not JSON.") from error


def _article(document: Mapping[str, Any], account: SourceAccount) -> SourceArticle | None:
    """The article in a document; None for one that is none."""
    title, slug = _line(document.get("title"), 200), _slug(document.get("slug"))
    id, revision = document.get("_id"), document.get("_rev")
    created_at = _time(document.get("_createdAt"))
    published_at = _time(document.get("publishedAt")) or created_at
    if not title or not slug or not isinstance(id, str) or not isinstance(revision, str):
        return None
    if created_at is None or published_at is None or id.startswith("drafts."):
        return None

    def image_url(reference: str) -> str | None:
        return _image_url(reference, account)

    body = markdown_of(document.get("body"), image_url)
    cover = markdown_of([document.get("image") or {}], image_url)
    body = f"{cover}\n\n{body}" if cover else body
    if len(body) > BODY_CHARACTERS_MAX:
        return None
    locale, tags = document.get("locale"), document.get("tags")
    named = [_line(tag, 40).replace(",", " ") for tag in cast("list[Any]", tags)] if isinstance(tags, list) else []
    content = ArticleContent(
        title,
        slug,
        _line(document.get("summary"), 500),
        body,
        tuple(dict.fromkeys(tag for tag in named if tag))[:TAGS_MAX],
        _line(document.get("author"), 100),
        image_hosts=(IMAGE_HOST,),
    )
    is_locale = isinstance(locale, str) and re.fullmatch(LOCALE, locale) is not None
    return SourceArticle(id, revision, created_at, published_at, str(locale) if is_locale else None, content)


def _slug(value: Any) -> str:
    """A slug as our addresses have them."""
    text = str(value or "")
    is_ours = len(text) <= SLUG_CHARACTERS_MAX and re.fullmatch(SLUG, text)
    return text if is_ours else slug_of(text)


def _image_url(reference: str, account: SourceAccount) -> str | None:
    found = _IMAGE.fullmatch(reference)
    if found is None:
        return None
    place = f"{account.settings['project_id']}/{account.settings['dataset']}"
    return f"https://{IMAGE_HOST}/images/{place}/{found[1]}-{found[2]}.{found[3]}"


def _line(value: Any, characters_max: int) -> str:
    return _CONTROL.sub(" ", value).strip()[:characters_max] if isinstance(value, str) else ""


def _time(value: Any) -> datetime | None:
    try:
        at = parse_rfc3339(str(value))
    except ValueError:
        return None
    return at.replace(microsecond=at.microsecond // 1000 * 1000) if 2000 <= at.year < 2200 else None
