"""Quotes: signed, equal to the price without a quote, redeemed once, never exceeded."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.catalogue.catalogue import catalogue
from atelier.errors import Conflict, IdempotencyMismatch, QuoteExpired, ValidationFailed
from atelier.generations.model import Kind, Recipe
from atelier.generations.outcome import Outcome
from atelier.generations.ports import OutputLocation
from atelier.generations.quote import (
    QUOTE_CHARACTERS_MAX,
    QUOTE_LIFETIME,
    Quote,
    QuoteInput,
    derive_quote_key,
    quote,
    sign_quote,
    verify_quote,
)
from atelier.generations.submit import AcceptedGeneration
from tests.conftest import Tables
from tests.integration.world import NOON, World, run_concurrently

KEY = derive_quote_key(bytes(range(32)))
ALL = frozenset({"local", "replicate", "openai", "fal", "xai", "stability", "anthropic"})
SIZE = {"width": 512, "height": 512}


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables, providers=frozenset({"replicate", "fal"}))


def promised(world: World, prompt: str | None = None, **parameters: int) -> Quote:
    ask = QuoteInput("image", "auto", {**SIZE, **parameters}, prompt)
    promise, _ = quote(world.workspace_id, ask, catalogue=world.catalogue, now=world.now)
    # The token as the caller sends it back.
    returned = verify_quote(sign_quote(promise, KEY), KEY)
    assert returned == promise
    return promise


def test_a_quote_equals_the_hold_of_a_submission_without_it(world: World) -> None:
    for parameters in ({}, {"n": 3}, {"width": 1024, "height": 768}, {"seed": 7}):
        held = world.submit(**parameters).generation
        promise = promised(world, **parameters)
        assert promise.credits_max == held.credits_held
        assert promise.candidates == held.candidates
        assert promise.price_version == held.price_version
        assert world.submit(quote=promise, **parameters).generation.credits_held == held.credits_held


def test_a_quote_is_redeemed_once_by_parallel_submissions(world: World) -> None:
    promise = promised(world)
    results = run_concurrently(12, lambda _: world.submit(quote=promise))
    accepted = [result for result in results if isinstance(result, AcceptedGeneration)]
    assert len(accepted) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 11
    assert accepted[0].generation.quote_id == promise.id
    hold = world.movements()[0]
    assert hold.facts["quote"] == promise.id
    world.assert_sound()


def test_an_idempotency_key_is_replayed_after_its_quote_was_redeemed_or_expired(world: World) -> None:
    promise = promised(world)
    results = run_concurrently(6, lambda _: world.submit(quote=promise, key="k"))
    ids = {result.generation.id for result in results if isinstance(result, AcceptedGeneration)}
    assert len(ids) == 1
    assert all(isinstance(result, AcceptedGeneration) for result in results)
    world.now += QUOTE_LIFETIME
    again = world.submit(quote=promise, key="k")
    assert (again.replayed, {again.generation.id}) == (True, ids)
    with pytest.raises(IdempotencyMismatch):
        world.submit(quote=promised(world), key="k")


def test_an_expired_quote_holds_nothing(world: World) -> None:
    promise = promised(world)
    world.now += QUOTE_LIFETIME
    with pytest.raises(QuoteExpired):
        world.submit(quote=promise)
    world.now -= timedelta(seconds=1)
    world.submit(quote=promise)


def test_a_quote_is_for_one_request_of_one_workspace(world: World, tables: Tables) -> None:
    other = World(tables, providers=frozenset({"replicate", "fal"}))
    promise = promised(world, "a lighthouse")
    for wrong in (
        lambda: world.submit(quote=promise, n=2),
        lambda: world.submit(quote=promise, model="replicate/sdxl"),
        lambda: world.submit(quote=promise, prompt="a palace"),
        lambda: other.submit(quote=promise),
    ):
        with pytest.raises(ValidationFailed) as refusal:
            wrong()
        assert refusal.value.facts["fields"][0]["path"] == "quote_id"
    world.submit(quote=promise)


def test_a_price_that_rises_after_the_quote_is_held_and_charged_as_quoted(world: World) -> None:
    promise = promised(world)
    cheap = replace(promise, credits_max=1)
    generation = world.submit(quote=cheap).generation
    assert (promise.credits_max > 1, generation.credits_held) == (True, 1)
    world.attempt(generation)
    outcome = Outcome("succeeded", (OutputLocation(key="staging/x"),), cost_microusd=10**6)
    ended = world.finish(generation, outcome)
    assert (ended.credits_charged, ended.cost_microusd) == (1, 10**6)
    assert world.movements()[0].facts["quote"] == promise.id
    world.assert_sound()


def test_a_price_that_falls_after_the_quote_is_held_at_the_lower_price(world: World) -> None:
    promise = promised(world)
    generation = world.submit(quote=replace(promise, credits_max=promise.credits_max + 5)).generation
    assert generation.credits_held == promise.credits_max


def test_only_quoted_candidates_are_tried(world: World) -> None:
    promise = promised(world)
    assert len(promise.candidates) > 1
    generation = world.submit(quote=replace(promise, candidates=promise.candidates[1:])).generation
    assert generation.candidates == promise.candidates[1:]
    with pytest.raises(QuoteExpired):
        world.submit(quote=replace(promise, id="quo_01M7XCN60Q6FWRTBRK8SSNMQ3V", candidates=("gone/model",)))


@given(st.data())
def test_a_changed_quote_token_is_invalid(data: st.DataObject) -> None:
    ask = QuoteInput("image", "auto", {}, "a lighthouse")
    promise, _ = quote("wsp_A", ask, catalogue=catalogue(ALL - {"openai", "xai"}), now=NOON)
    token = sign_quote(promise, KEY)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters(min_codepoint=33, max_codepoint=0x2FF))
    changed = token[:place] + letter + token[place + 1 :]
    assert changed == token or verify_quote(changed, KEY) is None
    assert verify_quote(data.draw(st.text(max_size=50)), KEY) is None
    assert verify_quote(token, derive_quote_key(bytes(32))) is None


def test_a_quote_token_with_a_forged_payload_is_invalid(world: World) -> None:
    token = sign_quote(promised(world), KEY)
    name, payload, mac = token.split(".")
    facts = json.loads(base64.urlsafe_b64decode(payload + "=="))
    facts[4] = 0
    forged = base64.urlsafe_b64encode(json.dumps(facts).encode()).rstrip(b"=").decode()
    assert verify_quote(f"{name}.{forged}.{mac}", KEY) is None
    # The token contains the prompt's digest, not the prompt.
    assert b"lighthouse" not in base64.urlsafe_b64decode(payload + "==")


@pytest.mark.parametrize("kind", ["image", "text", "video", "audio", "avatar", "page"])
def test_a_quote_token_with_every_candidate_fits_its_maximum_length(kind: str) -> None:
    everything = catalogue(ALL)
    models = [model for model in everything.models_for(kind, NOON.date()) if not model.procedural]
    widest = tuple(model.id for model in models)
    promise, _ = quote(
        "wsp_01M7XCN60Q0Z9AH99VAAQWYH99", QuoteInput("image", "auto", SIZE, "x"), catalogue=everything, now=NOON
    )
    promise = replace(promise, credits=10**6, credits_max=10**6, cost_microusd=10**9, candidates=widest)
    assert len(sign_quote(promise, KEY)) <= QUOTE_CHARACTERS_MAX


def test_a_quote_priced_by_its_prompt_requires_the_prompt() -> None:
    everything = catalogue(ALL)
    for kind, model in (("text", "auto"), ("image", "openai/gpt-image-2")):
        ask = QuoteInput(kind, model, {})
        with pytest.raises(ValidationFailed) as refusal:
            quote("wsp_A", ask, catalogue=everything, now=NOON)
        assert refusal.value.facts["fields"][0]["path"] == "prompt"


@given(prompt=st.text(min_size=1, max_size=300))
def test_a_quote_without_a_prompt_has_the_price_of_any_prompt(prompt: str) -> None:
    prices = catalogue(frozenset({"replicate", "fal", "local"}))
    promise, _ = quote("wsp_A", QuoteInput("image", "auto", SIZE), catalogue=prices, now=NOON)
    same, _ = quote("wsp_A", QuoteInput("image", "auto", SIZE, prompt), catalogue=prices, now=NOON)
    assert (promise.credits_max, promise.cost_microusd) == (same.credits_max, same.cost_microusd)


def test_a_quote_for_a_prompt_includes_its_negative_prompt() -> None:
    def promise(negative_prompt: str | None) -> Quote:
        ask = QuoteInput.of(replace(lighthouse, negative_prompt=negative_prompt))
        return quote("wsp_A", ask, catalogue=catalogue(ALL), now=NOON)[0]

    lighthouse = Recipe(Kind.IMAGE, "a lighthouse", "openai/gpt-image-2")
    plain, long = promise(None), promise("fog, rain " * 3000)
    assert plain.credits_max < long.credits_max
    for negative_prompt, fitting, other in ((None, plain, long), ("fog, rain " * 3000, long, plain)):
        recipe = replace(lighthouse, negative_prompt=negative_prompt)
        assert (fitting.matches("wsp_A", recipe), other.matches("wsp_A", recipe)) == (True, False)


def test_a_model_without_a_price_is_refused() -> None:
    with pytest.raises(ValidationFailed) as refusal:
        quote("wsp_A", QuoteInput("image", "nobody/nothing", {}), catalogue=catalogue(ALL), now=NOON)
    assert refusal.value.facts["fields"][0]["path"] == "model"
