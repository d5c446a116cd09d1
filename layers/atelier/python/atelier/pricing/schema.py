"""The catalogue's check: what the YAML must be before anything is priced by it.

Read when the catalogue is compiled, and by nobody who finds it compiled: building and running these checks would cost a
cold start tens of milliseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter

from atelier.pricing.model import (
    Fixed,
    ImageCost,
    MegapixelCost,
    Model,
    OutcomeRule,
    PredictionSecondCost,
    Retired,
    SecondCost,
    Tier,
    TokenCost,
)
from atelier.pricing.parameters import Choice, Entry, Number, Switch

ID = re.compile(r"[a-z0-9-]+/[a-z0-9.-]+")


def _checked(model: Model) -> Model:
    """Raises ValueError for what the types alone cannot see."""
    if not ID.fullmatch(model.id) or not model.id.startswith(f"{model.provider}/"):
        raise ValueError("a model's id is provider/name")
    for name, parameter in model.parameters.items():
        if parameter.default is not None and not isinstance(parameter, Switch):
            refusal = parameter.refusal(parameter.default)
            if refusal:
                raise ValueError(f"the default of {name} {refusal}")
        if isinstance(parameter, Number) and parameter.minimum > parameter.maximum:
            raise ValueError(f"{name} has no value that it could take")
    for part in model.cost:
        if isinstance(part, (ImageCost, SecondCost)):
            _check_table(model, part)
    for name in _needed(model):
        if not _is_always_given(model, name):
            raise ValueError(f"the price needs the parameter {name}, with a default")
    for role, each in model.inputs.items():
        if each.minimum > each.maximum:
            raise ValueError(f"the model takes no number of {role}")
    return model


def _needed(model: Model) -> set[str]:
    """The parameters without which a price cannot be told."""
    needed = set[str]()
    unit = model.credits.unit if isinstance(model.credits, Fixed) else None
    sizes = {"size"} if "size" in model.parameters else {"width", "height"}
    for part in model.cost:
        match part:
            case TokenCost(output_per_megapixel=table) if table is not None:
                needed |= {*sizes, "quality"}
                quality = model.parameters.get("quality")
                if not isinstance(quality, Choice) or set(quality.choices) != set(table):
                    raise ValueError("output_per_megapixel does not have every quality, or has another")
            case TokenCost(output_per_thousand_characters=None):
                needed.add("max_tokens")
            case MegapixelCost() | PredictionSecondCost(per="megapixel"):
                needed |= sizes
            case SecondCost():
                needed.add("duration_seconds")
            case _:
                pass
    if unit == "megapixel":
        needed |= sizes
    if unit == "second":
        needed.add("duration_seconds")
    return needed


def _check_table(model: Model, part: ImageCost | SecondCost) -> None:
    if isinstance(part.microusd, int) != (not part.by):
        raise ValueError("a table of prices goes with `by`, and only with it")
    if isinstance(part.microusd, int):
        return
    rules = [model.parameters.get(name) for name in part.by]
    if not all(isinstance(rule, Choice) and rule.default is not None for rule in rules):
        raise ValueError("prices go by choices that have a default")
    wanted = {" ".join(values) for values in product(*(rule.choices for rule in rules if isinstance(rule, Choice)))}
    if wanted != set(part.microusd):
        raise ValueError(f"the table of prices lacks or exceeds {sorted(wanted ^ set(part.microusd))}")


def _is_always_given(model: Model, name: str) -> bool:
    parameter = model.parameters.get(name)
    return parameter is not None and parameter.default is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Entry):
    """What the files hold together."""

    models: tuple[Annotated[Model, AfterValidator(_checked)], ...]
    retired: tuple[Retired, ...]
    tiers: dict[str, Tier]
    outcomes: dict[str, OutcomeRule]


def _whole(document: Document) -> Document:
    """Raises ValueError for what no entry can see by itself."""
    ids = [entry.id for entry in (*document.models, *document.retired)]
    twice = {name for name in ids if ids.count(name) > 1}
    if twice:
        raise ValueError(f"two entries have one id: {sorted(twice)}")
    sold = {model.id for model in document.models}
    looked_at = max(model.priced_at for model in document.models)
    early = [entry.id for entry in document.retired if entry.sunset_at > looked_at]
    if early:
        raise ValueError(f"not retired yet: {early}; give it a whole entry with sunset_at and successor")
    for entry in (*document.models, *document.retired):
        if entry.successor is not None and (entry.successor not in sold or entry.successor == entry.id):
            raise ValueError(f"the successor of {entry.id} is no model here: {entry.successor}")
    return document


def check(text: str) -> None:
    """Raises pydantic.ValidationError that names what is wrong in a document, given as JSON."""
    TypeAdapter(Annotated[Document, AfterValidator(_whole)]).validate_json(text)
