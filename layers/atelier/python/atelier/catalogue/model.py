"""The entries of the catalogue, and what a request costs in credits.

All arithmetic is in integers, and a settlement never charges more credits than were held. Credits are rounded up for
each image separately; a request that is not free costs at least one credit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import date
from typing import Annotated, Any, Literal, NotRequired, TypeVar, final

from annotated_types import MinLen
from typing_extensions import TypedDict

from atelier.catalogue.costs import (
    MEGAPIXEL,
    REPORTED_MAX,
    Cost,
    Count,
    Files,
    Positive,
    Role,
    Usage,
    Workload,
    estimate_cost,
    measure_cost,
    proportion,
)
from atelier.catalogue.parameters import ParameterRule, Parameters, shown_images, unknown_parameters, with_defaults
from atelier.catalogue.sizes import (
    AUTO,
    NO_FACTS,
    SHAPE_PARAMETERS,
    SIZE,
    InputFacts,
    pixels_most,
    takes_ratio_or_resolution,
    takes_size,
    to_model_shape,
)
from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed
from atelier.provider_port import WORK_SECONDS_MAX

KindName = Literal["text", "image", "video", "audio", "avatar", "page", "upscale", "moderation"]
Capability = Literal[
    "characters",
    "edit",
    "image_to_video",
    "instructions",
    "mask",
    "music",
    "negative_prompt",
    "reference_image",
    "seed",
    "site_pages",
    "sound",
    "text_to_video",
    "vision",
]
# The role of a character's images. A model receives them as references, as many as it has room for.
CHARACTER = "character"
# Kinds whose models receive the negative prompt; a model without a field for it receives it as part of the prompt.
NEGATIVE_PROMPT_KINDS = ("image", "video")
# Time allowed to a text model before its first token.
FIRST_TOKEN_SECONDS = 20
CostSource = Literal["provider", "usage", "estimate"]
FileT = TypeVar("FileT")


@final
class FixedCredits(TypedDict):
    """`amount` credits per unit: image, megapixel of an image, requested second, thousand characters, or call."""

    unit: Literal["image", "megapixel", "second", "thousand_characters", "call"]
    amount: Positive


@final
class MarginCredits(TypedDict):
    """The provider's bill plus `margin_percent`, in credits of `microusd_per_credit` micro-USD each."""

    margin_percent: Count
    microusd_per_credit: Positive


@final
class FreeCredits(TypedDict):
    """No price. A free model has to say so, because an entry without `credits` does not load."""

    free: Literal[True]


Credits = FixedCredits | MarginCredits | FreeCredits


@final
class FileRule(TypedDict):
    """How many input files of a role a model takes. `seconds_max`: the longest audio file, in seconds."""

    minimum: Count
    maximum: Positive
    seconds_max: NotRequired[Positive]


@final
class DocumentedRateLimit(TypedDict):
    """A limit documented by a provider: `requests` from one account within `seconds`."""

    requests: Positive
    seconds: Positive


@final
class ProviderFacts(TypedDict):
    """What is known of a provider before its adapter is imported; it stands at the head of the provider's file.

    needs_key: calls need a key, the platform's or one that a workspace adds.
    synchronous: the response to a request is the finished work, so an attempt has to wait for it.
    signature_headers: the headers that the signatures of its webhooks cover, lower-case; empty = it sends none."""

    needs_key: bool
    synchronous: bool
    signature_headers: list[str]


