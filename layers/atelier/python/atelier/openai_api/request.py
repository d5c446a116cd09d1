"""Map a request in OpenAI's form to a recipe of ours: its parameters, its files and the models that can serve it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, cast

from pydantic import ConfigDict, Field

from atelier.catalogue.model import Model
from atelier.catalogue.parameters import SEED
from atelier.catalogue.sizes import SHAPE_PARAMETERS, SIZE
from atelier.dataclass import dataclass
from atelier.errors import (
    NAME_CHARACTERS_MAX,
    UNKNOWN_FIELD,
    UNKNOWN_FIELD_MESSAGE,
    AtelierError,
    PromptRefused,
    ValidationFailed,
)
from atelier.generations.model import InputAsset, Kind, Recipe
from atelier.lazy_model import LazyModel
from atelier.openai_api.errors import ContentRefused, UnsupportedParameter

# In base64, a file of this size still fits into the largest request body that Lambda takes.
FILE_BYTES_MAX = 4 * 1024 * 1024
FILES_MAX = 16
PROMPT_CHARACTERS_MAX = 8_000

# The nearest length that a model offers may be half to twice the requested one; beyond that the request is refused.
LENGTH_RATIO_MAX = 2
# The number of seeds that every model accepts: 0 to SEED_COUNT - 1.
SEED_COUNT = 2**31

# Ignored where the model does not support them, and named in `atelier-ignored-parameters`. Every other parameter that a
# model does not support is refused.
OPTIONAL_PARAMETERS = frozenset(
    {"temperature", "top_p", "seed", "reasoning_effort", "verbosity", "quality", "instructions"}
)
# Refused where the model does not support them, since they change the result.
MANDATORY_PARAMETERS = frozenset({"stop"})
# The values that are accepted where a model has no such parameter, because it behaves that way anyway.
NEUTRAL_VALUES: Mapping[str, tuple[Any, ...]] = {
    "background": ("auto", "opaque"),
    "format": ("mp3",),
    "n": (1,),
    "output_format": ("png",),
    "speed": (1,),
}

ModelName = Annotated[str, Field(min_length=1, max_length=200)]


# Fields about how a request is to be served. They change nothing about the result, so every route accepts and ignores
# them, and names them in `atelier-ignored-parameters`.
IGNORED_FIELDS = frozenset(
    [
        "user",
        "safety_identifier",
        "metadata",
        "store",
        "service_tier",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "truncation",
        "include",
        "max_tool_calls",
        "stream_options",
        "prediction",
        "presence_penalty",
        "frequency_penalty",
        "top_k",
        "min_p",
        "repetition_penalty",
        "output_compression",
        "partial_images",
        "moderation",
        "style",
        "input_fidelity",
        # Options of other servers with OpenAI's API. Listed, because their names contain a BINDING_WORD.
        "max_retries",
        "safe_prompt",
    ]
)

# Words in the name of an unknown field that show that it is not optional: it may be a bound, an input, the form of the
# response or a limit of its price.
BINDING_WORD = re.compile(
    r"max|maximum|min|minimum|limit|budget|token|tokens|length|stop|n|size|width|height|aspect|ratio|resolution|"
    r"seconds|duration|fps|format|schema|grammar|guided|structured|json|regex|tool|tools|function|functions|"
    r"choice|choices|image|images|picture|pictures|reference|mask|audio|voice|video|file|files|document|documents|"
    r"prompt|prompts|message|messages|input|inputs|text|instruction|instructions|system|search|plugins|cost|price|"
    r"credits|quality|best|echo|suffix|logprobs|predict|background|callback|webhook|url"
)
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# A name that is safe in a response header, and the number of unknown fields that are named there at most.
PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}")
UNKNOWN_FIELDS_MAX = 20
# An unknown name this similar to a known field's counts as its misspelling (the ratio of `difflib`, 0 to 1).
MISSPELLING_SIMILARITY = 0.8


class OpenAIRequest(LazyModel):
    """A request body in OpenAI's form. One rule holds for its fields, on every route of `/v1`:

    - a field that is sent to a model, or changes the form of the response, is a field of the route's class;
    - a field that does not change the result is ignored and named in a response header (`IGNORED_FIELDS`);
    - a field that would change the result and is not supported is refused by name, unless its value has no effect
      (`REFUSED` has these values for each field);
    - an unknown field is ignored too, since clients send fields of other servers, unless it may be a misspelt field or
      a bound (`BINDING_WORD`): to ignore those could cost the caller money, so they are refused."""

    REFUSED: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    # `defer_build`: a cold start then builds the validator of one route only.
    # `allow_inf_nan`: JSON has no Infinity and no NaN, but Python's parsers accept them.
    model_config = ConfigDict(extra="allow", allow_inf_nan=False, defer_build=True)

    # Both are returned in the responses of some routes.
    user: str | None = None
    metadata: dict[str, str] | None = None

    def ignored_fields(self) -> tuple[str, ...]:
        """The names of this request's fields that are ignored. Raises UnsupportedParameter for a field of `REFUSED`,
        and ValidationFailed for an unknown field that may be misspelt or a bound, or for too many unknown fields."""
        extra_fields = {name: value for name, value in (self.model_extra or {}).items() if value is not None}
        for name in extra_fields.keys() & self.REFUSED.keys():
            if extra_fields[name] not in self.REFUSED[name]:
                raise UnsupportedParameter(name)
        unknown = [name for name in extra_fields if name not in IGNORED_FIELDS and name not in self.REFUSED]
        for number, name in enumerate(unknown):
            if number == UNKNOWN_FIELDS_MAX or self._is_binding(name, extra_fields[name]):
                field = {"path": name[:NAME_CHARACTERS_MAX], "message": UNKNOWN_FIELD_MESSAGE}
                raise ValidationFailed([field], types=[UNKNOWN_FIELD])
        echoed = {"user": self.user, "metadata": self.metadata}
        ignored = {
            name for name, value in echoed.items() if value is not None
        } | extra_fields.keys() - self.REFUSED.keys()
        return tuple(sorted(ignored))

    def _is_binding(self, name: str, value: object) -> bool:
        """Whether an unknown field must not be ignored, by its name or the names of the fields inside it."""
        if not PLAIN_NAME.fullmatch(name):
            return True
        names = [name, *(cast("dict[str, object]", value) if isinstance(value, dict) else ())]
        if any(BINDING_WORD.fullmatch(word.lower()) for each in names for word in WORD.findall(each)):
            return True
        fields = [*type(self).model_fields, *self.REFUSED]
        return bool(get_close_matches(name.lower(), fields, n=1, cutoff=MISSPELLING_SIMILARITY))


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of the request: its bytes, or its https URL. `param`: the request's field that has it."""

    param: str
    data: bytes = b""
    url: str | None = None


