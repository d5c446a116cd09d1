"""What a request in OpenAI's words asks for, in ours."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field

from atelier.compatible.errors import ContentRefused, Unsupported
from atelier.errors import AtelierError, PromptRefused, ValidationFailed
from atelier.generations.model import Kind, Recipe, Source
from atelier.pricing.model import Model
from atelier.pricing.parameters import SEED
from atelier.pricing.shapes import SIZE, TERMS

# A base64 file of this size is in a body that Lambda still takes.
FILE_BYTES_MAX = 4 * 1024 * 1024
FILES_MAX = 16
PROMPT_CHARACTERS_MAX = 8_000

# The nearest length that a model makes may be half to twice the requested one; beyond that the request is refused.
SECONDS_OFF_MAX = 2
# The seeds of all models.
SEEDS = 2**31

# Ignored where the model does not support them, and named in `atelier-ignored-parameters`. Every other parameter that a
# model does not support is refused.
WISHES = frozenset({"temperature", "top_p", "seed", "reasoning_effort", "verbosity", "quality", "instructions"})
# Refused where the model does not support them: without them the answer would be another.
ORDERS = frozenset({"stop"})
# The values that are accepted where a model has no such parameter, because it behaves that way anyway.
USUAL: Mapping[str, tuple[Any, ...]] = {
    "background": ("auto", "opaque"),
    "format": ("mp3",),
    "n": (1,),
    "output_format": ("png",),
    "speed": (1,),
}

NAME_CHARACTERS_MAX = 200
UNKNOWN = "Extra inputs are not permitted"
ModelName = Annotated[str, Field(min_length=1, max_length=200)]


# Fields about how a request is to be served. They change nothing about the result, so every route accepts and ignores
# them, and names them in `atelier-ignored-parameters`.
WISHES_OF_CLIENTS = frozenset(
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
        # Of programs that speak to other servers by OpenAI's API; their names look like more.
        "max_retries",
        "safe_prompt",
    ]
)

# Words in an unknown field's name that make it more than a wish: a bound, what is sent, the answer's form, its price.
BINDING_WORD = re.compile(
    r"max|maximum|min|minimum|limit|budget|token|tokens|length|stop|n|size|width|height|aspect|ratio|resolution|"
    r"seconds|duration|fps|format|schema|grammar|guided|structured|json|regex|tool|tools|function|functions|"
    r"choice|choices|image|images|picture|pictures|reference|mask|audio|voice|video|file|files|document|documents|"
    r"prompt|prompts|message|messages|input|inputs|text|instruction|instructions|system|search|plugins|cost|price|"
    r"credits|quality|best|echo|suffix|logprobs|predict|background|callback|webhook|url"
)
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# A name that can stand in an answer's header, and how many unknown ones do.
PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}")
UNKNOWN_MAX = 20
# How alike a misspelt name is to the one that was meant.
MISSPELT = 0.8


class Given(BaseModel):
    """A request body in OpenAI's form. One rule holds for its fields, on every route of `/v1`:

    - what a model is sent, or what changes the answer's form, is a field of the route's class;
    - what changes nothing about the result is ignored and named in the answer's header (`WISHES_OF_CLIENTS`);
    - what would change the result and is not supported is refused by name, unless its value asks for nothing
      (`REFUSED`);
    - an unknown field is ignored too, since clients send what only other servers know, unless it may be a misspelt
      field or a bound (`BINDING_WORD`): to ignore those could cost the caller money, so they are refused."""

    REFUSED: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    # A cold start builds the one model that its first request needs.
    # JSON knows no infinity and no NaN; its readers do.
    model_config = ConfigDict(extra="allow", allow_inf_nan=False, defer_build=True)

    # Returned in answers.
    user: str | None = None
    metadata: dict[str, str] | None = None

    def wishes(self) -> tuple[str, ...]:
        """The wishes that nobody is told. Raises Unsupported, and ValidationFailed for unknown fields."""
        others = {name: value for name, value in (self.model_extra or {}).items() if value is not None}
        for name in others.keys() & self.REFUSED.keys():
            if others[name] not in self.REFUSED[name]:
                raise Unsupported(name)
        unknown = [name for name in others if name not in WISHES_OF_CLIENTS and name not in self.REFUSED]
        for number, name in enumerate(unknown):
            if number == UNKNOWN_MAX or self._binds(name, others[name]):
                raise ValidationFailed([{"path": name[:NAME_CHARACTERS_MAX], "message": UNKNOWN}])
        told_of = {"user": self.user, "metadata": self.metadata}
        named = {name for name, value in told_of.items() if value is not None} | others.keys() - self.REFUSED.keys()
        return tuple(sorted(named))

    def _binds(self, name: str, value: object) -> bool:
        """Whether an unknown field may be more than a wish, by its name or those inside it."""
        if not PLAIN_NAME.fullmatch(name):
            return True
        names = [name, *(cast("dict[str, object]", value) if isinstance(value, dict) else ())]
        if any(BINDING_WORD.fullmatch(word.lower()) for each in names for word in WORD.findall(each)):
            return True
        fields = [*type(self).model_fields, *self.REFUSED]
        return bool(get_close_matches(name.lower(), fields, n=1, cutoff=MISSPELT))


@dataclass(frozen=True, slots=True)
class File:
    """A file that came with the request, or the https URL where it is; `param` is what the request calls it."""

    param: str
    data: bytes = b""
    url: str | None = None


Files = Mapping[str, tuple[File, ...]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request in our terms, with its files by role. `names`: what the caller calls the paths of a refusal. `ignored`:
    the wishes in it that nobody is told."""

    kind: Kind
    prompt: str
    model: str = "auto"
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    files: Files = field(default_factory=dict[str, tuple[File, ...]])
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    ignored: tuple[str, ...] = ()

    def recipe(self, inputs: Mapping[str, tuple[Source, ...]]) -> Recipe:
        """With the files kept as the workspace's assets. A size is one to come near to: clients always send one."""
        parameters = dict(self.parameters)
        if "width" in parameters and "height" in parameters:
            parameters[SIZE] = f"{parameters.pop('width')}x{parameters.pop('height')}"
        return Recipe(self.kind, self.prompt, self.model, None, parameters, dict(inputs))

    def refused(self, refusal: ValidationFailed) -> AtelierError:
        """A refusal of ours in the caller's words."""
        fields: list[dict[str, str]] = refusal.facts["fields"]
        if isinstance(refusal, PromptRefused):
            param = self._called(fields[0]["path"].partition("[")[0])
            message = f"This was refused by moderation for {refusal.words}, in {param}. Nothing was charged."
            return ContentRefused(message, param=param)
        return ValidationFailed([{**each, "path": self._called(each["path"])} for each in fields])

    def _called(self, path: str) -> str:
        plain = path.removeprefix("parameters.").removeprefix("inputs.")
        plain = plain if plain != SIZE else "width"
        return self.names.get(plain, plain)


