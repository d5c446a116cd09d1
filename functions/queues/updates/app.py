"""Queue and schedule: send updates to shards of the people, and each minute begin what is due: updates, and mails about
notifications."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.jobs.record_run import recorded
from atelier.message_batches import BatchResponse, process_messages
from atelier.notifications.dispatch import is_due_event, messages_of, process
from atelier.wiring import job_runs, notifications


@recorded("send-notifications", job_runs.save, is_run=is_due_event)
def handler(event: dict[str, Any], context: Any, clock: Clock = system_clock) -> BatchResponse:
    """Act on an SQS batch of {do: shard, update_id, shard}, or on a schedule's event."""
    deps = notifications.dispatch_deps(clock)

    def process_one(message: dict[str, Any]) -> None:
        process(message, deps, context)

    return process_messages(messages_of(event), process_one)
