"""Batches of queue messages: only the failed ones come again."""

from __future__ import annotations

import json
from typing import Any

from atelier.message_batches import process_messages


def batch(*bodies: str) -> dict[str, Any]:
    return {"Records": [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]}


def test_a_failing_message_is_reported_and_the_others_are_processed() -> None:
    processed: list[Any] = []

    def process(message: Any) -> None:
        if message == "bad":
            raise ConnectionError
        processed.append(message)

    response = process_messages(batch('"bad"', '{"shard": 1}', "no JSON", '"good"'), process)
    assert response == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m2"}]}
    assert processed == [{"shard": 1}, "good"]


def test_a_batch_without_failures_is_done() -> None:
    assert process_messages(batch(json.dumps(1)), lambda message: None) == {"batchItemFailures": []}
