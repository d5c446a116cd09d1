"""The HTTP requests about generations: bodies and queries, and what they mean. The responses are in view_schemas.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from atelier.catalogue.parameter_schemas import (
    PROMPT_CHARACTERS_MAX,
    DeferredModel,
    KindName,
    Parameters,
    ShortText,
)
from atelier.errors import ValidationFailed
from atelier.generations.character import with_character
from atelier.generations.model import InputAsset, InputAssets, Kind, Pipeline, Recipe
from atelier.generations.pipelines import StageOptions, build_pipeline
from atelier.generations.ports import Filters
from atelier.generations.quote import QUOTE_CHARACTERS_MAX, QuoteInput
from atelier.idempotency import fingerprint
from atelier.library.character import Character
from atelier.library.template import Template, fill_gaps

PipelineName = Literal["talking_avatar", "image_to_video", "enhanced_upscale"]
StatusName = Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"]
ProjectId = Annotated[str, Field(pattern=r"^prj_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
CharacterId = Annotated[str, Field(pattern=r"^chr_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
TemplateId = Annotated[str, Field(pattern=r"^tpl_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]


def input_assets(parameters: Parameters) -> InputAssets:
    """The files of a request, by role."""
    return {role: tuple(map(InputAsset, ids)) for role, ids in parameters.file_ids().items()}


class StageRequest(DeferredModel):
    """The options of one stage of a run."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    model: str = Field(default="auto", min_length=1, max_length=200, description="`provider/model`, or `auto`.")
    parameters: Parameters = Parameters.of_defaults()


Stages = Annotated[dict[Annotated[str, Field(max_length=20)], StageRequest], Field(max_length=8)]


def build_run(
    name: str, stages: dict[str, StageRequest], prompt: str, negative_prompt: str | None, *, enhance: bool
) -> tuple[Recipe, Pipeline]:
    """The recipe and the pipeline of a run, from its request. The recipe is that of the last stage. Raises
    ValidationFailed."""
    options = {
        each: StageOptions(stage.model, stage.parameters.recipe_parameters(), input_assets(stage.parameters))
        for each, stage in stages.items()
    }
    pipeline = build_pipeline(name, options, negative_prompt, enhance=enhance)
    last = pipeline.stages[-1]
    return Recipe(last.kind, prompt, last.model, negative_prompt, last.parameters, last.inputs), pipeline


WebhookUrl = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[!-~]+$")]