@final
class RetiredModel(TypedDict):
    """A model that is gone but may still be named by recipes: its refusal names the successor to use instead."""

    id: str
    kind: KindName
    sunset_at: date
    successor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of one provider. `settings` is read only by the provider's adapter.

    procedural: draws with an algorithm, not a trained model; `auto` chooses it only when there is no trained model.
    also: other kinds that the model makes. inputs: the files that it takes, by role.
    charges_on_policy_rejection: whether the provider bills a refusal for content; "unknown" counts as billed.
    output_hosts: hosts that results may be downloaded from, each with its subdomains.
    scripts: the scripts that a voice can read, by their names in catalogue/speakable.py; empty = all.
    output_tokens_per_second: the slowest writing speed; a larger `max_tokens` allows a longer run.
    pixels_auto: the most pixels when the shape is taken from the input image and the request names no size."""

    id: str
    provider: str
    kind: KindName
    title: str
    procedural: bool
    parameters: dict[str, ParameterRule]
    credits: Credits
    cost: Annotated[tuple[Cost, ...], MinLen(1)]
    priced_at: date
    sunset_at: date | None
    run_seconds_max: Positive
    result_ttl_seconds: Positive | None
    supports_webhook: bool
    supports_deadline: bool
    supports_idempotency: bool
    list_for_reconcile: bool
    bills_on_cancel: bool
    charges_on_policy_rejection: Literal["yes", "no", "unknown"]
    output_hosts: tuple[str, ...]
    settings: dict[str, Any]
    also: tuple[KindName, ...] = ()
    successor: str | None = None
    capabilities: tuple[Capability, ...] = ()
    inputs: dict[Role, FileRule] = field(default_factory=dict[Role, FileRule])
    prompt_characters_max: Positive = 8000
    pixels_max: Positive | None = None
    ratio_max: Positive | None = None
    scripts: tuple[str, ...] = ()
    pixels_auto: Positive | None = None
    output_tokens_per_second: Positive | None = None

    def run_seconds(self, parameters: Parameters) -> int:
        """The longest run in seconds for complete parameters; a text model may take the time to write all of
        `max_tokens`."""
        longest = parameters.get("max_tokens")
        if self.output_tokens_per_second is None or not isinstance(longest, int):
            return self.run_seconds_max
        writing = FIRST_TOKEN_SECONDS + -(-longest // self.output_tokens_per_second)
        return max(self.run_seconds_max, min(writing, WORK_SECONDS_MAX))

    def makes(self, kind: str) -> bool:
        """Whether the model makes this kind."""
        return kind == self.kind or kind in self.also

    @property
    def prices_prompt(self) -> bool:
        """Whether the price depends on the text of the prompt."""
        if "unit" in self.credits and self.credits["unit"] == "thousand_characters":
            return True
        return any(cost["unit"] in ("token", "character") for cost in self.cost)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Model:
        """Build a Model from compiled data, which was checked when it was compiled."""
        lists = ("cost", "output_hosts", "also", "capabilities", "scripts")
        dates = ("priced_at", "sunset_at")
        made: dict[str, Any] = {name: tuple(data[name]) for name in lists if name in data}
        made |= {name: date.fromisoformat(data[name]) for name in dates if data[name]}
        return cls(**{**data, **made})


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRule:
    """What creator and operator pay for one outcome of an attempt; catalogue/outcomes.yaml explains the values."""

    credits: Literal["delivered", "usage", "none"]
    cost: Literal["usage", "usage_or_estimate", "none"]
    only_if: Literal["bills_on_cancel", "charges_on_policy_rejection"] | None = None

    def applies(self, model: Model) -> bool:
        """Whether the rule counts for the model: always without `only_if`, else unless the model's field says no."""
        return self.only_if is None or getattr(model, self.only_if) not in (False, "no")


@dataclass(frozen=True, slots=True)
class Price:
    """The most that a request can cost: the credits to hold, and the estimated bill of the provider."""

    credits: int
    cost_microusd: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """The cost of an ended attempt. `cost_source`: provider (its own figure), usage (measured × price), or estimate."""

    credits: int
    cost_microusd: int
    cost_source: CostSource


def complete_parameters(
    model: Model, parameters: Parameters, *, seed: int, facts: InputFacts = NO_FACTS, allow_ratio: bool = True
) -> dict[str, Any]:
    """The complete parameters of a request for one model: the shape in the model's own terms, defaults filled in, and
    `seed` where the model draws one. `size`, or width and height that an aspect ratio replaces, stay beside their
    translation. near: whether an aspect ratio may replace width and height. Raises ValidationFailed with a path for
    each wrong field."""
    kept = {SIZE} if takes_size(model) else set[str]()
    if allow_ratio and takes_ratio_or_resolution(model):
        kept |= {"width", "height"}

    complete, reason, errors = _complete_with_shape(model, parameters, seed, facts)
    unknown = [name for name in unknown_parameters(model.parameters, parameters) if name not in kept]
    errors = [(name, f"{model.id} does not take this") for name in unknown] + errors
    if reason and not unknown:
        errors.append((SIZE if parameters.get(SIZE) else "width", reason))
    if not errors and "width" in model.parameters and "width" in complete and "height" in complete:
        errors = _size_errors(model, complete["width"], complete["height"])
    if errors:
        raise ValidationFailed([{"path": f"parameters.{name}", "message": message} for name, message in errors])

    dimensions = {name: parameters[name] for name in kept - {SIZE} if parameters.get(name) is not None}
    return complete | dimensions


