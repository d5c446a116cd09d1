"""Templates: saved requests whose prompts have gaps for variables, filled in when the template is run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Any

from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed

VARIABLES_MAX = 20
# A template is stored as JSON in one DynamoDB item (at most 400 KB). A change may name only some parts, so the limit is
# checked on the whole template.
BYTES_MAX = 380_000
VARIABLE_NAME = r"[A-Za-z][A-Za-z0-9_]{0,39}"
GAP_PATTERN = re.compile(r"\{\{\s*(" + VARIABLE_NAME + r")\s*\}\}")


@dataclass(frozen=True, slots=True)
class TemplateVariable:
    """A variable of a template. `default` is its value when the run gives none; without a default a value is
    required."""

    name: str
    default: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A saved request. Each gap in `prompt` and `negative_prompt`, such as `{{place}}`, is a variable. `uses` counts
    the generations made with the template."""

    id: str
    workspace_id: str
    user_id: str
    name: str
    kind: str
    prompt: str
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    negative_prompt: str | None = None
    model: str = "auto"
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    variables: tuple[TemplateVariable, ...] = ()
    visibility: str = "private"
    # A counter that each run increments; it is not part of what a user may change.
    uses: int = field(default=0, compare=False)


def validate_template(template: Template) -> Template:
    """The template with exactly one variable for every gap, in the order of the gaps. Raises ValidationFailed for a
    malformed gap, for a variable without a gap, for too many variables, and for a template that is too large."""
    texts = {"prompt": template.prompt, "negative_prompt": template.negative_prompt or ""}
    wrong = [
        {"path": path, "message": f"What follows {{{{ must be a variable's name, then }}}}: …{broken}"}
        for path, text in texts.items()
        for broken in _malformed_gaps(text)
    ]
    names = list(dict.fromkeys(name for text in texts.values() for name in GAP_PATTERN.findall(text)))
    if len(names) > VARIABLES_MAX:
        wrong.append({"path": "prompt", "message": f"A template has at most {VARIABLES_MAX} variables."})
    given_variables = {variable.name: variable for variable in template.variables}
    wrong += [
        {"path": f"variables.{name}", "message": "Neither prompt names this variable."}
        for name in given_variables
        if name not in names
    ]
    if wrong:
        raise ValidationFailed(wrong)
    validated = replace(
        template, variables=tuple(given_variables.get(name) or TemplateVariable(name) for name in names)
    )
    _check_size(validated)
    return validated


def _check_size(template: Template) -> None:
    """Raises ValidationFailed, naming the largest part, when the template has more than BYTES_MAX bytes as JSON."""
    parts = {
        "prompt": template.prompt,
        "negative_prompt": template.negative_prompt,
        "description": template.description,
        "parameters": template.parameters,
        "variables": [[variable.name, variable.default, variable.description] for variable in template.variables],
    }
    sizes = {path: len(json.dumps(part, ensure_ascii=False).encode(errors="replace")) for path, part in parts.items()}
    if sum(sizes.values()) > BYTES_MAX:
        largest = max(sizes, key=lambda path: sizes[path])
        message = f"must be smaller: a template has at most {BYTES_MAX} bytes as JSON"
        raise ValidationFailed([{"path": largest, "message": message}])


def fill_gaps(template: Template, values: Mapping[str, str]) -> tuple[str, str | None]:
    """Prompt and negative prompt with every gap filled. Values are plain text: braces in a value are no new gaps.
    Raises ValidationFailed for a missing value, and for a value without a variable."""
    wrong = [
        {"path": f"variables.{name}", "message": "This template has no such variable."}
        for name in values.keys() - {variable.name for variable in template.variables}
    ]
    all_values = {variable.name: values.get(variable.name, variable.default) for variable in template.variables}
    wrong += [
        {"path": f"variables.{name}", "message": "This variable must be given."}
        for name, value in all_values.items()
        if value is None
    ]
    if wrong:
        raise ValidationFailed(sorted(wrong, key=lambda field: field["path"]))

    def fill(text: str) -> str:
        return GAP_PATTERN.sub(lambda gap: all_values[gap[1]] or "", text)

    return fill(template.prompt), None if template.negative_prompt is None else fill(template.negative_prompt)


def _malformed_gaps(text: str) -> Iterator[str]:
    """The beginning (20 characters) of each malformed gap."""
    rest = GAP_PATTERN.sub(" ", text)
    yield from (rest[found.start() : found.start() + 20] for found in re.finditer(r"\{\{", rest))
