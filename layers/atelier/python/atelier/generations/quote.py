"""Quotes: a price that is known before, redeemed at most once, and never exceeded.

A quote is not stored when it is made. All that it promises is in its own signed id:

    quo_<ULID> . <promise, JSON in base64url> . <HMAC-SHA256 in base64url>

Only the redemption is stored, in the transaction that writes the hold.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from atelier.catalogue.catalogue import Catalogue, Offer
from atelier.catalogue.check_tier import included_offers
from atelier.catalogue.sizes import NO_FACTS, InputFacts
from atelier.catalogue.speech_duration import spoken_milliseconds
from atelier.catalogue.tiers import Tier
from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed
from atelier.generations.model import Pipeline, Recipe, Stage
from atelier.generations.pipelines import (
    PIPELINES_FOR_MISSING_INPUT,
    enhanced_pipeline,
    implied_pipeline,
    longest_prompt,
)
from atelier.idempotency import fingerprint
from atelier.ids import is_id, new_id
from atelier.routing.rank_offers import Routes

QUOTE_LIFETIME = timedelta(minutes=15)
# The longest signed quote. It has room for all candidates of all stages of a run.
QUOTE_CHARACTERS_MAX = 2048


@dataclass(frozen=True, slots=True)
class QuoteInput:
    """The input of a price: what is to be made. Without a prompt the price is for any prompt. stages: for a run, the
    stages that are still to be made, each priced by itself."""

    kind: str
    model: str
    parameters: dict[str, Any]
    prompt: str | None = None
    files: dict[str, int] = field(default_factory=dict[str, int])
    stages: tuple[QuoteInput, ...] | None = None
    name: str | None = None
    facts: InputFacts = NO_FACTS

    @classmethod
    def of(cls, recipe: Recipe, pipeline: Pipeline | None = None) -> QuoteInput:
        """The input for a recipe or a run. Stages that are kept from an earlier run are not priced."""
        quote_input = cls(recipe.kind, recipe.model, recipe.parameters, recipe.prompt, recipe.files, facts=recipe.facts)
        return quote_input if pipeline is None else quote_input.as_run(pipeline)

    def as_run(self, pipeline: Pipeline) -> QuoteInput:
        """This input as a run with these stages."""
        stages = [stage for stage in pipeline.stages if stage.made_by is None]
        return replace(self, stages=tuple(_stage_input(stage, self.prompt, pipeline) for stage in stages))

    def fingerprint(self) -> str:
        """A digest that is equal for equal requests, whatever their prompt; after a dot, a digest of what is known of
        the files (size, duration)."""
        known = self._file_facts()
        if all(fact is None for fact in known):
            return self.request_digest()
        return f"{self.request_digest()}.{_digest(known)[:16]}"

    def request_digest(self) -> str:
        """The digest of the request alone, without what is known of its files."""
        facts: list[Any] = [self.kind, self.model, self.parameters]
        if self.files:
            facts.append(self.files)
        if self.stages:
            facts.append([stage.request_digest() for stage in self.stages])
        return _digest(facts)

    def _file_facts(self) -> list[Any]:
        own = [self.facts.width, self.facts.height, self.facts.audio_milliseconds]
        return own + [known for stage in self.stages or () for known in stage._file_facts()]

    def prompt_digest(self) -> str | None:
        """A digest of the prompt and the negative prompt, so that a quote does not reveal them; None without a
        prompt."""
        if self.prompt is None:
            return None
        negative_prompt = self.facts.negative_prompt
        text = json.dumps([self.prompt, negative_prompt]) if negative_prompt else self.prompt
        return fingerprint(text)


def _digest(facts: object) -> str:
    return fingerprint(facts)


def _stage_input(stage: Stage, prompt: str | None, pipeline: Pipeline) -> QuoteInput:
    # A prompt that a model is still to write is priced at its maximum length, and so is the speech made from it.
    stage_prompt = prompt if stage.says is None else longest_prompt(prompt or "")
    facts = stage.facts
    if "audio" in facts.pending and stage_prompt is not None:
        speech_stage = next((each for each in pipeline.stages if each.name == stage.starts_from["audio"]), None)
        speed = speech_stage.parameters.get("speed") if speech_stage else None
        facts = replace(
            facts, audio_milliseconds=spoken_milliseconds(stage_prompt, speed if _is_number(speed) else None)
        )
    return QuoteInput(
        stage.kind, stage.model, stage.parameters, stage_prompt, stage.files, name=stage.name, facts=facts
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


@dataclass(frozen=True, slots=True)
class PricedPart:
    """A generation or one stage, priced: its complete parameters, and its offers in the order in which they are
    tried."""

    quote_input: QuoteInput
    parameters: dict[str, Any]
    offers: tuple[Offer, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """The promise to a workspace. `credits` is the price with the first candidate, `credits_max` the highest price with
    any candidate. `cost_microusd` is the estimated cost with the first candidate."""

    id: str
    workspace_id: str
    fingerprint: str
    prompt_digest: str | None
    credits: int
    credits_max: int
    cost_microusd: int
    candidates: tuple[str, ...]
    price_version: str
    expires_at: datetime

    def matches(self, workspace_id: str, recipe: Recipe, pipeline: Pipeline | None = None) -> bool:
        """Whether this request, of this workspace, is the one that was quoted."""
        quote_input = QuoteInput.of(recipe, pipeline)
        same_request = self.workspace_id == workspace_id and self.fingerprint == quote_input.fingerprint()
        return same_request and self.prompt_digest in (None, quote_input.prompt_digest())

    def matches_without_file_facts(self, workspace_id: str, recipe: Recipe, pipeline: Pipeline | None = None) -> bool:
        """Whether the quote is for this request but was made before anything was known of its files."""
        quote_input = QuoteInput.of(recipe, pipeline)
        with_file_facts = replace(self, fingerprint=quote_input.fingerprint())
        return self.fingerprint == quote_input.request_digest() and with_file_facts.matches(
            workspace_id, recipe, pipeline
        )


def price_request(
    quote_input: QuoteInput, *, catalogue: Catalogue, now: datetime, routes: Routes | None = None
) -> tuple[dict[str, Any], tuple[Offer, ...]]:
    """The complete parameters of a request, and its priced offers in the order in which they are tried. Quote and
    submission both use it, so they agree. routes: the workspace's routes; None = the platform's, in the catalogue's
    order. Raises ValidationFailed, Unavailable."""
    platform = catalogue.enabled
    if routes is not None:
        refused = routes.disabled_error(quote_input.model.partition("/")[0])
        if refused:
            raise refused
        catalogue = routes.catalogue(catalogue)
    parameters, offers = catalogue.offers(
        quote_input.kind,
        quote_input.model,
        quote_input.parameters,
        today=now.date(),
        # The seed of a request that gives none. The recipe keeps it, so that the request can be repeated exactly.
        seed=secrets.randbelow(2**31),
        prompt=quote_input.prompt or "",
        files=quote_input.files,
        facts=quote_input.facts,
    )
    return parameters, offers if routes is None else routes.rank(quote_input.model, offers, platform)


def price_parts(
    quote_input: QuoteInput, *, catalogue: Catalogue, now: datetime, routes: Routes | None = None
) -> tuple[PricedPart, ...]:
    """The priced parts of a request: one for a plain request, one for each stage of a run. Raises what `priced` raises;
    for a stage, the paths of a ValidationFailed name the stage."""
    priced_parts: list[PricedPart] = []
    for each in (quote_input,) if quote_input.stages is None else quote_input.stages:
        try:
            priced_parts.append(PricedPart(each, *price_request(each, catalogue=catalogue, now=now, routes=routes)))
        except ValidationFailed as refused:
            if each.name is None:
                raise
            fields = [{**wrong, "path": f"stages.{each.name}.{wrong['path']}"} for wrong in refused.facts["fields"]]
            raise ValidationFailed(fields) from refused
    return tuple(priced_parts)


def included_parts(parts: tuple[PricedPart, ...], tier: Tier, catalogue: Catalogue) -> tuple[PricedPart, ...]:
    """The parts without the offers of models that the tier does not include. Raises PaymentRequired for a part without
    any offer left."""
    return tuple(
        replace(
            part,
            offers=included_offers(part.quote_input.kind, part.quote_input.model, part.offers, tier, catalogue),
        )
        for part in parts
    )


def may_become_run(recipe: Recipe) -> bool:
    """Whether this plain request may become a run: its kind can need an input file that it lacks and a stage can
    make."""
    return any(
        kind is recipe.kind and path.rpartition(".")[2] not in recipe.inputs
        for kind, path in PIPELINES_FOR_MISSING_INPUT
    )


def pipeline_for(
    recipe: Recipe, *, enhance: bool, catalogue: Catalogue, now: datetime, routes: Routes | None = None
) -> Pipeline | None:
    """The pipeline of a plain request that has to become a run: to enhance its prompt, or to make an input file that
    its model requires. None = it is made directly. Raises ValidationFailed, Unavailable."""
    if not enhance and not may_become_run(recipe):
        return None
    try:
        price_request(QuoteInput.of(recipe), catalogue=catalogue, now=now, routes=routes)
    except ValidationFailed as refused:
        pipeline = implied_pipeline(recipe, [wrong["path"] for wrong in refused.facts["fields"]], enhance=enhance)
        if pipeline is None:
            raise
        return pipeline
    return enhanced_pipeline(recipe) if enhance else None


def quote(
    workspace_id: str,
    quote_input: QuoteInput,
    *,
    catalogue: Catalogue,
    now: datetime,
    routes: Routes | None = None,
    tier: Tier | None = None,
) -> tuple[Quote, tuple[Offer, ...]]:
    """The promise, and the offers that it is computed from. Nothing is stored. tier: the workspace's; None = without a
    look at tiers. Raises ValidationFailed for a request without a price, and for a missing prompt when the price
    depends on it; PaymentRequired; Unavailable when no provider is available."""
    priced_parts = price_parts(quote_input, catalogue=catalogue, now=now, routes=routes)
    if tier is not None:
        priced_parts = included_parts(priced_parts, tier, catalogue)
    offers = tuple(offer for part in priced_parts for offer in part.offers)
    if routes is not None:
        for part in priced_parts:
            routes.require_available(part.quote_input.model, part.offers)
    if quote_input.prompt is None and any(catalogue.model(offer.model).prices_prompt for offer in offers):
        raise ValidationFailed([{"path": "prompt", "message": "The price depends on the prompt."}])
    promise = Quote(
        id=new_id("quo", now),
        workspace_id=workspace_id,
        fingerprint=quote_input.fingerprint(),
        prompt_digest=quote_input.prompt_digest(),
        credits=sum(part.offers[0].credits_max for part in priced_parts),
        credits_max=sum(max(offer.credits_max for offer in part.offers) for part in priced_parts),
        cost_microusd=sum(part.offers[0].cost_microusd for part in priced_parts),
        candidates=tuple(offer.candidate for offer in offers),
        price_version=catalogue.price_version,
        expires_at=(now + QUOTE_LIFETIME).replace(microsecond=0),
    )
    return promise, offers


def sign_quote(promise: Quote, key: bytes) -> str:
    """The signed text of a quote, which the caller keeps as its id."""
    payload = [
        promise.workspace_id,
        promise.fingerprint,
        promise.prompt_digest,
        promise.credits,
        promise.credits_max,
        promise.cost_microusd,
        promise.candidates,
        promise.price_version,
        int(promise.expires_at.timestamp()),
    ]
    text = f"{promise.id}.{_base64(json.dumps(payload, separators=(',', ':')).encode())}"
    return f"{text}.{_mac(text, key)}"


def verify_quote(token: str, key: bytes) -> Quote | None:
    """The promise in a text that we have signed; None for any other text."""
    text, _, mac = token.rpartition(".")
    quote_id, _, payload = text.partition(".")
    if not is_id(quote_id, "quo") or not hmac.compare_digest(mac.encode(), _mac(text, key).encode()):
        return None
    workspace_id, fingerprint, prompt, credits, credits_max, cost, candidates, price_version, expires = json.loads(
        # The signature is ours, so the payload has the form that we wrote.
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    expires_at = datetime.fromtimestamp(expires, UTC)
    return Quote(
        quote_id,
        workspace_id,
        fingerprint,
        prompt,
        credits,
        credits_max,
        cost,
        tuple(candidates),
        price_version,
        expires_at,
    )


def derive_quote_key(attempts_key: bytes) -> bytes:
    """The key that signs quotes, derived from the key that signs attempts. Because the keys differ, a signature of one
    kind is never valid for the other."""
    return hmac.new(attempts_key, b"quotes", hashlib.sha256).digest()


def _mac(text: str, key: bytes) -> str:
    return _base64(hmac.new(key, text.encode(), hashlib.sha256).digest())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