def known_parameters(
    model: Model, parameters: Parameters, *, seed: int, facts: InputFacts = NO_FACTS
) -> dict[str, Any]:
    """Those of the complete parameters that the model knows, with its own shape and defaults."""
    return _complete_with_shape(model, parameters, seed, facts)[0]


def _complete_with_shape(
    model: Model, parameters: Parameters, seed: int, facts: InputFacts
) -> tuple[dict[str, Any], str | None, list[tuple[str, str]]]:
    given, reason = (parameters, None) if not takes_size(model) else to_model_shape(model, parameters, facts)
    rules = model.parameters
    if given.get(SIZE) == AUTO:
        # The input image decides the shape, so no default may: the image is not known yet, or the model follows it.
        rules = {
            name: rule
            for name, rule in rules.items()
            if name not in SHAPE_PARAMETERS[:3] or given.get(name) is not None
        }
    complete, wrong = with_defaults(rules, given, seed=seed)
    return complete | ({SIZE: given[SIZE]} if given.get(SIZE) else {}), reason, wrong


def workload_for(
    model: Model, parameters: Parameters, prompt: str, files: Files, facts: InputFacts = NO_FACTS
) -> Workload:
    """The workload that a price depends on. Audio of unknown length counts as the longest that the model takes."""
    audio_milliseconds = 0
    if files.get("audio") and "audio" in model.inputs:
        longest = model.inputs["audio"].get("seconds_max", 0) * 1000
        known = facts.audio_milliseconds
        audio_milliseconds = longest if known is None else min(known, longest)
    negative_prompt = facts.negative_prompt if model.kind in NEGATIVE_PROMPT_KINDS else ""
    return Workload(parameters, prompt, files, audio_milliseconds, pixels_most(model), negative_prompt)


def accepted_files(model: Model, files: Files) -> Files:
    """File counts by role as the model takes them: a character's images count as references, up to the maximum."""
    given, room = files.get("reference", 0), _references_max(model)
    if not files.get(CHARACTER) or given >= room:
        return files
    others = {role: number for role, number in files.items() if role != CHARACTER}
    return {**others, "reference": min(given + files[CHARACTER], room)}


def accepted_inputs(model: Model, inputs: Mapping[str, tuple[FileT, ...]]) -> dict[str, tuple[FileT, ...]]:
    """The files themselves as the model takes them, by role: a character's images come last among the references."""
    others = {role: given for role, given in inputs.items() if role != CHARACTER}
    references = (*inputs.get("reference", ()), *inputs.get(CHARACTER, ()))[: _references_max(model)]
    return {**others, "reference": references} if references else others


def _references_max(model: Model) -> int:
    rule = model.inputs.get("reference")
    return rule["maximum"] if rule else 0


def speaks_prompt(model: Model, kind: str, files: Files) -> bool:
    """Whether the model speaks the prompt. Other models make music from it, or receive the speech as a file."""
    if kind == "audio":
        return "music" not in model.capabilities
    return (
        kind == "avatar" and "audio" in model.inputs and not files.get("audio") and not model.inputs["audio"]["minimum"]
    )


def check_inputs(model: Model, prompt: str, files: Files, facts: InputFacts = NO_FACTS) -> None:
    """Check prompt and input files. Raises ValidationFailed when the prompt or the audio is too long for the model, or
    when the number of files of a role is not one that the model takes."""
    errors = [
        {"path": "character_id" if role == CHARACTER else f"inputs.{role}", "message": f"{model.id} does not take this"}
        for role, number in files.items()
        if number and role not in model.inputs
    ]

    for role, rule in model.inputs.items():
        least, most = rule["minimum"], rule["maximum"]
        if not least <= files.get(role, 0) <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            errors.append({"path": f"inputs.{role}", "message": f"{model.id} needs {expected} of these"})
        longest = rule.get("seconds_max")
        audio_milliseconds = facts.audio_milliseconds if role == "audio" and role not in facts.pending else None
        if longest and audio_milliseconds is not None and audio_milliseconds > longest * 1000:
            errors.append({"path": f"inputs.{role}", "message": f"{model.id} takes no more than {longest} seconds"})

    if "mask" in model.inputs and files.get("mask") and not (files.get("image") or files.get("reference")):
        errors.append({"path": "inputs.mask", "message": "A mask needs the image that it belongs to"})
    if len(prompt) > model.prompt_characters_max:
        message = f"must not be longer than {model.prompt_characters_max} characters for {model.id}"
        errors.append({"path": "prompt", "message": message})
    if errors:
        raise ValidationFailed(errors)


