"""Decide how a valid request is accepted, given the wallet as it is now. Pure: values in, a value out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from atelier.catalogue.catalogue import Offer
from atelier.catalogue.tiers import Tier
from atelier.dataclass import dataclass
from atelier.errors import QuoteExpired, ValidationFailed
from atelier.generations.model import DeliveredFile, Generation, Pipeline, Recipe, Stage
from atelier.generations.quote import PricedPart, Quote
from atelier.generations.reuse import reused
from atelier.generations.start import fits_express
from atelier.ledger.model import DailyCreditRule, HoldPlan, Wallet
from atelier.ledger.plan_hold import plan_hold
from atelier.projects.model import WORKSPACE


@dataclass(frozen=True, slots=True)
class PricedRequest:
    """A valid and priced request, before its workspace's wallet is looked at. `generation` has neither candidates nor
    credits yet; with a `pipeline` it is a run. `quote`: the price that was promised. `earlier`: the generation whose
    result may be shown instead of making a new one."""

    generation: Generation
    pipeline: Pipeline | None
    parts: tuple[PricedPart, ...]
    quote: Quote | None = None
    earlier: Generation | None = None


@dataclass(frozen=True, slots=True)
class ShowEarlier:
    """Write this generation as final: it shows an earlier result, and is free."""

    generation: Generation


@dataclass(frozen=True, slots=True)
class OpenHold:
    """Write this generation together with its hold."""

    generation: Generation
    hold_plan: HoldPlan


def decide_submission(
    request: PricedRequest,
    wallet: Wallet,
    tier: Tier,
    daily: DailyCreditRule,
    is_kept: Callable[[DeliveredFile], bool],
    now: datetime,
) -> ShowEarlier | OpenHold:
    """How the request is accepted. `tier` and `daily`: the tier of the wallet and its daily credits. `is_kept`: whether
    a delivered file is in the library and not archived.

    | earlier result                            | wallet                     | decision                   |
    |-------------------------------------------|----------------------------|----------------------------|
    | kept, and with the watermark of the tier  | any                        | ShowEarlier                |
    | none, not kept, or with another watermark | too many holds are open    | raises RateLimited         |
    | none, not kept, or with another watermark | too few credits, or a debt | raises InsufficientCredits |
    | none, not kept, or with another watermark | enough credits             | OpenHold                   |

    Of each part, the hold leaves out the offers that the wallet cannot afford. It is never above the quoted price."""
    project_id = request.generation.project_id
    budgets = (project_id,) if project_id else ()
    if request.earlier is not None:
        requested = replace(request.generation, watermark=tier.watermark, budgets=budgets)
        shown = reused(requested, request.earlier, is_kept, now)
        if shown is not None:
            return ShowEarlier(shown)

    parts = affordable_parts(request.parts, wallet.available)
    credits_max = sum(credits_max_of(part) for part in parts)
    if request.quote is not None:
        credits_max = min(credits_max, request.quote.credits_max)
    cost_max = sum(max(offer.cost_microusd for offer in part.offers) for part in parts)
    budgets += (WORKSPACE,) if wallet.budgeted else ()
    generation = replace(
        with_candidates(request.generation, request.pipeline, parts),
        credits_held=credits_max,
        watermark=tier.watermark,
        budgets=budgets,
        reserved_microusd=cost_max if budgets else 0,
    )
    hold_plan = plan_hold(
        wallet,
        generation.id,
        credits_max,
        generation.deadline_at,
        _hold_facts(generation, parts),
        now,
        holds_open_max=tier.generations_open_max,
        withholding_reason=daily.withholding_reason(wallet),
    )
    return OpenHold(generation, hold_plan)


def _hold_facts(generation: Generation, parts: tuple[PricedPart, ...]) -> dict[str, int | str | None]:
    """The facts about a request that its ledger movement keeps."""
    quoted: dict[str, int | str | None] = {"quote": generation.quote_id} if generation.quote_id else {}
    return {
        "price_version": generation.price_version,
        "model": parts[-1].offers[0].model if parts else None,
        "candidates": sum(len(part.offers) for part in parts),
        **quoted,
    }


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
        credits_left -= credits_max_of(chosen[-1])
    return tuple(chosen)


def credits_max_of(part: PricedPart) -> int:
    """The most credits that a part may cost."""
    return max(offer.credits_max for offer in part.offers)


def with_candidates(generation: Generation, pipeline: Pipeline | None, parts: tuple[PricedPart, ...]) -> Generation:
    """The generation with its candidates: its own, or those of each stage."""
    if pipeline is None:
        offers = parts[0].offers
        candidates, first = tuple(offer.candidate for offer in offers), offers[0]
        starts_express = first.answers_at_once and fits_express(timedelta(seconds=first.run_seconds_max))
        return replace(generation, candidates=candidates, starts_express=starts_express)
    parts_by_name = {part.quote_input.name: part for part in parts}
    stages = tuple(_planned_stage(parts_by_name.get(stage.name), stage) for stage in pipeline.stages)
    last = stages[-1]
    recipe = replace(generation.recipe, parameters=last.parameters, inputs=last.inputs)
    return replace(generation, recipe=recipe, pipeline=replace(pipeline, stages=stages))


def _planned_stage(part: PricedPart | None, stage: Stage) -> Stage:
    if part is None:
        return stage
    return replace(
        stage,
        parameters=part.parameters,
        candidates=tuple(offer.candidate for offer in part.offers),
        credits_max=credits_max_of(part),
        run_seconds_max=max(offer.run_seconds_max for offer in part.offers),
    )


def check_quote(quote: Quote, workspace_id: str, recipe: Recipe, pipeline: Pipeline | None) -> QuoteExpired | None:
    """Whether a quote is for this request.

    | request                                              | answer                   |
    |------------------------------------------------------|--------------------------|
    | the quoted one                                       | None                     |
    | the quoted one, with more facts of its files         | QuoteExpired, not raised |
    | any other                                            | raises ValidationFailed  |

    The error is not raised here, because the repetition of an accepted request still returns its generation."""
    if quote.matches(workspace_id, recipe, pipeline):
        return None
    if not quote.matches_without_file_facts(workspace_id, recipe, pipeline):
        raise ValidationFailed([{"path": "quote_id", "message": "This is no quote for this request."}])
    return QuoteExpired("More is known of the files than when this was quoted. Ask for another.")


def quoted_parts(quote: Quote, priced_parts: tuple[PricedPart, ...], now: datetime) -> tuple[PricedPart, ...]:
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
