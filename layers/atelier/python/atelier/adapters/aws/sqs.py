"""The SQS queues: delayed polls, retries and cancellations of attempts; shards of wallets to reset; billing events."""

from __future__ import annotations

import json
from collections.abc import Mapping

from atelier.adapters.aws.clients import client
from atelier.billing.ports import BillingEvent
from atelier.generations.attempt_messages import Poll, Slot


class SqsAttemptQueue:
    """AttemptQueue on SQS. Delivery is at least once and unordered; the reader drops messages that are out of date."""

    def __init__(self, queue_url: str) -> None:
        self._url = queue_url

    def poll_later(
        self, workspace_id: str, generation_id: str, attempt_id: str, poll: Poll, delay_seconds: int
    ) -> None:
        message: dict[str, str | int | None] = {
            "do": "poll",
            "workspace_id": workspace_id,
            "generation_id": generation_id,
            "attempt_id": attempt_id,
            **poll.as_data(),
        }
        self._send(message, delay_seconds)

    def resume_later(
        self, workspace_id: str, generation_id: str, task_token: str, slot: Slot | None, delay_seconds: int
    ) -> None:
        message: dict[str, str | int | None] = {
            "do": "try",
            "workspace_id": workspace_id,
            "generation_id": generation_id,
            "task_token": task_token,
            "turn": str(slot) if slot else None,
        }
        self._send(message, delay_seconds)

    def cancel(self, workspace_id: str, generation_id: str) -> None:
        self._send({"do": "cancel", "workspace_id": workspace_id, "generation_id": generation_id}, 0)

    def _send(self, message: Mapping[str, str | int | None], delay_seconds: int) -> None:
        client("sqs").send_message(QueueUrl=self._url, MessageBody=json.dumps(message), DelaySeconds=delay_seconds)


class SqsResetQueue:
    """ResetQueue on SQS. Delivery is at least once; a repeated message finds nothing due."""

    def __init__(self, queue_url: str) -> None:
        self._url = queue_url

    def send_shard(self, shard: int, after: str | None) -> None:
        client("sqs").send_message(QueueUrl=self._url, MessageBody=json.dumps({"shard": shard, "after": after}))


class SqsUpdateQueue:
    """UpdateQueue on SQS. Delivery is at least once; a shard goes on from where it stands."""

    def __init__(self, queue_url: str) -> None:
        self._url = queue_url

    def send_shard(self, update_id: str, shard: int, delay_seconds: int = 0) -> None:
        message = json.dumps({"do": "shard", "update_id": update_id, "shard": shard})
        client("sqs").send_message(QueueUrl=self._url, MessageBody=message, DelaySeconds=delay_seconds)


class SqsBillingEventQueue:
    """BillingEventQueue on SQS. Delivery is at least once and unordered; handlers read the object anew."""

    def __init__(self, queue_url: str) -> None:
        self._url = queue_url

    def send(self, event: BillingEvent) -> None:
        message = {"event": event.id, "type": event.type, "object": event.object_id}
        client("sqs").send_message(QueueUrl=self._url, MessageBody=json.dumps(message))
