"""An identical request may be served from its earlier result, free: the key of what is asked for, and whether a result
may still be shown for it. Kept for requests that name their seed or ask for it; any other draws a picture of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.generations.model import Delivered, Generation, Pipeline, Recipe, Sources, Status

SEED = "seed"


def reuse_key(asked: Recipe, complete: Recipe, pipeline: Pipeline | None) -> str:
    """The same for requests that make the same: of complete parameters, but for a seed that nobody named, and of what
    is in the files, whatever they are called. A run goes by what is asked of its stages."""
    parameters = {
        name: value for name, value in complete.parameters.items() if name != SEED or SEED in asked.parameters
    }
    facts: list[Any] = [asked.kind, asked.prompt, asked.model, asked.negative_prompt]
    if pipeline is None:
        facts += [parameters, _contents(complete.inputs)]
    else:
        facts.append(pipeline.name)
        for stage in pipeline.stages:
            facts.append([stage.name, stage.model, stage.parameters, stage.negative_prompt, _contents(stage.inputs)])
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _contents(inputs: Sources) -> dict[str, list[str]]:
    return {role: [source.sha256 for source in sources] for role, sources in inputs.items()}


def served(
    asked: Generation, earlier: Generation, is_kept: Callable[[Delivered], bool], now: datetime
) -> Generation | None:
    """What was asked for, succeeded at once with an earlier one's files; None where these are not to be had, or do not
    look as this workspace's do today."""
    if earlier.status is not Status.SUCCEEDED or earlier.watermark != asked.watermark:
        return None
    if not earlier.assets or not all(map(is_kept, earlier.assets)):
        return None
    return replace(
        asked,
        recipe=replace(asked.recipe, parameters=earlier.recipe.parameters),
        status=Status.SUCCEEDED,
        progress=100,
        assets=earlier.assets,
        enhanced_prompt=earlier.enhanced_prompt,
        pipeline=None,
        quote_id=None,
        reused_from=earlier.reused_from or earlier.id,
        completed_at=now,
    )