InputFiles = Mapping[str, tuple[InputFile, ...]]


@dataclass(frozen=True, slots=True)
class MappedRequest:
    """A request in our terms.

    files: by role (`image`, `mask`, `reference`). field_names: OpenAI's field name for each of our parameters, used in
    error messages. ignored: the names of the request's fields that are ignored."""

    kind: Kind
    prompt: str
    model: str = "auto"
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    files: InputFiles = field(default_factory=dict[str, tuple[InputFile, ...]])
    field_names: Mapping[str, str] = field(default_factory=dict[str, str])
    ignored: tuple[str, ...] = ()

    def to_recipe(self, inputs: Mapping[str, tuple[InputAsset, ...]]) -> Recipe:
        """The recipe. inputs: the files, stored as assets of the workspace, by role. A size becomes an approximate one:
        clients always send a size, also one that the model does not have."""
        parameters = dict(self.parameters)
        if "width" in parameters and "height" in parameters:
            parameters[SIZE] = f"{parameters.pop('width')}x{parameters.pop('height')}"
        return Recipe(self.kind, self.prompt, self.model, None, parameters, dict(inputs))

    def translate_error(self, error: ValidationFailed) -> AtelierError:
        """The same refusal with the field names of the caller's request."""
        fields: list[dict[str, str]] = error.facts["fields"]
        if isinstance(error, PromptRefused):
            param = self._field_name(fields[0]["path"].partition("[")[0])
            message = f"This was refused by moderation for {error.words}, in {param}. Nothing was charged."
            return ContentRefused(message, param=param)
        return ValidationFailed(
            [{**each, "path": self._field_name(each["path"])} for each in fields], types=error.types
        )

    def _field_name(self, path: str) -> str:
        name = path.removeprefix("parameters.").removeprefix("inputs.")
        name = name if name != SIZE else "width"
        return self.field_names.get(name, name)


