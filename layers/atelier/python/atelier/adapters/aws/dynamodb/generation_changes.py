"""Records of the generations table's stream (DynamoDB JSON, as Lambda delivers them), as changes of generations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from atelier.generations.change import GenerationChange, GenerationState
from atelier.generations.model import Status
from atelier.provider_port import ErrorClass

Record = Mapping[str, Any]
Image = Mapping[str, Mapping[str, Any]]


def generation_changes(records: Sequence[Record]) -> Iterator[GenerationChange]:
    """The generations that were written, in order; records of other items, of deletions and of generations that came
    with a moved project are left out. A record has both images."""
    for record in records:
        keys, images = record["dynamodb"]["Keys"], record["dynamodb"]
        if keys["sk"]["S"].startswith("gen_") and "NewImage" in images and not _has_come_by_move(images):
            before = _generation_state(images["OldImage"]) if "OldImage" in images else None
            after = _generation_state(images["NewImage"])
            yield GenerationChange(keys["pk"]["S"], keys["sk"]["S"], before, after, int(images["SequenceNumber"]))


def _has_come_by_move(images: Mapping[str, Any]) -> bool:
    return "OldImage" not in images and "moved_from" in images["NewImage"]


def _generation_state(image: Image) -> GenerationState:
    attempts: list[dict[str, str]] = json.loads(_text(image, "attempts") or "[]")
    delayed = _text(image, "delayed")
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
        kind=image["kind"]["S"],
        user_id=image["user_id"]["S"],
        created_at=image["created_at"]["S"],
        project_id=_text(image, "project_id"),
        stage=_text(image, "stage"),
        progress=_number(image, "progress"),
        delayed_until=delayed.partition(" ")[0] if delayed else None,
        delayed_candidate=delayed.partition(" ")[2] or None if delayed else None,
        assets=json.loads(_text(image, "assets") or "[]"),
        failure=json.loads(_text(image, "failure") or "null"),
        refused_keys=tuple(sorted({_key(each) for each in attempts if _is_refused_key(each)})),
        webhook_url=_text(image, "webhook_url"),
        starts_express="express" in image,
    )


def _key(attempt: Mapping[str, str]) -> tuple[str, str]:
    return attempt["model"].partition("/")[0], attempt["key"]


def _is_refused_key(attempt: Mapping[str, str]) -> bool:
    return "key" in attempt and attempt.get("error_class") in (ErrorClass.AUTH, ErrorClass.PROVIDER_BILLING)


def _text(image: Image, name: str) -> str | None:
    return image.get(name, {}).get("S")


def _number(image: Image, name: str) -> int:
    return int(image.get(name, {}).get("N", 0))
