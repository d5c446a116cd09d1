"""Create, change and remove sites."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.dataclass import dataclass
from atelier.errors import Conflict, ValidationFailed, VersionConflict
from atelier.idempotency import fingerprint
from atelier.ids import new_id
from atelier.retrying import retrying
from atelier.sites.check_site import check_site
from atelier.sites.deps import SiteDeps
from atelier.sites.encode import settings_facts
from atelier.sites.model import Site, SiteSettings
from atelier.sites.ports import DomainTaken, SiteExists, SitesFull, SiteSlugTaken, StaleSite

BUSY, TRIES_MAX = "The site is changing quickly. Try again.", 20


@dataclass(frozen=True, slots=True)
class NewSite:
    """The site that a verified caller adds. idempotency_key: of the request, None = none."""

    workspace_id: str
    user_id: str
    name: str
    slug: str
    domain: str | None
    theme: dict[str, str]
    settings: SiteSettings
    idempotency_key: str | None = None


def create_site(new: NewSite, origin: Origin, *, deps: SiteDeps, now: datetime) -> tuple[Site, bool]:
    """Store a site. Returns it, and whether the same request created it before. Raises ValidationFailed, Conflict (the
    slug or domain is taken), QuotaExceeded, PaymentRequired, IdempotencyMismatch."""
    site = Site(
        new_id("sit", now),
        new.workspace_id,
        new.user_id,
        new.name,
        new.slug,
        1,
        now,
        now,
        new.domain,
        new.theme,
        new.settings,
    )
    quota = deps.quota_of(new.workspace_id, now)
    check_site(site, quota)
    _check_assets(site, deps)
    if new.idempotency_key is not None:
        key, facts = f"sites {new.idempotency_key}", fingerprint(_facts(site))
        site = replace(site, id=deps.keys.reserve(new.workspace_id, key, facts, site.id))
    try:
        deps.sites.create(site, quota.limit, [_event(site, "created", origin, now, **_facts(site))])
    except SitesFull as full:
        raise quota.exceeded(full.used) from None
    except (SiteSlugTaken, DomainTaken) as error:
        raise _taken(error) from None
    except SiteExists:
        # The same request created it earlier, or in parallel.
        return deps.sites.get(new.workspace_id, site.id), True
    return site, False


def change_site(
    workspace_id: str,
    site_id: str,
    apply_change: Callable[[Site], Site],
    origin: Origin,
    *,
    base_version: int | None,
    deps: SiteDeps,
    now: datetime,
) -> Site:
    """Change a site by a function. base_version: the version that the caller has read; None = any. Raises NotFound,
    VersionConflict, and what `create_site` raises."""

    def attempt() -> Site:
        before = deps.sites.get(workspace_id, site_id)
        if base_version not in (None, before.version):
            raise VersionConflict(current=before.version)
        after = replace(apply_change(before), version=before.version + 1, updated_at=now)
        check_site(after, deps.quota_of(workspace_id, now))
        _check_assets(after, deps)
        event = _event(after, "changed", origin, now, before=_facts(before), after=_facts(after))
        deps.sites.replace(before, after, [event])
        return after

    try:
        return retrying(attempt, on=StaleSite, busy=BUSY, tries_max=TRIES_MAX)
    except (SiteSlugTaken, DomainTaken) as error:
        raise _taken(error) from None


def remove_site(workspace_id: str, site_id: str, origin: Origin, *, deps: SiteDeps, now: datetime) -> None:
    """Remove a site; its slug and domain are free at once, its pages are removed from the table soon after. Raises
    NotFound."""

    def attempt() -> None:
        site = deps.sites.get(workspace_id, site_id)
        deps.sites.remove(site, [_event(site, "removed", origin, now, **_facts(site))])

    retrying(attempt, on=StaleSite, busy=BUSY, tries_max=TRIES_MAX)


def _taken(error: Exception) -> Conflict:
    what = "slug" if isinstance(error, SiteSlugTaken) else "domain"
    return Conflict(f"Another site has this {what}.", field=what)


def _check_assets(site: Site, deps: SiteDeps) -> None:
    wanted = {"image_asset_id": site.settings.image_asset_id, "favicon_asset_id": site.settings.favicon_asset_id}
    ids = [id for id in wanted.values() if id]
    kinds = deps.assets.kept(site.workspace_id, ids)
    fields = [
        {"path": f"settings.{name}", "message": "is not an image of the library"}
        for name, id in wanted.items()
        if id and kinds.get(id) != "image"
    ]
    if fields:
        raise ValidationFailed(fields)


def _event(site: Site, what: str, origin: Origin, now: datetime, **facts: Any) -> AuditEvent:
    return audit_event(site.workspace_id, f"site.{what}", origin, now, target=site.id, **facts)


def _facts(site: Site) -> dict[str, Any]:
    return {
        "name": site.name,
        "slug": site.slug,
        "domain": site.domain,
        "theme": dict(site.theme),
        "settings": settings_facts(site.settings),
    }
