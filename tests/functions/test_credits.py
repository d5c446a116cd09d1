"""functions/api/credits, fed with events."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from tests.functions.answers import answered, data, refusal, stranger
from tests.functions.cast import GENERATION, ask, movements
from tests.functions.conftest import Cloud
from tests.invoke import event, example, function

DAILY = 50


@pytest.fixture
def app(cloud: Cloud) -> ModuleType:
    return function("api/credits")


def test_the_first_look_brings_the_days_grant_and_the_second_no_other(app: ModuleType) -> None:
    first, again = (data(answered(app, example("api/credits/balance"))) for _ in range(2))
    assert (first["available"], first["held"], first["debt"]) == (DAILY, 0, 0)
    assert [(grant["source"], grant["remaining"]) for grant in first["grants"]] == [("daily", DAILY)]
    assert first["next_daily_reset_at"] == first["grants"][0]["expires_at"]
    assert again == first
    assert movements() == ["grant"]


def test_the_statement_tells_of_every_movement_and_its_entries_sum_to_zero(app: ModuleType) -> None:
    held = ask().credits_held
    statement = data(answered(app, example("api/credits/entries")))
    assert [(item["kind"], item["available"], item["held"]) for item in statement["items"]] == [
        ("hold", -held, held),
        ("grant", DAILY, 0),
    ]
    for item in statement["items"]:
        assert sum(entry["amount"] for entry in item["entries"]) == 0


def test_a_statement_goes_on_where_its_page_ended(app: ModuleType) -> None:
    ask()
    page: dict[str, Any] = {"next_cursor": None}
    kinds: list[str] = []
    for _ in range(2):
        query = {"limit": "1"} | ({"cursor": page["next_cursor"]} if page["next_cursor"] else {})
        page = data(answered(app, event("api/credits/entries", queryStringParameters=query)))
        kinds += [item["kind"] for item in page["items"]]
    assert kinds == ["hold", "grant"]
    foreign = event("api/credits/entries", queryStringParameters={"cursor": "Z2VuXzAx"})
    assert refusal(answered(app, foreign)) == (422, "VALIDATION_FAILED")


def test_a_charge_is_explained(app: ModuleType) -> None:
    held = ask().credits_held
    why = data(answered(app, example("api/credits/generation")))
    assert (why["generation_id"], why["credits_held"], why["credits_charged"]) == (GENERATION, held, 0)
    assert [movement["kind"] for movement in why["movements"]] == ["hold"]


def test_the_charge_of_a_foreign_generation_looks_like_none(app: ModuleType) -> None:
    missing = answered(app, example("api/credits/generation"))
    ask()
    foreign = answered(app, stranger("api/credits/generation"))
    assert refusal(foreign) == refusal(missing) == (404, "NOT_FOUND")
    assert foreign["body"] == missing["body"]