def check_conversation_images(parameters: Parameters, files: Files) -> None:
    """Check the images in a conversation. Raises ValidationFailed when one is not among the input files, or when one is
    shown twice: each file is paid for once."""
    places = shown_images(parameters)
    if len(set(places)) != len(places) or any(place >= files.get("image", 0) for place in places):
        message = "must show each image of the request once"
        raise ValidationFailed([{"path": "parameters.messages", "message": message}])


def price(model: Model, workload: Workload) -> Price:
    """The price of a workload with complete parameters."""
    cost = estimate_cost(model.cost, workload)
    return Price(_credits(model.credits, workload, cost), cost)


def settle(
    model: Model,
    rule: OutcomeRule,
    workload: Workload,
    *,
    delivered: int,
    usage: Usage,
    reported_microusd: int | None,
) -> Settlement:
    """What an attempt costs under the rule of its outcome; never more credits than the price.

    delivered: how many of the requested outputs arrived; a provider may withhold some.
    reported_microusd: the provider's own figure for its bill; None = it reported none."""
    quoted = price(model, workload)
    applies = rule.applies(model)
    cost, source = _cost(model, rule if applies else None, workload, quoted, usage, reported_microusd)

    credits = 0
    if applies and rule.credits == "delivered" and delivered > 0:
        images_delivered = min(delivered, workload.images)
        # A measured bill covers the images that were made, which may be fewer than were requested.
        images_made = (
            min(usage.get("images", workload.images), workload.images) if source == "usage" else workload.images
        )
        credits = _credits(
            model.credits,
            _delivered_workload(workload, images_delivered, usage),
            proportion(cost, images_delivered, max(images_delivered, images_made)),
        )
    elif applies and rule.credits == "usage" and quoted.cost_microusd:
        credits = proportion(quoted.credits, cost, quoted.cost_microusd)
    return Settlement(min(credits, quoted.credits), cost, source)


def _credits(rule: Credits, workload: Workload, cost_microusd: int) -> int:
    if "free" in rule:
        return 0
    if "margin_percent" in rule:
        return max(proportion(cost_microusd, 100 + rule["margin_percent"], 100 * rule["microusd_per_credit"]), 1)
    amount = rule["amount"]
    match rule["unit"]:
        case "image":
            return amount * workload.images
        case "megapixel":
            return proportion(amount, workload.pixels, MEGAPIXEL) * workload.images
        case "second":
            return amount * workload.parameters["duration_seconds"]
        case "thousand_characters":
            return max(proportion(amount, len(workload.prompt), 1000), 1)
        case "call":
            return amount


def _delivered_workload(workload: Workload, images: int, usage: Usage) -> Workload:
    """The workload of what was delivered: fewer images, a shorter video."""
    parameters = {**workload.parameters, "n": images}
    if "duration_seconds" in parameters and "output_milliseconds" in usage:
        seconds = max(-(-usage["output_milliseconds"] // 1000), 1)
        parameters["duration_seconds"] = min(parameters["duration_seconds"], seconds)
    return replace(workload, parameters=parameters)


def _cost(
    model: Model,
    rule: OutcomeRule | None,
    workload: Workload,
    quoted: Price,
    usage: Usage,
    reported_microusd: int | None,
) -> tuple[int, CostSource]:
    if reported_microusd is not None and 0 <= reported_microusd < REPORTED_MAX:
        return reported_microusd, "provider"
    # Reported usage counts whatever the outcome: the provider bills what it has run.
    measured_cost = measure_cost(model.cost, usage, workload)
    if measured_cost is not None:
        return measured_cost, "usage"
    if rule is None or rule.cost == "none":
        return 0, "estimate"
    return quoted.cost_microusd if rule.cost == "usage_or_estimate" else 0, "estimate"


def _size_errors(model: Model, width: int, height: int) -> list[tuple[str, str]]:
    if model.pixels_max is not None and width * height > model.pixels_max:
        return [("width", f"width × height must not be more than {model.pixels_max} pixels")]
    if model.ratio_max is not None and max(width, height) > model.ratio_max * min(width, height):
        return [("width", f"no side may be more than {model.ratio_max} times the other")]
    return []
