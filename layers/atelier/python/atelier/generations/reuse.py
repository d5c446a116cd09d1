"""Reuse of earlier results: an identical request may get an earlier result, free. This module makes the key of a
request and decides whether an earlier result may still be shown. Results are remembered only for requests that give a
seed or ask for reuse; any other request is meant to make something new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.generations.model import DeliveredFile, Generation, InputAssets, Pipeline, Recipe, Status
from atelier.generations.ports import InputAssetStore
from atelier.idempotency import fingerprint

SEED = "seed"


def reuse_key(requested: Recipe, complete: Recipe, pipeline: Pipeline | None) -> str:
    """A digest that is equal for requests with the same result. It covers the complete parameters (without a seed that
    the caller did not give) and the hashes of the input files, not their ids. For a run it covers the requested options
    of its stages."""
    parameters = {
        name: value for name, value in complete.parameters.items() if name != SEED or SEED in requested.parameters
    }
    facts: list[Any] = [requested.kind, requested.prompt, requested.model, requested.negative_prompt]
    if pipeline is None:
        facts += [parameters, _file_hashes(complete.inputs)]
    else:
        facts.append(pipeline.name)
        for stage in pipeline.stages:
            facts.append([stage.name, stage.model, stage.parameters, stage.negative_prompt, _file_hashes(stage.inputs)])
    return fingerprint(facts)


def _file_hashes(inputs: InputAssets) -> dict[str, list[str]]:
    return {role: [source.sha256 for source in sources] for role, sources in inputs.items()}


def kept_in_library(workspace_id: str, sources: InputAssetStore) -> Callable[[DeliveredFile], bool]:
    """A function that tells whether a delivered file may serve another request: it is in the library and not
    archived."""
    return lambda delivered: sources.is_kept(workspace_id, delivered.id)


def reused(
    requested: Generation, earlier: Generation, is_kept: Callable[[DeliveredFile], bool], now: datetime
) -> Generation | None:
    """The new generation, succeeded at once with the files of an earlier one. None when these files are not kept any
    more, or when the workspace's tier now differs in its watermark."""
    if earlier.status is not Status.SUCCEEDED or earlier.watermark != requested.watermark:
        return None
    if not earlier.assets or not all(map(is_kept, earlier.assets)):
        return None
    return replace(
        requested,
        recipe=replace(requested.recipe, parameters=earlier.recipe.parameters),
        status=Status.SUCCEEDED,
        progress=100,
        assets=earlier.assets,
        enhanced_prompt=earlier.enhanced_prompt,
        pipeline=None,
        quote_id=None,
        reused_from=earlier.reused_from or earlier.id,
        completed_at=now,
    )
