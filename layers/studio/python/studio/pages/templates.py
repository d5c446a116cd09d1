"""Templates: saved requests whose prompts have variables, such as `{{place}}`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

PAGE_TEMPLATES = 24
KINDS = ("image", "video", "audio", "avatar", "text", "page", "upscale")
TEXTS = ("name", "description", "kind", "model", "prompt", "negative_prompt", "parameters")
# Refusals that the form itself shows, beside what was written.
SHOWN_IN_FORM = (403, 409, 422)
VARIABLE = re.compile(r"\{\{\s*([A-Za-z][A-Za-z0-9_]{0,39})\s*\}\}")
# The fields of a variable are named after it: its default value and its description.
DEFAULT, ABOUT = "default:", "about:"


class FormWrong(Exception):
    """A field cannot be read. `fields`: messages by the field's name."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(str(fields))
        self.fields = fields


def show_templates(visit: Visit) -> Response:
    """The templates. Query: `cursor`."""
    found = visit.get("/api/templates", cursor=visit.query.get("cursor", ""), limit=PAGE_TEMPLATES)
    return visit.page("templates.html", found=found)


def show_new(visit: Visit) -> Response:
    """The form for a new template. Query: `from`, a generation whose request it begins with."""
    typed = {**dict.fromkeys(TEXTS, ""), "kind": "image", "model": "auto", "prompt": str(visit.t("templates.example"))}
    generation_id = visit.query.get("from", "")
    if re.fullmatch(r"gen_[0-9A-Z]{26}", generation_id):
        recipe = visit.get(f"/api/generations/{generation_id}/recipe")["recipe"]
        typed |= {name: recipe[name] or "" for name in ("kind", "model", "prompt", "negative_prompt")}
        typed["parameters"] = _written(recipe["parameters"])
    return _form(visit, None, typed)


def create(visit: Visit) -> Response:
    """Makes a template; or only shows the form again with its variables (button `preview`)."""
    if "preview" in visit.form:
        return _form(visit, None, _typed(visit))
    try:
        headers = {"Idempotency-Key": visit.form_key}
        made = visit.api.call("POST", "/api/templates", _wanted(visit), headers=headers).data["template"]
    except (ApiError, FormWrong) as error:
        return _form_again(visit, None, error)
    return visit.go(f"/templates/{made['id']}")


def show_template(visit: Visit) -> Response:
    """A template, in the form that changes it."""
    template = _template(visit)
    typed = {name: template[name] or "" for name in TEXTS if name != "parameters"}
    typed["parameters"] = _written(template["parameters"])
    for name, variable in template["variables"].items():
        typed |= {DEFAULT + name: variable["default"] or "", ABOUT + name: variable["description"] or ""}
    return _form(visit, template, typed)


def edit(visit: Visit) -> Response:
    """Changes a template; or only shows the form again with its variables (button `preview`)."""
    if "preview" in visit.form:
        return _form(visit, _template(visit), _typed(visit))
    template_id = visit.part("template_id")
    try:
        visit.api.call("PUT", f"/api/templates/{template_id}", _wanted(visit))
    except (ApiError, FormWrong) as error:
        return _form_again(visit, _template(visit), error)
    return visit.go("/templates")


def show_gaps(visit: Visit) -> Response:
    """For htmx: the fields of the variables that the prompts have by now, and the preview."""
    typed = _typed(visit)
    return visit.page("template_gaps.html", typed=typed, names=variable_names(typed), pieces=_pieces(typed), errors={})


def show_preview(visit: Visit) -> Response:
    """For htmx: the prompt with the default values filled in."""
    return visit.page("template_preview.html", pieces=_pieces(_typed(visit)))


def show_delete(visit: Visit) -> Response:
    """Asks whether this template, by its name, is to be deleted."""
    return visit.page("template_delete.html", template=_template(visit))


def delete(visit: Visit) -> Response:
    """Deletes a template."""
    visit.api.call("DELETE", f"/api/templates/{visit.part('template_id')}")
    return visit.go("/templates")


