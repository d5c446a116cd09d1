"""The SQS queue of webhooks."""

from __future__ import annotations

import json
from collections.abc import Mapping

from atelier.adapters.aws.clients import client


class SqsWebhookQueue:
    """WebhookQueue on SQS. Delivery is at least once and unordered; the reader drops what is not due."""

    def __init__(self, queue_url: str) -> None:
        self._url = queue_url

    def deliver(self, workspace_id: str, endpoint_id: str, delivery_id: str, delay_seconds: int, busy: int = 0) -> None:
        message: dict[str, str | int] = {
            "do": "deliver",
            "workspace_id": workspace_id,
            "endpoint_id": endpoint_id,
            "delivery_id": delivery_id,
            "busy": busy,
        }
        self._send(message, delay_seconds)

    def replay(self, workspace_id: str, endpoint_id: str, first_id: str, last_id: str, *, all_states: bool) -> None:
        message: dict[str, str | int] = {
            "do": "replay",
            "workspace_id": workspace_id,
            "endpoint_id": endpoint_id,
            "first_id": first_id,
            "last_id": last_id,
            "all_states": all_states,
        }
        self._send(message)

    def sweep(self) -> None:
        self._send({"do": "sweep"})

    def _send(self, message: Mapping[str, str | int], delay_seconds: int = 0) -> None:
        client("sqs").send_message(QueueUrl=self._url, MessageBody=json.dumps(message), DelaySeconds=delay_seconds)
