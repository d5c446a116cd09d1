"""Pages and their versions on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Item,
    ItemAddress,
    Transaction,
    batch_read,
    newest_page,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.sites.items import (
    COMMENT,
    PAGES,
    USE,
    USES,
    VERSION,
    PageItem,
    PageVersionItem,
    PartUseCountItem,
    PartUseItem,
    SitePageCountItem,
    SitePathItem,
    bind,
    head_of,
    is_kept,
    number_in,
    page_item,
    page_key,
    path_key,
    version_item,
    version_key,
    version_of,
)
from atelier.audit_log.model import AuditEvent
from atelier.errors import NotFound
from atelier.sites.model import PageHead, PageVersion
from atelier.sites.ports import (
    HeadPage,
    PageExists,
    PagesFull,
    PartGone,
    PathTaken,
    StalePage,
    StaleSite,
    VersionPage,
)

BUSY, TRIES_MAX = "The page is busy. Try again.", 20
# DynamoDB reads up to 100 items and 16 MB at once; a version may have 300 KB.
READ_TOGETHER = 40


class DynamoPages:
    """Pages on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        bind(table_name)

    def create(self, head: PageHead, version: PageVersion, pages_max: int) -> None:
        count = SitePageCountItem.pages
        has_room = count < pages_max

        def fill(write: Transaction) -> None:
            write.save(page_item(head), PageItem.pk.does_not_exist(), part="page")
            write.save(version_item(head.workspace_id, version))
            counter = SitePageCountItem(head.workspace_id, PAGES + head.site_id)
            write.update(counter, [count.add(1)], has_room, part="room")
            _put_claims(write, None, head)
            _put_uses(write, None, head)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            if "page" in error.parts:
                raise PageExists from error
            if "room" in error.parts:
                raise self._no_room(head) from error
            raise _refusal(error) from error

    def head(self, workspace_id: str, site_id: str, page_id: str) -> PageHead:
        try:
            return head_of(PageItem.get(workspace_id, page_key(site_id, page_id), consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def heads(self, workspace_id: str, site_id: str, after_id: str | None, limit: int) -> HeadPage:
        prefix = page_key(site_id, "")
        after = prefix + after_id if after_id else None
        bounds = (f"{prefix}pag_", f"{prefix}pag_~")
        items, next_key = newest_page(PageItem, workspace_id, bounds, matching=None, after=after, limit=limit)
        return HeadPage(tuple(map(head_of, items)), next_key.removeprefix(prefix) if next_key else None)

    def heads_of(self, workspace_id: str, pages: Iterable[tuple[str, str]]) -> Mapping[str, PageHead]:
        wanted: list[ItemAddress] = [(PageItem, workspace_id, page_key(*each)) for each in dict.fromkeys(pages)]
        starts = range(0, len(wanted), READ_TOGETHER)
        found = [item for at in starts for item in batch_read(wanted[at : at + READ_TOGETHER]).values()]
        heads = (head_of(cast("PageItem", item)) for item in found)
        return {head.id: head for head in heads}

    def all_heads(self, workspace_id: str, site_id: str) -> Sequence[PageHead]:
        found = PageItem.query(workspace_id, PageItem.sk.startswith(page_key(site_id, "")), consistent_read=True)
        return [head_of(item) for item in found]

    def version(self, workspace_id: str, page_id: str, number: int, now: datetime) -> PageVersion | None:
        try:
            item = PageVersionItem.get(workspace_id, version_key(page_id, number), consistent_read=True)
        except DoesNotExist:
            return None
        return version_of(item) if is_kept(item, now) else None

    def versions(self, workspace_id: str, page_id: str, before: int | None, limit: int, now: datetime) -> VersionPage:
        bounds = (version_key(page_id, 0), version_key(page_id, 10**10 - 1))
        after = version_key(page_id, before) if before is not None else None
        items, next_key = newest_page(
            PageVersionItem,
            workspace_id,
            bounds,
            matching=None,
            after=after,
            limit=limit,
            mostly_matching=True,
            accepts=lambda item: is_kept(item, now),
        )
        return VersionPage(tuple(map(version_of, items)), number_in(next_key) if next_key else None)

    def contents(self, workspace_id: str, wanted: Iterable[tuple[str, int]]) -> Mapping[str, PageVersion]:
        found = dict[str, PageVersion]()
        keys = list(wanted)
        for first in range(0, len(keys), READ_TOGETHER):
            together = keys[first : first + READ_TOGETHER]
            read = batch_read((PageVersionItem, workspace_id, version_key(*key)) for key in together)
            for item in read.values():
                version = version_of(cast("PageVersionItem", item))
                found[version.page_id] = version
        return found

    def save(self, before: PageHead, after: PageHead, version: PageVersion, replaced_until: datetime) -> None:
        old = PageVersionItem(before.workspace_id, version_key(before.id, before.version))
        expiry = PageVersionItem.expires_at_seconds.set(int(replaced_until.timestamp()))

        def fill(write: Transaction) -> None:
            _put_head(write, before, after)
            write.save(version_item(after.workspace_id, version), PageVersionItem.pk.does_not_exist(), part="page")
            if not before.was_published:
                write.update(old, [expiry], PageVersionItem.pk.exists(), part="page")

        _change(fill)

    def publish(self, before: PageHead, after: PageHead, events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            _put_head(write, before, after)
            if after.published_version is not None:
                shown = PageVersionItem(after.workspace_id, version_key(after.id, after.published_version))
                kept = [PageVersionItem.was_published.set(1), PageVersionItem.expires_at_seconds.remove()]
                write.update(shown, kept, PageVersionItem.pk.exists(), part="page")
            save_events(write, events)

        _change(fill)

    def remove(self, head: PageHead, events: Sequence[AuditEvent]) -> None:
        count = SitePageCountItem.pages

        def fill(write: Transaction) -> None:
            _delete_head(write, head)
            counter = SitePageCountItem(head.workspace_id, PAGES + head.site_id)
            write.update(counter, [count.add(-1)], SitePageCountItem.pk.exists(), part="page")
            save_events(write, events)

        _change(fill)

    def remove_from_gone_site(self, head: PageHead) -> int:
        """Remove a page whose site was removed; returns how many pages, 0 if somebody else changes it."""
        try:
            _change(lambda write: _delete_head(write, head))
        except StalePage:
            return 0
        return 1

    def remove_contents(self, workspace_id: str, page_id: str) -> int:
        count = 0
        for prefix in (VERSION, COMMENT):
            found = _keys(workspace_id, f"{prefix}{page_id}#")
            with PageVersionItem.batch_write() as batch:
                for sk in found:
                    batch.delete(PageVersionItem(workspace_id, sk))
                    count += 1
        return count

    def _no_room(self, head: PageHead) -> Exception:
        try:
            SitePageCountItem.get(head.workspace_id, PAGES + head.site_id, consistent_read=True)
        except DoesNotExist:
            return StaleSite()
        return PagesFull()


def _keys(workspace_id: str, prefix: str) -> Iterable[str]:
    found = PageVersionItem.query(
        workspace_id, Item.sk.startswith(prefix), consistent_read=True, attributes_to_get=["pk", "sk"]
    )
    return (item.sk for item in found)


def _change(fill: Callable[[Transaction], None]) -> None:
    try:
        write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
    except ConditionsFailed as error:
        raise _refusal(error) from error


def _refusal(error: ConditionsFailed) -> Exception:
    if "page" in error.parts:
        return StalePage()
    return PathTaken() if "path" in error.parts else PartGone()


def _put_head(write: Transaction, before: PageHead, after: PageHead) -> None:
    write.save(page_item(after), PageItem.revision == before.revision, part="page")
    _put_claims(write, before, after)
    _put_uses(write, before, after)


def _delete_head(write: Transaction, head: PageHead) -> None:
    write.delete(
        PageItem(head.workspace_id, page_key(head.site_id, head.id)), PageItem.revision == head.revision, part="page"
    )
    for path in head.paths:
        write.delete(SitePathItem(head.workspace_id, path_key(head.site_id, path)))
    _put_uses(write, head, replace(head, parts=(), published_parts=()))


def _put_claims(write: Transaction, before: PageHead | None, after: PageHead) -> None:
    held = before.paths if before else frozenset[str]()
    for path in held - after.paths:
        write.delete(SitePathItem(after.workspace_id, path_key(after.site_id, path)))
    for path in after.paths - held:
        claim = SitePathItem(after.workspace_id, path_key(after.site_id, path), page_id=after.id)
        write.save(claim, SitePathItem.pk.does_not_exist(), part="path")


def _put_uses(write: Transaction, before: PageHead | None, after: PageHead) -> None:
    """Add the change of a page's uses of parts: the counter of a part refuses a use of a part that is gone, and the
    removal of a part that is used."""
    held = before.used_parts if before else frozenset[str]()
    count, workspace_id = PartUseCountItem.pages, after.workspace_id
    for part_id in held - after.used_parts:
        write.update(PartUseCountItem(workspace_id, USES + part_id), [count.add(-1)])
        write.delete(PartUseItem(workspace_id, f"{USE}{part_id}#{after.id}"))
    for part_id in after.used_parts:
        use = (part_id in after.parts, part_id in after.published_parts)
        if part_id not in held:
            counter = PartUseCountItem(workspace_id, USES + part_id)
            write.update(counter, [count.add(1)], PartUseCountItem.pk.exists(), part="part")
        elif before and use == (part_id in before.parts, part_id in before.published_parts):
            continue
        in_draft, is_published = map(int, use)
        key = f"{USE}{part_id}#{after.id}"
        write.save(PartUseItem(workspace_id, key, site_id=after.site_id, in_draft=in_draft, is_published=is_published))
