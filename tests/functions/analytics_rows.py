"""Writes rows of analytics as counting does, for tests of what reads them."""

from __future__ import annotations

from datetime import datetime, timedelta

from atelier.adapters.aws.dynamodb.analytics.items import ChangedHourItem, RowItem, changed_key, row_key, shard_of
from atelier.adapters.aws.dynamodb.analytics.row_counts import additions
from atelier.analytics.model import Dataset, Group, Row
from atelier.clock import rfc3339
from atelier.ids import new_id
from atelier.wiring.analytics import bind_table


def count(
    workspace_id: str, hour: datetime, group: Group | None = None, dataset: Dataset = Dataset.USAGE, **counts: int
) -> None:
    """Adds counts to the row of a group (None: the wallet's) in an hour, and marks the hour as changed."""
    bind_table()
    RowItem(workspace_id, row_key(Row(dataset, hour, group or Group()))).update(additions(counts))
    mark = ChangedHourItem(workspace_id, changed_key(dataset, hour), stamp=new_id("chg", hour))
    mark.shard, mark.due_at = str(shard_of(workspace_id)), rfc3339(hour + timedelta(hours=1))
    mark.save()