def fitted(asked: Asked, models: Sequence[Model]) -> tuple[Asked, tuple[str, ...]]:
    """The request as these models can take it, and which of its wishes none of them knows. A length is brought within
    what they write: the longest that was asked for is a bound, not an order. Raises ValidationFailed for a film that is
    much shorter or longer than any that they make, and Unsupported."""
    known = {name for model in models for name in model.parameters}
    ignored = tuple(sorted((WISHES & asked.parameters.keys()) - known))
    for name in sorted((ORDERS & asked.parameters.keys()) - known):
        raise Unsupported(name, f"'{name}' is not supported with this model.")
    left = {
        name: value
        for name, value in asked.parameters.items()
        if name in known or not (name in ignored or value in USUAL.get(name, ()))
    }
    rules: list[Any] = [model.parameters["max_tokens"] for model in models if "max_tokens" in model.parameters]
    if rules and "max_tokens" in left:
        least, most = min(rule["minimum"] for rule in rules), max(rule["maximum"] for rule in rules)
        left["max_tokens"] = min(max(left["max_tokens"], least), most)
    seeds: list[Any] = [model.parameters["seed"] for model in models if "seed" in model.parameters]
    if seeds and "seed" in left:
        left["seed"] %= min(rule["maximum"] for rule in seeds) + 1
    if asked.kind is Kind.VIDEO and "duration_seconds" in left:
        lengths: list[Any] = [
            model.parameters["duration_seconds"] for model in models if "duration_seconds" in model.parameters
        ]
        if lengths:
            left["duration_seconds"] = _nearest(left["duration_seconds"], lengths)
        else:
            left.pop("duration_seconds")
    files = dict(asked.files)
    roles = {role for model in models for role in model.inputs}
    if "image" in files and "image" not in roles and "reference" in roles:
        # Pictures to look alike, for models that change none.
        files["reference"] = files.pop("image")
    told_of = {*asked.ignored, *(asked.names.get(name, name) for name in ignored)}
    return replace(asked, parameters=left, files=files), tuple(sorted(told_of))


