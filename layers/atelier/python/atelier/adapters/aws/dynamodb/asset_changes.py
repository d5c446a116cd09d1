"""Records of the library table's stream (DynamoDB JSON, as Lambda delivers them), as assets that came and went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from atelier.adapters.aws.dynamodb.library import AssetItem, decode_any_asset
from atelier.clock import parse_rfc3339
from atelier.library.feed_events import AssetChange
from atelier.library.model import Asset


def asset_changes(records: Sequence[Mapping[str, Any]]) -> Iterator[AssetChange]:
    """The assets that were uploaded or deleted, in order. A record has both images; what a generation delivered has no
    `uploaded`, and neither has what came with a moved project."""
    for record in records:
        images = record["dynamodb"]
        if not images["Keys"]["sk"]["S"].startswith("ast_") or "NewImage" not in images:
            continue
        new, old = images["NewImage"], images.get("OldImage")
        if old is None and "uploaded" in new:
            yield from _change(new, None)
        elif old is not None and "deleted_at" in new and "deleted_at" not in old:
            # What remains of a deleted asset does not say any more where it was.
            yield from _change(old, new["deleted_at"]["S"])


def _change(image: Mapping[str, Any], deleted_at: str | None) -> Iterator[AssetChange]:
    asset = decode_any_asset(AssetItem.from_raw_data(dict(image)))
    if isinstance(asset, Asset):
        yield AssetChange(asset, parse_rfc3339(deleted_at) if deleted_at else None)
