"""Templates: recipes with gaps, filled in when they are run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Any

from atelier.errors import ValidationFailed
from atelier.frozen import dataclass

VARIABLES_MAX = 20
# It is kept as JSON in one item of DynamoDB, and changed part by part.
BYTES_MAX = 380_000
NAME = r"[A-Za-z][A-Za-z0-9_]{0,39}"
GAP = re.compile(r"\{\{\s*(" + NAME + r")\s*\}\}")


@dataclass(frozen=True, slots=True)
class Variable:
    """A gap. `default` fills it when nobody else does; without one it must be given."""

    name: str
    default: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A saved recipe. `prompt` and `negative_prompt` have gaps such as `{{place}}`, of which each is a variable; `uses`
    counts what was made with it."""

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
    variables: tuple[Variable, ...] = ()
    visibility: str = "private"
    # Counted apart from all else, by whoever runs it.
    uses: int = field(default=0, compare=False)


def checked(template: Template) -> Template:
    """The same with a variable for every gap, in their order. Raises ValidationFailed for a gap that is none, and for a
    variable that fills none."""
    texts = {"prompt": template.prompt, "negative_prompt": template.negative_prompt or ""}
    wrong = [
        {"path": path, "message": f"What follows {{{{ must be a variable's name, then }}}}: …{broken}"}
        for path, text in texts.items()
        for broken in _broken(text)
    ]
    names = list(dict.fromkeys(name for text in texts.values() for name in GAP.findall(text)))
    if len(names) > VARIABLES_MAX:
        wrong.append({"path": "prompt", "message": f"A template has at most {VARIABLES_MAX} variables."})
    told = {variable.name: variable for variable in template.variables}
    wrong += [
        {"path": f"variables.{name}", "message": "Neither prompt names this variable."}
        for name in told
        if name not in names
    ]
    if wrong:
        raise ValidationFailed(wrong)
    complete = replace(template, variables=tuple(told.get(name) or Variable(name) for name in names))
    _check_size(complete)
    return complete


def _check_size(template: Template) -> None:
    """Raises ValidationFailed at the largest part of a template that is larger than can be kept."""
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


def filled(template: Template, values: Mapping[str, str]) -> tuple[str, str | None]:
    """Prompt and negative prompt with every gap filled, once: a value is text, whatever braces it has. Raises
    ValidationFailed for a value that is missing, and for one that fills no gap."""
    wrong = [
        {"path": f"variables.{name}", "message": "This template has no such variable."}
        for name in values.keys() - {variable.name for variable in template.variables}
    ]
    complete = {variable.name: values.get(variable.name, variable.default) for variable in template.variables}
    wrong += [
        {"path": f"variables.{name}", "message": "This variable must be given."}
        for name, value in complete.items()
        if value is None
    ]
    if wrong:
        raise ValidationFailed(sorted(wrong, key=lambda field: field["path"]))

    def fill(text: str) -> str:
        return GAP.sub(lambda gap: complete[gap[1]] or "", text)

    return fill(template.prompt), None if template.negative_prompt is None else fill(template.negative_prompt)


def _broken(text: str) -> Iterator[str]:
    """Where a gap begins that is none."""
    left = GAP.sub(" ", text)
    yield from (left[found.start() : found.start() + 20] for found in re.finditer(r"\{\{", left))
