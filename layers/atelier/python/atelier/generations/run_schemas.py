"""The HTTP schemas of runs and of enhanced prompts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from atelier.generations.model import Kind, Pipeline, Recipe
from atelier.generations.pipelines import PIPELINES, enhance_parameters
from atelier.generations.schemas import (
    PROMPT_CHARACTERS_MAX,
    QUOTE_CHARACTERS_MAX,
    KindName,
    Parameters,
    PipelineName,
    ProjectId,
    Stages,
    StatusName,
    WebhookUrl,
    build_run,
)
from atelier.lazy_model import LazyModel


class PipelineRequest(LazyModel):
    """Create a run: several stages, each made from the result of the stage before, under one hold of credits."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    pipeline: PipelineName = Field(description="Which stages each has: see GET /api/pipelines.")
    prompt: str = Field(min_length=1, max_length=PROMPT_CHARACTERS_MAX, examples=["a lighthouse at dusk"])
    negative_prompt: str | None = Field(default=None, max_length=PROMPT_CHARACTERS_MAX)
    enhance_prompt: bool = Field(default=False, description="Have the prompt rewritten by a text model first.")
    stages: Stages = Field(default={}, description="By stage: its model and parameters, where not any will do.")
    reuse: bool = Field(default=False, description="An earlier result of the same request will do: it is free.")
    project_id: ProjectId | None = None
    quote_id: str | None = Field(default=None, max_length=QUOTE_CHARACTERS_MAX, pattern=r"^[A-Za-z0-9_.\-]+$")
    webhook_url: WebhookUrl | None = Field(
        default=None, description="Called with the run's final status, signed with the workspace's webhook secret."
    )

    def recipe_and_pipeline(self) -> tuple[Recipe, Pipeline]:
        """The request as a recipe and a pipeline. Raises ValidationFailed."""
        return build_run(self.pipeline, self.stages, self.prompt, self.negative_prompt, enhance=self.enhance_prompt)


class StepView(TypedDict):
    """One stage of a pipeline."""

    name: str
    kind: KindName
    starts_from: Annotated[dict[str, str], Field(description="By role of a file: the stage that makes it.")]


class PipelineView(TypedDict):
    """A pipeline that can be run."""

    name: PipelineName
    stages: list[StepView]


class PipelineList(TypedDict):
    items: list[PipelineView]


class EnhanceRequest(LazyModel):
    """Ask for a better prompt."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    prompt: str = Field(min_length=1, max_length=PROMPT_CHARACTERS_MAX, examples=["a lighthouse at dusk"])
    style: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    kind: Literal["image", "video", "text", "page"] = Field(default="image", description="What it is a prompt for.")
    model: str = Field(default="auto", min_length=1, max_length=200, description="Who writes it.")
    project_id: ProjectId | None = None

    def recipe(self) -> Recipe:
        """The recipe of the text generation that rewrites the prompt."""
        parameters = Parameters.model_validate(enhance_parameters(self.kind, self.style))
        return Recipe(Kind.TEXT, self.prompt, self.model, None, parameters.recipe_parameters())


class EnhancedView(TypedDict):
    """A prompt as a model rewrote it."""

    prompt: Annotated[str | None, Field(description="Null while it is still being written: follow the generation.")]
    original: str
    credits_charged: int
    generation_id: str
    status: StatusName


def pipeline_list() -> PipelineList:
    """All pipelines."""
    return PipelineList(
        items=[
            PipelineView(
                name=name,  # pyright: ignore[reportArgumentType]
                stages=[
                    StepView(name=step.name, kind=step.kind.value, starts_from=dict(step.starts_from)) for step in steps
                ],
            )
            for name, steps in PIPELINES.items()
        ]
    )
