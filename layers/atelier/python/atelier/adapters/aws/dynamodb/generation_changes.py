"""Records of the generations table's stream (DynamoDB JSON, as Lambda delivers them), as changes of generations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from atelier.generations.model import Status
from atelier.generations.relay import GenerationChange, GenerationState

Record = Mapping[str, Any]
Image = Mapping[str, Mapping[str, Any]]


def generation_changes(records: Sequence[Record]) -> Iterator[GenerationChange]:
    """The generations that were written, in order; records of other items and of deletions are left out. A record has
    both images."""
    for record in records:
        keys, images = record["dynamodb"]["Keys"], record["dynamodb"]
        if keys["sk"]["S"].startswith("gen_") and "NewImage" in images:
            before = _generation_state(images["OldImage"]) if "OldImage" in images else None
            yield GenerationChange(keys["pk"]["S"], keys["sk"]["S"], before, _generation_state(images["NewImage"]))


def _generation_state(image: Image) -> GenerationState:
    attempts: list[dict[str, str]] = json.loads(_text(image, "attempts") or "[]")
    return GenerationState(
        status=Status(image["status"]["S"]),
        is_run="pipeline" in image,
        run_id=_text(image, "parent_id"),
        is_cancel_requested="cancel_requested_at" in image,
        budgets=tuple(json.loads(_text(image, "budgets") or "[]")),
        model=_text(image, "model"),
        credits_charged=_number(image, "credits_charged"),
        cost_microusd=_number(image, "cost_microusd"),
        completed_at=_text(image, "completed_at") or image["created_at"]["S"],
        open_attempt_id=attempts[-1]["id"] if attempts and "ended_at" not in attempts[-1] else None,
    )


def _text(image: Image, name: str) -> str | None:
    return image.get(name, {}).get("S")


def _number(image: Image, name: str) -> int:
    return int(image.get(name, {}).get("N", 0))
