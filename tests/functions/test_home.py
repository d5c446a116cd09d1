"""The first page over HTTP: what each persona sees, and what it costs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.identity.items import PROFILE, UserItem
from atelier.clock import rfc3339, system_clock
from atelier.deployments.model import DeploymentTarget, LogLine, SiteDeployment
from atelier.ids import new_id
from atelier.wiring import deployments
from tests.bench.meter import Meter, metering_proxy
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, call, create_person, set_tier
from tests.functions.responses import error_of, success_data
from tests.functions.test_articles_api import Desk
from tests.invoke import load_function

READ_UNITS_MAX = 12
PERSONAS = {
    "artist": {"learning"},
    "educator": {"teaching"},
    "partner": {"teaching", "deployments"},
    "none": {"learning", "deployments"},
}


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/home")


@pytest.fixture
def meter() -> Iterator[Meter]:
    """Counts what is asked of DynamoDB from here on."""
    with metering_proxy(os.environ["AWS_ENDPOINT_URL"]) as (meter, url), pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", url)
        clear_wiring_caches()
        yield meter
    clear_wiring_caches()


def be(person: Person, persona: str) -> None:
    UserItem(person.user_id, PROFILE).update([UserItem.persona.set(persona)])


def furnish(person: Person) -> None:
    """Five of everything that the page shows, each as long as it usually is."""
    generate, workshops = load_function("api/generations"), load_function("api/workshops")
    start, other = system_clock() + timedelta(days=7), create_person("other")
    set_tier(person.workspace_id, "pro@1")
    be(person, "educator")
    be(other, "educator")
    for number in range(5):
        image = {"prompt": f"{number} " + "a lighthouse at dusk " * (20 if number == 3 else 5)}
        success_data(call(generate, person, "POST /api/generate/image", image))
        body = {
            "title": f"Workshop {number}",
            "description": "What light does in film. " * 20,
            "starts_at": rfc3339(start),
            "ends_at": rfc3339(start + timedelta(hours=1)),
            "capacity": 5,
            "visibility": "public",
        }
        success_data(call(workshops, person, "POST /api/workshops", body))
        made = success_data(call(workshops, other, "POST /api/workshops", body))["workshop"]["id"]
        success_data(call(workshops, other, f"POST /api/workshops/{made}/schedule"))
        success_data(call(workshops, person, f"POST /api/workshops/{made}/enrol"))
        now = system_clock()
        deployment = SiteDeployment(
            new_id("dep", now),
            person.workspace_id,
            new_id("sit", now),
            person.user_id,
            DeploymentTarget.CLOUDFRONT,
            now,
            "https://x.example",
            log=tuple(LogLine(now, f"Step {line} was done in time") for line in range(20)),
        )
        deployments.store().create(deployment, now, ())


def test_each_persona_sees_its_sections_within_twelve_read_units(app: ModuleType, meter: Meter) -> None:
    desk = Desk(load_function("api/articles"))
    for number in range(5):
        desk.published(title=f"Article {number}", summary="What light does. " * 20)
    ada = create_person("ada2")
    furnish(ada)
    for persona, sections in PERSONAS.items():
        be(ada, persona)
        meter.reset()
        home: dict[str, Any] = success_data(call(app, ada, "GET /api/home"))
        units = meter.dynamodb.total.read
        assert 0 < units <= READ_UNITS_MAX, (persona, meter.dynamodb.log)
        assert {name for name in ("teaching", "learning", "deployments") if home[name] is not None} == sections
        assert home["persona"] == persona
        assert [each["title"] for each in home["articles"]] == ["Article 4", "Article 3", "Article 2"]
        # A long prompt is stored apart, and not read.
        assert [each["prompt"][:1] for each in home["generations"]] == ["4", "", "2", "1"]
        assert all(len(home[name]) == 3 for name in sections)


def test_an_unchanged_page_is_304_and_no_shared_cache_keeps_it(app: ModuleType) -> None:
    ada = create_person("ada")
    first = call(app, ada, "GET /api/home")
    assert success_data(first)["credits"]["available"] == 0
    assert first["headers"]["Cache-Control"] == "private, no-cache"
    assert call(app, ada, "GET /api/home", **{"if-none-match": first["headers"]["ETag"]})["statusCode"] == 304
    be(ada, "artist")
    assert call(app, ada, "GET /api/home", **{"if-none-match": first["headers"]["ETag"]})["statusCode"] == 200


def test_the_page_of_a_foreign_workspace_is_missing(app: ModuleType) -> None:
    ada, bob = create_person("ada"), create_person("bob")
    refused = call(app, bob, "GET /api/home", **{"atelier-workspace": ada.workspace_id})
    assert error_of(refused) == (404, "NOT_FOUND")
