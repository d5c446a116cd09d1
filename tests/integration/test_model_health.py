"""Health by provider and model: failures of one model do not stop the use of the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from atelier.catalogue.catalogue import Offer, catalogue
from atelier.errors import Unavailable
from atelier.generations.model import Status
from atelier.provider_keys.model import WorkspaceProviders
from atelier.provider_port import Done, ErrorClass, Failed, Output
from atelier.routing.circuit_breaker import COOLDOWN_SECONDS, FAILURES_TO_DOWN, Scope, overall_status
from atelier.routing.circuit_breaker import HealthStatus as HealthStatus
from atelier.routing.health_cache import SUCCESSES_PER_WRITE, HealthCache
from atelier.routing.rank_offers import Routes
from tests.conftest import Tables
from tests.integration.test_routing import BROKEN, OWN, REPLICATE, counted, run, take_down
from tests.integration.world import DONE, ScriptedProvider, World

MODEL, OTHER = "replicate/sdxl", "replicate/photomaker"
SDXL = replace(REPLICATE, model=MODEL)


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables)


def break_model(world: World) -> None:
    for _ in range(FAILURES_TO_DOWN):
        world.replicate.answers = [BROKEN]
        run(world, MODEL)


def test_three_failures_of_one_model_open_only_that_models_circuit(world: World) -> None:
    break_model(world)
    world.replicate.answers = [Done((Output(data=b"x"),))]
    sent = len(world.replicate.submitted)
    assert [attempt.model for attempt in run(world, MODEL, OTHER).attempts] == [OTHER]
    assert len(world.replicate.submitted) == sent + 1
    access, (model,) = world.book.cached(REPLICATE, world.now), world.book.model_health(REPLICATE, world.now)
    assert (model.scope.model, model.status(world.now)) == (MODEL, HealthStatus.DOWN)
    assert (access.failures, access.opened_at) == (FAILURES_TO_DOWN, None)
    assert overall_status(access, (model,), world.now) is HealthStatus.DEGRADED


def test_a_named_model_with_an_open_circuit_is_refused_and_another_is_accepted(world: World) -> None:
    break_model(world)
    world.catalogue = catalogue(frozenset({"replicate"}))
    routes = Routes(
        world.workspace_id, WorkspaceProviders(), lambda scope: world.book.cached(scope, world.now), world.now
    )
    with pytest.raises(Unavailable) as refused:
        world.submit(model=MODEL, routes=routes)
    assert 0 < refused.value.facts["retry_after_seconds"] <= COOLDOWN_SECONDS + 1
    routes.require_available(OTHER, (Offer(OTHER, "replicate", 1, 1, 60),))


@pytest.mark.parametrize("error_class", [ErrorClass.AUTH, ErrorClass.PROVIDER_BILLING, ErrorClass.RATE_LIMITED])
def test_an_account_failure_skips_all_models_of_the_provider(world: World, error_class: ErrorClass) -> None:
    world.replicate.answers = [Failed(error_class, "No.")]
    assert [a.model for a in run(world, MODEL, OTHER, "local/canvas").attempts] == [MODEL, "local/canvas"]
    assert world.book.model_health(REPLICATE, world.now) == ()


def test_provider_wide_failures_open_the_circuit_of_the_whole_provider(world: World) -> None:
    world.replicate.answers = [replace(BROKEN, provider_wide=True)] * FAILURES_TO_DOWN
    for _ in range(FAILURES_TO_DOWN):
        run(world, MODEL)
    assert [a.model for a in run(world, OTHER, "local/canvas").attempts] == ["local/canvas"]


def test_a_key_rejected_for_one_model_is_still_used_for_the_others(world: World) -> None:
    world.replicate.answers = [Failed(ErrorClass.AUTH, "Not this one.", provider_wide=False), DONE, DONE]
    assert run(world, MODEL, OTHER).status is Status.SUCCEEDED
    assert [a.model for a in run(world, MODEL, OTHER).attempts] == [OTHER]


def test_one_caller_alone_probes_a_half_open_model(world: World) -> None:
    break_model(world)
    world.now += timedelta(seconds=COOLDOWN_SECONDS)
    books = [HealthCache(world.health) for _ in range(3)]
    assert [book.allow(SDXL, world.now) for book in books] == [True, False, False]
    world.book.record_success(SDXL, 100, started_at=world.now, now=world.now)
    assert all(HealthCache(world.health).allow(SDXL, world.now) for _ in range(3))


def test_a_model_failure_in_the_providers_probe_doubles_the_cooldown(world: World) -> None:
    take_down(world)
    world.now += timedelta(seconds=COOLDOWN_SECONDS)
    world.replicate.answers = [BROKEN]
    run(world, MODEL)
    assert world.health.get(REPLICATE).cooldown_seconds == 2 * COOLDOWN_SECONDS


def test_a_healthy_model_has_no_health_item(world: World) -> None:
    book = HealthCache(world.health)
    with counted("PutItem") as puts, counted("Query") as queries, counted("GetItem") as gets:
        for _ in range(1 + 3 * SUCCESSES_PER_WRITE):
            assert book.allow(SDXL, world.now)
            book.record_success(SDXL, 1000, started_at=world.now, now=world.now)
    assert (len(puts), len(queries), len(gets)) == (4, 1, 4)
    assert set(world.health.read(None)) == {REPLICATE}


def test_the_health_of_a_workspace_keys_model_is_stored_under_any_model_name(world: World) -> None:
    scope = Scope("custom", world.workspace_id, OWN, "custom/a#b@key_/x")
    world.book.record_failure(scope, ErrorClass.TRANSIENT, "It broke.", started_at=world.now, now=world.now)
    kept = world.health.get(scope)
    assert world.health.read(world.workspace_id)[scope] == kept
    assert (kept.failures_in_a_row, world.health.get(scope.access).failures) == (1, 1)


def test_a_custom_model_named_like_a_key_id_is_called_with_the_right_key(world: World) -> None:
    name = f"custom/x@{OWN}"
    mine = "key_" + "0" * 25 + "2"
    world.own[mine] = ScriptedProvider()
    ended = run(world, f"{name}@{mine}")
    assert [(attempt.model, attempt.key) for attempt in ended.attempts] == [(name, mine)]
