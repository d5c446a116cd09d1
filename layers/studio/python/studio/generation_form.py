"""The form of a generation: its fields from the catalogue's rules of the models, and the API's request from its fields.

The name of a field says the type of its value, so that a request can be built without the catalogue:
`integer.width`, `number.speed`, `text.voice`, `switch.still`, `file.image_asset_id`, `files.reference_asset_ids`. In
the form of a pipeline the stage comes first: `speech/text.voice`, `speech/model`. A chosen thing is `<id> <its name>`,
so that a page that shows the form again need not ask for the name."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from starlette.datastructures import ImmutableMultiDict

from studio.api_client import Json

Fields = ImmutableMultiDict[str, str]
Rules = Mapping[str, Mapping[str, Any]]

KINDS = ("image", "video", "audio", "avatar", "text", "page", "upscale")
AUTO = "auto"
# The choice that lets width and height speak.
OWN_SIZE = "own"
ENHANCED_KINDS = ("image", "video", "text", "page")
# What a model that the router chooses may be told.
GENERAL = ("size", "width", "height", "n", "duration_seconds", "voice", "max_tokens", "seed")
SHAPES = ((1, 1), (4, 3), (3, 2), (16, 9), (2, 3), (9, 16))
# By role of a file: the API's parameter, its type in a field's name, and the type of file.
ROLES: Mapping[str, tuple[str, str, str]] = {
    "image": ("image_asset_id", "file", "image"),
    "mask": ("mask_asset_id", "file", "image"),
    "audio": ("audio_asset_id", "file", "audio"),
    "reference": ("reference_asset_ids", "files", "image"),
}
# Kinds that can do without words, by the file that then speaks for itself. The API wants a prompt all the same, which
# names the result in the library: the file's name.
WORDLESS: Mapping[str, str] = {"upscale": "file.image_asset_id", "avatar": "file.audio_asset_id"}
# The field with the messages before the prompt, as JSON.
TURNS = "turns"
_PARAMETER = re.compile(r"(?:([a-z_]+)/)?(integer|number|text|switch|file|files)\.([a-z_]+)")
_STAGE_MODEL = re.compile(r"([a-z_]+)/model")
_GAP = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Control:
    """One parameter as a form shows it. `name`: of the field. Bounds of numbers: None for other types."""

    name: str
    parameter: str
    type: str
    minimum: float | None = None
    maximum: float | None = None
    step: str = "1"
    default: str = ""
    choices: tuple[str, ...] = ()
    is_drawn: bool = False
    length_max: int | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A role of files. `type`: image or audio."""

    name: str
    role: str
    type: str
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class ModelForm:
    """The fields of one model, or of any model (`auto`). sizes: (ratio, `1024x768`); `[]` when a model has no free
    size."""

    prefix: str
    model: str
    controls: tuple[Control, ...]
    slots: tuple[Slot, ...]
    sizes: tuple[tuple[str, str], ...]


def chosen_id(value: str) -> str:
    """The id of a chosen thing."""
    return value.partition(" ")[0]


def chosen_name(value: str) -> str:
    """The name of a chosen thing; its id when the name is not known."""
    return value.partition(" ")[2] or value


# ---- from models to fields -------------------------------------------------------------------------------------------
def model_form(models: Sequence[Json], chosen: str, prefix: str = "", filled: Sequence[str] = ()) -> ModelForm:
    """The fields for the chosen one of these models (all of one kind). filled: roles that come from another stage."""
    one = next((model for model in models if model["id"] == chosen), None)
    offered = [model for model in models if model["is_offered"]] if one is None else [one]
    rules: dict[str, Mapping[str, Any]] = {}
    inputs: dict[str, Json] = {}
    for model in offered:
        for name, rule in model["parameters"].items():
            if one is not None or name in GENERAL:
                rules[name] = _wider(rules.get(name), rule)
        for role, bounds in model["inputs"].items():
            inputs[role] = _wider_bounds(inputs.get(role), bounds)
    sized = "default" in rules.get("width", {}) and "default" in rules.get("height", {})
    return ModelForm(
        prefix=prefix,
        model=chosen,
        controls=tuple(control for name, rule in rules.items() for control in _control(prefix, name, rule)),
        slots=tuple(
            Slot(prefix + _field_of(role), role, ROLES[role][2], bounds["minimum"], bounds["maximum"])
            for role, bounds in inputs.items()
            if role in ROLES and role not in filled
        ),
        sizes=tuple(sizes(rules["width"], rules["height"])) if sized else (),
    )


