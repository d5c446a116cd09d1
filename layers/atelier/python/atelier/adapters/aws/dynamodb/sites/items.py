"""The items of the sites table, and their values.

pk wsp_…    sk site#sit_…                  a site
pk wsp_…    sk pages#sit_…                 how many pages it has; there as long as the site is
pk wsp_…    sk page#sit_…#pag_…            a page without its blocks
pk wsp_…    sk path#sit_…#/about           the claim of a path by a page
pk wsp_…    sk version#pag_…#0000000001    a version of a page, with its blocks; never changed
pk wsp_…    sk comment#pag_…#cmt_…         a comment
pk wsp_…    sk part#cmp_…                  a part in its newest version
pk wsp_…    sk part-version#cmp_…#00000001 a version of a part
pk wsp_…    sk uses#cmp_…                  how many pages use the part; there as long as the part is
pk wsp_…    sk use#cmp_…#pag_…             a page that uses it
pk slug#…   sk site                        the claim of a slug by a site
pk domain#… sk site                        the claim of a domain by a site
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from atelier.adapters.aws.dynamodb import CompactJSON, Item
from atelier.clock import parse_rfc3339, rfc3339
from atelier.sites.encode import (
    content_facts,
    content_of,
    parameters_facts,
    parameters_of,
    settings_facts,
    settings_of,
)
from atelier.sites.model import Comment, PageHead, PageVersion, Part, PartKind, PartUse, PartVersion, Site

SITE, PAGES, PAGE, PATH, VERSION, COMMENT = "site#", "pages#", "page#", "path#", "version#", "comment#"
PART, PART_VERSION, USES, USE = "part#", "part-version#", "uses#", "use#"
SLUG, DOMAIN, CLAIM = "slug#", "domain#", "site"
PartItemT = TypeVar("PartItemT", bound="PartItem")
# Digits of a version's number in a sort key.
DIGITS = 10


class SiteItem(Item):
    """One site."""

    user_id = UnicodeAttribute()
    name = UnicodeAttribute()
    slug = UnicodeAttribute()
    domain = UnicodeAttribute(null=True)
    theme = CompactJSON()
    settings = CompactJSON()
    version = NumberAttribute()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()


class SitePageCountItem(Item):
    """How many pages a site has."""

    pages = NumberAttribute()


class SiteClaimItem(Item):
    """Which site has a slug or a domain."""

    workspace_id = UnicodeAttribute()
    site_id = UnicodeAttribute()


class SitePathItem(Item):
    """Which page has a path."""

    page_id = UnicodeAttribute()


class PageItem(Item):
    """A page without its blocks."""

    path = UnicodeAttribute()
    title = UnicodeAttribute()
    version = NumberAttribute()
    revision = NumberAttribute()
    user_id = UnicodeAttribute()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    parts = CompactJSON(null=True)
    published_version = NumberAttribute(null=True)
    published_path = UnicodeAttribute(null=True)
    published_parts = CompactJSON(null=True)
    was_published = NumberAttribute(null=True)


class PageVersionItem(Item):
    """One version of a page."""

    content = CompactJSON()
    user_id = UnicodeAttribute()
    created_at = UnicodeAttribute()
    note = UnicodeAttribute(null=True)
    generation_id = UnicodeAttribute(null=True)
    was_published = NumberAttribute(null=True)
    expires_at_seconds = NumberAttribute(null=True)


class SiteCommentItem(Item):
    """One comment."""

    site_id = UnicodeAttribute()
    user_id = UnicodeAttribute()
    body = UnicodeAttribute(null=True)
    page_version = NumberAttribute()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    block_id = UnicodeAttribute(null=True)
    reply_to = UnicodeAttribute(null=True)
    mentions = CompactJSON(null=True)
    resolved_at = UnicodeAttribute(null=True)
    resolved_by = UnicodeAttribute(null=True)
    is_deleted = NumberAttribute(null=True)


class PartItem(Item):
    """A part in its newest version, or (PartVersionItem) in an earlier one."""

    kind = UnicodeAttribute()
    name = UnicodeAttribute()
    category = UnicodeAttribute(null=True)
    html = UnicodeAttribute(null=True)
    css = UnicodeAttribute(null=True)
    js = UnicodeAttribute(null=True)
    parameters = CompactJSON()
    slots = CompactJSON()
    version = NumberAttribute()
    user_id = UnicodeAttribute()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    note = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute(null=True)


class PartVersionItem(PartItem):
    """One version of a part."""


class PartUseCountItem(Item):
    """How many pages use a part."""

    pages = NumberAttribute()


class PartUseItem(Item):
    """A page that uses a part."""

    site_id = UnicodeAttribute()
    in_draft = NumberAttribute()
    is_published = NumberAttribute()


ITEMS: tuple[type[Item], ...] = (
    SiteItem,
    SitePageCountItem,
    SiteClaimItem,
    SitePathItem,
    PageItem,
    PageVersionItem,
    SiteCommentItem,
    PartItem,
    PartVersionItem,
    PartUseCountItem,
    PartUseItem,
)


def bind(table_name: str) -> None:
    """Name the sites table."""
    for item in ITEMS:
        item.bind(table_name)


def page_key(site_id: str, page_id: str) -> str:
    """The sort key of a page."""
    return f"{PAGE}{site_id}#{page_id}"


def path_key(site_id: str, path: str) -> str:
    """The sort key of a path's claim."""
    return f"{PATH}{site_id}#{path}"


def version_key(owner_id: str, number: int, prefix: str = VERSION) -> str:
    """The sort key of a version of a page or, with the prefix PART_VERSION, of a part."""
    return f"{prefix}{owner_id}#{number:0{DIGITS}}"


