"""A deployment's own rate limit for a provider (`ATELIER_PROVIDER_LIMITS`), in its functions."""

from __future__ import annotations

import pytest

from atelier.clock import system_clock
from atelier.routing.circuit_breaker import Scope
from atelier.routing.rate_limit import RateLimit
from atelier.wiring import generations, routing
from infra.simulators.replicate import ReplicateSimulator
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.example_data import GENERATION, WORKSPACE, submit_example
from tests.functions.responses import error_of, invoke_app, success_data
from tests.invoke import event, example_event, load_function

REPLICATE = Scope("replicate")
BODY = {"prompt": "a lighthouse", "model": "replicate/sdxl", "parameters": {"width": 512, "height": 512}}


@pytest.fixture(autouse=True)
def limited(cloud: AwsResources, replicate: ReplicateSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_PROVIDER_LIMITS", "replicate=1/900, replicate@own=60, stability=0")
    clear_wiring_caches(clients=False)


def take(count: int) -> None:
    """Reserve that many slots for other requests."""
    now = system_clock()
    for _ in range(count):
        assert routing.rate_limiter().reserve(REPLICATE, now, latest=now.replace(year=now.year + 1)).is_reserved


def test_a_deployments_limits_override_the_catalogues() -> None:
    limits = routing.rate_limiter().limits
    assert limits.for_scope(REPLICATE) == RateLimit(1, 900)
    assert limits.for_scope(Scope("replicate", WORKSPACE, "key_1")) == RateLimit(60)
    assert limits.for_scope(Scope("stability")) is None
    assert limits.for_scope(Scope("stability", WORKSPACE, "key_1")) == RateLimit(150, 10)
    assert limits.for_scope(Scope("openai")) is None


def test_a_rate_limited_attempt_is_requeued_without_a_provider_call(
    cloud: AwsResources, replicate: ReplicateSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_PROVIDER_LIMITS", "replicate=1")
    clear_wiring_caches(clients=False)
    take(1)
    submit_example(model="replicate/sdxl")
    task = cloud.start_waiting_execution()
    visit = example_event("tasks/attempt_generation/first_candidate") | {"task_token": task.token}
    load_function("tasks/attempt_generation").handler(visit, None)
    assert task.is_unanswered()
    assert replicate.predictions == {}
    assert cloud.delayed_attempts() == 1
    assert generations.store().get(WORKSPACE, GENERATION).attempts == ()


def test_a_request_beyond_the_queue_gets_503_with_retry_after(cloud: AwsResources) -> None:
    take(1)
    response = invoke_app(load_function("api/generations"), event("api/generations/generate_image", body=BODY))
    assert error_of(response) == (503, "UNAVAILABLE")
    assert 0 < int(response["headers"]["Retry-After"]) <= 400


def test_a_request_under_the_limit_is_accepted(cloud: AwsResources) -> None:
    response = invoke_app(load_function("api/generations"), event("api/generations/generate_image", body=BODY))
    assert (response["statusCode"], success_data(response)["generation"]["status"]) == (202, "queued")
