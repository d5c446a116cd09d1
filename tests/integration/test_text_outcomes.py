"""Texts that end empty, filtered or refused: what they cost, and whether they count against the provider's health."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from atelier.adapters.media.delivery import Delivery
from atelier.catalogue.catalogue import catalogue
from atelier.generations.attempt import TokenReply, attempt
from atelier.generations.model import Generation, Kind, Recipe, Status
from atelier.generations.submit import Submission, submit_generation
from atelier.generations.sweep import sweep
from atelier.provider_port import Done, ErrorClass, Failed, FinishReason, Job, Output, SubmitOutcome
from atelier.routing.circuit_breaker import Scope
from tests.conftest import Tables
from tests.integration.world import ScriptedProvider, World

MODEL = "openai/gpt-5.4-mini"
USAGE = {"tokens_input": 10, "tokens_output": 4000}
# 10 × 0.75 + 4000 × 4.5 millionths of a dollar.
COST_MICROUSD = 18_008


@pytest.fixture
def world(tables: Tables) -> World:
    world = World(tables)
    world.catalogue = catalogue(frozenset({"openai"}))
    return world


def ended(world: World, *ends: SubmitOutcome, kind: Kind = Kind.TEXT) -> Generation:
    """Submits a text and finishes it with this answer of its only candidate."""
    recipe = Recipe(kind, "why is the sky blue?", MODEL, None, {"max_tokens": 4000})
    begun = submit_generation(
        Submission(world.workspace_id, "usr_A", recipe), deps=world.submit_deps, now=world.now
    ).generation
    to = replace(world.attempt_deps, providers={"openai": ScriptedProvider(list(ends))})
    attempt(world.workspace_id, begun.id, TokenReply("token", to), deps=to)
    return world.finish(begun)


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.PAGE])
def test_reasoning_tokens_without_text_succeed_empty_and_are_charged_by_usage(world: World, kind: Kind) -> None:
    for _ in range(3):
        made = ended(world, Done((), USAGE, finish_reason=FinishReason.LENGTH), kind=kind)
    assert (made.status, made.assets, made.finish_reason) == (Status.SUCCEEDED, (), "length")
    assert (made.cost_microusd, made.cost_source, made.credits_charged) == (COST_MICROUSD, "usage", 3)
    assert world.get(made) == made
    assert world.health.get(Scope("openai")).failures == 0
    world.assert_sound()


def test_a_page_cut_off_before_its_first_tag_succeeds_without_a_second_attempt(world: World) -> None:
    files = {"staged": b"Let me think about the page first"}

    class Kept:
        def put(self, key: str, data: bytes, content_type: str) -> None:
            files[key] = data

        def get(self, key: str, bytes_max: int) -> bytes:
            return files[key]

    world.media = Delivery(Kept(), None)  # pyright: ignore
    cut = Done((Output(files["staged"]),), USAGE, finish_reason=FinishReason.LENGTH)
    assert (ended(world, cut, kind=Kind.PAGE).status, world.execution.started) == (Status.SUCCEEDED, [])


@pytest.mark.parametrize("error_class", [ErrorClass.INVALID_INPUT, ErrorClass.MODERATED, ErrorClass.MODERATED_BILLED])
def test_a_caller_fault_books_its_usage_and_leaves_the_providers_health_alone(
    world: World, error_class: ErrorClass
) -> None:
    for _ in range(3):
        refused = Failed(error_class, "Too long.", usage=USAGE, code="context_length_exceeded")
        failed = ended(world, refused)
    assert (failed.status, failed.cost_microusd, failed.credits_charged) == (Status.FAILED, COST_MICROUSD, 0)
    assert failed.failure is not None
    assert (failed.failure.message, failed.failure.provider_code) == ("Too long.", "context_length_exceeded")
    assert world.get(failed) == failed
    assert world.health.get(Scope("openai")).version == 0


@pytest.mark.parametrize("max_tokens", [16, 4096, 12_000])
def test_a_text_that_takes_245_seconds_is_delivered_and_charged(world: World, max_tokens: int) -> None:
    recipe = Recipe(Kind.TEXT, "why is the sky blue?", MODEL, None, {"max_tokens": max_tokens})
    begun = submit_generation(
        Submission(world.workspace_id, "usr_A", recipe), deps=world.submit_deps, now=world.now
    ).generation

    def slowly(job: Job) -> None:
        assert job.run_seconds_max >= 245
        world.now += timedelta(seconds=245)
        assert sweep(world.workspace_id, deps=world.finish_deps, now=world.now) == 0

    provider = ScriptedProvider([Done((Output(b"Because."),), USAGE)], before_answer=slowly)
    to = replace(world.attempt_deps, providers={"openai": provider})
    attempt(world.workspace_id, begun.id, TokenReply("token", to), deps=to)
    made = world.finish(begun)
    assert (made.status, made.cost_source) == (Status.SUCCEEDED, "usage")
    assert made.credits_charged > 0
    world.assert_sound()


def test_usage_reported_by_a_failing_provider_is_booked(world: World) -> None:
    failed = ended(world, Failed(ErrorClass.TRANSIENT, "It broke.", usage=USAGE))
    assert (failed.status, failed.cost_microusd, failed.cost_source) == (Status.FAILED, COST_MICROUSD, "usage")
