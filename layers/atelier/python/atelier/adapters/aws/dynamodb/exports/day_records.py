"""DayRecords on DynamoDB: what the workspaces of a shard did on a day, from the tables of generations and ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from atelier.adapters.aws.dynamodb.exports.records import entry_rows, generation_row, query_page, time_prefix
from atelier.adapters.aws.dynamodb.ledger.items import WALLET, WalletItem
from atelier.exports.day_files import Rows
from atelier.ledger.hash_chain import PublicForm

# A generation ends at most this long after its creation, late results included.
LIFETIME_MAX = timedelta(hours=4)


class DynamoDayRecords:
    """DayRecords on the two tables. The shards are those of the wallets."""

    def __init__(self, generations: str, ledger: str) -> None:
        self._generations = generations
        WalletItem.bind(ledger)

    def workspaces(self, shard: int) -> Iterator[str]:
        # A wallet that is reset meanwhile moves to a later place of the index, and is met again.
        seen = set[str]()
        for item in WalletItem.reset_due.query(str(shard)):
            if item.pk not in seen:
                seen.add(item.pk)
                yield item.pk

    def written(self, workspace_id: str) -> int:
        return int(WalletItem.get(workspace_id, WALLET, consistent_read=True).written)

    def generations(self, workspace_id: str, day: date) -> Iterator[Rows]:
        begin = datetime.combine(day, time(), UTC)
        bounds = (time_prefix("gen", begin - LIFETIME_MAX), time_prefix("gen", begin + timedelta(days=1)))
        after: str | None = None
        while True:
            items, after = query_page(self._generations, workspace_id, bounds, after)
            of_day = (item for item in items if item.get("completed_at", {}).get("S", "")[:10] == str(day))
            yield [generation_row(item, None)[:-1] for item in of_day]
            if after is None:
                return

    def entries(self, form: PublicForm) -> Rows:
        facts = json.dumps(form["facts"], separators=(",", ":"), ensure_ascii=False)
        key, order, at, kind = form["key"], form["order"], form["at"], form["kind"]
        return list(entry_rows(key, order, at, kind, form["subject"], form["entries"], facts))
