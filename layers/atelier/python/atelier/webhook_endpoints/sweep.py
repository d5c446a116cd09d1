"""Continue what is due and has no message: attempts that are due later than a queue can delay a message, deliveries
whose process died, and notices that were not published.

It looks every minute. What it has found it puts off before it sends the message, so that the next run, or a run at the
same time, does not send it again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from atelier.webhook_endpoints.deliver import publish_notice
from atelier.webhook_endpoints.deps import DeliverDeps
from atelier.webhook_endpoints.model import SHARDS
from atelier.webhook_endpoints.ports import DueKey

PAGE = 100
# When the sweep looks again for something that it has sent a message for.
AGAIN_AFTER = timedelta(minutes=5)


def sweep(*, deps: DeliverDeps, has_time: Callable[[], bool]) -> int:
    """Continue what is due, until nothing is or `has_time` returns False; returns how much it was."""
    count = 0
    for shard in range(SHARDS):
        while has_time():
            now = deps.clock()
            found = deps.deliveries.due(shard, now, PAGE)
            count += sum(_continue(key, deps, now) for key in found)
            if len(found) < PAGE:
                break
    return count


def _continue(key: DueKey, deps: DeliverDeps, now: datetime) -> bool:
    if not deps.deliveries.postpone(key, now + AGAIN_AFTER):
        return False
    if key.delivery_id is not None:
        deps.queue.deliver(key.workspace_id, key.endpoint_id, key.delivery_id, 0)
        return True
    notice = deps.deliveries.notice(key)
    if notice is not None:
        publish_notice(notice, deps)
    return True
