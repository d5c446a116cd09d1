"""The daily check of shutdown dates, fed with the scheduler's event, and how the API routes afterwards."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.aws.clients import client
from atelier.aws.dynamodb.sunsets import DynamoSunsets
from atelier.clock import system_clock
from atelier.errors import ValidationFailed
from atelier.generations.model import Kind, Recipe
from atelier.http import Caller
from atelier.pricing.ports import Sunsets
from atelier.wiring import generations, sunsets
from infra.local.standins.openai import OpenAIStandIn
from tests.embedded_aws import forget_wiring
from tests.functions.cast import PROMPT, USER, WORKSPACE
from tests.functions.conftest import Cloud
from tests.invoke import example, function

MODEL = "openai/gpt-image-2"
DAY = timedelta(days=1)


@pytest.fixture
def openai(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIStandIn]:
    """A deployment with OpenAI enabled, whose requests go to the stand-in."""
    with OpenAIStandIn() as stand_in:
        name = f"providers-of-{cloud.tables.providers}"
        access = {"openai": {"api_key": stand_in.api_key}}
        client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(access))
        monkeypatch.setenv("ATELIER_SECRET_PROVIDERS", name)
        monkeypatch.setenv("ATELIER_PROVIDER_URLS", f"openai={stand_in.base_url}")
        monkeypatch.setenv("ATELIER_PROVIDERS", "local,openai")
        forget_wiring(clients=False)
        yield stand_in


@pytest.fixture
def store(cloud: Cloud) -> DynamoSunsets:
    sunsets = DynamoSunsets()
    sunsets.bind(cloud.tables.providers)
    return sunsets


@pytest.fixture
def refresh() -> ModuleType:
    return function("schedules/refresh_sunsets")


def run(app: ModuleType) -> dict[str, int]:
    done: dict[str, int] = app.handler(example("schedules/refresh_sunsets/due"), None)
    return done


def asked() -> str:
    """The model that a new request for MODEL is routed to."""
    caller = Caller(USER, WORKSPACE, "owner")
    return generations.submit(caller, Recipe(Kind.IMAGE, PROMPT, MODEL), None, system_clock()).generation.candidates[0]


def told(log: io.StringIO, model: str = MODEL) -> list[dict[str, Any]]:
    """The log's warnings about a model."""
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["level"] == "WARNING" and line.get("model") == model]


def test_a_model_that_its_provider_shuts_down_is_told_of_once_and_routed_until_its_day(
    refresh: ModuleType, openai: OpenAIStandIn, store: DynamoSunsets, log: io.StringIO
) -> None:
    today = system_clock().date()
    openai.shutdown_dates["gpt-image-2"] = (today + 6 * DAY).isoformat()
    assert run(refresh)["lists"] == 1
    assert store.read()["openai"].dates[MODEL] == today + 6 * DAY
    assert run(refresh) == {"lists": 1, "notices": 0}
    (warning,) = told(log)
    assert (warning["message"], warning["days_left"]) == ("a model leaves", 6)
    assert asked() == MODEL


def test_on_its_day_it_is_refused_and_auto_goes_elsewhere(
    refresh: ModuleType, openai: OpenAIStandIn, log: io.StringIO
) -> None:
    now = system_clock()
    openai.shutdown_dates["gpt-image-2"] = now.date().isoformat()
    run(refresh)
    assert [line["message"] for line in told(log)] == ["a model is offered no more"]
    with pytest.raises(ValidationFailed) as refused:
        asked()
    (field,) = refused.value.facts["fields"]
    assert field == {"path": "model", "message": f"{MODEL} was shut down on {now.date()}."}
    assert MODEL not in [model.id for model in sunsets.routed(now).models_for("image", now.date())]


def test_what_was_learnt_reaches_a_running_function_within_a_quarter_of_an_hour(
    openai: OpenAIStandIn, store: DynamoSunsets
) -> None:
    now = system_clock()

    def is_offered(after: timedelta) -> bool:
        catalogue = sunsets.routed(now + after)
        return MODEL in [model.id for model in catalogue.models_for("image", now.date())]

    assert is_offered(timedelta(0))
    store.write("openai", Sunsets({MODEL: now.date()}))
    assert is_offered(timedelta(minutes=14))
    assert not is_offered(timedelta(minutes=15))


def test_a_provider_that_gives_no_answer_leaves_what_is_known(
    refresh: ModuleType, openai: OpenAIStandIn, store: DynamoSunsets
) -> None:
    openai.shutdown_dates["gpt-image-2"] = "2099-01-01"
    run(refresh)
    known = store.read()
    openai.stop()
    assert run(refresh) == {"lists": 0, "notices": 0}
    assert store.read() == known


def test_a_store_that_gives_no_answer_leaves_the_catalogues_own_dates(
    openai: OpenAIStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_TABLE_PROVIDERS", "no-such-table")
    forget_wiring(clients=False)
    now = system_clock()
    assert MODEL in [model.id for model in sunsets.routed(now).models_for("image", now.date())]


def test_the_embedded_provider_alone_has_nothing_to_look_up(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_PROVIDERS", "local")
    monkeypatch.setenv("ATELIER_TABLE_PROVIDERS", "no-such-table")
    forget_wiring(clients=False)
    assert sunsets.routed(system_clock()).models_for("image", system_clock().date())
