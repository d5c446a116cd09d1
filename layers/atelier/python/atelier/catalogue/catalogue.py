"""The catalogue: models, prices, tiers, packs and outcomes, in `catalogue/*.yaml` and checked by `yaml_schema.py`.

Reading and checking YAML takes too long for a cold start, so the same data is kept beside it in `compiled.json`,
with the digest of the YAML files that it was made from (`python -m atelier.catalogue.catalogue` makes it). When the
digest does not match, the YAML is compiled again in memory. A Model is built from its entry at first use.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import field, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, cast

from atelier.catalogue import model as arithmetic
from atelier.catalogue import speakable
from atelier.catalogue.candidates import format_candidate
from atelier.catalogue.costs import NO_FILES, Files, Usage
from atelier.catalogue.model import DocumentedRateLimit, Model, OutcomeRule, Price, ProviderFacts, Settlement
from atelier.catalogue.parameters import Parameters
from atelier.catalogue.price_list import LivePriceList, PriceList, PublishedVersion
from atelier.catalogue.sizes import NO_FACTS, SHAPE_PARAMETERS, SIZE, InputFacts
from atelier.catalogue.tiers import CUSTOM, CUSTOM_PREFIX, FREE, Pack, Tier
from atelier.clock import Clock
from atelier.dataclass import dataclass
from atelier.errors import Unavailable, ValidationFailed

FOLDER = Path(__file__).parent.parent / "catalogue"
COMPILED = "compiled.json"


class CatalogueData:
    """The checked content of all files together, and the price list, in which versions may be published while the
    process runs. Each Model is built at first use."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._entries: dict[str, dict[str, Any]] = {entry["id"]: entry for entry in document["models"]}
        self._models: dict[str, Model] = {}
        self.retired: dict[str, dict[str, str]] = {entry["id"]: entry for entry in document["retired"]}
        tiers, packs = map(Tier.from_data, document["tiers"]), (Pack(**each) for each in document["packs"])
        self._prices = PriceList.of(tiers, packs)
        self._live: LivePriceList | None = None
        self.outcomes = {name: OutcomeRule(**each) for name, each in document["outcomes"].items()}
        self.providers: dict[str, ProviderFacts] = document.get("providers", {})
        self.limits: dict[str, DocumentedRateLimit] = document.get("limits", {})

    @property
    def prices(self) -> PriceList:
        """The price list as it is now."""
        return self._prices if self._live is None else self._live.now()

    def with_live_prices(self, read: Callable[[bool], Sequence[PublishedVersion]], clock: Clock) -> CatalogueData:
        """The same data with the price list that `read` completes, see LivePriceList."""
        data = copy(self)
        data._live = LivePriceList(self._prices, read, clock)
        return data

    def with_prices(self, prices: PriceList) -> CatalogueData:
        """The same data with another price list, which stays as it is."""
        data = copy(self)
        data._prices, data._live = prices, None
        return data

    def read_prices(self) -> PriceList:
        """The price list as it is stored now."""
        return self._prices if self._live is None else self._live.read_again()

    def tier(self, tier_id: str) -> Tier:
        """The version of a tier; raises KeyError. One that was published a moment ago is read at once."""
        return self.prices.tiers.get(tier_id) or self.read_prices().tiers[tier_id]

    def pack(self, pack_id: str) -> Pack:
        """The version of a pack, as `tier`."""
        return self.prices.packs.get(pack_id) or self.read_prices().packs[pack_id]

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model, in the order of the files."""
        return tuple(self._model(name) for name in self._entries)

    def model(self, model_id: str) -> Model | None:
        """The model with this id, or None."""
        if model_id in self._entries:
            return self._model(model_id)
        if model_id.startswith(CUSTOM_PREFIX) and CUSTOM in self._entries:
            own = self._model(CUSTOM)
            upstream = model_id.removeprefix(CUSTOM_PREFIX)
            return replace(own, id=model_id, title=upstream, settings={**own.settings, "model": upstream})
        return None

    def models_making(self, kind: str, providers: frozenset[str]) -> tuple[Model, ...]:
        """The models of these providers that make a kind, in the order of the files; never a custom model."""
        return tuple(
            self._model(name)
            for name, entry in self._entries.items()
            if entry["provider"] in providers
            and name != CUSTOM
            and (entry["kind"] == kind or kind in entry.get("also", ()))
        )

    def _model(self, name: str) -> Model:
        if name not in self._models:
            self._models[name] = Model.from_data(self._entries[name])
        return self._models[name]


@dataclass(frozen=True, slots=True)
class Offer:
    """One model that can serve a request, and the most that it will cost. `key`: the id of the workspace's own provider
    key to use; None = the platform's. `answers_at_once`: the response to the request is the finished work."""

    model: str
    provider: str
    credits_max: int
    cost_microusd: int
    run_seconds_max: int
    key: str | None = None
    answers_at_once: bool = False

    @property
    def candidate(self) -> str:
        """The text that names this offer in a generation: the model, and the key (`openai/…@key_…`)."""
        return format_candidate(self.model, self.key)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The data, and the providers that are enabled in this deployment. `price_version` names the prices by the
    newest `priced_at` and their digest, for example `2026-11-20-1a2b3c4d`. `sunsets`: shutdown dates by model id that
    providers have published since; they override the catalogue's own."""

    data: CatalogueData
    price_version: str
    enabled: frozenset[str]
    sunsets: Mapping[str, date] = field(default_factory=dict[str, date])

    def with_sunsets(self, sunsets: Mapping[str, date]) -> Catalogue:
        """This catalogue with the shutdown dates that providers have published."""
        return replace(self, sunsets=sunsets)

    def with_live_prices(self, read: Callable[[bool], Sequence[PublishedVersion]], clock: Clock) -> Catalogue:
        """This catalogue with a price list that grows while the process runs, see LivePriceList."""
        return replace(self, data=self.data.with_live_prices(read, clock))

    def model(self, model_id: str) -> Model:
        """The model with this id, whether or not it is enabled or shut down. Raises ValidationFailed (`model`) when the
        id has no entry: a model without an entry has no price."""
        model = self.data.model(model_id)
        if model is not None:
            return model
        past = self.data.retired.get(model_id)
        raise (
            _unknown_model_error() if past is None else _shut_down_error(model_id, past["sunset_at"], past["successor"])
        )

    def tier(self, tier_id: str) -> Tier:
        """The tier with this id (`pro@2`), or the newest version of this name (`pro`); raises KeyError."""
        return self.data.tier(tier_id) if "@" in tier_id else self.data.prices.newest_tiers[tier_id]

    def tiers_on_sale(self) -> tuple[str, ...]:
        """The ids of the newest versions in rank order: the free tier, and those that have a price."""
        return tuple(tier.id for tier in self.data.prices.newest_tiers.values() if tier.name == FREE or tier.prices)

    def tiers_with(self, suffices: Callable[[Tier], bool]) -> tuple[str, ...]:
        """The ids of the tiers on sale that suffice, in rank order."""
        return tuple(tier_id for tier_id in self.tiers_on_sale() if suffices(self.tier(tier_id)))

    def rank(self, tier_id: str) -> int:
        """The place of a tier in the order of the price list; the free one's is 0. Raises KeyError."""
        return tuple(self.data.prices.newest_tiers).index(self.tier(tier_id).name)

    def pack(self, pack_id: str) -> Pack:
        """The pack with this id (`small@1`), or the newest version of this name (`small`); raises KeyError."""
        return self.data.pack(pack_id) if "@" in pack_id else self.data.prices.newest_packs[pack_id]

    def packs_on_sale(self) -> tuple[str, ...]:
        """The ids of the packs that are sold, in the order of the price list."""
        return tuple(pack.id for pack in self.data.prices.newest_packs.values())

    def sunset_at(self, model: Model) -> date | None:
        """The first day on which a model is no longer offered, or None."""
        return self.sunsets.get(model.id, model.sunset_at)

    def models_for(self, kind: str, today: date) -> tuple[Model, ...]:
        """The models that can be requested for a kind today, in catalogue order."""
        return tuple(model for model in self.data.models_making(kind, self.enabled) if self._is_offered(model, today))

    def auto_models(self, kind: str, today: date) -> tuple[Model, ...]:
        """The models that `auto` chooses from: trained ones, and procedural ones only when there is no trained one."""
        models = self.models_for(kind, today)
        trained = tuple(model for model in models if not model.procedural)
        return trained or models

    def offers(
        self,
        kind: str,
        model_id: str,
        parameters: Parameters,
        *,
        today: date,
        seed: int,
        prompt: str = "",
        files: Files = NO_FILES,
        facts: InputFacts = NO_FACTS,
    ) -> tuple[dict[str, Any], tuple[Offer, ...]]:
        """The complete parameters of a request, and the offers of models that can serve it in catalogue order; at least
        one offer.

        `auto` offers every model that accepts prompt, files and parameters; procedural ones only when there is no
        other. The complete parameters are those of the first model. A later model uses those of them that it knows
        (`parameters_for`), and must know every parameter that the caller gave. When no model takes width and height as
        they are, models that translate them into an aspect ratio are offered. `seed`: the random number for parameters
        that are drawn. Raises ValidationFailed, or Unavailable when no provider of the kind is enabled."""
        models = _able_to_speak(kind, prompt, files, self._requested_models(kind, model_id, today))
        given = {name: value for name, value in parameters.items() if value is not None}
        refusals: list[ValidationFailed] = []

        for allow_ratio in (False, True):
            first: dict[str, Any] | None = None
            offers: list[Offer] = []
            for model in models:
                try:
                    taken_files = arithmetic.accepted_files(model, files)
                    arithmetic.check_inputs(model, prompt, taken_files, facts)
                    shared_parameters = _shared_parameters(first or {}, model)
                    complete_parameters = arithmetic.complete_parameters(
                        model, {**shared_parameters, **given}, seed=seed, facts=facts, allow_ratio=allow_ratio
                    )
                    arithmetic.check_conversation_images(complete_parameters, taken_files)
                except ValidationFailed as refusal:
                    refusals.append(refusal)
                    continue
                first = complete_parameters if first is None else first
                priced = arithmetic.price(
                    model, arithmetic.workload_for(model, complete_parameters, prompt, taken_files, facts)
                )
                offers.append(
                    Offer(
                        model.id,
                        model.provider,
                        priced.credits,
                        priced.cost_microusd,
                        model.run_seconds(complete_parameters),
                        answers_at_once=self.data.providers[model.provider]["synchronous"],
                    )
                )
            if first is not None:
                return first, tuple(offers)

        # The first refusal of the second round: it holds even where an aspect ratio may replace width and height.
        raise refusals[len(refusals) // 2]

    def parameters_for(
        self, model_id: str, parameters: Parameters, *, seed: int = 0, facts: InputFacts = NO_FACTS
    ) -> dict[str, Any]:
        """Those of a request's complete parameters that this candidate knows, with its own shape, and its own defaults
        for parameters that the first candidate does not have."""
        return arithmetic.known_parameters(self.model(model_id), parameters, seed=seed, facts=facts)

    def price(
        self,
        model_id: str,
        parameters: Parameters,
        *,
        prompt: str = "",
        files: Files = NO_FILES,
        facts: InputFacts = NO_FACTS,
    ) -> Price:
        """The price of a request with one model; `parameters` are complete."""
        model = self.model(model_id)
        files, known = arithmetic.accepted_files(model, files), self.parameters_for(model_id, parameters, facts=facts)
        return arithmetic.price(model, arithmetic.workload_for(model, known, prompt, files, facts))

    def settle(
        self,
        model_id: str,
        parameters: Parameters,
        outcome: str,
        *,
        prompt: str = "",
        files: Files = NO_FILES,
        facts: InputFacts = NO_FACTS,
        delivered: int = 0,
        usage: Usage | None = None,
        reported_microusd: int | None = None,
    ) -> Settlement:
        """What an ended attempt costs. outcome: succeeded, cancelled, expired (our deadline), no_result (the provider
        was done, but its result could not be fetched), or an error class. Raises KeyError for anything else."""
        model = self.model(model_id)
        files, known = arithmetic.accepted_files(model, files), self.parameters_for(model_id, parameters, facts=facts)
        return arithmetic.settle(
            model,
            self.data.outcomes[outcome],
            arithmetic.workload_for(model, known, prompt, files, facts),
            delivered=delivered,
            usage=usage or {},
            reported_microusd=reported_microusd,
        )

    def _requested_models(self, kind: str, model_id: str, today: date) -> tuple[Model, ...]:
        if model_id == "auto":
            models = self.auto_models(kind, today)
            if not models:
                raise Unavailable(f"No provider of the kind {kind} is enabled.")
            return models
        if not self.enabled:
            raise Unavailable("No provider is enabled.")
        model = self.model(model_id)
        if not self._is_offered(model, today):
            raise _shut_down_error(model.id, self.sunset_at(model), model.successor)
        if not model.makes(kind):
            raise _model_error(f"This model does not make the kind {kind}.")
        if model.provider not in self.enabled or model_id == CUSTOM:
            raise _model_error("This model is not offered here.")
        return (model,)

    def _is_offered(self, model: Model, today: date) -> bool:
        sunset_at = self.sunset_at(model)
        return sunset_at is None or today < sunset_at


@cache
def catalogue(enabled: frozenset[str]) -> Catalogue:
    """This deployment's catalogue; raises pydantic.ValidationError that names the wrong entry."""
    return load(FOLDER, enabled)


def providers_with_keys() -> tuple[str, ...]:
    """The ids of the providers that a workspace can add keys for, sorted."""
    facts = catalogue(frozenset[str]()).data.providers
    return tuple(sorted(provider for provider, each in facts.items() if each["needs_key"]))


def load(folder: Path, enabled: frozenset[str]) -> Catalogue:
    """A catalogue from a folder of YAML files."""
    sources = _read_sources(folder)
    compiled = _read_compiled(folder)
    if compiled.get("digest") != _digest(sources):
        compiled = _compile(sources)
    return Catalogue(CatalogueData(compiled["data"]), compiled["price_version"], enabled)


def document(folder: Path = FOLDER) -> dict[str, Any]:
    """What the files hold, checked, as JSON."""
    sources, compiled = _read_sources(folder), _read_compiled(folder)
    found = compiled if compiled.get("digest") == _digest(sources) else _compile(sources)
    data: dict[str, Any] = found["data"]
    return data


def compile_folder(folder: Path) -> str:
    """The text of `compiled.json`: what the YAML files hold, checked, with their digest. One entry on a line."""
    compiled = _compile(_read_sources(folder))
    lines = [f'{{"digest": "{compiled["digest"]}", "price_version": "{compiled["price_version"]}", "data": {{']
    for section, entries in compiled["data"].items():
        opened, closed = ("[", "]") if isinstance(entries, list) else ("{", "}")
        rows = _rows(cast("list[Any] | dict[str, Any]", entries))
        lines += [f'"{section}": {opened}', ",\n".join(rows), f"{closed},"]
    lines[-1] = lines[-1].rstrip(",")
    return "\n".join([*lines, "}}"]) + "\n"


def _rows(entries: list[Any] | dict[str, Any]) -> list[str]:
    if isinstance(entries, list):
        return [json.dumps(entry) for entry in entries]
    return [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items()]


def _compile(sources: list[bytes]) -> dict[str, Any]:
    from atelier.catalogue.yaml_schema import check

    data = _parse(sources)
    text = json.dumps(data)
    check(text)
    newest = max(entry["priced_at"] for entry in data["models"])
    # The version is a digest of the data without the facts about providers, not of the files: neither a comment nor
    # such a fact changes a price.
    priced = json.dumps({section: entries for section, entries in data.items() if section != "providers"})
    version = f"{newest}-{hashlib.sha256(priced.encode()).hexdigest()[:8]}"
    return {"digest": _digest(sources), "price_version": version, "data": data}


def _read_sources(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.yaml"))]


def _digest(sources: list[bytes]) -> str:
    return hashlib.sha256(b"\0".join(sources)).hexdigest()


def _read_compiled(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / COMPILED).read_bytes())
    except FileNotFoundError:
        return {}


def _parse(sources: list[bytes]) -> dict[str, Any]:
    """Merge the sections of all files. A file's `defaults` are filled into each of its models."""
    import yaml

    data: dict[str, Any] = {"models": [], "retired": [], "tiers": [], "packs": []}
    for source in sources:
        part = cast("dict[str, Any]", yaml.load(source, Loader=yaml.CSafeLoader))
        defaults = part.pop("defaults", {})
        part["models"] = [{**defaults, **entry} for entry in part.get("models", [])]
        for section in ("tiers", "packs"):
            part[section] = _versions(part.get(section, {}))
        for section, entries in part.items():
            held = data.setdefault(section, type(entries)())
            data[section] = held + entries if isinstance(entries, list) else held | entries
    return json.loads(json.dumps(data, default=str))


def _versions(entries: dict[str, dict[int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """The versions of tiers or packs as one list in which each has its id."""
    return [
        {**entry, "id": f"{name}@{version}"}
        for name, versions in entries.items()
        for version, entry in versions.items()
    ]


def _shared_parameters(first: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """Those of the first candidate's parameters that this model shares. With `size`, its terms for the shape are left
    out, because each model translates the size for itself."""
    own = SHAPE_PARAMETERS if SIZE in first else ()
    return {name: value for name, value in first.items() if name in model.parameters and name not in own}


def _unknown_model_error() -> ValidationFailed:
    return _model_error("There is no such model.")


def _shut_down_error(model_id: str, sunset_at: date | str | None, successor: str | None) -> ValidationFailed:
    use = f" Use {successor}." if successor else ""
    return _model_error(f"{model_id} was shut down on {sunset_at}.{use}")


def _model_error(message: str) -> ValidationFailed:
    return ValidationFailed([{"path": "model", "message": message}])


if __name__ == "__main__":
    (FOLDER / COMPILED).write_text(compile_folder(FOLDER))


def _able_to_speak(kind: str, prompt: str, files: Files, models: tuple[Model, ...]) -> tuple[Model, ...]:
    """The models whose voice can read the prompt, when it is to be spoken. Raises ValidationFailed when none can."""
    if kind not in ("audio", "avatar") or not prompt:
        return models
    refusals = [
        speakable.speech_error(prompt, model.scripts) if arithmetic.speaks_prompt(model, kind, files) else None
        for model in models
    ]
    able = tuple(model for model, reason in zip(models, refusals, strict=True) if reason is None)
    if not able and refusals:
        raise ValidationFailed([{"path": "prompt", "message": next(filter(None, refusals))}])
    return able
