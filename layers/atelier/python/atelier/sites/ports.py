"""Ports of sites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass
from atelier.sites.model import (
    Comment,
    PageHead,
    PageVersion,
    Part,
    PartKind,
    PartUse,
    PartVersion,
    Site,
)


class SiteExists(Exception):
    """A site with this id exists already."""


class SiteSlugTaken(Exception):
    """Another site has this slug."""


class DomainTaken(Exception):
    """Another site has this domain."""


class SitesFull(Exception):
    """The workspace has as many sites as its tier allows. used: how many."""

    def __init__(self, used: int) -> None:
        super().__init__(str(used))
        self.used = used


class StaleSite(Exception):
    """The site was changed or removed since it was read."""


class PageExists(Exception):
    """A page with this id exists already."""


class PathTaken(Exception):
    """Another page of the site has this path."""


class PagesFull(Exception):
    """The site has as many pages as a site may have."""


class StalePage(Exception):
    """The page was changed or removed since it was read."""


class PartGone(Exception):
    """A part that the page uses does not exist (any more)."""


class PartExists(Exception):
    """A part with this id exists already."""


class StalePart(Exception):
    """The part was changed or removed since it was read."""


class PartInUse(Exception):
    """Pages use the part."""


class CommentExists(Exception):
    """A comment with this id exists already."""


class StaleComment(Exception):
    """The comment was changed since it was read, or the first comment of its thread is gone."""


@dataclass(frozen=True, slots=True)
class SitePage:
    """Sites, the newest first. next_id: after which the next page of the list begins, None at the end."""

    items: tuple[Site, ...]
    next_id: str | None


@dataclass(frozen=True, slots=True)
class HeadPage:
    """Pages of a site without their blocks, the newest first. next_id as in SitePage."""

    items: tuple[PageHead, ...]
    next_id: str | None


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Versions of a page, the newest first. next_number as in SitePage."""

    items: tuple[PageVersion, ...]
    next_number: int | None


@dataclass(frozen=True, slots=True)
class PartPage:
    """Parts, the newest first. next_id as in SitePage."""

    items: tuple[Part, ...]
    next_id: str | None


@dataclass(frozen=True, slots=True)
class PartVersionPage:
    """Versions of a part, the newest first. next_number as in SitePage."""

    items: tuple[PartVersion, ...]
    next_number: int | None


@dataclass(frozen=True, slots=True)
class CommentPage:
    """Comments of a page, the oldest first. next_id as in SitePage."""

    items: tuple[Comment, ...]
    next_id: str | None


class Sites(Protocol):
    """The sites of workspaces. Each change writes its audit events in its own transaction."""

    def create(self, site: Site, sites_max: int, events: Sequence[AuditEvent]) -> None:
        """Raises SiteExists, SiteSlugTaken, DomainTaken, SitesFull."""
        ...

    def get(self, workspace_id: str, site_id: str) -> Site:
        """A site, by a consistent read. Raises NotFound."""
        ...

    def list(self, workspace_id: str, after_id: str | None, limit: int) -> SitePage: ...

    def names(self, workspace_id: str, site_ids: Iterable[str]) -> Mapping[str, str]:
        """The names of those of these sites that exist."""
        ...

    def replace(self, before: Site, after: Site, events: Sequence[AuditEvent]) -> None:
        """Store a changed site, and free the slug and domain that it had. Raises StaleSite, SiteSlugTaken,
        DomainTaken."""
        ...

    def remove(self, site: Site, events: Sequence[AuditEvent]) -> None:
        """Remove a site; what it had is removed by `remove_contents`, later. Raises StaleSite."""
        ...

    def remove_contents(self, workspace_id: str, site_id: str) -> int:
        """Remove pages, versions, comments and uses of a removed site. Returns how many items; repeating it is safe."""
        ...

    def find(self, slug: str) -> tuple[str, str] | None:
        """The workspace and the site that have a slug."""
        ...

    def find_domain(self, domain: str) -> tuple[str, str] | None:
        """The workspace and the site that have a domain."""
        ...


