"""Which wallets are due, composed: page by page over an index, within the time that is left."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from atelier.aws.dynamodb.ledger import SHARDS
from atelier.aws.sqs import SqsResetQueue
from atelier.ledger.ports import Due
from atelier.settings import ResetsQueue
from atelier.telemetry import logger
from atelier.wiring.ledger import wallets

PAGE = 100
MILLISECONDS_SPARE = 10_000


@dataclass(frozen=True, slots=True)
class Round:
    """How far one round through a shard came. `place`: of the last wallet that it saw to, well or not."""

    seen_to: int
    failed: int
    place: str | None
    finished: bool


@cache
def queue() -> SqsResetQueue:
    """The resets queue."""
    return SqsResetQueue(ResetsQueue.read().url)


def ask_for_resets(now: datetime) -> int:
    """Have each shard worked through in which a wallet is due; returns how many these are."""
    due = [shard for shard in range(SHARDS) if wallets().wallets_due_for_reset(shard, now, None, 1)]
    for shard in due:
        queue().ask(shard, None)
    return len(due)


def each_due_for_reset(
    shard: int, after: str | None, see_to: Callable[[str], object], now: datetime, context: Any
) -> Round:
    """See to each wallet of a shard whose daily credits are due, after a place in the line.

    A wallet that fails is logged and left: the line goes on after it, and the next round from the start meets it again.
    """
    place, seen_to, failed = after, 0, 0
    for due in _line(lambda after: wallets().wallets_due_for_reset(shard, now, after, PAGE), after):
        if _time_is_short(context):
            return Round(seen_to, failed, place, finished=False)
        try:
            see_to(due.workspace_id)
            seen_to += 1
        except Exception:
            logger.exception("wallet failed", workspace_id=due.workspace_id)
            failed += 1
        place = due.place
    return Round(seen_to, failed, place, finished=True)


def due_for_sweep(now: datetime, context: Any) -> Iterator[str]:
    """Workspaces with an open hold whose deadline may have passed, of all shards."""
    # In another order each time: one slow wallet must not always keep the same ones waiting.
    for shard in random.sample(range(SHARDS), SHARDS):  # nosec B311 - luck, not a secret
        for due in _line(lambda after, shard=shard: wallets().wallets_due_for_sweep(shard, now, after, PAGE), None):
            if _time_is_short(context):
                return
            yield due.workspace_id


def _line(page_after: Callable[[str | None], list[Due]], place: str | None) -> Iterator[Due]:
    # By place, not from the start again: whoever stays in the line (a wallet that fails) holds up nobody.
    while True:
        page = page_after(place)
        yield from page
        if len(page) < PAGE:
            return
        place = page[-1].place


def _time_is_short(context: Any) -> bool:
    return context is not None and context.get_remaining_time_in_millis() < MILLISECONDS_SPARE