class MakeRequest(DeferredModel):
    """Create a generation. Its kind is given by the path, by `kind` or by a template."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    prompt: str | None = Field(
        default=None,
        min_length=1,
        max_length=PROMPT_CHARACTERS_MAX,
        examples=["a lighthouse at dusk"],
        description="Required, but where a template says it.",
    )
    negative_prompt: str | None = Field(default=None, max_length=PROMPT_CHARACTERS_MAX)
    model: str = Field(default="auto", min_length=1, max_length=200, description="`provider/model`, or `auto`.")
    parameters: Parameters = Parameters.of_defaults()
    kind: KindName | None = None
    character_id: CharacterId | None = Field(default=None, description="Who is to be seen.")
    template_id: TemplateId | None = Field(default=None, description="Says what is not said here.")
    variables: dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=2000)]] = Field(
        default={}, max_length=20, description="What fills the template's gaps: text, taken as it is."
    )
    # A field that the API names and this deployment does not support yet may be null; any other value is refused.
    project_id: ProjectId | None = None
    quote_id: str | None = Field(
        default=None,
        max_length=QUOTE_CHARACTERS_MAX,
        pattern=r"^[A-Za-z0-9_.\-]+$",
        description="As POST /api/quotes gave it.",
    )
    webhook_url: WebhookUrl | None = Field(
        default=None, description="Called with the final status, signed with the workspace's webhook secret."
    )
    enhance_prompt: bool = Field(default=False, description="Have the prompt rewritten by a text model first.")
    pipeline: PipelineName | None = Field(default=None, description="A run, as POST /api/pipelines makes it.")
    stages: Stages | None = None
    reuse: bool = Field(default=False, description="An earlier result of the same request will do: it is free.")

    def recipe(self, kind: str | None = None, template: Template | None = None) -> Recipe:
        """The request as a recipe. `kind` comes from the path, `template` is the one that the body names. Raises
        ValidationFailed when path, body and template contradict one another, and for variables that do not fit."""
        if kind and self.kind not in (None, kind):
            raise ValidationFailed([{"path": "kind", "message": f"This path makes the kind {kind}."}])
        if template is not None:
            return self._recipe_from_template(template, kind or self.kind)
        if self.variables:
            raise ValidationFailed([{"path": "variables", "message": "Variables are a template's."}])
        if self.prompt is None:
            raise ValidationFailed([{"path": "prompt", "message": "Field required"}])
        kind_name = kind or self.kind
        if kind_name is None:
            raise ValidationFailed([{"path": "kind", "message": "Field required"}])
        parameters = self.parameters
        return Recipe(
            Kind(kind_name),
            self.prompt,
            self.model,
            self.negative_prompt,
            parameters.recipe_parameters(),
            input_assets(parameters),
        )

    def requested_run(self) -> tuple[Recipe, Pipeline] | None:
        """The run that the body names, None = it names no pipeline. Raises ValidationFailed."""
        if self.pipeline is None:
            if self.stages is not None:
                raise ValidationFailed([{"path": "stages", "message": "Stages are a pipeline's."}])
            return None
        if self.prompt is None:
            raise ValidationFailed([{"path": "prompt", "message": "Field required"}])
        requested_run = build_run(
            self.pipeline, self.stages or {}, self.prompt, self.negative_prompt, enhance=self.enhance_prompt
        )
        excluded_fields = self.model_fields_set & {"parameters", "character_id", "template_id", "variables"}
        wrong_fields = [name for name in sorted(excluded_fields) if getattr(self, name) not in (None, {}, Parameters())]
        wrong_fields += ["model"] if self.model != "auto" else []
        wrong_fields += ["kind"] if self.kind not in (None, requested_run[0].kind.value) else []
        if wrong_fields:
            raise ValidationFailed([{"path": name, "message": "A run is told by its stages."} for name in wrong_fields])
        return requested_run

    def _recipe_from_template(self, template: Template, kind: str | None) -> Recipe:
        if kind not in (None, template.kind):
            raise ValidationFailed([{"path": "kind", "message": f"This template makes the kind {template.kind}."}])
        if self.prompt is not None:
            raise ValidationFailed([{"path": "prompt", "message": "The template says the prompt."}])
        prompt, negative_prompt = fill_gaps(template, self.variables)
        if max(len(prompt), len(negative_prompt or "")) > PROMPT_CHARACTERS_MAX or not prompt.strip():
            message = f"Filled, a prompt must have 1 to {PROMPT_CHARACTERS_MAX} characters."
            raise ValidationFailed([{"path": "variables", "message": message}])
        # A parameter of the request replaces the template's, an input file too: the two images are not combined.
        parameters = _validate_parameters(template.parameters | self.parameters.plain())
        given_fields = self.model_fields_set
        return Recipe(
            Kind(template.kind),
            prompt,
            self.model if "model" in given_fields else template.model,
            self.negative_prompt if "negative_prompt" in given_fields else negative_prompt,
            parameters.recipe_parameters(),
            input_assets(parameters),
            template_id=template.id,
        )

    def fingerprint(self) -> str:
        """A digest of the request alone, so that it stays equal when the character or the template that it names
        changes."""
        return fingerprint(self.model_dump_json())


def _validate_parameters(parameters: dict[str, Any]) -> Parameters:
    """Validate the parameters of a template again: it may have been stored before a newer rule. Raises
    ValidationFailed."""
    try:
        return Parameters.model_validate(parameters)
    except ValidationError as error:
        raise ValidationFailed.of_model(error, "parameters") from None


class QuoteRequest(DeferredModel):
    """Ask for the price of a generation or of a run."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    kind: KindName | None = Field(default=None, description="Required, but for a pipeline.")
    pipeline: PipelineName | None = None
    stages: Stages | None = None
    enhance_prompt: bool = False
    prompt: str | None = Field(default=None, min_length=1, max_length=PROMPT_CHARACTERS_MAX)
    negative_prompt: str | None = Field(default=None, max_length=PROMPT_CHARACTERS_MAX)
    model: str = Field(default="auto", min_length=1, max_length=200, description="`provider/model`, or `auto`.")
    parameters: Parameters = Parameters.of_defaults()
    character_id: CharacterId | None = None

    def recipe(self, character: Character | None = None) -> Recipe:
        """The recipe to price, the same that a submission would make. `character` is the one that the body names.
        Raises ValidationFailed."""
        if self.kind is None:
            raise ValidationFailed([{"path": "kind", "message": "Field required"}])
        parameters, inputs = self.parameters.recipe_parameters(), input_assets(self.parameters)
        recipe = Recipe(Kind(self.kind), self.prompt or "", self.model, self.negative_prompt, parameters, inputs)
        return with_character(recipe, character) if character else recipe

    def requested_run(self) -> tuple[Recipe, Pipeline] | None:
        """The run that the body names, None = it names no pipeline. Raises ValidationFailed."""
        if self.pipeline is None:
            if self.stages is not None:
                raise ValidationFailed([{"path": "stages", "message": "Stages are a pipeline's."}])
            return None
        return build_run(
            self.pipeline, self.stages or {}, self.prompt or "", self.negative_prompt, enhance=self.enhance_prompt
        )

    def quote_input(self, recipe: Recipe, pipeline: Pipeline | None) -> QuoteInput:
        """The input of the quote. Without a prompt in the body the price is for any prompt."""
        quote_input = replace(QuoteInput.of(recipe), prompt=self.prompt)
        return quote_input if pipeline is None else quote_input.as_run(pipeline)


class ListQuery(DeferredModel):
    """Filters of the listing. `from` is inclusive, `to` is exclusive."""

    model_config = ConfigDict(extra="ignore")

    status: StatusName | None = None
    kind: KindName | None = None
    provider: ShortText | None = None
    model: ShortText | None = None
    project_id: ShortText | None = None
    created_from: AwareDatetime | None = Field(default=None, alias="from")
    created_to: AwareDatetime | None = Field(default=None, alias="to")
    limit: int = Field(default=25, ge=1, le=100)
    cursor: ShortText | None = None

    def filters(self) -> Filters:
        """The query as the filters of the store."""
        return Filters(
            self.status, self.kind, self.provider, self.model, self.project_id, self.created_from, self.created_to
        )
