"""Publish pages: name the version that the next deployment shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.audit_log.model import Origin, audit_event
from atelier.errors import NotFound
from atelier.retrying import retrying
from atelier.sites.check_page import parts_in
from atelier.sites.deps import SiteDeps
from atelier.sites.model import PageHead
from atelier.sites.ports import PartGone, PathTaken, StalePage
from atelier.sites.save_page import BUSY, TRIES_MAX, part_gone, path_taken


def publish_page(
    workspace_id: str,
    site_id: str,
    page_id: str,
    number: int | None,
    origin: Origin,
    *,
    deps: SiteDeps,
    now: datetime,
) -> PageHead:
    """Let the next deployment show a version; None = the newest one. Publishing it again changes nothing. Raises
    NotFound, ValidationFailed (its path or parts were taken or removed since)."""

    def attempt() -> PageHead:
        head = deps.pages.head(workspace_id, site_id, page_id)
        version = deps.pages.version(workspace_id, page_id, number or head.version, now)
        if version is None:
            if number is None:
                raise StalePage
            raise NotFound("There is no such version, or it is not kept any more.")
        if head.published_version == version.number:
            return head
        after = replace(
            head,
            revision=head.revision + 1,
            published_version=version.number,
            published_path=version.content.path,
            published_parts=parts_in(version.content),
            was_published=head.was_published or version.number == head.version,
        )
        event = audit_event(
            workspace_id,
            "page.published",
            origin,
            now,
            target=page_id,
            site_id=site_id,
            path=version.content.path,
            version=version.number,
            before=head.published_version,
        )
        deps.pages.publish(head, after, [event])
        return after

    try:
        return retrying(attempt, on=StalePage, busy=BUSY, tries_max=TRIES_MAX)
    except PathTaken:
        raise path_taken("of the published version") from None
    except PartGone:
        raise part_gone() from None


def unpublish_page(
    workspace_id: str, site_id: str, page_id: str, origin: Origin, *, deps: SiteDeps, now: datetime
) -> PageHead:
    """Let the next deployment leave a page out. Doing it again changes nothing. Raises NotFound."""

    def attempt() -> PageHead:
        head = deps.pages.head(workspace_id, site_id, page_id)
        if head.published_version is None:
            return head
        after = replace(
            head, revision=head.revision + 1, published_version=None, published_path=None, published_parts=()
        )
        facts: dict[str, Any] = {"site_id": site_id, "path": head.published_path, "version": head.published_version}
        deps.pages.publish(
            head, after, [audit_event(workspace_id, "page.unpublished", origin, now, target=page_id, **facts)]
        )
        return after

    return retrying(attempt, on=StalePage, busy=BUSY, tries_max=TRIES_MAX)
