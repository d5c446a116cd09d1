"""Queue: delayed polls of attempts, rate-limit slots that are due, and cancellations to carry to providers."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.attempt_step import handle_message
from atelier.message_batches import BatchResponse, process_messages
from atelier.wiring import workflow


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> BatchResponse:
    """Act on an SQS batch."""
    deps = partial(workflow.attempt_deps, clock)
    return process_messages(event, partial(handle_message, deps=deps, workflow=workflow.workflow()))
