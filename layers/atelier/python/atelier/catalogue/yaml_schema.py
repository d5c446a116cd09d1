"""The schema of the catalogue's YAML, and the checks that types cannot express.

Imported only when the catalogue is compiled: building and running these checks would cost a cold start tens of
milliseconds.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator, with_config

from atelier.catalogue import costs, model, parameters
from atelier.catalogue.costs import ImageCost, PredictionSecondCost, SecondCost
from atelier.catalogue.currencies import DIGITS, is_payable
from atelier.catalogue.model import DocumentedRateLimit, Model, OutcomeRule, ProviderFacts, RetiredModel
from atelier.catalogue.parameters import PROMPT_CHARACTERS_MAX, ParameterRule, limit_error, validation_error
from atelier.catalogue.sizes import RESOLUTION_PATTERN
from atelier.catalogue.speakable import LANGUAGES
from atelier.catalogue.tiers import FREE, KINDS, Pack, Tier, name_of, version_of

STRICT = ConfigDict(strict=True, extra="forbid")
# A rule that allows no value; it stands for a parameter that has no rule.
NO_VALUE: ParameterRule = {"minimum": 1, "maximum": 0}
MODEL_ID = re.compile(r"[a-z0-9-]+/[a-z0-9.-]+")
# The id of a tier's or pack's version; both parts stand in lookup keys at the payment provider.
VERSION_ID = re.compile(r"[a-z][a-z0-9_]{0,29}@[1-9][0-9]{0,3}")


def _check_model(model: Model) -> Model:
    """Check what types alone cannot express. Raises ValueError."""
    if not MODEL_ID.fullmatch(model.id) or not model.id.startswith(f"{model.provider}/"):
        raise ValueError("a model's id is provider/name")
    for name, rule in model.parameters.items():
        if "minimum" in rule and rule["minimum"] > rule["maximum"]:
            raise ValueError(f"{name} has no value that it could take")
        offered = limit_error(name, rule)
        if offered:
            raise ValueError(offered)
        reason = validation_error(rule, rule["default"]) if "default" in rule else None
        if reason:
            raise ValueError(f"the default of {name} {reason}")

    if model.prompt_characters_max > PROMPT_CHARACTERS_MAX:
        raise ValueError(f"no prompt has more than {PROMPT_CHARACTERS_MAX} characters")
    unknown = set(model.scripts) - set(LANGUAGES)
    if unknown:
        raise ValueError(f"unknown scripts: {sorted(unknown)}")

    for cost in model.cost:
        if cost["unit"] == "image" or cost["unit"] == "second":
            _check_table(model, cost, cost["microusd"])
        if cost["unit"] == "prediction_second":
            _check_table(model, cost, cost["seconds_estimate"])
            if "seconds_each_audio_second" in cost and "seconds_max" not in (model.inputs.get("audio") or {}):
                raise ValueError("a price by the length of audio needs its seconds_max")

    resolutions = model.parameters.get("resolution") or NO_VALUE
    if "choices" in resolutions and not all(map(RESOLUTION_PATTERN.fullmatch, resolutions["choices"])):
        raise ValueError("a resolution is named as 720p or 2k")
    lacking = {name for name in _priced_parameters(model) if "default" not in (model.parameters.get(name) or NO_VALUE)}
    if lacking:
        raise ValueError(f"the price needs these parameters, with a default: {sorted(lacking)}")
    for role, each in model.inputs.items():
        if each["minimum"] > each["maximum"]:
            raise ValueError(f"the model takes no number of {role}")
    return model


def _priced_parameters(model: Model) -> set[str]:
    """The parameters that the price is computed from."""
    sizes = {"width", "height"}
    needed = set[str]()
    for cost in model.cost:
        if cost["unit"] == "token":
            if "output_per_megapixel" in cost:
                _check_qualities(model, set(cost["output_per_megapixel"]))
                needed |= {*sizes, "quality"}
            elif "output_per_second" not in cost:
                needed.add("max_tokens")
        elif cost["unit"] == "megapixel" or (cost["unit"] == "prediction_second" and cost["per"] == "megapixel"):
            needed |= sizes
        elif cost["unit"] == "second":
            needed.add("duration_seconds")
    if "unit" in model.credits and model.credits["unit"] == "megapixel":
        needed |= sizes
    if "unit" in model.credits and model.credits["unit"] == "second":
        needed.add("duration_seconds")
    return needed


def _check_qualities(model: Model, priced: set[str]) -> None:
    quality = model.parameters.get("quality") or NO_VALUE
    if "choices" not in quality or set(quality["choices"]) != priced:
        raise ValueError("output_per_megapixel does not have every quality, or has another")


def _check_table(
    model: Model, cost: ImageCost | SecondCost | PredictionSecondCost, table: int | dict[str, int]
) -> None:
    by = cost.get("by", [])
    if isinstance(table, int) != (not by):
        raise ValueError("a table of prices goes with `by`, and only with it")
    if isinstance(table, int):
        return
    choices: list[list[str]] = []
    for name in by:
        rule = model.parameters.get(name) or NO_VALUE
        if "choices" not in rule or "default" not in rule:
            raise ValueError(f"prices go by choices that have a default, and {name} is none")
        choices.append(rule["choices"])
    wanted = {" ".join(values) for values in product(*choices)}
    if wanted != set(table):
        raise ValueError(f"the table of prices lacks or exceeds {sorted(wanted ^ set(table))}")


def _check_amounts(currency: str, *amounts: int) -> None:
    if currency not in DIGITS:
        raise ValueError(f"unknown currency: {currency}")
    if not all(is_payable(amount, currency) for amount in amounts):
        raise ValueError(f"an amount in {currency} must end in 0")


def _check_tier(tier: Tier) -> Tier:
    """Check what types alone cannot express of one version. Raises ValueError."""
    _check_amounts(tier.currency, tier.price_month, tier.price_year)
    if tier.name == FREE and (tier.prices or tier.trial_days or tier.grace_days):
        raise ValueError("the free tier costs nothing, and has no trial and no grace")
    if tier.trial_credits and not tier.trial_days:
        raise ValueError("trial_credits need trial_days")
    if not tier.kinds or not tier.models:
        raise ValueError('a tier allows some kinds and models, or "all"')
    if not set(tier.allowed_kinds) <= set(KINDS):
        raise ValueError(f"a workspace makes these kinds: {sorted(KINDS)}")
    return tier


def _check_pack(pack: Pack) -> Pack:
    _check_amounts(pack.currency, pack.price)
    return pack


def _check_versions(ids: list[str]) -> None:
    """Check that the versions of each name stand together and count up from 1. Raises ValueError."""
    for entry_id in ids:
        if not VERSION_ID.fullmatch(entry_id):
            raise ValueError(f"an id is a short lower-case name and a version: {entry_id}")
    counted: dict[str, int] = {}
    for entry_id in ids:
        name = name_of(entry_id)
        counted[name] = counted.get(name, 0) + 1
        if version_of(entry_id) != counted[name] or (counted[name] > 1 and list(counted)[-1] != name):
            raise ValueError(f"the versions of {name} count up from 1 without a gap: {entry_id}")


# Each part of an entry is checked as strictly as the whole.
for part in (
    *(parameters.IntegerRule, parameters.NumberRule, parameters.ChoiceRule),
    *(parameters.TextRule, parameters.SwitchRule, parameters.ConversationRule, parameters.SequencesRule),
    *(costs.TokenCost, costs.ImageCost, costs.MegapixelCost, costs.SecondCost),
    *(costs.PredictionSecondCost, costs.CharacterCost, costs.FileCost, costs.CallCost),
    *(
        model.FixedCredits,
        model.MarginCredits,
        model.FreeCredits,
        model.FileRule,
        DocumentedRateLimit,
        ProviderFacts,
        RetiredModel,
        Model,
        Tier,
        Pack,
        OutcomeRule,
    ),
):
    with_config(STRICT)(part)


class CatalogueDocument(BaseModel):
    """The content of all files together."""

    model_config = STRICT

    models: list[Annotated[Model, AfterValidator(_check_model)]]
    retired: list[RetiredModel]
    tiers: list[Annotated[Tier, AfterValidator(_check_tier)]]
    packs: list[Annotated[Pack, AfterValidator(_check_pack)]]
    outcomes: dict[str, OutcomeRule]
    limits: dict[str, DocumentedRateLimit] = {}
    providers: dict[str, ProviderFacts] = {}

    @model_validator(mode="after")
    def _check_references(self) -> CatalogueDocument:
        sold = {model.id for model in self.models}
        ids = [*(model.id for model in self.models), *(past["id"] for past in self.retired)]
        twice = {name for name in ids if ids.count(name) > 1}
        if twice:
            raise ValueError(f"two entries have one id: {sorted(twice)}")

        strangers = {model.provider for model in self.models} - self.providers.keys()
        if strangers:
            raise ValueError(f"no file has the facts of these providers: {sorted(strangers)}")

        looked_at = max(model.priced_at for model in self.models)
        early = [past["id"] for past in self.retired if past["sunset_at"] > looked_at]
        if early:
            raise ValueError(f"not retired yet: {early}; give it a whole entry with sunset_at and successor")

        successors = [(model.id, model.successor) for model in self.models if model.successor is not None]
        successors += [(past["id"], past["successor"]) for past in self.retired]
        for name, successor in successors:
            if successor == name or successor not in sold:
                raise ValueError(f"the successor of {name} is no model here: {successor}")
        return self

    @model_validator(mode="after")
    def _check_price_list(self) -> CatalogueDocument:
        _check_versions([tier.id for tier in self.tiers])
        _check_versions([pack.id for pack in self.packs])
        if not self.tiers or self.tiers[0].name != FREE:
            raise ValueError("the first tier is the free one")

        models = {model.id for model in self.models}
        for tier in self.tiers:
            unknown = set[str]() if tier.models == "all" else set(tier.models) - models
            if unknown:
                raise ValueError(f"{tier.id} has models that are not in the catalogue: {sorted(unknown)}")

        for entries in (self.tiers, self.packs):
            first = {entry.name: entry.currency for entry in reversed(entries)}
            changed = [entry.id for entry in entries if entry.currency != first[entry.name]]
            if changed:
                raise ValueError(f"a later version keeps the currency: {changed}")
        return self


def check(text: str) -> None:
    """Check a document, given as JSON. Raises pydantic.ValidationError, which names what is wrong."""
    CatalogueDocument.model_validate_json(text)
