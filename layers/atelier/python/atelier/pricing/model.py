"""The catalogue's entries and their arithmetic, in integers: a bill is added up exactly and rounded up once.

A *megapixel* here is 1024 × 1024 = 1 048 576 pixels, so that the usual square costs exactly its listed price. Credits
for pictures are rounded up for every picture by itself; whatever is not free costs at least one credit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, MinLen

from atelier.errors import ValidationFailed
from atelier.pricing.parameters import Entry, Parameter, Parameters, completed, rule, untaken

MEGAPIXEL = 1024 * 1024
# Every unit's price is a whole number of these parts of a micro-dollar, so that sums stay exact.
PARTS = MEGAPIXEL * 10**6
# A prompt in tokens, from above: no tokenizer needs more than one for three bytes of prose, and a little is around it.
TOKEN_BYTES, TOKENS_AROUND = 3, 64

Count = Annotated[int, Ge(0)]
Positive = Annotated[int, Gt(0)]
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
    "sound",
    "text_to_video",
    "vision",
]
Role = Literal["image", "mask", "audio", "reference"]
Files = Mapping[str, int]
NO_FILES: Files = {}


@dataclass(frozen=True, slots=True)
class Ask:
    """What a price depends on: complete parameters, the prompt, and how many files of each role."""

    parameters: Parameters
    prompt: str = ""
    files: Files = field(default_factory=lambda: NO_FILES)

    @property
    def images(self) -> int:
        """How many pictures are asked for."""
        return self.parameters.get("n", 1)

    @property
    def pixels(self) -> int:
        """The pixels of one picture: `width` × `height`, or `size` as 1024x1024."""
        if "size" in self.parameters:
            width, height = self.parameters["size"].split("x")
            return int(width) * int(height)
        return self.parameters["width"] * self.parameters["height"]

    @property
    def tokens_input(self) -> int:
        """The prompt and all other text in tokens, estimated from above."""
        texts = [self.prompt, *(value for value in self.parameters.values() if isinstance(value, str))]
        return TOKENS_AROUND + -(-sum(len(text.encode()) for text in texts) // TOKEN_BYTES)


# ---- what the provider bills us --------------------------------------------------------------------------------------
# Each unit can say what an ask will come to, and what reported usage did come to; None when the usage does not tell.
# Both in PARTS of a micro-dollar.


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCost(Entry):
    """Micro-USD for a million tokens. What has no price of its own (cached, cache_write, image_input) costs as `input`.

    Output is bounded by the parameter `max_tokens`, or estimated: for a picture's megapixel by the parameter `quality`,
    or for a thousand characters to speak. `tokens_each_file`: an input file in tokens, estimated."""

    unit: Literal["token"] = "token"
    input: Count
    output: Count
    cached: Count | None = None
    cache_write: Count | None = None
    image_input: Count | None = None
    output_per_megapixel: dict[str, Positive] | None = None
    output_per_thousand_characters: Positive | None = None
    tokens_each_file: Positive | None = None

    def estimate(self, ask: Ask) -> int:
        """What the ask will come to, at most as far as that can be known."""
        file_price = self.input if self.image_input is None else self.image_input
        tokens_files = sum(ask.files.values()) * (self.tokens_each_file or 0)
        priced = ask.tokens_input * self._dearest_input + tokens_files * file_price
        return (priced + self._tokens_output(ask) * self.output) * MEGAPIXEL

    def measured(self, usage: Mapping[str, int], ask: Ask) -> int | None:
        """What the usage came to."""
        if "tokens_input" not in usage or "tokens_output" not in usage:
            return None
        rest, priced = usage["tokens_input"], usage["tokens_output"] * self.output
        for name, own in (
            ("tokens_cached", self.cached),
            ("tokens_cache_write", self.cache_write),
            ("tokens_image", self.image_input),
        ):
            if own is not None:
                tokens = min(usage.get(name, 0), rest)
                rest -= tokens
                priced += tokens * own
        return (priced + rest * self.input) * MEGAPIXEL

    @property
    def _dearest_input(self) -> int:
        return max(self.input, self.cache_write or 0)

    def _tokens_output(self, ask: Ask) -> int:
        if self.output_per_megapixel is not None:
            each = self.output_per_megapixel[ask.parameters["quality"]]
            return share(each, ask.pixels, MEGAPIXEL) * ask.images
        if self.output_per_thousand_characters is not None:
            return share(self.output_per_thousand_characters, len(ask.prompt), 1000)
        return ask.parameters["max_tokens"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCost(Entry):
    """Micro-USD for a picture: one price, or a table `by` choices, whose keys are their values with a space between."""

    unit: Literal["image"] = "image"
    microusd: Count | dict[str, Count]
    by: tuple[str, ...] = ()

    def estimate(self, ask: Ask) -> int:
        """What the ask will come to."""
        return looked_up(self.microusd, self.by, ask) * ask.images * PARTS

    def measured(self, usage: Mapping[str, int], ask: Ask) -> int | None:
        """What the usage came to."""
        return looked_up(self.microusd, self.by, ask) * usage["images"] * PARTS if "images" in usage else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MegapixelCost(Entry):
    """Micro-USD for a megapixel of a picture."""

    unit: Literal["megapixel"] = "megapixel"
    microusd: Count

    def estimate(self, ask: Ask) -> int:
        """What the ask will come to."""
        return self.microusd * ask.pixels * ask.images * (PARTS // MEGAPIXEL)

    def measured(self, usage: Mapping[str, int], ask: Ask) -> int | None:
        """What the usage came to."""
        return self.microusd * ask.pixels * usage["images"] * (PARTS // MEGAPIXEL) if "images" in usage else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondCost(Entry):
    """Micro-USD for a second of film or sound, as the parameter `duration_seconds` asks; a table as for pictures."""

    unit: Literal["second"] = "second"
    microusd: Count | dict[str, Count]
    by: tuple[str, ...] = ()

    def estimate(self, ask: Ask) -> int:
        """What the ask will come to."""
        return looked_up(self.microusd, self.by, ask) * ask.parameters["duration_seconds"] * PARTS

    def measured(self, usage: Mapping[str, int], ask: Ask) -> int | None:
        """What the usage came to."""
        milliseconds = usage.get("output_milliseconds")
        if milliseconds is None:
            return None
        return looked_up(self.microusd, self.by, ask) * milliseconds * (PARTS // 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionSecondCost(Entry):
    """Micro-USD for a second of running; `seconds_estimate` is how long a call, a picture or its megapixel takes."""

    unit: Literal["prediction_second"] = "prediction_second"
    microusd: Count
    seconds_estimate: Positive
    per: Literal["call", "image", "megapixel"]

    def estimate(self, ask: Ask) -> int:
        """What the ask will come to."""
        each = self.microusd * self.seconds_estimate * (PARTS // MEGAPIXEL)
        return each * (ask.pixels if self.per == "megapixel" else MEGAPIXEL) * (1 if self.per == "call" else ask.images)

    def measured(self, usage: Mapping[str, int], ask: Ask) -> int | None:
        """What the usage came to."""
        milliseconds = usage.get("predict_milliseconds")
        return None if milliseconds is None else self.microusd * milliseconds * (PARTS // 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterCost(Entry):
    """Micro-USD for a million characters of the prompt."""

    unit: Literal["character"] = "character"
    microusd_per_million: Count

    def estimate(self, ask: Ask) -> int:
        """What the ask will come to."""
        return self.microusd_per_million * len(ask.prompt) * (PARTS // 10**6)

    def measured(self, usage: Mapping[str, int], ask: Ask) -> int | None:
        """What the usage came to."""
        characters = usage.get("characters")
        return None if characters is None else self.microusd_per_million * characters * (PARTS // 10**6)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCost(Entry):
    """Micro-USD for every input file of a role, in addition to another unit."""

    unit: Literal["file"] = "file"
    role: Role
    microusd: Count

    def estimate(self, ask: Ask) -> int:
        """What the ask will come to."""
        return self.microusd * ask.files.get(self.role, 0) * PARTS

    def measured(self, usage: Mapping[str, int], ask: Ask) -> int | None:
        """What the usage came to."""
        return self.estimate(ask)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCost(Entry):
    """Micro-USD for a call, whatever it asks for."""

    unit: Literal["call"] = "call"
    microusd: Count

    def estimate(self, ask: Ask) -> int:
        """What the ask will come to."""
        return self.microusd * PARTS

    def measured(self, usage: Mapping[str, int], ask: Ask) -> int | None:
        """What the usage came to."""
        return self.estimate(ask)


Cost = TokenCost | ImageCost | MegapixelCost | SecondCost | PredictionSecondCost | CharacterCost | FileCost | CallCost
# Known without any report, so they do not make a bill a measured one.
FIXED_COSTS = (FileCost, CallCost)
COSTS: dict[str, type[Cost]] = {
    "token": TokenCost,
    "image": ImageCost,
    "megapixel": MegapixelCost,
    "second": SecondCost,
    "prediction_second": PredictionSecondCost,
    "character": CharacterCost,
    "file": FileCost,
    "call": CallCost,
}


# ---- what the creator pays -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed(Entry):
    """`amount` credits for each picture, megapixel of a picture, second asked for, thousand characters, or call."""

    unit: Literal["image", "megapixel", "second", "thousand_characters", "call"]
    amount: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin(Entry):
    """The provider's bill and so many percent on it, in credits of so many micro-USD."""

    margin_percent: Count
    microusd_per_credit: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Free(Entry):
    """Nothing, and said so: what has no price at all does not load."""

    free: Literal[True]


