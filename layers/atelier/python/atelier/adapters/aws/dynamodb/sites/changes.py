"""What a batch of the sites table's stream means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from atelier.adapters.aws.dynamodb.sites.items import COMMENT
from atelier.events.site_events import CommentMention
from atelier.sites.remove_leftovers import Leftover, LeftoverKind

Image = Mapping[str, Mapping[str, Any]]


def mentions(records: Iterable[Mapping[str, Any]]) -> Iterator[CommentMention]:
    """The members whom new or changed comments mention, and whom they did not mention before."""
    for record in records:
        change = record["dynamodb"]
        if not str(change["Keys"]["sk"]["S"]).startswith(COMMENT) or "NewImage" not in change:
            continue
        image: Image = change["NewImage"]
        _, page_id, comment_id = image["sk"]["S"].split("#")
        before = _mentioned(change.get("OldImage", {}))
        for user_id in _mentioned(image):
            if user_id not in before and user_id != image["user_id"]["S"]:
                yield CommentMention(
                    image["pk"]["S"],
                    image["site_id"]["S"],
                    page_id,
                    comment_id,
                    image["user_id"]["S"],
                    user_id,
                    image["updated_at"]["S"],
                )


def leftovers(records: Iterable[Mapping[str, Any]]) -> Iterator[Leftover]:
    """The sites, pages and parts that were removed."""
    kinds = {f"{kind}": kind for kind in LeftoverKind}
    for record in records:
        keys = record["dynamodb"]["Keys"]
        prefix, _, ids = str(keys["sk"]["S"]).partition("#")
        # What is claimed under a slug has such a sort key too, without an id.
        if record["eventName"] == "REMOVE" and prefix in kinds and ids:
            yield Leftover(keys["pk"]["S"], kinds[prefix], ids.rpartition("#")[2])


def _mentioned(image: Image) -> list[str]:
    found: list[str] = json.loads(image["mentions"]["S"]) if "mentions" in image else []
    return found
