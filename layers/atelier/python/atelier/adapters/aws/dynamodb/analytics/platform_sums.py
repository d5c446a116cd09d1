"""The sums of the whole platform on DynamoDB: of each day, over its shards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, cast

from atelier.adapters.aws.dynamodb.analytics.items import SHARDS, RowItem
from atelier.adapters.aws.dynamodb.analytics.row_counts import counts_of
from atelier.analytics.model import Counts, Dataset, Group


class DynamoPlatformSums:
    """PlatformSums on DynamoDB."""

    def of_day(self, day: date) -> Iterator[tuple[Dataset, Group, Counts]]:
        for shard in range(SHARDS):
            found = RowItem.query(f"platform#{day}#{shard}")
            for page in cast("Iterator[dict[str, Any]]", found.page_iter):  # pyright: ignore[reportUnknownMemberType]
                for item in page["Items"]:
                    dataset, model, kind = item["sk"]["S"].split("#")
                    yield Dataset(dataset), Group(model=model, kind=kind), counts_of(item)
