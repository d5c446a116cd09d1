"""Accept a generation: validate it, price it, reserve credits and budgets, and write it. Nothing is sent to a provider
yet."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from atelier.catalogue.catalogue import Catalogue
from atelier.catalogue.model import CHARACTER
from atelier.catalogue.quotas import Quota
from atelier.catalogue.tiers import Tier
from atelier.dataclass import dataclass
from atelier.errors import (
    BudgetExceeded,
    Conflict,
    InsufficientCredits,
    NotFound,
    PromptRefused,
    QuotaExceeded,
    QuoteExpired,
    RateLimited,
    Unavailable,
    ValidationFailed,
)
from atelier.generations.decide_submission import (
    OpenHold,
    PricedRequest,
    ShowEarlier,
    check_quote,
    decide_submission,
    quoted_parts,
)
from atelier.generations.model import (
    QUEUE_ALLOWANCE,
    Generation,
    InputAsset,
    InputAssets,
    Pipeline,
    Recipe,
    Status,
)
from atelier.generations.moderation_texts import prompt_texts
from atelier.generations.ports import GenerationExists, GenerationStore, InputAssetStore, QuoteRedeemed
from atelier.generations.prompt_refusal import PromptRefusal, PromptRefusals, flag_of, refusal_key
from atelier.generations.quote import PricedPart, Quote, QuoteInput, included_parts, price_parts
from atelier.generations.reuse import SEED, kept_in_library, reuse_key
from atelier.idempotency import IdempotencyKeys
from atelier.ids import new_id
from atelier.ledger.model import DailyCreditRule, Wallet
from atelier.ledger.ports import StaleWallet, WalletStore
from atelier.ledger.refresh import refresh_wallet
from atelier.moderation.prompts import PromptCheck
from atelier.moderation.queue import FlagStore
from atelier.projects.ports import BudgetRefused, Budgets
from atelier.projects.recover_reservation import recover_reservation
from atelier.routing.rank_offers import Routes
from atelier.telemetry import logger

TRIES_MAX = 60
ROLE_TYPES = {"image": "image", "mask": "image", "audio": "audio", "reference": "image", CHARACTER: "image"}
# A recipe is stored as JSON in one DynamoDB item, which may have 400 KB including its attribute names.
RECIPE_BYTES_MAX = 380_000


@dataclass(frozen=True, slots=True)
class Submission:
    """The request of a verified caller. `idempotency_key` is the caller's own, if any; `quote` is one that we signed;
    with a `pipeline` it is a run. `reuse`: an earlier result of the same request may be returned. `token_id`: the API
    token that sent it, None = a session. `webhook_url`: is called with the final status. `purpose`: see Generation."""

    workspace_id: str
    user_id: str
    recipe: Recipe
    idempotency_key: str | None = None
    project_id: str | None = None
    quote: Quote | None = None
    pipeline: Pipeline | None = None
    reuse: bool = False
    token_id: str | None = None
    webhook_url: str | None = None
    purpose: dict[str, Any] | None = None

    def fingerprint(self) -> str:
        """The digest that an idempotency key is bound to."""
        own = self.recipe.fingerprint()
        if self.pipeline is not None and self.recipe.request_fingerprint is None:
            own += self.pipeline.fingerprint()
        own += "+reuse" if self.reuse else ""
        own += f"+{self.webhook_url}" if self.webhook_url else ""
        context = [self.project_id, self.quote.id if self.quote else None]
        return f"{own}#{context}" if any(context) else own


@dataclass(frozen=True, slots=True)
class AcceptedGeneration:
    """The generation in its current state, and whether it had been accepted before under the same key."""

    generation: Generation
    replayed: bool


@dataclass(frozen=True, slots=True)
class SubmitDeps:
    """The dependencies of accepting a generation. `routes_of_wallet`: the workspace's routes to providers, from its
    wallet (which says whether the workspace has any of its own); None = the platform's. `pause(tries)` sleeps before
    the next try, after a parallel writer of the same wallet was first."""

    catalogue: Catalogue
    lifetime_max: timedelta
    wallets: WalletStore
    generations: GenerationStore
    keys: IdempotencyKeys
    budgets: Budgets
    input_asset_store: InputAssetStore
    pause: Callable[[int], None]
    routes_of_wallet: Callable[[Wallet], Routes] | None = None
    moderation: PromptCheck | None = None
    refusals: PromptRefusals | None = None
    flags: FlagStore | None = None
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
    submission: Submission,
    *,
    deps: SubmitDeps,
    now: datetime,
    wallet: Wallet | None = None,
    counted_bytes: int | None = None,
) -> AcceptedGeneration:
    """Write one generation and its hold in one transaction, or raise and write nothing. `wallet`, `counted_bytes`: the
    workspace's wallet and the library's count of its stored bytes, when they have been read since the request came.

    Raises ValidationFailed, PromptRefused by the moderation, PaymentRequired for what the workspace's tier does not
    include, QuotaExceeded for a workspace whose storage is full, InsufficientCredits, BudgetExceeded,
    IdempotencyMismatch, RateLimited, QuoteExpired, Conflict (a quote redeemed before, an archived project), NotFound
    (no such project), Unavailable.
    """
    try:
        return _accept(submission, deps, now, wallet or deps.wallets.wallet(submission.workspace_id), counted_bytes)
    except (InsufficientCredits, BudgetExceeded, QuotaExceeded, RateLimited, Conflict, Unavailable):
        # A parallel request with the same key may have been accepted first, and have taken the credits, the budget, the
        # quote or the provider's free place that are missing here. Then its generation is the answer.
        earlier = deps.find_accepted(submission)
        if earlier is None:
            raise
        return AcceptedGeneration(earlier, replayed=True)


def _accept(
    submission: Submission, deps: SubmitDeps, now: datetime, wallet: Wallet, counted_bytes: int | None
) -> AcceptedGeneration:
    workspace_id, quote = submission.workspace_id, submission.quote
    recipe, pipeline = submission.recipe, submission.pipeline
    input_error: ValidationFailed | QuoteExpired | None = None
    try:
        # The files are looked up before pricing: their size and duration decide the price.
        recipe, pipeline = resolve_inputs(workspace_id, recipe, pipeline, deps.input_asset_store)
    except ValidationFailed as refusal:
        # Not raised yet: the repetition of an accepted request returns its generation, even when its files are gone.
        input_error = refusal
    else:
        input_error = check_quote(quote, workspace_id, recipe, pipeline) if quote is not None else None

    check_size(recipe, pipeline)
    routes = deps.routes_of_wallet(wallet) if deps.routes_of_wallet is not None else None
    parts = price_parts(QuoteInput.of(recipe, pipeline), catalogue=deps.catalogue, now=now, routes=routes)
    if deps.moderation is not None:
        texts = prompt_texts(recipe, pipeline)
        try:
            deps.moderation(texts, accepted_before=lambda: deps.find_accepted(submission) is not None)
        except PromptRefused as refused:
            _note_refusal(submission, refused, deps, now)
            raise

    generation_id, earlier = _bind_id(submission, deps, now)
    if earlier is not None:
        return AcceptedGeneration(earlier, replayed=True)
    if input_error is not None:
        raise input_error

    # After the look for an earlier generation: the repetition of an accepted request returns it on any tier.
    parts = included_parts(parts, deps.catalogue.tier(wallet.tier_at(now)), deps.catalogue)
    request = _priced_request(submission, generation_id, recipe, pipeline, parts, routes, deps, now)
    return _write(request, deps, now, wallet, counted_bytes)


def _note_refusal(submission: Submission, refused: PromptRefused, deps: SubmitDeps, now: datetime) -> None:
    """Store that the request was refused, to be counted. The caller gets the refusal whether that succeeds or not."""
    if deps.refusals is None:
        return
    refusal = PromptRefusal(
        refusal_key(submission.workspace_id, submission.idempotency_key, now),
        submission.workspace_id,
        submission.user_id,
        submission.token_id,
        submission.project_id,
        submission.recipe.kind.value,
        submission.recipe.model,
        refused.facts["category"],
        now,
    )
    try:
        deps.refusals.add(refusal)
        if deps.flags is not None:
            deps.flags.flag(flag_of(refusal))
    except Exception:
        logger.exception("refusal was not stored", workspace_id=submission.workspace_id)


def _bind_id(submission: Submission, deps: SubmitDeps, now: datetime) -> tuple[str, Generation | None]:
    """The id of the generation to write, and the generation that is stored under it already, if there is one."""
    own_id = new_id("gen", now)
    if submission.idempotency_key is None:
        return own_id, None
    # The key is bound to an id before anything is written: every request with this key, in parallel or after a crash,
    # writes the same generation, and only one write can succeed.
    workspace_id, key = submission.workspace_id, submission.idempotency_key
    generation_id = deps.keys.reserve(workspace_id, key, submission.fingerprint(), own_id)
    if generation_id == own_id:
        return own_id, None
    try:
        return generation_id, deps.generations.get(workspace_id, generation_id)
    except NotFound:
        return generation_id, None


def _priced_request(
    submission: Submission,
    generation_id: str,
    recipe: Recipe,
    pipeline: Pipeline | None,
    parts: tuple[PricedPart, ...],
    routes: Routes | None,
    deps: SubmitDeps,
    now: datetime,
) -> PricedRequest:
    """The request with its complete parameters, its deadline, and the earlier result that it may show. Raises
    QuoteExpired, Unavailable."""
    workspace_id, quote = submission.workspace_id, submission.quote
    if pipeline is None:
        recipe = replace(recipe, parameters=parts[0].parameters)
    key = None
    if submission.reuse or (pipeline is None and SEED in submission.recipe.parameters):
        key = reuse_key(submission.recipe, recipe, pipeline)
    if quote is not None:
        parts = quoted_parts(quote, parts, now)

    earlier = deps.generations.result_for(workspace_id, key) if submission.reuse and key else None
    queue_time = QUEUE_ALLOWANCE * max(len(parts), 1)
    if routes is not None and earlier is None:
        # Extend the deadline by the expected wait for a provider's rate limit.
        for part in parts:
            queue_time += routes.require_available(part.quote_input.model, part.offers)
    run_time = timedelta(seconds=sum(offer.run_seconds_max for part in parts for offer in part.offers))

    generation = Generation(
        id=generation_id,
        workspace_id=workspace_id,
        user_id=submission.user_id,
        token_id=submission.token_id,
        recipe=recipe,
        candidates=(),
        price_version=deps.catalogue.price_version,
        watermark=True,
        credits_held=0,
        status=Status.QUEUED,
        created_at=now,
        deadline_at=now + min(queue_time + run_time, deps.lifetime_max),
        project_id=submission.project_id,
        webhook_url=submission.webhook_url,
        purpose=submission.purpose,
        quote_id=quote.id if quote else None,
        reuse_key=key,
    )
    return PricedRequest(generation, pipeline, parts, quote, earlier)


def _write(
    request: PricedRequest, deps: SubmitDeps, now: datetime, wallet_read: Wallet, counted_bytes: int | None
) -> AcceptedGeneration:
    """Decide with the wallet as it is now, and write; again when a parallel writer was first."""
    workspace_id = request.generation.workspace_id
    is_kept = kept_in_library(workspace_id, deps.input_asset_store)
    for tries in range(TRIES_MAX):
        wallet = refresh_wallet(
            workspace_id,
            wallets=deps.wallets,
            daily_credits_of=deps.daily_grant,
            now=now,
            known_wallet=None if tries else wallet_read,
        )
        tier_id = wallet.tier_at(now)
        tier, daily = deps.catalogue.tier(tier_id), deps.daily_grant(tier_id)
        try:
            decision = decide_submission(request, wallet, tier, daily, is_kept, now)
        except (InsufficientCredits, RateLimited):
            # The wallet is read once more before a refusal, because moderation may have taken seconds.
            if tries:
                raise
            continue

        generation = decision.generation
        if isinstance(decision, OpenHold):
            _require_storage(wallet, counted_bytes, tier, deps)
        try:
            match decision:
                case ShowEarlier():
                    deps.generations.write_final(generation)
                case OpenHold(_, hold_plan):
                    deps.generations.open_with_hold(generation, hold_plan)
            return AcceptedGeneration(generation, replayed=False)
        except GenerationExists:
            # Our own write had succeeded and its answer was lost, or a parallel request with the same key was first.
            return AcceptedGeneration(deps.generations.get(workspace_id, generation.id), replayed=True)
        except QuoteRedeemed:
            raise Conflict("This quote was redeemed before.", quote_id=generation.quote_id) from None
        except BudgetRefused as refused:
            cost_max = generation.reserved_microusd
            recover_reservation(workspace_id, refused.name, cost_max, budgets=deps.budgets, now=now)
        except StaleWallet:
            pass  # A parallel writer changed the wallet: decide again with the wallet that it has left.
        deps.pause(tries)
    raise Unavailable("The wallet is busy. Try again.")


def _require_storage(wallet: Wallet, counted_bytes: int | None, tier: Tier, deps: SubmitDeps) -> None:
    """Raises QuotaExceeded for a workspace whose storage is full. A result that crosses the limit is delivered: the
    provider is paid by then. The library's count is read once more before a refusal, because something may have been
    deleted since."""
    quota = Quota("storage_bytes", tier, deps.catalogue)
    if counted_bytes is not None and wallet.stored_bytes(counted_bytes) < quota.limit:
        return
    used = wallet.stored_bytes(deps.input_asset_store.counted_bytes(wallet.workspace_id))
    if used >= quota.limit:
        raise quota.exceeded(used)


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
    """The input files with their hashes and facts. A character is shown by those of its images that were not deleted.
    Raises ValidationFailed for a file that the workspace does not have, or whose type does not fit its role, and for a
    character without images."""
    files: InputAssets = {}
    for role, assets in requested.items():
        if role == CHARACTER:
            files[role] = _character_files(workspace_id, assets, sources)
            continue
        asset_type = ROLE_TYPES[role]
        try:
            files[role] = tuple(sources.input_asset(workspace_id, source.asset_id, asset_type) for source in assets)
        except NotFound:
            path = f"parameters.{role}_asset_id" + ("s" if role == "reference" else "")
            raise ValidationFailed([{"path": path, "message": f"There is no such {asset_type} here."}]) from None
    return files


def _character_files(
    workspace_id: str, assets: tuple[InputAsset, ...], sources: InputAssetStore
) -> tuple[InputAsset, ...]:
    files: list[InputAsset] = []
    for asset in assets:
        with suppress(NotFound):
            files.append(sources.input_asset(workspace_id, asset.asset_id, ROLE_TYPES[CHARACTER]))
    if not files:
        raise ValidationFailed([{"path": "character_id", "message": "All images of this character were deleted."}])
    return tuple(files)