def fit_to_models(mapped: MappedRequest, models: Sequence[Model]) -> tuple[MappedRequest, tuple[str, ...]]:
    """The request adapted to the given models, and the names of all its ignored fields.

    Optional parameters that no model has are left out. `max_tokens` is moved into the range of the models, because it
    is a bound, not an order. A video gets the nearest length that a model offers. Raises ValidationFailed when that
    length is too far from the requested one, and UnsupportedParameter for one that would change the result."""
    known = {name for model in models for name in model.parameters}
    ignored = tuple(sorted((OPTIONAL_PARAMETERS & mapped.parameters.keys()) - known))
    for name in sorted((MANDATORY_PARAMETERS & mapped.parameters.keys()) - known):
        raise UnsupportedParameter(name, f"'{name}' is not supported with this model.")

    supported = {
        name: value
        for name, value in mapped.parameters.items()
        if name in known or not (name in ignored or value in NEUTRAL_VALUES.get(name, ()))
    }

    max_tokens_rules: list[Any] = [
        model.parameters["max_tokens"] for model in models if "max_tokens" in model.parameters
    ]
    if max_tokens_rules and "max_tokens" in supported:
        least, most = (
            min(rule["minimum"] for rule in max_tokens_rules),
            max(rule["maximum"] for rule in max_tokens_rules),
        )
        supported["max_tokens"] = min(max(supported["max_tokens"], least), most)

    seed_rules: list[Any] = [model.parameters["seed"] for model in models if "seed" in model.parameters]
    if seed_rules and "seed" in supported:
        supported["seed"] %= min(rule["maximum"] for rule in seed_rules) + 1

    if mapped.kind is Kind.VIDEO and "duration_seconds" in supported:
        length_rules: list[Any] = [
            model.parameters["duration_seconds"] for model in models if "duration_seconds" in model.parameters
        ]
        if length_rules:
            supported["duration_seconds"] = _nearest_length(supported["duration_seconds"], length_rules)
        else:
            supported.pop("duration_seconds")

    files = dict(mapped.files)
    roles = {role for model in models for role in model.inputs}
    if "image" in files and "image" not in roles and "reference" in roles:
        # These models take images as references only; they cannot edit an image.
        files["reference"] = files.pop("image")

    all_ignored = {*mapped.ignored, *(mapped.field_names.get(name, name) for name in ignored)}
    return replace(mapped, parameters=supported, files=files), tuple(sorted(all_ignored))


def _nearest_length(seconds: int, rules: Sequence[Any]) -> int:
    """The length in seconds, of those in the models' rules, that is nearest to the requested one; of two equally near
    ones the shorter. Raises ValidationFailed when it is too far away (LENGTH_RATIO_MAX)."""
    offered = {
        length for rule in rules for length in range(rule["minimum"], rule["maximum"] + 1, rule.get("multiple_of", 1))
    }
    nearest = min(offered, key=lambda length: (abs(length - seconds), length))
    if max(nearest, seconds) > LENGTH_RATIO_MAX * min(nearest, seconds):
        message = f"is too far from what can be made: {min(offered)} to {max(offered)}"
        raise ValidationFailed([{"path": "duration_seconds", "message": message}])
    return nearest


