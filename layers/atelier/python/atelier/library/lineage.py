"""Lineage: what an asset was made of, and what was made from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from atelier import cursors
from atelier.dataclass import dataclass
from atelier.library.model import Asset, DeletedAsset
from atelier.library.ports import Assets, StepFacts
from atelier.library.present import AssetUrls, present_asset
from atelier.library.schemas import (
    BoughtFromView,
    LineageQuery,
    LineageStepView,
    LineageView,
    OriginView,
    RecordedFromView,
)

ORIGINS_MAX = 100
# Each step is one read.
STEPS_MAX = 10


@dataclass(frozen=True, slots=True)
class Origins:
    """What an asset was made of, directly and through other assets, the nearest first. `is_complete`: there are no
    more."""

    assets: tuple[Asset | DeletedAsset, ...]
    is_complete: bool


def bought_origins(asset: Asset | DeletedAsset, *, assets: Assets) -> tuple[str, ...]:
    """The listings of the showcase that are in what an asset was made of, the nearest first, each once."""
    near = read_origins(asset, assets=assets).assets
    found = [listing_id for each in (asset, *near) for listing_id in (each.listing_id, *each.origin_listing_ids)]
    return tuple(dict.fromkeys(listing_id for listing_id in found if listing_id))


def read_origins(asset: Asset | DeletedAsset, *, assets: Assets) -> Origins:
    """The origins of an asset, at most ORIGINS_MAX of them, in STEPS_MAX steps."""
    found: dict[str, Asset | DeletedAsset] = {}
    # Origins are older than what is made from them, so there are no circles; but one asset can be an origin twice.
    wanted = list(dict.fromkeys(asset.made_from))
    for _ in range(STEPS_MAX):
        room = ORIGINS_MAX - len(found)
        if not wanted or room <= 0:
            break
        by_id = {each.id: each for each in assets.find_with_deleted(asset.workspace_id, wanted[:room])}
        found |= {origin_id: by_id[origin_id] for origin_id in wanted if origin_id in by_id}
        if len(wanted) > room:
            break
        next_ids = dict.fromkeys(origin_id for each in by_id.values() for origin_id in each.made_from)
        wanted = [origin_id for origin_id in next_ids if origin_id not in found]
    return Origins(tuple(found.values()), is_complete=not wanted)


def read_lineage(
    workspace_id: str,
    asset_id: str,
    query: LineageQuery,
    now: datetime,
    *,
    assets: Assets,
    urls: AssetUrls,
    facts: StepFacts,
) -> LineageView:
    """The origins of an asset with what each step cost, and a page of what was made from it, newest first. Raises
    NotFound."""
    asset = assets.get(workspace_id, asset_id)
    page = assets.list_made_from(workspace_id, asset_id, cursors.decode(query.cursor, "ast_"), query.limit)
    origins = read_origins(asset, assets=assets)
    steps, bought_from = _steps((asset, *origins.assets), facts)
    return LineageView(
        steps=steps,
        credits=sum(each.credits or 0 for each in {each.generation_id: each for each in steps}.values()),
        bought_from=bought_from,
        recorded_from=_recorded_from(workspace_id, (asset, *origins.assets), facts),
        origins=[_origin_view(each, now, urls) for each in origins.assets],
        origins_complete=origins.is_complete,
        items=[present_asset(each, now, urls=urls) for each in page.assets],
        next_cursor=cursors.encode(page.next_id),
    )


def _steps(
    assets: Sequence[Asset | DeletedAsset], facts: StepFacts
) -> tuple[list[LineageStepView], list[BoughtFromView]]:
    """The steps of these assets, and the listings that were bought for them. A generation costs once, however many
    files it made."""
    kept = [each for each in assets if isinstance(each, Asset)]
    credits = facts.credits(kept[0].workspace_id, [each.generation_id for each in kept if each.generation_id])
    bought = facts.bought_from([each.listing_id for each in assets if each.listing_id])
    names = facts.names([*(each.user_id for each in kept), *(each.user_id for each in bought)])
    steps = [
        LineageStepView(
            asset_id=each.id,
            user_id=each.user_id,
            name=names.get(each.user_id, ""),
            generation_id=each.generation_id,
            credits=credits.get(each.generation_id) if each.generation_id else None,
            listing_id=each.listing_id,
            livestream_id=each.livestream_id,
            at=each.created_at,
        )
        for each in kept
    ]
    listings = [
        BoughtFromView(
            listing_id=each.listing_id,
            title=each.title,
            user_id=each.user_id,
            name=names.get(each.user_id, ""),
            distance=each.distance,
        )
        for each in bought
    ]
    return steps, listings


def _recorded_from(
    workspace_id: str, assets: Sequence[Asset | DeletedAsset], facts: StepFacts
) -> list[RecordedFromView]:
    """The livestreams of which these assets are recordings, also of deleted ones. A livestream that is gone keeps its
    place, without its title."""
    ids = list(dict.fromkeys(each.livestream_id for each in assets if each.livestream_id))
    found = facts.recorded_from(workspace_id, ids)
    return [
        RecordedFromView(
            livestream_id=id,
            title=found[id].title if id in found else None,
            live_at=found[id].live_at if id in found else None,
        )
        for id in ids
    ]


def _origin_view(origin: Asset | DeletedAsset, now: datetime, urls: AssetUrls) -> OriginView:
    is_deleted = isinstance(origin, DeletedAsset)
    return OriginView(
        id=origin.id,
        type=origin.type,
        made_from=list(origin.made_from),
        deleted_at=origin.deleted_at if is_deleted else None,
        asset=None if is_deleted else present_asset(origin, now, urls=urls),
    )
