"""Create pages and save their versions, so that concurrent editing never loses words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from atelier.audit_log.model import Origin, audit_event
from atelier.dataclass import dataclass
from atelier.errors import Conflict, NotFound, ValidationFailed
from atelier.idempotency import fingerprint
from atelier.ids import new_id
from atelier.retrying import retrying
from atelier.sites.check_page import check_references, clean_page, parts_in
from atelier.sites.deps import SiteDeps
from atelier.sites.encode import content_facts
from atelier.sites.merge import MergeConflict, merge_contents
from atelier.sites.model import Page, PageContent, PageHead, PageVersion
from atelier.sites.ports import PageExists, PagesFull, PartGone, PathTaken, StalePage, StaleSite
from atelier.sites.rules import Removal

PAGES_MAX = 2000
BUSY, TRIES_MAX = "The page is changing quickly. Try again.", 20


@dataclass(frozen=True, slots=True)
class PageEdit:
    """What a verified caller saves. base_version: the version that the content was made from; None = a new page.
    resolved_version: the newest version that the author has seen beside it, and decided; conflicts with it are as in
    the content. generation_id: the generation that wrote it."""

    workspace_id: str
    site_id: str
    user_id: str
    content: PageContent
    note: str = ""
    base_version: int | None = None
    resolved_version: int | None = None
    generation_id: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class SavedPage:
    """The page as it is stored. removed: what was taken out of what was sent. is_merged: it has changes of others since
    the base version. replayed: the same request had been served before."""

    page: Page
    removed: tuple[Removal, ...] = ()
    is_merged: bool = False
    replayed: bool = False


def create_page(edit: PageEdit, *, deps: SiteDeps, now: datetime) -> SavedPage:
    """Store a page with its first version. Raises NotFound, ValidationFailed, Conflict, IdempotencyMismatch."""
    site = deps.sites.get(edit.workspace_id, edit.site_id)
    content, removed = clean_page(site, edit.content, deps=deps, now=now)
    check_references(edit.workspace_id, content, deps=deps)
    page_id = new_id("pag", now)
    if edit.idempotency_key is not None:
        key, facts = f"pages {edit.site_id} {edit.idempotency_key}", fingerprint(content_facts(edit.content))
        page_id = deps.keys.reserve(edit.workspace_id, key, facts, page_id)
    parts = parts_in(content)
    head = PageHead(
        page_id, edit.workspace_id, site.id, content.path, content.title, 1, 1, now, now, edit.user_id, parts
    )
    version = PageVersion(page_id, 1, content, edit.user_id, now, edit.note, edit.generation_id)
    try:
        deps.pages.create(head, version, PAGES_MAX)
    except PageExists:
        # The same request created it earlier, or in parallel.
        return SavedPage(read_page(edit.workspace_id, site.id, page_id, deps=deps, now=now), removed, replayed=True)
    except PathTaken:
        raise path_taken(content.path) from None
    except PagesFull:
        raise Conflict(f"A site has at most {PAGES_MAX} pages.") from None
    except StaleSite:
        raise NotFound from None
    except PartGone:
        raise part_gone() from None
    return SavedPage(page_of(head, version), removed)


def save_page(page_id: str, edit: PageEdit, *, deps: SiteDeps, now: datetime) -> SavedPage:
    """Save a new version of a page. If others have saved since the base version, both changes are merged where they do
    not touch. Raises NotFound, ValidationFailed, and Conflict with both versions where they do."""
    site = deps.sites.get(edit.workspace_id, edit.site_id)
    content, removed = clean_page(site, edit.content, deps=deps, now=now)

    def attempt() -> SavedPage:
        head = deps.pages.head(edit.workspace_id, edit.site_id, page_id)
        merged, is_merged, newest = _merge(head, content, edit, deps=deps, now=now)
        if newest is not None and newest.content == merged:
            # The same request once more, or nothing that others have not done.
            return SavedPage(page_of(head, newest), removed, is_merged=True)
        check_references(edit.workspace_id, merged, deps=deps)
        version = PageVersion(page_id, head.version + 1, merged, edit.user_id, now, edit.note, edit.generation_id)
        after = head_with(head, version, now)
        kept_until = now + timedelta(days=deps.quota_of(edit.workspace_id, now).tier.page_version_days)
        deps.pages.save(head, after, version, kept_until)
        return SavedPage(page_of(after, version), removed, is_merged)

    try:
        return retrying(attempt, on=StalePage, busy=BUSY, tries_max=TRIES_MAX)
    except PathTaken:
        raise path_taken(content.path) from None
    except PartGone:
        raise part_gone() from None


def read_page(workspace_id: str, site_id: str, page_id: str, *, deps: SiteDeps, now: datetime) -> Page:
    """A page in its newest version. Raises NotFound."""

    def attempt() -> Page:
        head = deps.pages.head(workspace_id, site_id, page_id)
        version = deps.pages.version(workspace_id, page_id, head.version, now)
        if version is None:
            raise StalePage  # A newer one has replaced it since.
        return page_of(head, version)

    return retrying(attempt, on=StalePage, busy=BUSY, tries_max=TRIES_MAX)


def read_version(
    workspace_id: str, site_id: str, page_id: str, number: int, *, deps: SiteDeps, now: datetime
) -> PageVersion:
    """A version of a page of the site. Raises NotFound."""
    deps.pages.head(workspace_id, site_id, page_id)
    version = deps.pages.version(workspace_id, page_id, number, now)
    if version is None:
        raise NotFound("There is no such version, or it is not kept any more.")
    return version


def compare_versions(
    workspace_id: str, site_id: str, page_id: str, before: int, after: int | None, *, deps: SiteDeps, now: datetime
) -> tuple[PageVersion, PageVersion]:
    """Two versions of a page; after: None = the newest. Raises NotFound."""
    number = after or deps.pages.head(workspace_id, site_id, page_id).version
    old, new = (read_version(workspace_id, site_id, page_id, each, deps=deps, now=now) for each in (before, number))
    return old, new


def restore_version(page_id: str, number: int, edit: PageEdit, *, deps: SiteDeps, now: datetime) -> SavedPage:
    """Save an earlier version as the newest one; edit.content is not used. The path stays as it is now. Raises
    NotFound, Conflict."""
    earlier = read_version(edit.workspace_id, edit.site_id, page_id, number, deps=deps, now=now)
    head = deps.pages.head(edit.workspace_id, edit.site_id, page_id)
    content = replace(earlier.content, path=head.path)
    note = edit.note or f"Version {number}"
    restored = replace(edit, content=content, base_version=edit.base_version or head.version, note=note)
    return save_page(page_id, restored, deps=deps, now=now)


def remove_page(
    workspace_id: str, site_id: str, page_id: str, origin: Origin, *, deps: SiteDeps, now: datetime
) -> None:
    """Remove a page; its path is free at once. Raises NotFound."""

    def attempt() -> None:
        head = deps.pages.head(workspace_id, site_id, page_id)
        event = audit_event(workspace_id, "page.removed", origin, now, target=page_id, site_id=site_id, path=head.path)
        deps.pages.remove(head, [event])

    retrying(attempt, on=StalePage, busy=BUSY, tries_max=TRIES_MAX)


def page_of(head: PageHead, version: PageVersion) -> Page:
    """A page of its two items."""
    return Page(
        head.id,
        head.workspace_id,
        head.site_id,
        version.content,
        head.version,
        head.created_at,
        head.updated_at,
        head.user_id,
        head.published_version,
    )


def head_with(head: PageHead, version: PageVersion, now: datetime) -> PageHead:
    """A page with a new newest version."""
    content = version.content
    return replace(
        head,
        path=content.path,
        title=content.title,
        version=version.number,
        revision=head.revision + 1,
        updated_at=now,
        parts=parts_in(content),
        was_published=False,
    )


def path_taken(path: str) -> ValidationFailed:
    """The refusal of a path that another page has, in its newest or its published version."""
    return ValidationFailed([{"path": "path", "message": f"is the path of another page: {path}"}])


def part_gone() -> ValidationFailed:
    """The refusal of a use of a part that was removed at this moment."""
    return ValidationFailed([{"path": "blocks", "message": "use a component or section that was removed"}])


def _merge(
    head: PageHead, mine: PageContent, edit: PageEdit, *, deps: SiteDeps, now: datetime
) -> tuple[PageContent, bool, PageVersion | None]:
    """What is to be stored, whether it has changes of others, and the newest version, if it was read. Raises
    Conflict."""
    base_version, is_decided = edit.base_version, edit.resolved_version == head.version
    if base_version == head.version:
        return mine, False, None
    if base_version is None or not 1 <= base_version <= head.version:
        raise ValidationFailed([{"path": "base_version", "message": "is no version of the page"}])
    read = deps.pages.version
    theirs = read(head.workspace_id, head.id, head.version, now)
    if theirs is None:
        raise StalePage
    base = read(head.workspace_id, head.id, base_version, now)
    if base is not None:
        found = merge_contents(base.content, theirs.content, mine, mine_wins=is_decided)
    else:
        found = mine if is_decided else MergeConflict(tuple(block.id for block in mine.blocks))
    if isinstance(found, PageContent):
        return found, True, theirs
    raise Conflict(
        "Somebody else changed the same parts of the page. Take over what you want of both versions, and save again.",
        base_version=base_version,
        current_version=head.version,
        blocks=list(found.blocks),
        fields=list(found.fields),
        moved=list(found.moved),
        theirs=content_facts(theirs.content),
        mine=content_facts(mine),
    )
