"""The dependencies of the use cases of sites."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from atelier.dataclass import dataclass
from atelier.idempotency import IdempotencyKeys
from atelier.sites.ports import AssetFinder, Comments, MemberFinder, Pages, Parts, Sites

# It imports the catalogue, which only a new site asks.
if TYPE_CHECKING:
    from atelier.catalogue.quotas import Quota


@dataclass(frozen=True, slots=True)
class SiteDeps:
    """quota_of(workspace_id, now): the quota of sites, by which also the tier is known."""

    sites: Sites
    pages: Pages
    parts: Parts
    comments: Comments
    assets: AssetFinder
    members: MemberFinder
    keys: IdempotencyKeys
    quota_of: Callable[[str, datetime], Quota]
