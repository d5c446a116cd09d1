"""A deployment's own rate limit for a provider (`ATELIER_PROVIDER_LIMITS`), in its functions."""

from __future__ import annotations

import pytest

from atelier.clock import system_clock
from atelier.routing.model import Scope
from atelier.routing.pace import Limit
from atelier.wiring import generations, routing
from infra.local.standins.replicate import ReplicateStandIn
from tests.embedded_aws import forget_wiring
from tests.functions.answers import answered, data, refusal
from tests.functions.cast import GENERATION, WORKSPACE, ask
from tests.functions.conftest import Cloud
from tests.invoke import event, example, function

REPLICATE = Scope("replicate")
BODY = {"prompt": "a lighthouse", "model": "replicate/sdxl", "parameters": {"width": 512, "height": 512}}


@pytest.fixture(autouse=True)
def limited(cloud: Cloud, replicate: ReplicateStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_PROVIDER_LIMITS", "replicate=1/900, replicate@own=60, stability=0")
    forget_wiring(clients=False)


def take(count: int) -> None:
    """Reserve that many slots for other requests."""
    now = system_clock()
    for _ in range(count):
        assert routing.places().take(REPLICATE, now, latest=now.replace(year=now.year + 1)).is_taken


def test_a_deployments_words_go_before_the_catalogues() -> None:
    limits = routing.places().limits
    assert limits.of(REPLICATE) == Limit(1, 900)
    assert limits.of(Scope("replicate", WORKSPACE, "key_1")) == Limit(60)
    assert limits.of(Scope("stability")) is None
    assert limits.of(Scope("stability", WORKSPACE, "key_1")) == Limit(150, 10)
    assert limits.of(Scope("openai")) is None


def test_an_attempt_for_which_there_is_no_place_waits_in_the_queue_and_nothing_is_sent(
    cloud: Cloud, replicate: ReplicateStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_PROVIDER_LIMITS", "replicate=1")
    forget_wiring(clients=False)
    take(1)
    ask(model="replicate/sdxl")
    task = cloud.task()
    visit = example("tasks/attempt_generation/first_candidate") | {"task_token": task.token}
    function("tasks/attempt_generation").handler(visit, None)
    assert task.unanswered()
    assert replicate.predictions == {}
    assert cloud.delayed() == 1
    assert generations.store().get(WORKSPACE, GENERATION).attempts == ()


def test_with_a_line_too_long_a_request_is_told_when_to_come_again_and_holds_nothing(cloud: Cloud) -> None:
    take(1)
    response = answered(function("api/generations"), event("api/generations/generate_image", body=BODY))
    assert refusal(response) == (503, "UNAVAILABLE")
    assert 0 < int(response["headers"]["Retry-After"]) <= 400


def test_whoever_finds_a_place_is_accepted(cloud: Cloud) -> None:
    response = answered(function("api/generations"), event("api/generations/generate_image", body=BODY))
    assert (response["statusCode"], data(response)["generation"]["status"]) == (202, "queued")