def variable_names(typed: Mapping[str, str]) -> list[str]:
    """The variables of both prompts, in their order."""
    return list(dict.fromkeys(VARIABLE.findall(typed["prompt"] + "\n" + typed["negative_prompt"])))


def filled_pieces(prompt: str, values: Mapping[str, str]) -> list[tuple[str, bool]]:
    """A prompt in pieces, each with whether it stands for a variable: its value, or its name while it has none."""
    parts = VARIABLE.split(prompt)
    pieces = [(values.get(part) or part, True) if place % 2 else (part, False) for place, part in enumerate(parts)]
    return [piece for piece in pieces if piece[0]]


def _pieces(typed: Mapping[str, str]) -> list[tuple[str, bool]]:
    values = {name: typed.get(DEFAULT + name, "") for name in variable_names(typed)}
    return filled_pieces(typed["prompt"], values)


def _template(visit: Visit) -> Json:
    return visit.get(f"/api/templates/{visit.part('template_id')}")["template"]


def _written(parameters: Mapping[str, Any]) -> str:
    return json.dumps(parameters, indent=2, ensure_ascii=False) if parameters else ""


def _typed(visit: Visit) -> dict[str, str]:
    texts = {name: str(visit.form.get(name, "")) for name in TEXTS}
    return texts | {name: str(value) for name, value in visit.form.items() if name.startswith((DEFAULT, ABOUT))}


def _wanted(visit: Visit) -> Json:
    """The template that the form describes, as the API takes it. Raises FormWrong."""
    typed = _typed(visit)
    try:
        parameters: Any = json.loads(typed["parameters"]) if typed["parameters"].strip() else {}
    except ValueError:
        raise FormWrong({"parameters": visit.t("templates.parameters_wrong")}) from None
    variables = {
        name: {"default": typed.get(DEFAULT + name) or None, "description": typed.get(ABOUT + name) or None}
        for name in variable_names(typed)
    }
    texts = {name: typed[name].strip() for name in ("name", "kind", "prompt")}
    optional = {name: typed[name].strip() or None for name in ("description", "negative_prompt")}
    model = typed["model"].strip() or "auto"
    return {**texts, **optional, "model": model, "parameters": parameters, "variables": variables}


def _form(
    visit: Visit,
    template: Json | None,
    typed: Mapping[str, str],
    *,
    status: int = 200,
    error: ApiError | None = None,
    errors: Mapping[str, str] | None = None,
) -> Response:
    models = visit.get("/api/models")["items"]
    return visit.page(
        "template_form.html",
        status=status,
        template=template,
        typed=typed,
        names=variable_names(typed),
        pieces=_pieces(typed),
        models=[model["id"] for model in models],
        kinds=KINDS,
        error=error,
        errors=errors or {},
    )


def _form_again(visit: Visit, template: Json | None, error: ApiError | FormWrong) -> Response:
    """The form with what was typed and why it was refused. Raises an error that no form can show."""
    if isinstance(error, FormWrong):
        return _form(visit, template, _typed(visit), status=422, errors=error.fields)
    if error.status not in SHOWN_IN_FORM:
        raise error
    errors: dict[str, str] = {}
    for path, message in error.fields.items():
        # A wrong parameter is named by its path; the form has one field for all of them.
        name, _, rest = path.partition(".")
        errors.setdefault(name, f"{rest}: {message}" if name == "parameters" and rest else message)
    shown = None if errors else error
    return _form(visit, template, _typed(visit), status=error.status, error=shown, errors=errors)


routes = [
    route("/templates", show_templates),
    route("/templates/new", show_new),
    route("/templates/new", create, "POST"),
    route("/templates/gaps", show_gaps, "POST"),
    route("/templates/preview", show_preview, "POST"),
    route("/templates/{template_id}", show_template),
    route("/templates/{template_id}", edit, "POST"),
    route("/templates/{template_id}/delete", show_delete),
    route("/templates/{template_id}/delete", delete, "POST"),
]
