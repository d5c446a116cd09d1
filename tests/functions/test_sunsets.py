"""The daily check of shutdown dates, fed with the scheduler's event, and how the API routes afterwards."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.sunsets import DynamoSunsets
from atelier.caller import Caller
from atelier.catalogue.ports import Sunsets
from atelier.clock import system_clock
from atelier.errors import ValidationFailed
from atelier.generations.create import accept
from atelier.generations.model import Kind, Recipe
from atelier.wiring import generation_requests, sunsets
from infra.simulators.openai import OpenAISimulator
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.example_data import PROMPT, USER, WORKSPACE
from tests.invoke import example_event, load_function

MODEL = "openai/gpt-image-2"
DAY = timedelta(days=1)


@pytest.fixture
def openai(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAISimulator]:
    """A deployment with OpenAI enabled, whose requests go to the simulator."""
    with OpenAISimulator() as simulator:
        name = f"providers-of-{cloud.tables.providers}"
        access = {"openai": {"api_key": simulator.api_key}}
        client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(access))
        monkeypatch.setenv("ATELIER_SECRET_PROVIDERS", name)
        monkeypatch.setenv("ATELIER_PROVIDER_URLS", f"openai={simulator.base_url}")
        monkeypatch.setenv("ATELIER_PROVIDERS", "local,openai")
        clear_wiring_caches(clients=False)
        yield simulator


@pytest.fixture
def store(cloud: AwsResources) -> DynamoSunsets:
    sunsets = DynamoSunsets()
    sunsets.bind(cloud.tables.providers)
    return sunsets


@pytest.fixture
def refresh() -> ModuleType:
    return load_function("schedules/refresh_sunsets")


def run(app: ModuleType) -> dict[str, int]:
    done: dict[str, int] = app.handler(example_event("schedules/refresh_sunsets/due"), None)
    return done


def routed_model() -> str:
    """The model that a new request for MODEL is routed to."""
    caller = Caller(USER, WORKSPACE, "owner")
    return accept(
        generation_requests.create_deps(system_clock()), caller, Recipe(Kind.IMAGE, PROMPT, MODEL), None, system_clock()
    ).generation.candidates[0]


def notices(log: io.StringIO, model: str = MODEL) -> list[dict[str, Any]]:
    """The log's warnings about a model."""
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["level"] == "WARNING" and line.get("model") == model]


def test_a_model_to_be_shut_down_is_reported_once_and_routed_until_then(
    refresh: ModuleType, openai: OpenAISimulator, store: DynamoSunsets, log: io.StringIO
) -> None:
    today = system_clock().date()
    openai.shutdown_dates["gpt-image-2"] = (today + 6 * DAY).isoformat()
    assert run(refresh)["lists"] == 1
    assert store.read()["openai"].dates[MODEL] == today + 6 * DAY
    assert run(refresh) == {"lists": 1, "notices": 0}
    (warning,) = notices(log)
    assert (warning["message"], warning["days_left"]) == ("a model leaves", 6)
    assert routed_model() == MODEL


def test_a_model_is_refused_from_its_shutdown_date(
    refresh: ModuleType, openai: OpenAISimulator, log: io.StringIO
) -> None:
    now = system_clock()
    openai.shutdown_dates["gpt-image-2"] = now.date().isoformat()
    run(refresh)
    assert [line["message"] for line in notices(log)] == ["a model is offered no more"]
    with pytest.raises(ValidationFailed) as refused:
        routed_model()
    (field,) = refused.value.facts["fields"]
    assert field == {"path": "model", "message": f"{MODEL} was shut down on {now.date()}."}
    assert MODEL not in [model.id for model in sunsets.routing_catalogue(now).models_for("image", now.date())]


def test_a_new_shutdown_date_reaches_a_running_function_after_15_minutes(
    openai: OpenAISimulator, store: DynamoSunsets
) -> None:
    now = system_clock()

    def is_offered(after: timedelta) -> bool:
        catalogue = sunsets.routing_catalogue(now + after)
        return MODEL in [model.id for model in catalogue.models_for("image", now.date())]

    assert is_offered(timedelta(0))
    store.write("openai", Sunsets({MODEL: now.date()}))
    assert is_offered(timedelta(minutes=14))
    assert not is_offered(timedelta(minutes=15))


def test_an_unreachable_provider_leaves_the_stored_shutdown_dates(
    refresh: ModuleType, openai: OpenAISimulator, store: DynamoSunsets
) -> None:
    openai.shutdown_dates["gpt-image-2"] = "2099-01-01"
    run(refresh)
    known = store.read()
    openai.stop()
    assert run(refresh) == {"lists": 0, "notices": 0}
    assert store.read() == known


def test_an_unavailable_store_leaves_the_catalogues_shutdown_dates(
    openai: OpenAISimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_TABLE_PROVIDERS", "no-such-table")
    clear_wiring_caches(clients=False)
    now = system_clock()
    assert MODEL in [model.id for model in sunsets.routing_catalogue(now).models_for("image", now.date())]


def test_a_deployment_with_only_the_local_provider_reads_no_shutdown_dates(
    cloud: AwsResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_PROVIDERS", "local")
    monkeypatch.setenv("ATELIER_TABLE_PROVIDERS", "no-such-table")
    clear_wiring_caches(clients=False)
    assert sunsets.routing_catalogue(system_clock()).models_for("image", system_clock().date())
