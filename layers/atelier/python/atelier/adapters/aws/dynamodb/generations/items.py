"""The stored form of generations: the items, and their conversion from and to values."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from atelier.adapters.aws.dynamodb import (
    CompactJSON,
    Item,
)
from atelier.clock import parse_rfc3339, rfc3339
from atelier.generations.model import (
    Attempt,
    AttemptStatus,
    DeliveredFile,
    Failure,
    Generation,
    InputAsset,
    InputAssets,
    Kind,
    Pipeline,
    Recipe,
    Stage,
    Status,
)

RECIPE_BYTES_INLINE_MAX = 360


class GenerationItem(Item):
    """The state of one generation. Missing attributes have defaults; see `generation`."""

    user_id = UnicodeAttribute()
    token_id = UnicodeAttribute(null=True)
    kind = UnicodeAttribute()
    # 1 = it starts with an Express execution.
    express = NumberAttribute(null=True)
    recipe = CompactJSON(null=True)
    candidates = CompactJSON()
    price_version = UnicodeAttribute()
    watermark = NumberAttribute()
    project_id = UnicodeAttribute(null=True)
    webhook_url = UnicodeAttribute(null=True)
    purpose = CompactJSON(null=True)
    quote_id = UnicodeAttribute(null=True)
    budgets = CompactJSON(null=True)
    reserved_microusd = NumberAttribute(null=True)
    status = UnicodeAttribute()
    credits_held = NumberAttribute()
    credits_charged = NumberAttribute(null=True)
    created_at = UnicodeAttribute()
    deadline_at = UnicodeAttribute()
    started_at = UnicodeAttribute(null=True)
    completed_at = UnicodeAttribute(null=True)
    cancel_requested_at = UnicodeAttribute(null=True)
    progress = NumberAttribute(null=True)
    attempt_count = NumberAttribute()
    attempts = CompactJSON(null=True)
    provider = UnicodeAttribute(null=True)
    model = UnicodeAttribute(null=True)
    assets = CompactJSON(null=True)
    cost_microusd = NumberAttribute(null=True)
    cost_source = UnicodeAttribute(null=True)
    usage = CompactJSON(null=True)
    failure = CompactJSON(null=True)
    enhanced_prompt = UnicodeAttribute(null=True)
    reuse_key = UnicodeAttribute(null=True)
    reused_from = UnicodeAttribute(null=True)
    pipeline = UnicodeAttribute(null=True)
    parent_id = UnicodeAttribute(null=True)
    stage = UnicodeAttribute(null=True)
    later_stages_seconds = NumberAttribute(null=True)
    finish_reason = UnicodeAttribute(null=True)
    # The workspace from which it was moved, with its project, and when.
    moved_from = UnicodeAttribute(null=True)
    moved_at = UnicodeAttribute(null=True)
    # The time, and after a space the candidate whose slot is reserved for then.
    delayed = UnicodeAttribute(null=True)


class RecipeItem(Item):
    """A recipe that is too large to be stored with the state."""

    recipe = CompactJSON()


class CallbackItem(Item):
    """The Step Functions task token of an attempt, the provider's reference for its job, and how it ended, where a
    visit without a token has stored that."""

    task_token = UnicodeAttribute(null=True)
    reference = UnicodeAttribute(null=True)
    outcome = CompactJSON(null=True)


class RedeemedQuoteItem(Item):
    """A redeemed quote; kept for ever."""

    generation_id = UnicodeAttribute()


class ReuseItem(Item):
    """The generation with the latest result of a request."""

    generation_id = UnicodeAttribute()


def is_recipe_apart(generation: Generation) -> bool:
    return len(json.dumps(recipe_data(generation))) > RECIPE_BYTES_INLINE_MAX


def recipe_data(generation: Generation) -> dict[str, Any]:
    recipe, pipeline = generation.recipe, generation.pipeline
    data: dict[str, Any] = {
        "prompt": recipe.prompt,
        "negative_prompt": recipe.negative_prompt,
        "model": recipe.model,
        "parameters": recipe.parameters,
        "character": recipe.character_id,
        "template": recipe.template_id,
        "inputs": _sources_data(recipe.inputs),
        "stages": list(map(_stage_data, pipeline.stages)) if pipeline else None,
    }
    return {name: value for name, value in data.items() if value is not None}


def _sources_data(inputs: InputAssets) -> dict[str, list[list[Any]]] | None:
    return {role: list(map(_source_data, sources)) for role, sources in inputs.items()} or None


def _source_data(source: InputAsset) -> list[Any]:
    measures = [source.width, source.height, source.duration_ms]
    return [source.asset_id, source.sha256, source.format, *(measures if any(measures) else ())]


def _sources(data: dict[str, list[list[Any]]]) -> InputAssets:
    return {role: tuple(InputAsset(*source) for source in sources) for role, sources in data.items()}


def _stage_data(stage: Stage) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": stage.name,
        "kind": stage.kind.value,
        "model": stage.model,
        "parameters": stage.parameters or None,
        "negative_prompt": stage.negative_prompt,
        "inputs": _sources_data(stage.inputs),
        "says": stage.says,
        "starts_from": stage.starts_from or None,
        "candidates": list(stage.candidates) or None,
        "credits_max": stage.credits_max,
        "run_seconds_max": stage.run_seconds_max or None,
        "made_by": stage.made_by,
    }
    return {name: value for name, value in data.items() if value is not None}


def _stage(data: dict[str, Any]) -> Stage:
    converted: dict[str, Any] = {
        "kind": Kind(data["kind"]),
        "inputs": _sources(data.get("inputs", {})),
        "candidates": tuple(data.get("candidates", ())),
    }
    return Stage(**{**data, **converted})


def _recipe(kind: str, data: dict[str, Any]) -> Recipe:
    return Recipe(
        Kind(kind),
        data["prompt"],
        data["model"],
        data.get("negative_prompt"),
        data["parameters"],
        _sources(data.get("inputs", {})),
        data.get("character"),
        data.get("template"),
    )


def attempts_data(generation: Generation) -> list[dict[str, Any]]:
    """The stored form of attempts. Each stores its model, whose prefix is the provider; `provider` and `model` of the
    item are those of the latest attempt."""
    # The cost of an ended generation's only attempt is the generation's, and is stored there.
    cost_is_with_generation = len(generation.attempts) == 1 and not generation.is_open
    return [_attempt_data(attempt, with_cost=not cost_is_with_generation) for attempt in generation.attempts]


def _attempt_data(attempt: Attempt, *, with_cost: bool) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "model": attempt.model,
        "status": attempt.status.value,
        "started_at": rfc3339(attempt.started_at),
        **({"ended_at": rfc3339(attempt.ended_at)} if attempt.ended_at else {}),
        **({"error_class": attempt.error_class} if attempt.error_class else {}),
        **({"key": attempt.key} if attempt.key else {}),
        **({"cost": [attempt.cost_microusd, attempt.cost_source]} if with_cost and attempt.cost_microusd else {}),
        **({"estimate": attempt.estimated_microusd} if attempt.estimated_microusd else {}),
    }


def assets_data(generation: Generation) -> list[dict[str, Any]]:
    """The stored form of delivered files. The most frequent values, type image and a thumbnail, are not written."""
    return [
        {
            "id": asset.id,
            "sha256": asset.sha256,
            "format": asset.format,
            "size_bytes": asset.size_bytes,
            **({"type": asset.type} if asset.type != "image" else {}),
            **({"width": asset.width, "height": asset.height} if asset.width else {}),
            **({"duration_ms": asset.duration_ms} if asset.duration_ms is not None else {}),
            **({} if asset.has_thumbnail else {"has_thumbnail": False}),
        }
        for asset in generation.assets
    ]


def _asset(data: dict[str, Any]) -> DeliveredFile:
    with_defaults: dict[str, Any] = {"type": "image", "has_thumbnail": True, **data}
    return DeliveredFile(**with_defaults)


def failure_data(failure: Failure) -> dict[str, str]:
    data = {"code": failure.code, "error_class": failure.error_class, "message": failure.message}
    optional = {"provider_code": failure.provider_code, "category": failure.category}
    return data | {name: value for name, value in optional.items() if value}


def _time(text: str | None) -> datetime | None:
    return parse_rfc3339(text) if text else None


def decode_generation(item: GenerationItem, recipe: dict[str, Any]) -> Generation:
    attempts: list[dict[str, Any]] = item.attempts or []
    assets: list[dict[str, Any]] = item.assets or []
    failure: dict[str, str] | None = item.failure

    delayed_until, _, delayed_candidate = (item.delayed or "").partition(" ")
    cost = int(item.cost_microusd or 0), item.cost_source or "estimate"
    single_cost = cost if len(attempts) == 1 else (0, "estimate")

    return Generation(
        id=item.sk,
        workspace_id=item.pk,
        user_id=item.user_id,
        token_id=item.token_id,
        recipe=_recipe(item.kind, recipe),
        candidates=tuple(item.candidates),
        price_version=item.price_version,
        watermark=bool(item.watermark),
        credits_held=int(item.credits_held),
        status=Status(item.status),
        created_at=parse_rfc3339(item.created_at),
        deadline_at=parse_rfc3339(item.deadline_at),
        project_id=item.project_id,
        webhook_url=item.webhook_url,
        purpose=item.purpose,
        quote_id=item.quote_id,
        budgets=tuple(item.budgets or ()),
        reserved_microusd=int(item.reserved_microusd or 0),
        counted_microusd=int(item.cost_microusd or 0),
        progress=int(item.progress or 0),
        credits_charged=int(item.credits_charged or 0),
        cost_microusd=int(item.cost_microusd or 0),
        cost_source=item.cost_source or "estimate",
        usage=item.usage or {},
        attempts=tuple(
            Attempt(
                attempt["id"],
                attempt["model"].partition("/")[0],
                attempt["model"],
                AttemptStatus(attempt["status"]),
                parse_rfc3339(attempt["started_at"]),
                _time(attempt.get("ended_at")),
                attempt.get("error_class"),
                attempt.get("key"),
                *attempt.get("cost", single_cost),
                estimated_microusd=attempt.get("estimate"),
            )
            for attempt in attempts
        ),
        assets=tuple(_asset(asset) for asset in assets),
        failure=Failure(**failure) if failure else None,
        cancel_requested_at=_time(item.cancel_requested_at),
        started_at=_time(item.started_at),
        completed_at=_time(item.completed_at),
        pipeline=Pipeline(item.pipeline, tuple(map(_stage, recipe["stages"]))) if item.pipeline else None,
        stages_begun=int(item.attempt_count) if item.pipeline else 0,
        enhanced_prompt=item.enhanced_prompt,
        reuse_key=item.reuse_key,
        reused_from=item.reused_from,
        parent_id=item.parent_id,
        stage=item.stage,
        later_stages_seconds=int(item.later_stages_seconds or 0),
        finish_reason=item.finish_reason,
        starts_express=bool(item.express),
        delayed_until=_time(delayed_until),
        delayed_candidate=delayed_candidate or None,
    )
