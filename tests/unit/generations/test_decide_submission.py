"""The decisions of accepting a request: each row of the tables in decide_submission is one case here."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from atelier.catalogue.catalogue import Offer, catalogue
from atelier.errors import InsufficientCredits, QuoteExpired, RateLimited, ValidationFailed
from atelier.generations.decide_submission import (
    OpenHold,
    PricedRequest,
    ShowEarlier,
    affordable_parts,
    check_quote,
    decide_submission,
    quoted_parts,
    with_candidates,
)
from atelier.generations.model import DeliveredFile, Generation, InputAsset, Kind, Pipeline, Recipe, Stage, Status
from atelier.generations.quote import PricedPart, Quote, QuoteInput
from atelier.ledger.model import DailyCreditRule, Grant, GrantSource, Wallet, new_wallet
from atelier.projects.model import WORKSPACE
from tests.unit.generations.values import NOW, generation

TIER = replace(catalogue(frozenset({"local"})).tier("free"), watermark=False, generations_open_max=2)
DAILY = DailyCreditRule(50)
CHEAP = Offer("local/canvas", "local", 2, 0, 10)
DEAR = Offer("replicate/sdxl", "replicate", 6, 4000, 60)
RECIPE = Recipe(Kind.IMAGE, "a lighthouse", parameters={"width": 512})
PART = PricedPart(QuoteInput.of(RECIPE, None), RECIPE.parameters, (DEAR, CHEAP))
IMAGE = DeliveredFile("ast_1", "image", "0" * 64, "png", 5, 512, 512)
NEW = replace(generation(status=Status.QUEUED, candidates=()), credits_held=0, recipe=RECIPE)
EARLIER = replace(generation(status=Status.SUCCEEDED), id="gen_EARLIER", assets=(IMAGE,), watermark=False)
QUOTE = Quote(
    "quo_1",
    "wsp_A",
    QuoteInput.of(RECIPE, None).fingerprint(),
    None,
    6,
    5,
    4000,
    (DEAR.candidate,),
    "2026-11-01",
    NOW + timedelta(minutes=5),
)


def wallet(credits: int) -> Wallet:
    grant = Grant("g1", GrantSource.PURCHASE, credits, credits, 0, 60, NOW, None)
    return replace(new_wallet("wsp_A", "free", NOW), available=credits, grants=(grant,))


def decide(
    of: Wallet,
    *,
    earlier: Generation | None = None,
    kept: bool = True,
    project_id: str | None = None,
    quote: Quote | None = None,
) -> ShowEarlier | OpenHold:
    requested = replace(NEW, project_id=project_id, quote_id=quote.id if quote else None)
    request = PricedRequest(requested, None, (PART,), quote, earlier)
    return decide_submission(request, of, TIER, DAILY, lambda file: kept, NOW)


@pytest.mark.parametrize("of", [wallet(50), wallet(0), replace(wallet(50), debt=1), replace(wallet(50), holds_open=2)])
def test_an_earlier_result_is_shown_free_whatever_the_wallet(of: Wallet) -> None:
    decision = decide(of, earlier=EARLIER)
    assert isinstance(decision, ShowEarlier)
    shown = decision.generation
    assert (shown.id, shown.status, shown.assets) == (NEW.id, Status.SUCCEEDED, EARLIER.assets)
    assert (shown.reused_from, shown.credits_held, shown.watermark) == (EARLIER.id, 0, False)


@pytest.mark.parametrize(
    ("earlier", "kept"),
    [
        (None, True),
        (EARLIER, False),
        (replace(EARLIER, watermark=True), True),
        (replace(EARLIER, status=Status.FAILED), True),
        (replace(EARLIER, assets=()), True),
    ],
    ids=["none", "not kept", "another watermark", "failed", "no files"],
)
def test_without_a_reusable_result_a_hold_is_opened(earlier: Generation | None, kept: bool) -> None:
    decision = decide(wallet(50), earlier=earlier, kept=kept)
    assert isinstance(decision, OpenHold)
    assert decision.generation.candidates == (DEAR.candidate, CHEAP.candidate)
    assert (decision.generation.credits_held, decision.hold_plan.hold.amount) == (6, 6)
    assert decision.hold_plan.hold.deadline_at == NEW.deadline_at
    assert decision.hold_plan.movement.facts == {
        "price_version": NEW.price_version,
        "model": DEAR.model,
        "candidates": 2,
    }


def test_a_request_beyond_the_wallet_or_its_limits_is_refused() -> None:
    with pytest.raises(RateLimited):
        decide(replace(wallet(50), holds_open=2))
    for of in (wallet(1), replace(wallet(50), debt=1)):
        with pytest.raises(InsufficientCredits):
            decide(of)


def test_offers_that_the_wallet_cannot_afford_are_left_out() -> None:
    decision = decide(wallet(5))
    assert isinstance(decision, OpenHold)
    assert (decision.generation.candidates, decision.generation.credits_held) == ((CHEAP.candidate,), 2)
    # Two parts: the first may spend what is left when the second takes its cheapest offer.
    first, second = affordable_parts((PART, PART), 8)
    assert (first.offers, second.offers) == ((DEAR, CHEAP), (CHEAP,))
    (nothing,) = affordable_parts((PART,), 1)
    assert nothing.offers == PART.offers


def test_the_hold_is_never_above_the_quoted_price_and_names_the_quote() -> None:
    decision = decide(wallet(50), quote=QUOTE)
    assert isinstance(decision, OpenHold)
    assert (decision.generation.credits_held, decision.hold_plan.movement.facts["quote"]) == (5, "quo_1")


@pytest.mark.parametrize(
    ("project_id", "budgeted", "budgets", "reserved"),
    [
        (None, False, (), 0),
        ("prj_1", False, ("prj_1",), 4000),
        (None, True, (WORKSPACE,), 4000),
        ("prj_1", True, ("prj_1", WORKSPACE), 4000),
    ],
)
def test_the_highest_cost_is_reserved_on_each_budget(
    project_id: str | None, budgeted: bool, budgets: tuple[str, ...], reserved: int
) -> None:
    decision = decide(replace(wallet(50), budgeted=budgeted), project_id=project_id)
    assert (decision.generation.budgets, decision.generation.reserved_microusd) == (budgets, reserved)


# (image size known when quoted, size known now, request as quoted, what happens), by the table of `check_quote`.
KNOWN = replace(RECIPE, inputs={"image": (InputAsset("ast_1", width=512, height=512),)})
UNKNOWN = replace(RECIPE, inputs={"image": (InputAsset("ast_1"),)})


def quote_for(recipe: Recipe) -> Quote:
    return replace(QUOTE, fingerprint=QuoteInput.of(recipe, None).fingerprint())


def test_a_quote_is_for_its_request_alone() -> None:
    assert check_quote(QUOTE, "wsp_A", RECIPE, None) is None
    assert check_quote(quote_for(KNOWN), "wsp_A", KNOWN, None) is None
    assert isinstance(check_quote(quote_for(UNKNOWN), "wsp_A", KNOWN, None), QuoteExpired)
    for workspace_id, recipe in (("wsp_B", RECIPE), ("wsp_A", KNOWN)):
        with pytest.raises(ValidationFailed):
            check_quote(QUOTE, workspace_id, recipe, None)


def test_quoted_offers_keep_the_quoted_price_until_the_quote_expires() -> None:
    (part,) = quoted_parts(QUOTE, (PART,), NOW)
    assert part.offers == (replace(DEAR, credits_max=5),)
    with pytest.raises(QuoteExpired, match="has expired"):
        quoted_parts(QUOTE, (PART,), QUOTE.expires_at)
    with pytest.raises(QuoteExpired, match="not offered any more"):
        quoted_parts(QUOTE, (replace(PART, offers=(CHEAP,)),), NOW)


# ---- which execution it starts with ----------------------------------------------------------------------------------

AT_ONCE = replace(CHEAP, answers_at_once=True)


@pytest.mark.parametrize(
    ("offers", "starts_express"),
    [
        ((AT_ONCE, DEAR), True),
        # Three minutes, a late answer and the end fit into five minutes; a second more does not.
        ((replace(AT_ONCE, run_seconds_max=180),), True),
        ((replace(AT_ONCE, run_seconds_max=181),), False),
        ((CHEAP,), False),
        # Its first candidate is the one that most likely makes it.
        ((DEAR, AT_ONCE), False),
    ],
)
def test_a_generation_starts_express_when_its_first_candidate_answers_in_time(
    offers: tuple[Offer, ...], starts_express: bool
) -> None:
    request = PricedRequest(NEW, None, (replace(PART, offers=offers),))
    decision = decide_submission(request, wallet(50), TIER, DAILY, lambda file: True, NOW)
    assert decision.generation.starts_express is starts_express


@pytest.mark.parametrize(
    ("model", "answers_at_once"), [("local/canvas", True), ("stability/core", True), ("replicate/sdxl", False)]
)
def test_an_offer_says_whether_its_provider_answers_at_once(model: str, answers_at_once: bool) -> None:
    enabled = catalogue(frozenset({model.partition("/")[0]}))
    _, (offer,) = enabled.offers("image", model, {}, today=NOW.date(), seed=1, prompt="a lighthouse")
    assert offer.answers_at_once is answers_at_once


def test_a_planned_stage_knows_its_candidates_and_the_longest_run_of_them() -> None:
    part = replace(PART, quote_input=replace(PART.quote_input, name="image"))
    planned = with_candidates(NEW, Pipeline("enhanced", (Stage("image", Kind.IMAGE),)), (part,)).pipeline
    assert planned is not None
    (stage,) = planned.stages
    assert stage.candidates == (DEAR.candidate, CHEAP.candidate)
    assert (stage.credits_max, stage.run_seconds_max) == (6, 60)