def _nearest(seconds: int, rules: Sequence[Any]) -> int:
    """The length nearest to the one asked for that one of some models makes; of two as near the shorter."""
    made = {
        length for rule in rules for length in range(rule["minimum"], rule["maximum"] + 1, rule.get("multiple_of", 1))
    }
    nearest = min(made, key=lambda length: (abs(length - seconds), length))
    if max(nearest, seconds) > SECONDS_OFF_MAX * min(nearest, seconds):
        message = f"is too far from what can be made: {min(made)} to {max(made)}"
        raise ValidationFailed([{"path": "duration_seconds", "message": message}])
    return nearest


def adjusted(asked: Asked, parameters: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was taken of a size, a length and a bound in place of those that were asked for, and which of them mean
    nothing to the model; parameters: the generation's."""
    near: list[str] = []
    ignored: list[str] = []
    size = asked.parameters.get("width"), asked.parameters.get("height")
    terms = {name: parameters[name] for name in TERMS if name in parameters}
    if all(size):
        if not terms:
            ignored.append(asked.names.get("width", SIZE))
        elif (terms.get("width"), terms.get("height")) != size:
            near.append(f"size={size[0]}x{size[1]} ({' '.join(f'{name}={value}' for name, value in terms.items())})")
    seconds, name = asked.parameters.get("duration_seconds"), asked.names.get("duration_seconds", "duration_seconds")
    if seconds is not None:
        made = parameters.get("duration_seconds")
        if made is None:
            ignored.append(name)
        elif made != seconds:
            near.append(f"{name}={seconds} ({made})")
    longest, bound = asked.parameters.get("max_tokens"), parameters.get("max_tokens")
    if longest is not None and bound not in (None, longest):
        near.append(f"{asked.names.get('max_tokens', 'max_tokens')}={longest} ({bound})")
    return tuple(near), tuple(ignored)


def told(**parameters: Any) -> dict[str, Any]:
    """The parameters that were given."""
    return {name: value for name, value in parameters.items() if value is not None}


def seed(number: int | None) -> int | None:
    """Any number as a seed that a model may take; what none takes as one that all do."""
    return number if number is None or SEED[0] <= number <= SEED[1] else number % SEEDS


def measures(size: str | None, param: str = "size") -> dict[str, int]:
    """`1024x1536` as width and height; nothing where the model may choose."""
    if size in (None, "", "auto"):
        return {}
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size or "")
    if found is None:
        raise ValidationFailed([{"path": param, "message": "must be auto, or a size like 1024x1024"}])
    return {"width": int(found[1]), "height": int(found[2])}


def pictured(url: str, param: str) -> File:
    """A picture that is given by its URL: the bytes of a data URL, or where it is."""
    url = url.strip()
    scheme = url[:8].lower()
    if not scheme.startswith("data:"):
        if scheme != "https://":
            raise ValidationFailed([{"path": param, "message": "must be a data: URL or an https one"}])
        return File(param, url=url)
    head, _, body = url.partition(",")
    try:
        # Some programs break base64 into lines.
        data = base64.b64decode("".join(body.split()), validate=True) if head.lower().endswith(";base64") else b""
    except ValueError:
        # No base64, or not even ASCII.
        data = b""
    if not data:
        raise ValidationFailed([{"path": param, "message": "must be a data: URL with a picture in base64"}])
    return File(param, data)


def bounded(files: Sequence[File]) -> tuple[File, ...]:
    """The files, refused where there are too many or one is too large."""
    if len(files) > FILES_MAX:
        raise ValidationFailed([{"path": files[-1].param, "message": f"must not be more than {FILES_MAX} files"}])
    for file in files:
        if not file.data and file.url is None:
            raise ValidationFailed([{"path": file.param, "message": "must not be empty"}])
        if len(file.data) > FILE_BYTES_MAX:
            message = f"must not be larger than {FILE_BYTES_MAX} bytes"
            raise ValidationFailed([{"path": file.param, "message": message}])
    return tuple(files)
