"""The catalogue: models, prices, tiers and outcomes, read from `catalogue/*.yaml` and checked as they are read.

Reading YAML costs a cold start 30 ms, so the same data lies beside it as `compiled.json`, with the digest of the YAML
that it was made from (`python -m atelier.pricing.catalogue` makes it). One that does not match is not used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, cast

from pydantic import field_validator

from atelier.errors import Unavailable, ValidationFailed
from atelier.pricing import model as arithmetic
from atelier.pricing.model import Entry, Model, OutcomeRule, Parameters, Price, Settlement, Tier

FOLDER = Path(__file__).parent.parent / "catalogue"
COMPILED = "compiled.json"


class Data(Entry):
    """What the files hold together."""

    models: tuple[Model, ...]
    tiers: dict[str, Tier]
    outcomes: dict[str, OutcomeRule]

    @field_validator("models")
    @classmethod
    def _ids_are_unique(cls, models: tuple[Model, ...]) -> tuple[Model, ...]:
        if len({model.id for model in models}) < len(models):
            raise ValueError("two models have one id")
        return models


@dataclass(frozen=True, slots=True)
class Offer:
    """One model that can do what is asked, and the most it will cost."""

    model: str
    provider: str
    credits_max: int
    cost_microusd: int
    run_seconds_max: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The data, and the providers that are enabled in this deployment. `price_version` names the prices by the day they
    were last looked at and by their digest, for example `2026-11-20-1a2b3c4d`."""

    data: Data
    price_version: str
    enabled: frozenset[str]

    def model(self, model_id: str) -> Model:
        """The model with this id, enabled or not; raises ValidationFailed (`model`) when there is none: what has no
        entry has no price."""
        for model in self.data.models:
            if model.id == model_id:
                return model
        raise ValidationFailed([{"path": "model", "message": "There is no such model."}])

    def tier(self, name: str) -> Tier:
        """The tier with this name; raises KeyError."""
        return self.data.tiers[name]

    def models_for(self, kind: str, today: date) -> tuple[Model, ...]:
        """What can be asked for today, in catalogue order."""
        return tuple(
            model
            for model in self.data.models
            if model.kind == kind
            and model.provider in self.enabled
            and (model.sunset_at is None or today < model.sunset_at)
        )

    def offers(
        self, kind: str, model_id: str, parameters: Parameters, *, today: date, seed: int
    ) -> tuple[dict[str, int], tuple[Offer, ...]]:
        """The complete parameters of a request, and who can serve it in the order to try them; at least one offer.

        `auto` takes every model that accepts the parameters; procedural ones only when there is no other. `seed` is
        used where the caller gave none. Raises ValidationFailed, or Unavailable when no provider of the kind is
        enabled."""
        models = self.models_for(kind, today)
        if model_id != "auto":
            models = tuple(model for model in models if model.id == self.model(model_id).id)
            if not models:
                raise ValidationFailed([{"path": "model", "message": "This model is not offered here."}])
        elif any(not model.procedural for model in models):
            models = tuple(model for model in models if not model.procedural)
        if not models:
            raise Unavailable(f"No provider of the kind {kind} is enabled.")
        completed: dict[str, int] = {}
        offers: list[Offer] = []
        refusals: list[ValidationFailed] = []
        for model in models:
            try:
                # Whoever comes to serve it, the request is one: later models have to take what the first made of it.
                accepted = arithmetic.complete(model, completed or parameters, seed=seed)
            except ValidationFailed as refusal:
                refusals.append(refusal)
                continue
            completed = completed or accepted
            if accepted == completed:
                priced = arithmetic.price(model, completed)
                offers.append(
                    Offer(model.id, model.provider, priced.credits, priced.cost_microusd, model.run_seconds_max)
                )
        if not offers:
            raise refusals[0]
        return completed, tuple(offers)

    def price(self, model_id: str, parameters: Parameters) -> Price:
        """The price of complete parameters with one model."""
        return arithmetic.price(self.model(model_id), parameters)

    def settle(
        self,
        model_id: str,
        parameters: Parameters,
        outcome: str,
        *,
        delivered: int = 0,
        usage: Mapping[str, int] | None = None,
        reported_microusd: int | None = None,
    ) -> Settlement:
        """What an ended attempt costs. outcome: succeeded, cancelled, expired (our deadline), no_result (the provider
        was done and its bytes could not be had), or an error class. Raises KeyError for anything else."""
        return arithmetic.settle(
            self.model(model_id),
            self.data.outcomes[outcome],
            parameters,
            delivered=delivered,
            usage=usage or {},
            reported_microusd=reported_microusd,
        )


@cache
def catalogue(enabled: frozenset[str]) -> Catalogue:
    """This deployment's catalogue; raises pydantic.ValidationError that names the wrong entry."""
    return load(FOLDER, enabled)


def load(folder: Path, enabled: frozenset[str]) -> Catalogue:
    """A catalogue from a folder of YAML files."""
    sources = _sources(folder)
    compiled = _compiled(folder)
    text = json.dumps(compiled["data"] if compiled.get("digest") == _digest(sources) else _parse(sources))
    data = Data.model_validate_json(text)
    newest = max(model.priced_at for model in data.models)
    # Of the data, not of the files: a comment does not change a price.
    return Catalogue(data, f"{newest.isoformat()}-{hashlib.sha256(text.encode()).hexdigest()[:8]}", enabled)


def compile_folder(folder: Path) -> str:
    """The text of `compiled.json`: what the YAML files hold, checked, with their digest."""
    sources = _sources(folder)
    data = _parse(sources)
    Data.model_validate_json(json.dumps(data))
    return json.dumps({"digest": _digest(sources), "data": data}, indent=1) + "\n"


def _sources(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.yaml"))]


def _digest(sources: list[bytes]) -> str:
    return hashlib.sha256(b"\0".join(sources)).hexdigest()


def _compiled(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / COMPILED).read_bytes())
    except FileNotFoundError:
        return {}


def _parse(sources: list[bytes]) -> dict[str, Any]:
    import yaml

    data: dict[str, Any] = {}
    for source in sources:
        part = cast("dict[str, Any]", yaml.load(source, Loader=yaml.CSafeLoader))
        for section, entries in part.items():
            held = data.setdefault(section, type(entries)())
            data[section] = held + entries if isinstance(entries, list) else held | entries
    return json.loads(json.dumps(data, default=str))


if __name__ == "__main__":
    (FOLDER / COMPILED).write_text(compile_folder(FOLDER))
