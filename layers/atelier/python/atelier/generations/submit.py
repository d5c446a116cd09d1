"""Accept a generation: validate it, price it, reserve credits and budgets, and write it. Nothing is sent to a provider
yet."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from atelier.catalogue.catalogue import Catalogue, Offer
from atelier.catalogue.model import CHARACTER
from atelier.dataclass import dataclass
from atelier.errors import (
    BudgetExceeded,
    Conflict,
    InsufficientCredits,
    NotFound,
    QuoteExpired,
    RateLimited,
    Unavailable,
    ValidationFailed,
)
from atelier.generations.model import DeliveredFile, Generation, InputAssets, Pipeline, Recipe, Stage, Status
from atelier.generations.moderation_texts import prompt_texts
from atelier.generations.ports import GenerationExists, GenerationStore, InputAssetStore, QuoteRedeemed
from atelier.generations.quote import PricedPart, Quote, QuoteInput, price_parts
from atelier.generations.reuse import SEED, reuse_key, reused
from atelier.idempotency import IdempotencyKeys
from atelier.ids import new_id
from atelier.ledger.model import DailyCreditRule, Wallet, plan_hold
from atelier.ledger.ports import StaleWallet, WalletStore
from atelier.ledger.refresh import refresh_wallet
from atelier.moderation.prompts import PromptCheck
from atelier.projects.model import WORKSPACE
from atelier.projects.ports import BudgetRefused, Budgets
from atelier.projects.recover_reservation import recover_reservation
from atelier.routing.rank_offers import Routes

TRIES_MAX = 60
ROLE_TYPES = {"image": "image", "mask": "image", "audio": "audio", "reference": "image", CHARACTER: "image"}
QUEUE_ALLOWANCE = timedelta(minutes=2)
# A recipe is stored as JSON in one DynamoDB item, which may have 400 KB including its attribute names.
RECIPE_BYTES_MAX = 380_000


@dataclass(frozen=True, slots=True)
class Submission:
    """The request of a verified caller. `idempotency_key` is the caller's own, if any; `quote` is one that we signed;
    with a `pipeline` it is a run. `reuse`: an earlier result of the same request may be returned."""

    workspace_id: str
    user_id: str
    recipe: Recipe
    idempotency_key: str | None = None
    project_id: str | None = None
    quote: Quote | None = None
    pipeline: Pipeline | None = None
    reuse: bool = False

    def fingerprint(self) -> str:
        """The digest that an idempotency key is bound to."""
        own = self.recipe.fingerprint()
        if self.pipeline is not None and self.recipe.request_fingerprint is None:
            own += self.pipeline.fingerprint()
        own += "+reuse" if self.reuse else ""
        context = [self.project_id, self.quote.id if self.quote else None]
        return f"{own}#{context}" if any(context) else own


@dataclass(frozen=True, slots=True)
class AcceptedGeneration:
    """The generation in its current state, and whether it had been accepted before under the same key."""

    generation: Generation
    replayed: bool


@dataclass(frozen=True, slots=True)
class SubmitDeps:
    """The dependencies of accepting a generation. `routes`: the workspace's routes to providers, from its wallet (which
    says whether the workspace has any of its own); None = the platform's. `pause(tries)` sleeps before the next try,
    after a parallel writer of the same wallet was first."""

    catalogue: Catalogue
    lifetime_max: timedelta
    wallets: WalletStore
    generations: GenerationStore
    keys: IdempotencyKeys
    budgets: Budgets
    input_asset_store: InputAssetStore
    pause: Callable[[int], None]
    routes: Callable[[Wallet], Routes] | None = None
    moderation: PromptCheck | None = None
    # Whether only accounts with a verified mailbox get daily credits.
    daily_verified_only: bool = False

    def find_accepted(self, submission: Submission) -> Generation | None:
        """The generation that was accepted under this idempotency key, None = there is none."""
        if submission.idempotency_key is None:
            return None
        generation_id = self.keys.find(submission.workspace_id, submission.idempotency_key)
        try:
            return self.generations.get(submission.workspace_id, generation_id) if generation_id else None
        except NotFound:
            return None

    def daily_grant(self, tier: str) -> DailyCreditRule:
        """The daily grant of a tier."""
        tier_terms = self.catalogue.tier(tier)
        return DailyCreditRule(tier_terms.daily_credits, tier_terms.daily_reset, self.daily_verified_only)


def submit_generation(
    submission: Submission, *, deps: SubmitDeps, now: datetime, wallet: Wallet | None = None
) -> AcceptedGeneration:
    """Write one generation and its hold in one transaction, or raise and write nothing. `wallet`: the workspace's
    wallet, when the caller has read it since the request came.

    Raises ValidationFailed, PromptRefused by the moderation, InsufficientCredits, BudgetExceeded, IdempotencyMismatch,
    RateLimited, QuoteExpired, Conflict (a quote redeemed before, an archived project), NotFound (no such project),
    Unavailable.
    """
    try:
        return _accept(submission, deps, now, wallet or deps.wallets.wallet(submission.workspace_id))
    except (InsufficientCredits, BudgetExceeded, RateLimited, Conflict):
        # A parallel request with the same key may have been accepted first, and have taken the credits, the budget or
        # the quote that are missing here. Then its generation is the answer.
        earlier = deps.find_accepted(submission)
        if earlier is None:
            raise
        return AcceptedGeneration(earlier, replayed=True)


def _accept(submission: Submission, deps: SubmitDeps, now: datetime, wallet_read: Wallet) -> AcceptedGeneration:
    workspace_id, recipe, promise = submission.workspace_id, submission.recipe, submission.quote
    pipeline = submission.pipeline
    input_error: ValidationFailed | QuoteExpired | None = None

    try:
        # The files are looked up before pricing: their size and duration decide the price.
        recipe, pipeline = resolve_inputs(workspace_id, recipe, pipeline, deps.input_asset_store)
    except ValidationFailed as refusal:
        # Not raised yet: the repetition of an accepted request returns its generation, even when its files are gone.
        input_error = refusal

    if promise is not None and input_error is None and not promise.matches(workspace_id, recipe, pipeline):
        if not promise.matches_without_file_facts(workspace_id, recipe, pipeline):
            raise ValidationFailed([{"path": "quote_id", "message": "This is no quote for this request."}])
        input_error = QuoteExpired("More is known of the files than when this was quoted. Ask for another.")

    check_size(recipe, pipeline)
    routes = deps.routes(wallet_read) if deps.routes is not None else None
    priced_parts = price_parts(QuoteInput.of(recipe, pipeline), catalogue=deps.catalogue, now=now, routes=routes)
    if deps.moderation is not None:
        texts = prompt_texts(recipe, pipeline)
        deps.moderation(texts, accepted_before=lambda: deps.find_accepted(submission) is not None)

    generation_id = own_id = new_id("gen", now)
    if submission.idempotency_key is not None:
        # The key is bound to an id before anything is written: every request with this key, in parallel or after a
        # crash, writes the same generation, and only one write can succeed.
        generation_id = deps.keys.reserve(workspace_id, submission.idempotency_key, submission.fingerprint(), own_id)
    if generation_id != own_id:
        try:
            return AcceptedGeneration(deps.generations.get(workspace_id, generation_id), replayed=True)
        except NotFound:
            pass
    if input_error is not None:
        raise input_error

    if pipeline is None:
        recipe = replace(recipe, parameters=priced_parts[0].parameters)
    key = None
    if submission.reuse or (pipeline is None and SEED in submission.recipe.parameters):
        key = reuse_key(submission.recipe, recipe, pipeline)
    if promise is not None:
        priced_parts = _quoted_parts(promise, priced_parts, now)

    queue_time = QUEUE_ALLOWANCE * max(len(priced_parts), 1)
    earlier = deps.generations.result_for(workspace_id, key) if submission.reuse and key else None
    if routes is not None and earlier is None:
        # Extend the deadline by the expected wait for a provider's rate limit.
        for part in priced_parts:
            queue_time += routes.require_available(part.quote_input.model, part.offers)
    run_time = timedelta(seconds=sum(offer.run_seconds_max for part in priced_parts for offer in part.offers))
    deadline_at = now + min(queue_time + run_time, deps.lifetime_max)
    generation = Generation(
        id=generation_id,
        workspace_id=workspace_id,
        user_id=submission.user_id,
        recipe=recipe,
        candidates=(),
        price_version=deps.catalogue.price_version,
        watermark=True,
        credits_held=0,
        status=Status.QUEUED,
        created_at=now,
        deadline_at=deadline_at,
        project_id=submission.project_id,
        quote_id=promise.id if promise else None,
        reuse_key=key,
    )

    for tries in range(TRIES_MAX):
        wallet = refresh_wallet(
            workspace_id,
            wallets=deps.wallets,
            daily_credits_of=deps.daily_grant,
            now=now,
            known_wallet=None if tries else wallet_read,
        )
        tier = deps.catalogue.tier(wallet.tier)

        if earlier is not None:
            requested = replace(
                generation,
                watermark=tier.watermark,
                budgets=(submission.project_id,) if submission.project_id else (),
            )
            reused_generation = reused(requested, earlier, shown_in_library(workspace_id, deps.input_asset_store), now)
            if reused_generation is not None:
                try:
                    return _record(reused_generation, deps.generations)
                except BudgetRefused as refused:
                    recover_reservation(workspace_id, refused.name, 0, budgets=deps.budgets, now=now)
                    deps.pause(tries)
                    continue

        chosen = affordable_parts(priced_parts, wallet.available)
        credits_max = sum(_credits_max(part) for part in chosen)
        if promise is not None:
            credits_max = min(credits_max, promise.credits_max)
        cost_max = sum(max(offer.cost_microusd for offer in part.offers) for part in chosen)
        budget_names = [submission.project_id] if submission.project_id else []
        budget_names += [WORKSPACE] if wallet.budgeted else []
        generation = replace(
            _with_candidates(generation, pipeline, chosen),
            credits_held=credits_max,
            watermark=tier.watermark,
            budgets=tuple(budget_names),
            reserved_microusd=cost_max if budget_names else 0,
        )

        facts: dict[str, int | str | None] = {
            "price_version": deps.catalogue.price_version,
            "model": chosen[-1].offers[0].model if chosen else None,
            "candidates": sum(len(part.offers) for part in chosen),
        }
        if promise is not None:
            facts["quote"] = promise.id
        try:
            hold_plan = plan_hold(
                wallet,
                generation_id,
                credits_max,
                deadline_at,
                facts,
                now,
                holds_open_max=tier.generations_open_max,
                withholding_reason=deps.daily_grant(wallet.tier).withholding_reason(wallet),
            )
        except (InsufficientCredits, RateLimited):
            # The wallet is read once more before a refusal, because moderation may have taken seconds.
            if tries:
                raise
            continue

        try:
            deps.generations.open_with_hold(generation, hold_plan)
        except StaleWallet:
            deps.pause(tries)
            continue
        except BudgetRefused as refused:
            recover_reservation(workspace_id, refused.name, cost_max, budgets=deps.budgets, now=now)
            deps.pause(tries)
            continue
        except QuoteRedeemed:
            raise Conflict("This quote was redeemed before.", quote_id=generation.quote_id) from None
        except GenerationExists:
            # Our own write had succeeded and its answer was lost, or a parallel request with the same key was first.
            return AcceptedGeneration(deps.generations.get(workspace_id, generation_id), replayed=True)
        return AcceptedGeneration(generation, replayed=False)
    raise Unavailable("The wallet is busy. Try again.")


def check_size(recipe: Recipe, pipeline: Pipeline | None) -> None:
    """Check that a request can be stored. Raises ValidationFailed for one that is too large, with the path of its
    longest text. The size is measured in JSON, as it is stored: escapes make quotation marks and control characters
    longer."""
    stages = [stage.parameters for stage in pipeline.stages] if pipeline else []
    facts = [recipe.prompt, recipe.negative_prompt, recipe.parameters, *stages]
    size = len(json.dumps(facts, ensure_ascii=False).encode(errors="replace"))
    if size > RECIPE_BYTES_MAX:
        longest = max(prompt_texts(recipe, pipeline), key=lambda wording: len(wording.text.encode(errors="replace")))
        message = f"must be shorter: the request takes {size} bytes as JSON, and {RECIPE_BYTES_MAX} can be kept"
        raise ValidationFailed([{"path": longest.path, "message": message}])


def shown_in_library(workspace_id: str, sources: InputAssetStore) -> Callable[[DeliveredFile], bool]:
    """A function that tells whether a delivered file is in the library and not archived."""
    return lambda delivered: sources.is_kept(workspace_id, delivered.id)


def _record(generation: Generation, generations: GenerationStore) -> AcceptedGeneration:
    try:
        generations.write_final(generation)
    except GenerationExists:
        return AcceptedGeneration(generations.get(generation.workspace_id, generation.id), replayed=True)
    return AcceptedGeneration(generation, replayed=False)


def affordable_parts(priced_parts: tuple[PricedPart, ...], available: int) -> tuple[PricedPart, ...]:
    """The parts without the offers that cost more than the available credits. Each part may spend what is left when all
    other parts take their cheapest offer. A part without an affordable offer keeps all its offers; the hold is then
    refused."""
    credits_left = available - sum(min(offer.credits_max for offer in part.offers) for part in priced_parts)
    chosen: list[PricedPart] = []
    for part in priced_parts:
        credits_left += min(offer.credits_max for offer in part.offers)
        offers = tuple(offer for offer in part.offers if offer.credits_max <= credits_left) or part.offers
        chosen.append(replace(part, offers=offers))
        credits_left -= _credits_max(chosen[-1])
    return tuple(chosen)


def _credits_max(part: PricedPart) -> int:
    return max(offer.credits_max for offer in part.offers)


def _with_candidates(generation: Generation, pipeline: Pipeline | None, chosen: tuple[PricedPart, ...]) -> Generation:
    """The generation with its candidates: its own, or those of each stage."""
    if pipeline is None:
        return replace(generation, candidates=tuple(offer.candidate for offer in chosen[0].offers))
    parts_by_name = {part.quote_input.name: part for part in chosen}
    stages = tuple(_planned_stage(parts_by_name.get(stage.name), stage) for stage in pipeline.stages)
    last = stages[-1]
    recipe = replace(generation.recipe, parameters=last.parameters, inputs=last.inputs)
    return replace(generation, recipe=recipe, pipeline=replace(pipeline, stages=stages))


def _planned_stage(part: PricedPart | None, stage: Stage) -> Stage:
    if part is None:
        return stage
    candidates = tuple(offer.candidate for offer in part.offers)
    return replace(stage, parameters=part.parameters, candidates=candidates, credits_max=_credits_max(part))


def resolve_inputs(
    workspace_id: str, recipe: Recipe, pipeline: Pipeline | None, sources: InputAssetStore
) -> tuple[Recipe, Pipeline | None]:
    """The recipe, or the stages of the run, with the facts about their input files. Raises what `resolved` raises."""
    if pipeline is None:
        return replace(recipe, inputs=resolve_files(workspace_id, recipe.inputs, sources)), None
    stages = tuple(
        replace(stage, inputs=resolve_files(workspace_id, stage.inputs, sources)) for stage in pipeline.stages
    )
    return recipe, replace(pipeline, stages=stages)


def resolve_files(workspace_id: str, requested: InputAssets, sources: InputAssetStore) -> InputAssets:
    """The input files with their hashes and facts. Raises ValidationFailed for a file that the workspace does not have,
    or whose type does not fit its role."""
    files: InputAssets = {}
    for role, assets in requested.items():
        asset_type = ROLE_TYPES[role]
        try:
            files[role] = tuple(sources.input_asset(workspace_id, source.asset_id, asset_type) for source in assets)
        except NotFound:
            path = f"parameters.{role}_asset_id" + ("s" if role == "reference" else "")
            path = "character_id" if role == CHARACTER else path
            raise ValidationFailed([{"path": path, "message": f"There is no such {asset_type} here."}]) from None
    return files


def _quoted_parts(quote: Quote, priced_parts: tuple[PricedPart, ...], now: datetime) -> tuple[PricedPart, ...]:
    """The parts with only the quoted offers that still exist, at no more than the quoted price. Raises QuoteExpired."""
    if quote.expires_at <= now:
        raise QuoteExpired("This quote has expired. Ask for another.")
    quoted = tuple(replace(part, offers=_quoted_offers(quote, part.offers)) for part in priced_parts)
    if not all(part.offers for part in quoted):
        raise QuoteExpired("What was quoted is not offered any more. Ask for another.")
    return quoted


def _quoted_offers(quote: Quote, offers: tuple[Offer, ...]) -> tuple[Offer, ...]:
    return tuple(
        replace(offer, credits_max=min(offer.credits_max, quote.credits_max))
        for offer in offers
        if offer.candidate in quote.candidates
    )