def compare_with_generation(
    mapped: MappedRequest, parameters: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare the requested size, length and `max_tokens` with those of the generation. parameters: the generation's.

    Returns two lists: a text such as `size=1000x1000 (width=1024 height=1024)` for each changed value, and the names of
    those that the model ignores."""
    changed: list[str] = []
    ignored: list[str] = []
    size = mapped.parameters.get("width"), mapped.parameters.get("height")
    actual_size = {name: parameters[name] for name in SHAPE_PARAMETERS if name in parameters}

    if all(size):
        if not actual_size:
            ignored.append(mapped.field_names.get("width", SIZE))
        elif (actual_size.get("width"), actual_size.get("height")) != size:
            changed.append(
                f"size={size[0]}x{size[1]} ({' '.join(f'{name}={value}' for name, value in actual_size.items())})"
            )

    seconds, name = (
        mapped.parameters.get("duration_seconds"),
        mapped.field_names.get("duration_seconds", "duration_seconds"),
    )
    if seconds is not None:
        actual_seconds = parameters.get("duration_seconds")
        if actual_seconds is None:
            ignored.append(name)
        elif actual_seconds != seconds:
            changed.append(f"{name}={seconds} ({actual_seconds})")

    requested_max_tokens, actual_max_tokens = mapped.parameters.get("max_tokens"), parameters.get("max_tokens")
    if requested_max_tokens is not None and actual_max_tokens not in (None, requested_max_tokens):
        changed.append(
            f"{mapped.field_names.get('max_tokens', 'max_tokens')}={requested_max_tokens} ({actual_max_tokens})"
        )
    return tuple(changed), tuple(ignored)


def set_fields(**parameters: Any) -> dict[str, Any]:
    """The parameters that are not None."""
    return {name: value for name, value in parameters.items() if value is not None}


def valid_seed(number: int | None) -> int | None:
    """The seed for a model. A number outside the range of all models is mapped to one that every model accepts, because
    OpenAI's API takes any number."""
    return number if number is None or SEED[0] <= number <= SEED[1] else number % SEED_COUNT


def parse_size(size: str | None, param: str = "size") -> dict[str, int]:
    """`1024x1536` as width and height in pixels; empty for `auto` or no size, where the model chooses. Raises
    ValidationFailed."""
    if size in (None, "", "auto"):
        return {}
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size or "")
    if found is None:
        raise ValidationFailed([{"path": param, "message": "must be auto, or a size like 1024x1024"}])
    return {"width": int(found[1]), "height": int(found[2])}


def image_from_url(url: str, param: str) -> InputFile:
    """An image given by URL: the decoded bytes of a data URL, or an https URL to be fetched later. Raises
    ValidationFailed."""
    url = url.strip()
    scheme = url[:8].lower()
    if not scheme.startswith("data:"):
        if scheme != "https://":
            raise ValidationFailed([{"path": param, "message": "must be a data: URL or an https one"}])
        return InputFile(param, url=url)
    head, _, body = url.partition(",")
    try:
        # Some programs break base64 into lines.
        data = base64.b64decode("".join(body.split()), validate=True) if head.lower().endswith(";base64") else b""
    except ValueError:
        # Invalid base64, or characters outside ASCII.
        data = b""
    if not data:
        raise ValidationFailed([{"path": param, "message": "must be a data: URL with an image in base64"}])
    return InputFile(param, data)


def check_files(files: Sequence[InputFile]) -> tuple[InputFile, ...]:
    """The files as they are. Raises ValidationFailed for more than FILES_MAX files, for an empty file, and for one
    larger than FILE_BYTES_MAX."""
    if len(files) > FILES_MAX:
        raise ValidationFailed([{"path": files[-1].param, "message": f"must not be more than {FILES_MAX} files"}])
    for file in files:
        if not file.data and file.url is None:
            raise ValidationFailed([{"path": file.param, "message": "must not be empty"}])
        if len(file.data) > FILE_BYTES_MAX:
            message = f"must not be larger than {FILE_BYTES_MAX} bytes"
            raise ValidationFailed([{"path": file.param, "message": message}])
    return tuple(files)
