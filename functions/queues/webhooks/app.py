"""Queue: attempts to deliver webhooks, replays, and each minute the sweep for what is due."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.clock import Clock, TimeLeft, system_clock
from atelier.message_batches import BatchResponse, process_messages
from atelier.webhook_endpoints.handle_message import handle_message
from atelier.wiring import webhook_endpoints

# The sweep stops before the function's time-out; the next one goes on.
SPARE_MILLISECONDS = 10_000


def handler(event: dict[str, Any], context: TimeLeft, clock: Clock = system_clock) -> BatchResponse:
    """Act on an SQS batch."""

    def has_time() -> bool:
        return context.get_remaining_time_in_millis() > SPARE_MILLISECONDS

    deps = webhook_endpoints.deliver_deps(clock)
    return process_messages(event, partial(handle_message, deps=deps, has_time=has_time))