class Pages(Protocol):
    """The pages of sites and their versions."""

    def create(self, head: PageHead, version: PageVersion, pages_max: int) -> None:
        """Store a page with its first version. Raises PageExists, PathTaken, PagesFull, PartGone, StaleSite (the site
        is gone)."""
        ...

    def head(self, workspace_id: str, site_id: str, page_id: str) -> PageHead:
        """A page without its blocks, by a consistent read. Raises NotFound."""
        ...

    def heads(self, workspace_id: str, site_id: str, after_id: str | None, limit: int) -> HeadPage: ...

    def heads_of(self, workspace_id: str, pages: Iterable[tuple[str, str]]) -> Mapping[str, PageHead]:
        """Those of these pages that exist, by id. pages: (site id, page id)."""
        ...

    def all_heads(self, workspace_id: str, site_id: str) -> Sequence[PageHead]:
        """All pages of a site, by consistent reads."""
        ...

    def version(self, workspace_id: str, page_id: str, number: int, now: datetime) -> PageVersion | None:
        """One version; None = there is none, or it is not kept any more."""
        ...

    def versions(
        self, workspace_id: str, page_id: str, before: int | None, limit: int, now: datetime
    ) -> VersionPage: ...

    def contents(self, workspace_id: str, wanted: Iterable[tuple[str, int]]) -> Mapping[str, PageVersion]:
        """Versions of pages by the pages' ids; wanted: page ids with numbers of versions."""
        ...

    def save(self, before: PageHead, after: PageHead, version: PageVersion, replaced_until: datetime) -> None:
        """Store a new version as the newest one. replaced_until: how long the one before is kept, if it was never
        published. Raises StalePage, PathTaken, PartGone."""
        ...

    def publish(self, before: PageHead, after: PageHead, events: Sequence[AuditEvent]) -> None:
        """Store which version is published; it is then kept for ever. Raises StalePage, PathTaken, PartGone."""
        ...

    def remove(self, head: PageHead, events: Sequence[AuditEvent]) -> None:
        """Remove a page; its versions and comments are removed by `remove_contents`. Raises StalePage."""
        ...

    def remove_contents(self, workspace_id: str, page_id: str) -> int:
        """Remove the versions and comments of a removed page. Returns how many items; repeating it is safe."""
        ...


class Parts(Protocol):
    """The parts of workspaces, their versions, and where they are used."""

    def create(self, part: Part, note: str) -> None:
        """Raises PartExists."""
        ...

    def get(self, workspace_id: str, part_id: str) -> Part:
        """A part, by a consistent read. Raises NotFound."""
        ...

    def find(self, workspace_id: str, part_ids: Iterable[str]) -> Mapping[str, Part]:
        """Those of these parts that exist, by id."""
        ...

    def list(self, workspace_id: str, kind: PartKind, after_id: str | None, limit: int) -> PartPage: ...

    def replace(self, before: Part, after: Part, note: str, replaced_until: datetime) -> None:
        """Store a changed part as a new version. replaced_until: how long the one before is kept. Raises StalePart."""
        ...

    def version(self, workspace_id: str, part_id: str, number: int, now: datetime) -> PartVersion | None: ...

    def versions(
        self, workspace_id: str, part_id: str, before: int | None, limit: int, now: datetime
    ) -> PartVersionPage: ...

    def uses(self, workspace_id: str, part_id: str) -> Sequence[PartUse]:
        """The pages that use a part, by consistent reads."""
        ...

    def remove(self, part: Part, events: Sequence[AuditEvent]) -> None:
        """Remove a part with its versions. Raises PartInUse, StalePart."""
        ...


class Comments(Protocol):
    """The comments on pages."""

    def add(self, comment: Comment) -> None:
        """Raises CommentExists, and StaleComment when the page, or the first comment of the thread, is gone."""
        ...

    def get(self, workspace_id: str, page_id: str, comment_id: str) -> Comment:
        """A comment, by a consistent read. Raises NotFound."""
        ...

    def list(self, workspace_id: str, page_id: str, after_id: str | None, limit: int) -> CommentPage: ...

    def replace(self, before: Comment, after: Comment) -> None:
        """Raises StaleComment."""
        ...


class AssetFinder(Protocol):
    """The assets of the library."""

    def kept(self, workspace_id: str, asset_ids: Iterable[str]) -> Mapping[str, str]:
        """Those of these assets that the workspace has, by id, with their types (`image`, `video`, `audio`, …)."""
        ...


class MemberFinder(Protocol):
    """The members of workspaces."""

    def names(self, user_ids: Iterable[str]) -> Mapping[str, str]:
        """The names of at most a hundred people, by id; those who have no account any more are left out."""
        ...

    def members_among(self, workspace_id: str, user_ids: Iterable[str]) -> frozenset[str]:
        """Those of these people who are members of the workspace."""
        ...
