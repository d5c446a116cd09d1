"""functions/api/admin_operations: providers and models that are switched off and on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.audit_log.model import PLATFORM_LOG
from atelier.audit_log.ports import EventFilter
from atelier.clock import system_clock
from atelier.routing.circuit_breaker import Scope
from atelier.routing.health_cache import HealthCache
from atelier.wiring import audit_log, switches
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, call, create_administrator
from tests.functions.responses import error_of, success_data
from tests.invoke import load_function

PATH = "/api/admin/providers"
REASON = "Its pictures are black"
ACCESS, MODEL = Scope("replicate"), Scope("replicate", model="replicate/sdxl")
OTHER = Scope("replicate", model="replicate/another")


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/admin_operations")


@pytest.fixture
def ada(cloud: AwsResources) -> Person:
    return create_administrator("ada")


def switch(app: ModuleType, ada: Person, way: str, **body: Any) -> dict[str, Any]:
    health: dict[str, Any] = success_data(call(app, ada, f"POST {PATH}/replicate/{way}", body))["health"]
    return health


def usable(scope: Scope, *, after: timedelta = timedelta()) -> bool:
    """Whether an attempt of another process may be sent now."""
    return HealthCache(switches.store()).allow(scope, system_clock() + after)


def actions() -> list[str]:
    page = audit_log.reads().page(PLATFORM_LOG, EventFilter(action="provider."), None, 50)
    return [each["action"] for each in page.events]


def test_a_model_is_switched_off_for_a_time_and_on_again(app: ModuleType, ada: Person) -> None:
    off = switch(app, ada, "switch-off", model="replicate/sdxl", hours=2, reason=REASON)
    assert (off["model"], off["status"]) == ("replicate/sdxl", "down")
    assert not usable(MODEL)
    assert usable(OTHER)
    assert usable(MODEL, after=timedelta(hours=2, seconds=1))
    listed = success_data(call(app, ada, f"GET {PATH}"))["items"]
    assert [each["model"] for each in listed if each["switched_off_until"]] == ["replicate/sdxl"]
    for _ in range(2):
        on = switch(app, ada, "switch-on", model="replicate/sdxl")
        assert on["switched_off_until"] is None
    assert usable(MODEL)
    assert actions() == ["provider.switched_on", "provider.switched_off"]


def test_a_provider_that_is_off_stays_off_whatever_its_attempts_and_checks_say(app: ModuleType, ada: Person) -> None:
    switch(app, ada, "switch-off", reason=REASON)
    now, cache = system_clock(), HealthCache(switches.store())
    cache.record_success(MODEL, 100, started_at=now, now=now)
    cache.record_check(ACCESS, None, "", now)
    for scope in (ACCESS, MODEL, OTHER):
        assert not usable(scope)
        # It is not taken for a rate limit, for which attempts would wait.
        assert HealthCache(switches.store()).route_health(scope, now).rate_limited_until(now) is None


def test_switching_on_closes_a_circuit_that_failures_opened(app: ModuleType, ada: Person) -> None:
    now, cache = system_clock(), HealthCache(switches.store())
    cache.record_failure(ACCESS, "auth", "refused", started_at=now, now=now)
    assert not usable(ACCESS)
    assert switch(app, ada, "switch-on")["cooldown_until"] is None
    assert usable(ACCESS)


def test_switches_and_attempts_at_once_lose_nothing(app: ModuleType, ada: Person) -> None:
    now = system_clock()

    def fail(_: int) -> None:
        HealthCache(switches.store()).record_failure(MODEL, "capacity", "full", started_at=now, now=now)

    with ThreadPoolExecutor(4) as pool:
        failing = [pool.submit(fail, number) for number in range(6)]
        switch(app, ada, "switch-off", model="replicate/sdxl", reason=REASON)
        for each in failing:
            each.result()
    assert not usable(MODEL, after=timedelta(hours=23))


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("nothing/switch-off", {"reason": REASON}, 404),
        ("replicate/switch-off", {"reason": REASON, "model": "replicate/none"}, 404),
        ("replicate/switch-off", {"reason": REASON, "model": "local/canvas"}, 404),
        ("local/switch-off", {"reason": REASON}, 409),
        ("replicate/switch-off", {"reason": REASON, "hours": 0}, 422),
        ("replicate/switch-off", {"reason": REASON, "hours": 721}, 422),
        ("replicate/switch-off", {}, 422),
    ],
)
def test_what_cannot_be_switched_off_is_refused(
    app: ModuleType, ada: Person, path: str, body: dict[str, Any], status: int
) -> None:
    assert error_of(call(app, ada, f"POST {PATH}/{path}", body))[0] == status
    assert actions() == []