def sizes(width: Mapping[str, Any], height: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Sizes of common shapes within the rules of both sides, each with about the pixels of the default size."""
    pixels = width["default"] * height["default"]
    for across, down in SHAPES:
        ratio = across / down
        w, h = math.sqrt(pixels * ratio), math.sqrt(pixels / ratio)
        scale = min(1.0, width["maximum"] / w, height["maximum"] / h)
        w, h = _rounded(w * scale, width), _rounded(h * scale, height)
        if min(w / h, h / w) > 0 and abs(math.log(w / h / ratio)) < 0.1:
            yield f"{across}:{down}", f"{w}x{h}"


def _rounded(value: float, rule: Mapping[str, Any]) -> int:
    step = max(8, rule.get("multiple_of", 1))
    nearest = round(value / step) * step
    return min(max(nearest, rule["minimum"]), rule["maximum"])


def _field_of(role: str) -> str:
    parameter, kind, _ = ROLES[role]
    return f"{kind}.{parameter}"


def _wider(known: Mapping[str, Any] | None, rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """A rule that allows what either allows; the first one's default."""
    if known is None or known.keys() - {"default", "multiple_of"} != rule.keys() - {"default", "multiple_of"}:
        return known or rule
    wide = dict(known)
    if "minimum" in rule:
        wide["minimum"] = min(known["minimum"], rule["minimum"])
        wide["maximum"] = max(known["maximum"], rule["maximum"])
    if "choices" in rule:
        wide["choices"] = list(dict.fromkeys([*known["choices"], *rule["choices"]]))
    return wide


def _wider_bounds(known: Json | None, bounds: Json) -> Json:
    if known is None:
        return bounds
    return {
        "minimum": min(known["minimum"], bounds["minimum"]),
        "maximum": max(known["maximum"], bounds["maximum"]),
    }


def _control(prefix: str, name: str, rule: Mapping[str, Any]) -> Iterator[Control]:
    """The control of a parameter; none for what a form cannot ask for (conversations, stop sequences)."""
    default = "" if rule.get("default") is None else str(rule["default"])
    if "minimum" in rule:
        step = str(rule.get("multiple_of", 1))
        drawn = bool(rule.get("drawn"))
        bounds = rule["minimum"], rule["maximum"]
        yield Control(f"{prefix}integer.{name}", name, "integer", *bounds, step, default, is_drawn=drawn)
    elif "least" in rule:
        yield Control(f"{prefix}number.{name}", name, "number", rule["least"], rule["most"], "any", default)
    elif "choices" in rule:
        yield Control(f"{prefix}text.{name}", name, "choice", default=default, choices=tuple(rule["choices"]))
    elif "length_max" in rule:
        yield Control(f"{prefix}text.{name}", name, "text", default=default, length_max=rule["length_max"])
    elif set(rule) == {"default"}:
        yield Control(f"{prefix}switch.{name}", name, "switch", default="on" if rule["default"] else "off")


# ---- from fields to a request ----------------------------------------------------------------------------------------
def request_of(fields: Fields) -> Json:
    """The body for `/api/generate` or `/api/pipelines`. What is no number goes along as it was written: the API says
    what is wrong with it."""
    pipeline = fields.get("pipeline", "")
    prompt, negative = fields.get("prompt", "").strip(), fields.get("negative_prompt", "").strip()
    variables = {name.partition(".")[2]: value for name, value in fields.items() if name.startswith("variable.")}
    kind = fields.get("kind", "image")
    prompt = prompt or chosen_name(fields.get(WORDLESS.get(kind, ""), ""))
    body: Json = {"pipeline": pipeline} if pipeline else {"kind": kind}
    texts = (("prompt", prompt), ("negative_prompt", negative))
    body |= {name: _filled(text, variables) for name, text in texts if text}
    for name in ("project_id", "character_id"):
        if chosen := chosen_id(fields.get(name, "")):
            body[name] = chosen
    if _is_as_in_template(fields):
        body |= {"template_id": chosen_id(fields["template_id"]), "variables": variables}
    body |= {name: True for name in ("enhance_prompt", "reuse") if fields.get(name)}
    parameters = _parameters(fields)
    if turns := turns_of(fields):
        parameters.setdefault("", {})["messages"] = [*turns, {"role": "user", "content": body.get("prompt", "")}]
    if pipeline:
        models = {found[1]: value for name, value in fields.items() if (found := _STAGE_MODEL.fullmatch(name))}
        names = sorted(models.keys() | {stage for stage in parameters if stage})
        body["stages"] = {
            name: {"model": models.get(name) or AUTO, "parameters": parameters.get(name, {})} for name in names
        }
    else:
        body |= {"model": fields.get("model") or AUTO, "parameters": parameters.get("", {})}
    return body


def turns_of(fields: Fields) -> list[Json]:
    """The conversation before the prompt of a text, as the API's messages; [] for anything else."""
    if fields.get("kind") != "text":
        return []
    try:
        found: Any = json.loads(fields.get(TURNS) or "[]")
    except ValueError:
        return []
    return cast("list[Json]", found) if isinstance(found, list) else []


def quote_request(body: Json) -> Json:
    """What is asked of `/api/quotes`: the request without what changes nothing about its price."""
    names = ("project_id", "template_id", "variables", "reuse")
    return {name: value for name, value in body.items() if name not in names}


def order_request(body: Json) -> Json:
    """What is sent to order: a template says its prompts by itself."""
    said = ("prompt", "negative_prompt") if "template_id" in body else ()
    return {name: value for name, value in body.items() if name not in said}


def _is_as_in_template(fields: Fields) -> bool:
    """Whether the form is from a template, and its prompts are still the template's."""
    names = ("prompt", "negative_prompt")
    return "template_id" in fields and all(
        fields.get(name, "").strip() == fields.get(f"template_{name}", "").strip() for name in names
    )


def digest(body: Json) -> str:
    """Equal for equal requests: says whether a quote is for what the form holds now."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:24]


def missing_files(fields: Fields, refused: Iterable[str]) -> list[str]:
    """The roles of files that the API asked for (paths such as `inputs.image`) and that the form has none for yet."""
    roles = [path.removeprefix("inputs.") for path in refused if path.startswith("inputs.")]
    given = {name.partition(".")[2] for name, value in fields.items() if value}
    return [role for role in roles if role in ROLES and ROLES[role][0] not in given]


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return _GAP.sub(lambda gap: variables.get(gap[1], gap[0]), text) if variables else text


def _parameters(fields: Fields) -> dict[str, Json]:
    """The parameters by stage; "" is the stage of a plain generation."""
    found: dict[str, Json] = {}
    for name in fields:
        match = _PARAMETER.fullmatch(name)
        values = [value for value in fields.getlist(name) if value]
        if match is None or not values:
            continue
        stage, kind, parameter = match[1] or "", match[2], match[3]
        found.setdefault(stage, {})[parameter] = _value(kind, values)
    for parameters in found.values():
        if parameters.get("size") == OWN_SIZE:
            del parameters["size"]
        else:
            parameters.pop("width", None)
            parameters.pop("height", None)
    return {stage: parameters for stage, parameters in found.items() if parameters}


def _value(kind: str, values: Sequence[str]) -> object:
    last = values[-1].strip()
    if kind == "files":
        return list(dict.fromkeys(chosen_id(value) for value in values))
    if kind == "file":
        return chosen_id(last)
    if kind == "switch":
        return last == "on"
    try:
        return int(last) if kind == "integer" else float(last) if kind == "number" else last
    except ValueError:
        return last


# ---- from what exists to fields --------------------------------------------------------------------------------------
def fields_of_recipe(recipe: Json) -> Fields:
    """The form's fields that ask for the same as a recipe (of a generation, or of a template)."""
    parameters: Json = recipe.get("parameters") or {}
    messages: list[Json] = parameters.get("messages") or []
    ends_with_user = bool(messages) and messages[-1]["role"] == "user"
    prompt = _words(messages[-1]) if ends_with_user else recipe.get("prompt") or ""
    fields: list[tuple[str, str]] = [("prompt", prompt)]
    if turns := messages[:-1] if ends_with_user else messages:
        fields += [(TURNS, json.dumps(turns, ensure_ascii=False))]
    fields += [("negative_prompt", recipe.get("negative_prompt") or "")]
    if recipe.get("pipeline"):
        fields += [("pipeline", recipe["pipeline"])]
        stages: Mapping[str, Json] = recipe.get("stages") or {}
        for stage, request in stages.items():
            fields += [(f"{stage}/model", request.get("model") or AUTO)]
            fields += _parameter_fields(f"{stage}/", request.get("parameters") or {})
    else:
        fields += [("kind", recipe["kind"]), ("model", recipe.get("model") or AUTO)]
        fields += _parameter_fields("", parameters)
    fields += [("character_id", recipe.get("character_id") or "")]
    fields += [("enhance_prompt", "on")] if recipe.get("enhance_prompt") else []
    return ImmutableMultiDict(fields)


def fields_that_continue(generation: Json) -> Fields:
    """The form's fields that go on with the conversation of a text that was made."""
    request_text = generation["enhanced_prompt"] or generation["prompt"]
    turns: list[Json] = list(generation["parameters"].get("messages") or [{"role": "user", "content": request_text}])
    if text := generation["text"]:
        turns.append({"role": "assistant", "content": text})
    fields = [("kind", "text"), ("model", generation["model"]), (TURNS, json.dumps(turns, ensure_ascii=False))]
    # The same seed would belong to another text.
    parameters = {name: value for name, value in generation["parameters"].items() if name != "seed"}
    if project := generation["project_id"]:
        fields.append(("project_id", project))
    return ImmutableMultiDict([*fields, *_parameter_fields("", parameters)])


def _words(message: Json) -> str:
    """The text of a message, without its images."""
    content = message["content"]
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content).strip()


def fields_of_asset(kind: str, asset: Json) -> list[tuple[str, str]]:
    """The field that starts from a file."""
    role = "audio" if asset["type"] == "audio" else "image"
    return [("kind", kind), (_field_of(role), f"{asset['id']} {asset['name']}")]


def _parameter_fields(prefix: str, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "width" in parameters and "height" in parameters:
        yield f"{prefix}text.size", OWN_SIZE
    for name, value in parameters.items():
        if isinstance(value, bool):
            yield f"{prefix}switch.{name}", "on" if value else "off"
        elif isinstance(value, int):
            yield f"{prefix}integer.{name}", str(value)
        elif isinstance(value, float):
            yield f"{prefix}number.{name}", str(value)
        elif name.endswith("_asset_id"):
            yield f"{prefix}file.{name}", str(value)
        elif name == ROLES["reference"][0]:
            for each in value:
                yield f"{prefix}files.{name}", str(each)
        elif isinstance(value, str):
            yield f"{prefix}text.{name}", value
