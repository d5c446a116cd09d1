"""The price list over HTTP."""

from __future__ import annotations

from types import ModuleType

import pytest

from atelier.catalogue.catalogue import catalogue
from tests.functions.conftest import AwsResources
from tests.functions.responses import Reply, invoke_app, success_data
from tests.invoke import example_event, load_function


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/billing")


def price_list_request() -> Reply:
    """A request of somebody without an account."""
    request = example_event("api/billing/get_subscription")
    del request["headers"]["authorization"], request["requestContext"]["authorizer"]
    request["rawPath"] = request["requestContext"]["http"]["path"] = "/api/billing/tiers"
    return request


def test_everybody_may_read_the_price_list(app: ModuleType) -> None:
    response = invoke_app(app, price_list_request())
    assert response["headers"]["Cache-Control"] == "public, max-age=300"
    price_list = success_data(response)
    assert [tier["id"] for tier in price_list["items"]] == ["free@1", "starter@1", "pro@1", "studio@1"]
    assert [pack["id"] for pack in price_list["packs"]] == ["small@1", "medium@1", "large@1"]


def test_a_tier_says_what_it_gives_allows_and_costs(app: ModuleType) -> None:
    price_list = success_data(invoke_app(app, price_list_request()))
    free, _, pro, _ = price_list["items"]
    assert free["prices"] == []
    assert (free["watermark"], pro["watermark"]) == (True, False)
    assert pro == {
        "id": "pro@1",
        "name": "pro",
        "version": 1,
        "title": "Pro",
        "prices": [
            {"interval": "month", "currency": "usd", "amount_minor": 2900},
            {"interval": "year", "currency": "usd", "amount_minor": 29000},
        ],
        "daily_credits": 50,
        "monthly_credits": 3300,
        "rollover_months": 1,
        "trial_days": 14,
        "trial_credits": 300,
        "grace_days": 7,
        "watermark": False,
        "kinds": ["text", "image", "video", "audio", "avatar", "page", "upscale"],
        "models": None,
        "features": ["no_watermark"],
        "limits": {
            "generations_open_max": 100,
            "projects_max": 1000,
            "storage_bytes_max": 250_000_000_000,
            "members_max": 10,
            "api_calls_max": 2_000_000,
            "archived_days": 0,
            "sites_max": 50,
            "page_version_days": 365,
            "site_scripts": True,
        },
    }


def test_a_pack_says_its_credits_its_price_and_when_they_expire(app: ModuleType) -> None:
    price_list = success_data(invoke_app(app, price_list_request()))
    small = catalogue(frozenset()).pack("small@1")
    assert price_list["packs"][0] == {
        "id": "small@1",
        "name": "small",
        "version": 1,
        "title": "500 credits",
        "credits": small.credits,
        "expires_after_days": None,
        "quantity_max": 10,
        "prices": [{"currency": "usd", "amount_minor": small.price}],
    }
