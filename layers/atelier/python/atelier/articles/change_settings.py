"""Decide who writes articles, and what the public reads: an act of an administrator."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from atelier.articles.deps import ArticleDeps
from atelier.articles.model import OWN, EditorialSettings, StaleArticle
from atelier.articles.save_article import BUSY, TRIES_MAX
from atelier.audit_log.model import PLATFORM_LOG, Origin, audit_event, platform_events
from atelier.errors import ValidationFailed
from atelier.retrying import retrying


def change_settings(
    wanted: EditorialSettings,
    origin: Origin,
    *,
    kind_of: Callable[[str], str],
    source_of: Callable[[str, str], str],
    sources: Container[str],
    deps: ArticleDeps,
    now: datetime,
) -> EditorialSettings:
    """Store the settings; the version of `wanted` is not read. Repeating it changes nothing. kind_of(workspace_id)
    and source_of(workspace_id, integration_id) raise NotFound. Raises NotFound, and ValidationFailed when the workspace
    is somebody's personal one, or the integration is no editorial system."""
    if wanted.workspace_id is not None and kind_of(wanted.workspace_id) != "organization":
        raise ValidationFailed([{"path": "workspace_id", "message": "is no organisation"}])
    source = OWN
    if wanted.integration_id is not None:
        source = source_of(wanted.workspace_id or "", wanted.integration_id)
        if source not in sources:
            raise ValidationFailed([{"path": "integration_id", "message": "is no access to an editorial system"}])

    def attempt() -> EditorialSettings:
        before = deps.store.settings()
        # A chosen system is read within a minute.
        after = replace(wanted, source=source, version=before.version + 1, sync_due_at=now)
        facts: dict[str, Any] = {"before": _facts(before), "after": _facts(after)}
        if facts["before"] == facts["after"]:
            return before
        action = "editorial.changed"
        if after.workspace_id is None:
            events = [audit_event(PLATFORM_LOG, action, origin, now, **facts)]
        else:
            events = list(platform_events(after.workspace_id, action, origin, now, target=after.workspace_id, **facts))
        deps.store.save_settings(before, after, events)
        return after

    return retrying(attempt, on=StaleArticle, busy=BUSY, tries_max=TRIES_MAX)


def _facts(settings: EditorialSettings) -> dict[str, object]:
    return {name: value for name, value in asdict(settings).items() if name not in ("version", "sync_due_at")}
