"""HTTP schemas of templates. The request that runs a template is in the schemas of generations."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from atelier.catalogue.parameter_schemas import PROMPT_CHARACTERS_MAX, KindName, Parameters
from atelier.ids import new_id
from atelier.lazy_model import LazyModel
from atelier.library.template import VARIABLE_NAME, VARIABLES_MAX, Template, TemplateVariable, validate_template

VALUE_CHARACTERS_MAX = 2000
Name = Annotated[str, Field(min_length=1, max_length=120)]
Description = Annotated[str, Field(max_length=2000)]
Prompt = Annotated[str, Field(min_length=1, max_length=PROMPT_CHARACTERS_MAX, examples=["a {{thing}} at dusk"])]
NegativePrompt = Annotated[str, Field(max_length=PROMPT_CHARACTERS_MAX)]
Model = Annotated[str, Field(min_length=1, max_length=200, description="`provider/model`, or `auto`.")]
VariableName = Annotated[str, Field(pattern=f"^{VARIABLE_NAME}$")]


class Gap(LazyModel):
    """Default value and description of a variable."""

    model_config = ConfigDict(extra="forbid")

    default: Annotated[str, Field(max_length=VALUE_CHARACTERS_MAX)] | None = Field(
        default=None, description="The value when the caller gives none; without it, the variable must be given."
    )
    description: Annotated[str, Field(max_length=200)] | None = None


Gaps = Annotated[
    dict[VariableName, Gap],
    Field(max_length=VARIABLES_MAX, description="By name. One that is not told of here must be given."),
]


class CreateTemplateRequest(LazyModel):
    """A request to be saved and run repeatedly; `{{place}}` in its prompts is a variable."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Name
    kind: KindName
    prompt: Prompt
    description: Description | None = None
    negative_prompt: NegativePrompt | None = None
    model: Model = "auto"
    parameters: Parameters = Parameters.of_defaults()
    variables: Gaps = {}
    visibility: Literal["private"] = "private"

    def new(self, workspace_id: str, user_id: str, now: datetime) -> Template:
        """The new template. Raises ValidationFailed when prompts and variables do not match."""
        template = Template(
            id=new_id("tpl", now),
            workspace_id=workspace_id,
            user_id=user_id,
            created_at=now,
            updated_at=now,
            **_field_values(self, set(type(self).model_fields)),
        )
        return validate_template(template)


class ChangeTemplateRequest(LazyModel):
    """Changes of a template: a field that is left out stays as it is, and null clears it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Name = ""
    kind: KindName = "image"
    prompt: Prompt = ""
    description: Description | None = None
    negative_prompt: NegativePrompt | None = None
    model: Model = "auto"
    parameters: Parameters = Parameters.of_defaults()
    variables: Gaps = {}
    visibility: Literal["private"] = "private"

    def change(self, before: Template) -> Template:
        """The template with this request's changes. `before`: the template as it was read. Raises ValidationFailed when
        prompts and variables do not match."""
        facts = _field_values(self, self.model_fields_set)
        if "variables" not in facts:
            # Without `variables` in the request, the present ones stay, except those whose gaps are gone.
            without_variables = validate_template(replace(before, **facts, variables=()))
            names = {variable.name for variable in without_variables.variables}
            facts["variables"] = tuple(variable for variable in before.variables if variable.name in names)
        return validate_template(replace(before, **facts))


class VariableView(LazyModel):
    """A variable of a template."""

    default: str | None
    description: str | None
    required: bool


class TemplateView(LazyModel):
    """A template: a saved request with variables in its prompts."""

    id: str
    name: str
    description: str | None
    kind: KindName
    prompt: str
    negative_prompt: str | None
    model: str
    parameters: dict[str, Any]
    variables: dict[str, VariableView] = Field(description="Every gap of the prompts, in their order.")
    visibility: Literal["private"]
    uses: int = Field(description="How many generations were made with it.")
    created_at: datetime
    updated_at: datetime


class TemplateEnvelope(LazyModel):
    template: TemplateView


class TemplateList(LazyModel):
    items: list[TemplateView]
    next_cursor: str | None


def template_view(template: Template) -> TemplateView:
    """The response for a template."""
    return TemplateView(
        id=template.id,
        name=template.name,
        description=template.description,
        kind=cast(KindName, template.kind),
        prompt=template.prompt,
        negative_prompt=template.negative_prompt,
        model=template.model,
        parameters=template.parameters,
        variables={
            variable.name: VariableView(
                default=variable.default, description=variable.description, required=variable.default is None
            )
            for variable in template.variables
        },
        visibility="private",
        uses=template.uses,
        created_at=template.created_at,
        updated_at=template.updated_at,
    )


def _field_values(request: BaseModel, names: set[str]) -> dict[str, Any]:
    facts = {name: getattr(request, name) for name in names}
    if "parameters" in facts:
        facts["parameters"] = facts["parameters"].plain()
    if "variables" in facts:
        gaps = cast("dict[str, Gap]", facts["variables"])
        facts["variables"] = tuple(TemplateVariable(name, gap.default, gap.description) for name, gap in gaps.items())
    return facts
