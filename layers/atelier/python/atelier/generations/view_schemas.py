"""The HTTP responses about generations: their models, and the functions that build them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from atelier.catalogue.parameter_schemas import KindName, request_parameters
from atelier.generations.model import Failure, Generation, InputAssets, Recipe, Stage
from atelier.generations.pipelines import ENHANCE_STAGE, PIPELINES
from atelier.generations.schemas import PipelineName, StageRequest, StatusName


class AttemptView(TypedDict):
    """One attempt with one provider."""

    id: str
    provider: str
    model: str
    status: str
    error_class: str | None
    key_id: Annotated[
        str | None, Field(description="Of the own key that it was made with; null = the platform's access.")
    ]
    cost_microusd: Annotated[
        int, Field(description="What the provider bills for it, delivered or not, as far as is known.")
    ]
    cost_source: Literal["provider", "usage", "estimate"]
    started_at: datetime
    ended_at: datetime | None


class AssetRef(TypedDict):
    """A delivered file; URLs are ours, signed, and live for minutes."""

    id: str
    type: Literal["image", "video", "audio", "text", "page"]
    url: str
    thumbnail_url: str | None
    sha256: str
    width: int | None
    height: int | None
    duration_ms: int | None
    format: str
    size_bytes: int


class ErrorView(TypedDict):
    """Why a generation did not succeed."""

    code: str
    error_class: str
    provider_code: Annotated[str | None, Field(description="The provider's own error code for the request.")]
    category: Annotated[str | None, Field(description="The category for which moderation refused it.")]
    message: str


@with_config(ConfigDict(extra="allow"))
class UsageView(TypedDict):
    """The usage that the provider reported."""

    tokens_input: int
    tokens_output: int
    tokens_total: Annotated[int, Field(description="Both together.")]


class StageView(TypedDict):
    """A stage of a run, in its current state. Each stage is a generation that can be read by its own id."""

    name: str
    generation_id: str
    kind: KindName
    status: StatusName
    provider: str | None
    model: str
    credits_charged: Annotated[
        int, Field(description="Its part of what the run is charged; 0 if an earlier run has paid it.")
    ]
    cost_microusd: int
    assets: list[AssetRef]


class QueueView(TypedDict):
    """How a generation waits for the rate limit of its provider."""

    retry_at: Annotated[datetime, Field(description="When it is sent, or looks again whether it can be.")]
    position: Annotated[
        int | None,
        Field(description="Its place among the provider's reserved requests, 1 = next; null = unknown, or in a list."),
    ]


class GenerationView(TypedDict):
    """A generation as its workspace sees it."""

    id: str
    kind: KindName
    status: StatusName
    progress: Annotated[int, Field(ge=0, le=100)]
    prompt: str
    enhanced_prompt: str | None
    negative_prompt: str | None
    provider: str | None
    model: str
    project_id: str | None
    character_id: str | None
    template_id: str | None
    quote_id: str | None
    parameters: dict[str, Any]
    credits_held: int
    credits_charged: int
    cost_microusd: int
    cost_cents: Annotated[str, Field(description="The same cost in US cents, a decimal.")]
    cost_source: Literal["provider", "usage", "estimate"]
    price_version: str
    usage: UsageView
    error: ErrorView | None
    attempts: list[AttemptView]
    assets: list[AssetRef]
    deleted_asset_ids: Annotated[list[str], Field(description="Files of the result that were deleted since.")]
    text: Annotated[str | None, Field(description="What a text or a page says; not in a list.")]
    finish_reason: Annotated[
        Literal["length", "content_filter", "refusal"] | None,
        Field(description="Why a text stopped early, or that it is the model's refusal; null = it ended by itself."),
    ]
    pipeline: Annotated[str | None, Field(description="Of a run: what it makes.")]
    stages: Annotated[list[StageView], Field(description="Of a run; not in a list.")]
    reused_from: Annotated[str | None, Field(description="The generation whose result this one shows, free.")]
    parent_id: Annotated[str | None, Field(description="Of a stage: its run.")]
    stage: Annotated[str | None, Field(description="Of a stage: its name.")]
    cancel_requested: bool
    queue: Annotated[QueueView | None, Field(description="null = it does not wait for a rate limit.")]
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    deadline_at: datetime
    duration_ms: int | None


class GenerationEnvelope(TypedDict):
    generation: GenerationView


class RecipeView(TypedDict):
    """A request that makes the same again: post it to /api/generate. For a pipeline, the parameters are in its
    stages."""

    kind: KindName
    pipeline: PipelineName | None
    stages: dict[str, StageRequest] | None
    enhance_prompt: bool
    prompt: str
    negative_prompt: str | None
    model: str
    character_id: str | None
    parameters: Annotated[dict[str, Any], Field(description="With the ids of the files that it started from.")]


class RecipeEnvelope(TypedDict):
    recipe: RecipeView


class GenerationList(TypedDict):
    items: list[GenerationView]
    next_cursor: str | None


def recipe_view(generation: Generation) -> RecipeView:
    """The recipe with the requested model and every parameter, defaults included."""
    recipe, pipeline = generation.recipe, generation.pipeline
    stages = {stage.name: stage for stage in pipeline.stages} if pipeline else {}
    named = pipeline is not None and pipeline.name in PIPELINES
    return RecipeView(
        kind=recipe.kind.value,
        pipeline=pipeline.name if pipeline and named else None,  # pyright: ignore[reportArgumentType]
        stages={
            name: StageRequest.model_validate(
                {"model": stage.model, "parameters": request_parameters(stage.parameters, file_ids(stage.inputs))}
            )
            for name, stage in stages.items()
        }
        if named
        else None,
        enhance_prompt=ENHANCE_STAGE in stages
        and all(step.name != ENHANCE_STAGE for step in PIPELINES.get(pipeline.name, ()))
        if pipeline
        else False,
        prompt=recipe.prompt,
        negative_prompt=recipe.negative_prompt,
        model="auto" if named else recipe.model,
        character_id=recipe.character_id,
        parameters={} if named else _recipe_parameters(recipe),
    )


def _recipe_parameters(recipe: Recipe) -> dict[str, Any]:
    """The parameters and files of a recipe in the form of a request."""
    return request_parameters(recipe.parameters, file_ids(recipe.inputs))


def stage_view(planned: Stage, stage: Generation, assets: list[AssetRef]) -> StageView:
    """The response form of a stage; `assets` come with signed URLs. A stage that an earlier run has made shows no
    charge: it was paid for there."""
    is_own = planned.made_by is None
    return StageView(
        name=planned.name,
        generation_id=stage.id,
        kind=stage.recipe.kind.value,
        status=stage.status.value,
        provider=stage.attempt.provider if stage.attempt else None,
        model=stage.attempt.model if stage.attempt else stage.recipe.model,
        credits_charged=stage.credits_charged if is_own else 0,
        cost_microusd=stage.cost_microusd if is_own else 0,
        assets=assets,
    )


def _usage(counted: dict[str, int]) -> UsageView:
    tokens_input, tokens_output = counted.get("tokens_input", 0), counted.get("tokens_output", 0)
    tokens = UsageView(
        tokens_input=tokens_input, tokens_output=tokens_output, tokens_total=tokens_input + tokens_output
    )
    return cast("UsageView", {**tokens, **counted})


def _error_view(failure: Failure) -> ErrorView:
    return ErrorView(
        code=failure.code,
        error_class=failure.error_class,
        provider_code=failure.provider_code,
        category=failure.category,
        message=failure.message,
    )


def generation_view(
    generation: Generation,
    assets: list[AssetRef],
    text: str | None = None,
    stages: list[StageView] | None = None,
    *,
    queue: QueueView | None = None,
) -> GenerationView:
    """The response form of a generation. `assets`, with signed URLs: those of its files that were not deleted."""
    shown_ids = {asset["id"] for asset in assets}
    attempt, failure = generation.attempt, generation.failure
    completed, started = generation.completed_at, generation.created_at
    return GenerationView(
        id=generation.id,
        kind=generation.recipe.kind.value,
        status=generation.status.value,
        progress=generation.progress,
        prompt=generation.recipe.prompt,
        enhanced_prompt=generation.enhanced_prompt,
        negative_prompt=generation.recipe.negative_prompt,
        provider=attempt.provider if attempt else None,
        model=attempt.model if attempt else generation.recipe.model,
        project_id=generation.project_id,
        character_id=generation.recipe.character_id,
        template_id=generation.recipe.template_id,
        quote_id=generation.quote_id,
        parameters=_recipe_parameters(generation.recipe),
        credits_held=generation.credits_held,
        credits_charged=generation.credits_charged,
        cost_microusd=generation.cost_microusd,
        cost_cents=f"{generation.cost_microusd // 10_000}.{generation.cost_microusd % 10_000:04}",
        cost_source=generation.cost_source,  # pyright: ignore[reportArgumentType]
        price_version=generation.price_version,
        usage=_usage(generation.usage),
        error=_error_view(failure) if failure else None,
        attempts=[
            AttemptView(
                id=attempt.id,
                provider=attempt.provider,
                model=attempt.model,
                status=attempt.status.value,
                error_class=attempt.error_class,
                key_id=attempt.key,
                cost_microusd=attempt.cost_microusd,
                cost_source=attempt.cost_source,  # pyright: ignore[reportArgumentType]
                started_at=attempt.started_at,
                ended_at=attempt.ended_at,
            )
            for attempt in generation.attempts
        ],
        assets=assets,
        deleted_asset_ids=[asset.id for asset in generation.assets if asset.id not in shown_ids],
        text=text,
        finish_reason=generation.finish_reason,  # pyright: ignore[reportArgumentType]
        pipeline=generation.pipeline.name if generation.pipeline else None,
        stages=stages or [],
        reused_from=generation.reused_from,
        parent_id=generation.parent_id,
        stage=generation.stage,
        cancel_requested=generation.cancel_requested_at is not None,
        queue=queue,
        created_at=generation.created_at,
        started_at=generation.started_at,
        completed_at=completed,
        deadline_at=generation.deadline_at,
        duration_ms=round((completed - started).total_seconds() * 1000) if completed else None,
    )


def file_ids(inputs: InputAssets) -> dict[str, list[str]]:
    """The asset ids of files, by role."""
    return {role: [each.asset_id for each in assets] for role, assets in inputs.items()}