Credits = Fixed | Margin | Free


# ---- entries ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRule(Entry):
    """How many input files of a role a model takes."""

    minimum: Count
    maximum: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Entry):
    """One model of one provider; `settings` is what only its adapter understands.

    procedural: drawn by an algorithm, not by a trained model; `auto` takes it only where there is nothing else.
    also: other kinds that it makes. inputs: the files it takes, by role.
    charges_on_policy_rejection: whether a refusal for its content is billed; unknown counts as billed.
    output_hosts: where results may be fetched from, each with its subdomains."""

    id: str
    provider: str
    kind: KindName
    title: str
    procedural: bool
    parameters: dict[str, Parameter]
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
    bills_on_failure: bool
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

    def makes(self, kind: str) -> bool:
        """Whether it can be asked for this kind."""
        return kind == self.kind or kind in self.also

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Model:
        """An entry from data that has been checked."""
        sunset = data["sunset_at"]
        made: dict[str, Any] = {
            "parameters": {name: rule(each) for name, each in data["parameters"].items()},
            "credits": credits_rule(data["credits"]),
            "cost": tuple(_cost_rule(each) for each in data["cost"]),
            "priced_at": date.fromisoformat(data["priced_at"]),
            "sunset_at": date.fromisoformat(sunset) if sunset else None,
            "output_hosts": tuple(data["output_hosts"]),
            "also": tuple(data.get("also", ())),
            "capabilities": tuple(data.get("capabilities", ())),
            "inputs": {role: FileRule(**each) for role, each in data.get("inputs", {}).items()},
        }
        return cls(**{**data, **made})


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired(Entry):
    """A model that recipes may still name: it answers with the model to use instead."""

    id: str
    kind: KindName
    sunset_at: date
    successor: str

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Retired:
        """An entry from data that has been checked."""
        made: dict[str, Any] = {**data, "sunset_at": date.fromisoformat(data["sunset_at"])}
        return cls(**made)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier(Entry):
    """What a workspace may do and gets."""

    daily_credits: Count
    watermark: bool
    generations_open_max: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRule(Entry):
    """Who pays what when an attempt ends in one way; catalogue/outcomes.yaml explains the words."""

    credits: Literal["delivered", "usage", "none"]
    cost: Literal["usage", "usage_or_estimate", "none"]
    only_if: Literal["bills_on_cancel", "bills_on_failure", "charges_on_policy_rejection"] | None = None

    def applies(self, model: Model) -> bool:
        """Whether the model's own rules let this one count."""
        return self.only_if is None or getattr(model, self.only_if) not in (False, "no")


