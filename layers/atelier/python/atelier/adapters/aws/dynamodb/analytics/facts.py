"""Records of the streams of generations and of the ledger (DynamoDB JSON with both images), as facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from atelier.adapters.aws.dynamodb.analytics.records import (
    generation_contribution,
    movement_contribution,
    refusal_contribution,
)
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem, decode_generation
from atelier.adapters.aws.dynamodb.generations.prompt_refusals import PromptRefusalItem, decode_refusal
from atelier.adapters.aws.dynamodb.ledger.items import MovementItem, decode_movement
from atelier.analytics.contributions import NOTHING, Contribution, change
from atelier.analytics.model import Fact
from atelier.generations.model import Generation
from atelier.generations.prompt_refusal import PREFIX as REFUSAL

Record = Mapping[str, Any]
Image = dict[str, dict[str, Any]]
# A recipe that is stored apart is not in the record, and is not needed.
_NO_RECIPE: dict[str, Any] = {"prompt": "", "model": "auto", "parameters": {}, "stages": []}


def facts_by_workspace(records: Iterable[Record]) -> dict[str, Iterator[Fact]]:
    """The facts in a batch of either stream, by workspace. A record is read when its fact is, so that one that cannot
    be read is a failure of its own workspace alone. Records of other items are left out."""
    by_workspace: dict[str, list[Record]] = {}
    for record in records:
        keys = record["dynamodb"]["Keys"]
        if keys["sk"]["S"].startswith(("gen_", REFUSAL, "movement#")):
            by_workspace.setdefault(keys["pk"]["S"], []).append(record)
    return {workspace_id: _facts(written) for workspace_id, written in by_workspace.items()}


def _facts(records: Sequence[Record]) -> Iterator[Fact]:
    for record in records:
        is_movement = record["dynamodb"]["Keys"]["sk"]["S"].startswith("movement#")
        fact = _movement_fact(record) if is_movement else _changed_fact(record)
        if fact is not None:
            yield fact


def _changed_fact(record: Record) -> Fact | None:
    images, keys = record["dynamodb"], record["dynamodb"]["Keys"]
    contribution = _refusal if keys["sk"]["S"].startswith(REFUSAL) else _generation
    before, after = (contribution(images[name]) if name in images else NOTHING for name in ("OldImage", "NewImage"))
    # The id of the stream's record: a generation can leave a workspace, come back, and leave again.
    return change(keys["pk"]["S"], record["eventID"], _committed_at(record), before, after)


def _movement_fact(record: Record) -> Fact | None:
    image = record["dynamodb"].get("NewImage")
    if record["eventName"] != "INSERT" or image is None:
        return None
    item = MovementItem.from_raw_data(image)
    movement = decode_movement(item)
    return change(item.pk, movement.key, movement.at, NOTHING, movement_contribution(movement))


def _generation(image: Image) -> Contribution:
    return generation_contribution(decode_counted(GenerationItem.from_raw_data(image)))


def _refusal(image: Image) -> Contribution:
    return refusal_contribution(decode_refusal(PromptRefusalItem.from_raw_data(image)))


def decode_counted(item: GenerationItem) -> Generation:
    """A generation as far as it is counted: a recipe that is stored apart is left out."""
    return decode_generation(item, item.recipe or _NO_RECIPE)


def _committed_at(record: Record) -> datetime:
    return datetime.fromtimestamp(float(record["dynamodb"]["ApproximateCreationDateTime"]), UTC)
