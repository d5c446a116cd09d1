"""The catalogue's entries and their arithmetic. Strict: a price that is missing, negative or no integer does not load.

A *megapixel* here is 1024 × 1024 = 1 048 576 pixels, so that the usual square costs exactly its listed price; every
picture is rounded up by itself, and costs at least one credit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from atelier.errors import ValidationFailed

MEGAPIXEL = 1024 * 1024

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
Parameters = Mapping[str, Any]


class Entry(BaseModel):
    """Base of everything in the catalogue."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Parameter(Entry):
    """One integer that a model takes; without a default it is chosen when the request is accepted (the seed)."""

    minimum: int
    maximum: int
    multiple_of: Positive = 1
    default: int | None = None

    def refusal(self, value: object) -> str | None:
        """Why the value cannot be taken, or None."""
        if not isinstance(value, int) or isinstance(value, bool):
            return "must be an integer"
        if not self.minimum <= value <= self.maximum:
            return f"must be between {self.minimum} and {self.maximum}"
        if value % self.multiple_of:
            return f"must be a multiple of {self.multiple_of}"
        return None


class CreditPrice(Entry):
    """What the creator pays: `amount` credits for each picture, or for each megapixel of each picture."""

    unit: Literal["image", "megapixel"]
    amount: Positive


class ProviderCost(Entry):
    """What the provider bills us: micro-USD for each picture, for each megapixel, or for each second of running.
    `seconds_estimate` is how long one megapixel takes; seconds need it, the other units must not have it."""

    unit: Literal["image", "megapixel", "second"]
    microusd: Count
    seconds_estimate: Positive | None = None

    @model_validator(mode="after")
    def _estimate_belongs_to_seconds(self) -> ProviderCost:
        if (self.unit == "second") != (self.seconds_estimate is not None):
            raise ValueError("seconds_estimate goes with the unit second, and only with it")
        return self


class Model(Entry):
    """One model of one provider; `settings` is what only its adapter understands.

    procedural: drawn by an algorithm, not by a trained model; `auto` takes it only where there is nothing else.
    output_hosts: where results may be fetched from, each with its subdomains."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9.-]+$")]
    provider: str
    kind: Literal["image"]
    title: str
    procedural: bool
    parameters: dict[str, Parameter]
    credits: CreditPrice
    cost: ProviderCost
    priced_at: date
    sunset_at: date | None
    run_seconds_max: Positive
    result_ttl_seconds: Positive | None
    supports_webhook: bool
    supports_deadline: bool
    list_for_reconcile: bool
    bills_on_cancel: bool
    bills_on_failure: bool
    output_hosts: tuple[str, ...]
    settings: dict[str, Any]

    @model_validator(mode="after")
    def _id_begins_with_the_provider(self) -> Model:
        if not self.id.startswith(f"{self.provider}/"):
            raise ValueError("a model's id is provider/name")
        return self


class Tier(Entry):
    """What a workspace may do and gets."""

    daily_credits: Count
    watermark: bool
    generations_open_max: Positive


class OutcomeRule(Entry):
    """Who pays what when an attempt ends in one way; catalogue/outcomes.yaml explains the words."""

    credits: Literal["delivered", "usage", "none"]
    cost: Literal["usage", "usage_or_estimate", "none"]
    only_if: Literal["bills_on_cancel", "bills_on_failure"] | None = None


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


def complete(model: Model, parameters: Parameters, *, seed: int) -> dict[str, int]:
    """The parameters with the model's defaults filled in, and `seed` where the caller gave none (None counts as not
    given). Raises ValidationFailed with a path for each wrong field."""
    given = {name: value for name, value in parameters.items() if value is not None}
    wrong = [(name, f"{model.id} does not take this") for name in given if name not in model.parameters]
    completed: dict[str, int] = {}
    for name, rule in model.parameters.items():
        value = given.get(name, rule.default)
        if value is None:
            value = rule.minimum + seed % (rule.maximum - rule.minimum + 1)
        refusal = rule.refusal(value)
        if refusal:
            wrong.append((name, refusal))
        completed[name] = value
    if wrong:
        raise ValidationFailed([{"path": f"parameters.{name}", "message": message} for name, message in wrong])
    return completed


def price(model: Model, parameters: Parameters) -> Price:
    """The price of complete parameters."""
    pixels, images = parameters["width"] * parameters["height"], parameters["n"]
    if model.credits.unit == "image":
        credits_each = model.credits.amount
    else:
        credits_each = _share(model.credits.amount, pixels, MEGAPIXEL)
    cost = model.cost
    match cost.unit:
        case "image":
            cost_each = cost.microusd
        case "megapixel":
            cost_each = _share(cost.microusd, pixels, MEGAPIXEL)
        case "second":
            cost_each = _share(cost.microusd * (cost.seconds_estimate or 1), pixels, MEGAPIXEL)
    return Price(credits_each * images, cost_each * images)


def cost_of_usage(model: Model, usage: Mapping[str, int]) -> int | None:
    """The provider's bill in micro-USD from what it reported to have used; None when that does not tell."""
    milliseconds = usage.get("predict_milliseconds")
    if model.cost.unit != "second" or milliseconds is None:
        return None
    return _share(model.cost.microusd, milliseconds, 1000)


def settle(
    model: Model,
    rule: OutcomeRule,
    parameters: Parameters,
    *,
    delivered: int,
    usage: Mapping[str, int],
    reported_microusd: int | None,
) -> Settlement:
    """What an attempt with these complete parameters comes to under a rule; never more credits than its price.

    delivered: how many of the asked pictures came; a provider may hold some back."""
    quoted = price(model, parameters)
    applies = rule.only_if is None or bool(getattr(model, rule.only_if))
    settlement = _cost(model, rule if applies else None, quoted, usage, reported_microusd)
    credits = 0
    if applies and rule.credits == "delivered" and delivered > 0:
        credits = price(model, {**parameters, "n": min(delivered, parameters["n"])}).credits
    elif applies and rule.credits == "usage" and quoted.cost_microusd:
        credits = min(quoted.credits, _share(quoted.credits, settlement.cost_microusd, quoted.cost_microusd))
    return Settlement(credits, settlement.cost_microusd, settlement.cost_source)


def _cost(
    model: Model, rule: OutcomeRule | None, quoted: Price, usage: Mapping[str, int], reported_microusd: int | None
) -> Settlement:
    if reported_microusd is not None:
        return Settlement(0, reported_microusd, "provider")
    if rule is None or rule.cost == "none":
        return Settlement(0, 0, "estimate")
    used = cost_of_usage(model, usage)
    if used is not None:
        return Settlement(0, used, "usage")
    return Settlement(0, quoted.cost_microusd if rule.cost == "usage_or_estimate" else 0, "estimate")


def _share(amount: int, part: int, whole: int) -> int:
    """amount × part ÷ whole, rounded up: a fraction of a credit, or of a micro-dollar, is a whole one."""
    return -(-amount * part // whole)
