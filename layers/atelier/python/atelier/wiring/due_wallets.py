"""Find the wallets that are due, composed: page by page over an index, within the time that the function has left."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from atelier.adapters.aws.dynamodb.ledger.items import SHARDS
from atelier.adapters.aws.sqs import SqsResetQueue
from atelier.ledger.ports import DueWallet
from atelier.settings import ResetsQueue
from atelier.telemetry import logger
from atelier.wiring.ledger import wallets

PAGE_SIZE = 100
TIME_MARGIN_MILLISECONDS = 10_000


@dataclass(frozen=True, slots=True)
class ShardProgress:
    """The progress of one round through a shard. `place`: the index position of the last wallet that was processed,
    with success or not."""

    processed: int
    failed: int
    position: str | None
    finished: bool


@cache
def queue() -> SqsResetQueue:
    """The resets queue."""
    return SqsResetQueue(ResetsQueue.read().url)


def queue_resets(now: datetime) -> int:
    """Queue a message for each shard that has a due wallet; returns the number of these shards."""
    due = [shard for shard in range(SHARDS) if wallets().wallets_due_for_reset(shard, now, None, 1)]
    for shard in due:
        queue().send_shard(shard, None)
    return len(due)


def process_due_resets(
    shard: int, after: str | None, process: Callable[[str], object], now: datetime, context: Any
) -> ShardProgress:
    """Call a function for each wallet of a shard whose daily credits are due, after an index position.

    A wallet that fails is logged and skipped; the next round from the start of the shard finds it again.
    """
    position, processed, failed = after, 0, 0
    for due in _due_wallets(lambda after: wallets().wallets_due_for_reset(shard, now, after, PAGE_SIZE), after):
        if _is_time_short(context):
            return ShardProgress(processed, failed, position, finished=False)
        try:
            process(due.workspace_id)
            processed += 1
        except Exception:
            logger.exception("wallet failed", workspace_id=due.workspace_id)
            failed += 1
        position = due.index_place
    return ShardProgress(processed, failed, position, finished=True)


def workspaces_due_for_sweep(now: datetime, context: Any) -> Iterator[str]:
    """The ids of workspaces, over all shards, with an open hold whose deadline may have passed."""
    # The shards come in random order, so that one slow wallet does not always delay the same others.
    for shard in random.sample(range(SHARDS), SHARDS):  # nosec B311 - a random order, not a secret
        for due in _due_wallets(
            lambda after, shard=shard: wallets().wallets_due_for_sweep(shard, now, after, PAGE_SIZE), None
        ):
            if _is_time_short(context):
                return
            yield due.workspace_id


def _due_wallets(page_after: Callable[[str | None], list[DueWallet]], position: str | None) -> Iterator[DueWallet]:
    # Pages continue after a position instead of starting again, so a wallet that stays due (because it fails) delays no
    # other wallet.
    while True:
        page = page_after(position)
        yield from page
        if len(page) < PAGE_SIZE:
            return
        position = page[-1].index_place


def _is_time_short(context: Any) -> bool:
    return context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS
