"""Parts of a transaction that move generations with all that belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from atelier.adapters.aws.dynamodb import Item, Transaction
from atelier.adapters.aws.dynamodb.generations.items import CallbackItem, GenerationItem, RecipeItem
from atelier.adapters.aws.dynamodb.library import AssetItem
from atelier.adapters.aws.dynamodb.moves.items import relocated
from atelier.clock import rfc3339
from atelier.moves.model import Move

# A transaction takes a hundred parts, one of which is the move's record.
PARTS_MAX = 90


def put_generations(
    write: Transaction, move: Move, page: Sequence[GenerationItem], now: datetime
) -> Sequence[GenerationItem]:
    """Add the moves of as many generations of the page as a transaction takes, one at least; returns these."""
    absent = _absent_assets(move, page)
    recipes = _recipes(page)
    parts = 0
    for count, item in enumerate(page):
        attempts: list[dict[str, Any]] = item.attempts or []
        staying = [delivered for delivered in item.assets or () if delivered["id"] in absent]
        parts += 4 + len(attempts) + len(staying)
        if count and parts > PARTS_MAX:
            return page[:count]
        _put_generation(write, item, move, now)
        if recipe := recipes.get(item.sk):
            write.save(relocated(recipe, move.target_id))
            write.delete(recipe)
        for attempt in attempts:
            # Nothing waits for an ended attempt, so its task token is of no use.
            write.delete(CallbackItem(item.pk, f"callback#{item.sk}#{attempt['id']}"))
        for delivered in staying:
            absent.discard(delivered["id"])
            write.save(_remains(delivered, item, move, now), AssetItem.pk.does_not_exist(), part="asset")
    return page


def _put_generation(write: Transaction, item: GenerationItem, move: Move, now: datetime) -> None:
    moved = relocated(item, move.target_id)
    # The table's stream leaves it out: what was to follow from it has followed at the source.
    moved.moved_from, moved.moved_at = item.pk, rfc3339(now)
    write.save(moved, GenerationItem.pk.does_not_exist(), part="generation")
    unchanged = (GenerationItem.status == item.status) & (GenerationItem.attempt_count == item.attempt_count)
    write.delete(GenerationItem(item.pk, item.sk), unchanged, part="generation")


def _recipes(page: Sequence[GenerationItem]) -> dict[str, RecipeItem]:
    """The recipes that are stored apart, by the generation's id."""
    keys = [(item.pk, f"request#{item.sk}") for item in page if item.recipe is None]
    found = RecipeItem.batch_get(keys, consistent_read=True) if keys else ()
    return {item.sk.removeprefix("request#"): item for item in found}


def _absent_assets(move: Move, page: Sequence[GenerationItem]) -> set[str]:
    """The assets that these generations delivered, and that are not at the target: they belong to another project, or
    to none."""
    delivered = {asset["id"] for item in page for asset in item.assets or ()}
    keys = [(move.target_id, asset_id) for asset_id in sorted(delivered)]
    found = AssetItem.batch_get(keys, consistent_read=True, attributes_to_get=["pk", "sk"]) if keys else ()
    return delivered - {item.sk for item in found}


def _remains(delivered: dict[str, Any], item: GenerationItem, move: Move, now: datetime) -> Item:
    """What remains of a deleted asset, for one that stays at the source."""
    return AssetItem(
        move.target_id,
        delivered["id"],
        user_id=item.user_id,
        type=delivered.get("type", "image"),
        name="",
        format=delivered["format"],
        sha256=delivered["sha256"],
        size_bytes=delivered["size_bytes"],
        generation_id=item.sk,
        created_at=item.created_at,
        deleted_at=rfc3339(now),
    )
