"""Which wallets the schedules have to look at, composed: page by page over the index, within the time left."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from atelier.aws.dynamodb.ledger import SHARDS
from atelier.wiring.ledger import wallets

PAGE = 100
PAGES_MAX = 1000
MILLISECONDS_SPARE = 10_000


def due_for_reset(now: datetime, context: Any) -> Iterator[str]:
    """Workspaces whose daily grant is due."""
    return _due(lambda shard: wallets().wallets_due_for_reset(shard, now, PAGE), context)


def due_for_sweep(now: datetime, context: Any) -> Iterator[str]:
    """Workspaces with an open hold whose deadline may have passed."""
    return _due(lambda shard: wallets().wallets_due_for_sweep(shard, now, PAGE), context)


def _due(page_of: Callable[[int], list[str]], context: Any) -> Iterator[str]:
    # In another order each time: one slow wallet must not always keep the same ones waiting.
    for shard in random.sample(range(SHARDS), SHARDS):  # nosec B311 - luck, not a secret
        seen: set[str] = set()
        # Handled wallets leave the index, so the first page is always the next one; the index lags a little behind the
        # table, so a page with nothing new ends the shard until the next run.
        for _ in range(PAGES_MAX):
            page = [workspace_id for workspace_id in page_of(shard) if workspace_id not in seen]
            if not page:
                break
            for workspace_id in page:
                if context is not None and context.get_remaining_time_in_millis() < MILLISECONDS_SPARE:
                    return
                seen.add(workspace_id)
                yield workspace_id