# ---- arithmetic ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Price:
    """The most that a request can cost: credits to hold, and the provider's bill as far as it can be foreseen."""

    credits: int
    cost_microusd: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt did cost. `cost_source`: provider (its own figure), usage (measured × price), or estimate."""

    credits: int
    cost_microusd: int
    cost_source: Literal["provider", "usage", "estimate"]


def complete(model: Model, parameters: Parameters, *, seed: int) -> dict[str, Any]:
    """The parameters with the model's defaults filled in, and `seed` where one is to be drawn. Raises ValidationFailed
    with a path for each wrong field."""
    complete, wrong = completed(model.parameters, parameters, seed=seed)
    wrong = [(name, f"{model.id} does not take this") for name in untaken(model.parameters, parameters)] + wrong
    if not wrong and "width" in complete and "height" in complete:
        wrong = _size_refusals(model, complete["width"], complete["height"])
    if wrong:
        raise ValidationFailed([{"path": f"parameters.{name}", "message": message} for name, message in wrong])
    return complete


def check_inputs(model: Model, prompt: str, files: Files) -> None:
    """Raises ValidationFailed when the prompt is too long for the model, or the files are not the ones it takes."""
    wrong = [
        {"path": f"inputs.{role}", "message": f"{model.id} does not take this"}
        for role, number in files.items()
        if number and role not in model.inputs
    ]
    for role, each in model.inputs.items():
        if not each.minimum <= files.get(role, 0) <= each.maximum:
            wanted = str(each.minimum) if each.minimum == each.maximum else f"{each.minimum} to {each.maximum}"
            wrong.append({"path": f"inputs.{role}", "message": f"{model.id} needs {wanted} of these"})
    if len(prompt) > model.prompt_characters_max:
        wrong.append({"path": "prompt", "message": f"must not be longer than {model.prompt_characters_max} characters"})
    if wrong:
        raise ValidationFailed(wrong)


def price(model: Model, ask: Ask) -> Price:
    """The price of an ask with complete parameters."""
    cost = _rounded(sum(part.estimate(ask) for part in model.cost))
    return Price(_credits(model.credits, ask, cost), cost)


def cost_of_usage(model: Model, usage: Mapping[str, int], ask: Ask) -> int | None:
    """The provider's bill in micro-USD from what it reported to have used; None when that does not tell all of it."""
    parts = [part.measured(usage, ask) for part in model.cost]
    counted = any(not isinstance(part, FIXED_COSTS) for part in model.cost)
    known = [part for part in parts if part is not None]
    return _rounded(sum(known)) if counted and len(known) == len(parts) else None


