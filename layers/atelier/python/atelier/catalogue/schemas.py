"""The catalogue as creators read it (`/api/models`): what a model makes and takes, its price in credits, and until when
it is offered. The provider's bill and the operator's margin on it are not shown separately.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, cast

from pydantic import ConfigDict, Field

from atelier.catalogue.costs import Cost
from atelier.catalogue.model import KindName, MarginCredits, Model
from atelier.lazy_model import LazyModel

# Shown prices are rounded up to this part of a credit: the price of a token is far smaller than that of an image.
CREDIT_PARTS = 10_000
TOKEN_PRICES = ("input", "output", "cached", "cache_write", "image_input")


class PriceView(LazyModel):
    """`credits` (a decimal) for each `unit`; `when` says for which parameters, `role` for which input files."""

    unit: str = Field(examples=["image", "megapixel", "second", "million_tokens_input", "call"])
    credits: str = Field(examples=["4", "2.5"])
    when: dict[str, str] = {}
    role: str | None = None


class ModelView(LazyModel):
    """One model. `is_offered`: you can use it now, with the platform's access or a key of your own."""

    id: str
    provider: str
    title: str
    kinds: list[KindName]
    capabilities: list[str]
    procedural: bool
    prices: list[PriceView] = Field(description="Prices by unit, charged as at least one credit; empty = free.")
    parameters: dict[str, dict[str, Any]] = Field(description="What it may be told, within which limits.")
    inputs: dict[str, dict[str, Any]] = Field(description="The files it takes, by role.")
    prompt_characters_max: int
    run_seconds_max: int
    sunset_at: date | None
    successor: str | None
    is_offered: bool
    tiers: list[str] = Field(description="The tiers on sale that include it.", examples=[["free@1", "pro@1"]])


class RetiredView(LazyModel):
    """A model that is gone, and the model to use in its place."""

    id: str
    kind: KindName
    sunset_at: date
    successor: str


class ModelList(LazyModel):
    """The catalogue."""

    items: list[ModelView]
    retired: list[RetiredView]
    price_version: str
    next_cursor: None = None


class ModelQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    kind: KindName | None = None


def model_view(
    model: Model,
    *,
    kinds: tuple[KindName, ...],
    sunset_at: date | None,
    is_offered: bool,
    tiers: tuple[str, ...] = (),
) -> ModelView:
    """The API's view of a model that makes these kinds. tiers: the ids of those that include it."""
    return ModelView(
        id=model.id,
        provider=model.provider,
        title=model.title,
        kinds=list(kinds),
        capabilities=list(model.capabilities),
        procedural=model.procedural,
        prices=list(price_views(model)),
        parameters={name: dict(rule) for name, rule in model.parameters.items()},
        inputs={role: dict(rule) for role, rule in model.inputs.items()},
        prompt_characters_max=model.prompt_characters_max,
        run_seconds_max=model.run_seconds_max,
        sunset_at=sunset_at,
        successor=model.successor,
        is_offered=is_offered,
        tiers=list(tiers),
    )


def price_views(model: Model) -> Iterator[PriceView]:
    """A model's prices in credits, unit by unit."""
    rule = model.credits
    if "free" in rule:
        return
    if "margin_percent" not in rule:
        yield PriceView(unit=rule["unit"], credits=str(rule["amount"]))
        return
    for cost in model.cost:
        for unit, microusd, when in _unit_prices(cost):
            role = cost["role"] if cost["unit"] == "file" else None
            yield PriceView(unit=unit, credits=_credits(rule, microusd), when=when, role=role)


def _unit_prices(cost: Cost) -> Iterator[tuple[str, int, dict[str, str]]]:
    match cost["unit"]:
        case "token":
            known = cast("Mapping[str, int]", cost)
            yield from ((f"million_tokens_{name}", known[name], {}) for name in TOKEN_PRICES if name in known)
        case "character":
            yield "million_characters", cost["microusd_per_million"], {}
        case "image" | "second":
            table = cost["microusd"]
            if isinstance(table, int):
                yield cost["unit"], table, {}
            else:
                for choices, microusd in table.items():
                    yield cost["unit"], microusd, dict(zip(cost.get("by", ()), choices.split(), strict=True))
        case _:
            yield cost["unit"], cost["microusd"], {}


def _credits(rule: MarginCredits, microusd: int) -> str:
    parts = -(-microusd * (100 + rule["margin_percent"]) * CREDIT_PARTS // (100 * rule["microusd_per_credit"]))
    whole, rest = divmod(parts, CREDIT_PARTS)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".")
