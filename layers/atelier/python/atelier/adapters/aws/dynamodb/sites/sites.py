"""Sites of workspaces on DynamoDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    ItemAddress,
    Transaction,
    batch_read,
    newest_page,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.sites.items import (
    CLAIM,
    DOMAIN,
    PAGES,
    SITE,
    SLUG,
    SiteClaimItem,
    SiteItem,
    SitePageCountItem,
    bind,
    site_item,
    site_of,
)
from atelier.adapters.aws.dynamodb.sites.pages import READ_TOGETHER, DynamoPages
from atelier.adapters.aws.dynamodb.usage import SITES, USAGE_PART, UsageItem, complete_usage, put_usage, read_usage
from atelier.audit_log.model import AuditEvent
from atelier.errors import NotFound
from atelier.sites.model import Site
from atelier.sites.ports import DomainTaken, SiteExists, SitePage, SitesFull, SiteSlugTaken, StaleSite

BUSY, TRIES_MAX = "The sites are busy. Try again.", 20


class DynamoSites:
    """Sites on DynamoDB. library_table: where the workspace's counters are."""

    def __init__(self, table_name: str, library_table: str, pages: DynamoPages) -> None:
        bind(table_name)
        UsageItem.bind(library_table)
        self._pages = pages

    def count(self, workspace_id: str) -> int:
        """How many sites a workspace has."""
        return read_usage(workspace_id, SITES).used

    def create(self, site: Site, sites_max: int, events: Sequence[AuditEvent]) -> None:
        complete_usage(site.workspace_id, SITES, lambda: 0)

        def fill(write: Transaction) -> None:
            write.save(site_item(site), SiteItem.pk.does_not_exist(), part="site")
            write.save(SitePageCountItem(site.workspace_id, PAGES + site.id, pages=0))
            _claim(write, site, SLUG, site.slug)
            if site.domain:
                _claim(write, site, DOMAIN, site.domain)
            put_usage(write, site.workspace_id, SITES, 1, most=sites_max)
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            if "site" in error.parts:
                raise SiteExists from error
            _raise_taken(error)
            if USAGE_PART in error.parts:
                raise SitesFull(self.count(site.workspace_id)) from error
            raise

    def get(self, workspace_id: str, site_id: str) -> Site:
        try:
            return site_of(SiteItem.get(workspace_id, SITE + site_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def names(self, workspace_id: str, site_ids: Iterable[str]) -> Mapping[str, str]:
        wanted: list[ItemAddress] = [(SiteItem, workspace_id, SITE + id) for id in dict.fromkeys(site_ids)]
        starts = range(0, len(wanted), READ_TOGETHER)
        found = [item for at in starts for item in batch_read(wanted[at : at + READ_TOGETHER]).values()]
        return {item.sk.removeprefix(SITE): cast("SiteItem", item).name for item in found}

    def list(self, workspace_id: str, after_id: str | None, limit: int) -> SitePage:
        after = SITE + after_id if after_id else None
        bounds = (f"{SITE}sit_", f"{SITE}sit_~")
        items, next_key = newest_page(SiteItem, workspace_id, bounds, matching=None, after=after, limit=limit)
        return SitePage(tuple(map(site_of, items)), next_key.removeprefix(SITE) if next_key else None)

    def replace(self, before: Site, after: Site, events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            write.save(site_item(after), SiteItem.version == before.version, part="site")
            for prefix, old, new in ((SLUG, before.slug, after.slug), (DOMAIN, before.domain, after.domain)):
                if old != new:
                    _free(write, before, prefix, old)
                    if new:
                        _claim(write, after, prefix, new)
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            _raise_taken(error)
            raise StaleSite from error

    def remove(self, site: Site, events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            write.delete(SiteItem(site.workspace_id, SITE + site.id), SiteItem.version == site.version, part="site")
            write.delete(SitePageCountItem(site.workspace_id, PAGES + site.id))
            _free(write, site, SLUG, site.slug)
            _free(write, site, DOMAIN, site.domain)
            put_usage(write, site.workspace_id, SITES, -1)
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise StaleSite from error

    def remove_contents(self, workspace_id: str, site_id: str) -> int:
        heads = self._pages.all_heads(workspace_id, site_id)
        return sum(self._pages.remove_from_gone_site(head) for head in heads)

    def find(self, slug: str) -> tuple[str, str] | None:
        return _claimed(SLUG + slug)

    def find_domain(self, domain: str) -> tuple[str, str] | None:
        return _claimed(DOMAIN + domain)


def _claimed(name: str) -> tuple[str, str] | None:
    try:
        item = SiteClaimItem.get(name, CLAIM, consistent_read=True)
    except DoesNotExist:
        return None
    return item.workspace_id, item.site_id


def _claim(write: Transaction, site: Site, prefix: str, name: str) -> None:
    claim = SiteClaimItem(prefix + name, CLAIM, workspace_id=site.workspace_id, site_id=site.id)
    write.save(claim, SiteClaimItem.pk.does_not_exist(), part=prefix)


def _free(write: Transaction, site: Site, prefix: str, name: str | None) -> None:
    if name:
        write.delete(SiteClaimItem(prefix + name, CLAIM), SiteClaimItem.site_id == site.id, part="claim")


def _raise_taken(error: ConditionsFailed) -> None:
    if SLUG in error.parts:
        raise SiteSlugTaken from error
    if DOMAIN in error.parts:
        raise DomainTaken from error