def number_in(sk: str) -> int:
    """The number in the sort key of a version."""
    return int(sk.rpartition("#")[2])


def is_kept(item: PageVersionItem | PartVersionItem, now: datetime) -> bool:
    """Whether a version is still there: TTL deletes some days late."""
    return not item.expires_at_seconds or int(item.expires_at_seconds) > now.timestamp()


def site_item(site: Site) -> SiteItem:
    return SiteItem(
        site.workspace_id,
        SITE + site.id,
        user_id=site.user_id,
        name=site.name,
        slug=site.slug,
        domain=site.domain,
        theme=dict(site.theme),
        settings=settings_facts(site.settings),
        version=site.version,
        created_at=rfc3339(site.created_at),
        updated_at=rfc3339(site.updated_at),
    )


def site_of(item: SiteItem) -> Site:
    return Site(
        item.sk.removeprefix(SITE),
        item.pk,
        item.user_id,
        item.name,
        item.slug,
        int(item.version),
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.updated_at),
        item.domain,
        item.theme,
        settings_of(item.settings),
    )


def page_item(head: PageHead) -> PageItem:
    return PageItem(
        head.workspace_id,
        page_key(head.site_id, head.id),
        path=head.path,
        title=head.title,
        version=head.version,
        revision=head.revision,
        user_id=head.user_id,
        created_at=rfc3339(head.created_at),
        updated_at=rfc3339(head.updated_at),
        parts=list(head.parts) or None,
        published_version=head.published_version,
        published_path=head.published_path,
        published_parts=list(head.published_parts) or None,
        was_published=1 if head.was_published else None,
    )


def head_of(item: PageItem) -> PageHead:
    _, site_id, page_id = item.sk.split("#")
    return PageHead(
        page_id,
        item.pk,
        site_id,
        item.path,
        item.title,
        int(item.version),
        int(item.revision),
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.updated_at),
        item.user_id,
        tuple(item.parts or ()),
        int(item.published_version) if item.published_version else None,
        item.published_path,
        tuple(item.published_parts or ()),
        bool(item.was_published),
    )


def version_item(workspace_id: str, version: PageVersion) -> PageVersionItem:
    return PageVersionItem(
        workspace_id,
        version_key(version.page_id, version.number),
        content=content_facts(version.content),
        user_id=version.user_id,
        created_at=rfc3339(version.created_at),
        note=version.note or None,
        generation_id=version.generation_id,
    )


def version_of(item: PageVersionItem) -> PageVersion:
    return PageVersion(
        item.sk.split("#")[1],
        number_in(item.sk),
        content_of(item.content),
        item.user_id,
        parse_rfc3339(item.created_at),
        item.note or "",
        item.generation_id,
        bool(item.was_published),
    )


def comment_item(comment: Comment) -> SiteCommentItem:
    return SiteCommentItem(
        comment.workspace_id,
        f"{COMMENT}{comment.page_id}#{comment.id}",
        site_id=comment.site_id,
        user_id=comment.user_id,
        body=comment.body or None,
        page_version=comment.page_version,
        created_at=rfc3339(comment.created_at),
        updated_at=rfc3339(comment.updated_at),
        block_id=comment.block_id,
        reply_to=comment.reply_to,
        mentions=list(comment.mentions) or None,
        resolved_at=rfc3339(comment.resolved_at) if comment.resolved_at else None,
        resolved_by=comment.resolved_by,
        is_deleted=1 if comment.is_deleted else None,
    )


def comment_of(item: SiteCommentItem) -> Comment:
    _, page_id, comment_id = item.sk.split("#")
    return Comment(
        comment_id,
        item.pk,
        item.site_id,
        page_id,
        item.user_id,
        item.body or "",
        int(item.page_version),
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.updated_at),
        item.block_id,
        item.reply_to,
        tuple(item.mentions or ()),
        parse_rfc3339(item.resolved_at) if item.resolved_at else None,
        item.resolved_by,
        bool(item.is_deleted),
    )


def part_item(part: Part, note: str) -> PartItem:
    return _fill_part(PartItem(part.workspace_id, PART + part.id), part, note)


def part_version_item(part: Part, note: str) -> PartVersionItem:
    return _fill_part(PartVersionItem(part.workspace_id, version_key(part.id, part.version, PART_VERSION)), part, note)


def _fill_part(item: PartItemT, part: Part, note: str) -> PartItemT:
    item.kind, item.name, item.category = part.kind.value, part.name, part.category or None
    item.html, item.css, item.js = part.html or None, part.css or None, part.js or None
    item.parameters, item.slots = parameters_facts(part.parameters), list(part.slots)
    item.version, item.user_id, item.note = part.version, part.user_id, note or None
    item.created_at, item.updated_at = rfc3339(part.created_at), rfc3339(part.updated_at)
    return item


def part_of(item: PartItem) -> Part:
    return Part(
        item.sk.split("#")[1],
        item.pk,
        PartKind(item.kind),
        item.name,
        item.html or "",
        int(item.version),
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.updated_at),
        item.user_id,
        item.category or "",
        item.css or "",
        item.js or "",
        parameters_of(item.parameters),
        tuple(item.slots),
    )


def part_version_of(item: PartVersionItem) -> PartVersion:
    return PartVersion(part_of(item), item.note or "")


def use_of(item: PartUseItem) -> PartUse:
    _, part_id, page_id = item.sk.split("#")
    return PartUse(part_id, page_id, item.site_id, bool(item.in_draft), bool(item.is_published))