def settle(
    model: Model,
    rule: OutcomeRule,
    ask: Ask,
    *,
    delivered: int,
    usage: Mapping[str, int],
    reported_microusd: int | None,
) -> Settlement:
    """What an attempt at an ask comes to under a rule; never more credits than its price.

    delivered: how many of the asked outputs came; a provider may hold some back."""
    quoted = price(model, ask)
    applies = rule.applies(model)
    cost, source = _cost(model, rule if applies else None, ask, quoted, usage, reported_microusd)
    credits = 0
    if applies and rule.credits == "delivered" and delivered > 0:
        came = min(delivered, ask.images)
        billed = share(cost, came, ask.images)
        credits = _credits(model.credits, _delivered(ask, came, usage), billed)
    elif applies and rule.credits == "usage" and quoted.cost_microusd:
        credits = share(quoted.credits, cost, quoted.cost_microusd)
    return Settlement(min(credits, quoted.credits), cost, source)


def share(amount: int, part: int, whole: int) -> int:
    """amount × part ÷ whole, rounded up: a fraction of a credit, or of a micro-dollar, is a whole one."""
    return -(-amount * part // whole)


def looked_up(microusd: int | Mapping[str, int], by: tuple[str, ...], ask: Ask) -> int:
    """A price, or the one that the ask's choices name in a table."""
    return microusd if isinstance(microusd, int) else microusd[" ".join(ask.parameters[name] for name in by)]


def credits_rule(data: Mapping[str, Any]) -> Credits:
    """A rule for credits from data that has been checked."""
    if "unit" in data:
        return Fixed(**data)
    return Margin(**data) if "margin_percent" in data else Free(**data)


def _cost_rule(data: Mapping[str, Any]) -> Cost:
    return COSTS[data["unit"]](**{**data, "by": tuple(data["by"])} if "by" in data else data)


def _size_refusals(model: Model, width: int, height: int) -> list[tuple[str, str]]:
    if model.pixels_max is not None and width * height > model.pixels_max:
        return [("width", f"width × height must not be more than {model.pixels_max} pixels")]
    if model.ratio_max is not None and max(width, height) > model.ratio_max * min(width, height):
        return [("width", f"no side may be more than {model.ratio_max} times the other")]
    return []


def _credits(rule: Credits, ask: Ask, cost_microusd: int) -> int:
    if isinstance(rule, Free):
        return 0
    if isinstance(rule, Margin):
        return max(share(cost_microusd, 100 + rule.margin_percent, 100 * rule.microusd_per_credit), 1)
    match rule.unit:
        case "image":
            return rule.amount * ask.images
        case "megapixel":
            return share(rule.amount, ask.pixels, MEGAPIXEL) * ask.images
        case "second":
            return rule.amount * ask.parameters["duration_seconds"]
        case "thousand_characters":
            return max(share(rule.amount, len(ask.prompt), 1000), 1)
        case "call":
            return rule.amount


def _delivered(ask: Ask, came: int, usage: Mapping[str, int]) -> Ask:
    """The ask for what came: fewer pictures, a shorter film."""
    parameters = {**ask.parameters, "n": came}
    if "duration_seconds" in parameters and "output_milliseconds" in usage:
        seconds = max(-(-usage["output_milliseconds"] // 1000), 1)
        parameters["duration_seconds"] = min(parameters["duration_seconds"], seconds)
    return Ask(parameters, ask.prompt, ask.files)


def _cost(
    model: Model,
    rule: OutcomeRule | None,
    ask: Ask,
    quoted: Price,
    usage: Mapping[str, int],
    reported_microusd: int | None,
) -> tuple[int, Literal["provider", "usage", "estimate"]]:
    if reported_microusd is not None and reported_microusd >= 0:
        return reported_microusd, "provider"
    if rule is None or rule.cost == "none":
        return 0, "estimate"
    used = None if any(count < 0 for count in usage.values()) else cost_of_usage(model, usage, ask)
    if used is not None:
        return used, "usage"
    return quoted.cost_microusd if rule.cost == "usage_or_estimate" else 0, "estimate"


def _rounded(parts: int) -> int:
    return -(-parts // PARTS)
