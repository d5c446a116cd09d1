"""The sums of the whole platform on DynamoDB: of each day, over its shards."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from typing import Any, cast

from atelier.adapters.aws.dynamodb.analytics.items import SHARDS, RowItem
from atelier.adapters.aws.dynamodb.analytics.row_counts import counts_of
from atelier.analytics.model import Counts, Dataset, Group

# Fewer than the connections that a client keeps open.
READS_TOGETHER = 8


class DynamoPlatformSums:
    """PlatformSums on DynamoDB."""

    def of_day(self, day: date) -> Iterator[tuple[Dataset, Group, Counts]]:
        # A month is 31 days of SHARDS queries each; one after the other they take longer than a request may.
        with ThreadPoolExecutor(READS_TOGETHER) as reads:
            for found in reads.map(partial(_of_shard, day), range(SHARDS)):
                yield from found


def _of_shard(day: date, shard: int) -> list[tuple[Dataset, Group, Counts]]:
    sums: list[tuple[Dataset, Group, Counts]] = []
    found = RowItem.query(f"platform#{day}#{shard}")
    for page in cast("Iterator[dict[str, Any]]", found.page_iter):  # pyright: ignore[reportUnknownMemberType]
        for item in page["Items"]:
            dataset, model, kind = item["sk"]["S"].split("#")
            sums.append((Dataset(dataset), Group(model=model, kind=kind), counts_of(item)))
    return sums
