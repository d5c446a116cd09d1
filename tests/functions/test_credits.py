"""functions/api/credits, fed with events."""

from __future__ import annotations

import json
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.clock import rfc3339, system_clock
from atelier.cursors import encode
from atelier.ledger.model import EndState
from atelier.ledger.plan_hold import plan_settlement
from atelier.ledger.verify import verify
from atelier.wiring import generations, ledger
from tests.functions.conftest import AwsResources
from tests.functions.example_data import GENERATION, WORKSPACE, movement_kinds, start_attempt, submit_example
from tests.functions.responses import error_of, foreign_event, invoke_app, success_data
from tests.invoke import event, example_event, load_function

DAILY = 50


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/credits")


def test_the_first_balance_request_of_a_day_grants_the_daily_credits_once(app: ModuleType) -> None:
    first, again = (success_data(invoke_app(app, example_event("api/credits/balance"))) for _ in range(2))
    assert (first["available"], first["held"], first["debt"]) == (DAILY, 0, 0)
    assert [(grant["source"], grant["remaining"]) for grant in first["grants"]] == [("daily", DAILY)]
    assert first["next_daily_reset_at"] == first["grants"][0]["expires_at"]
    assert again == first
    assert movement_kinds() == ["grant"]


def test_the_statement_lists_every_movement_with_entries_that_sum_to_zero(app: ModuleType) -> None:
    held = submit_example().credits_held
    statement = success_data(invoke_app(app, example_event("api/credits/entries")))
    # The example's generation has a fixed date and the daily grant has today's, so their order is not fixed.
    assert {(item["kind"], item["available"], item["held"]) for item in statement["items"]} == {
        ("hold", -held, held),
        ("grant", DAILY, 0),
    }
    for item in statement["items"]:
        assert sum(entry["amount"] for entry in item["entries"]) == 0


def test_a_statement_is_paged_by_its_cursor(app: ModuleType) -> None:
    submit_example()
    page: dict[str, Any] = {"next_cursor": None}
    kinds: list[str] = []
    for _ in range(2):
        query = {"limit": "1"} | ({"cursor": page["next_cursor"]} if page["next_cursor"] else {})
        page = success_data(invoke_app(app, event("api/credits/entries", queryStringParameters=query)))
        kinds += [item["kind"] for item in page["items"]]
    assert sorted(kinds) == ["grant", "hold"]
    foreign = event("api/credits/entries", queryStringParameters={"cursor": "Z2VuXzAx"})
    assert error_of(invoke_app(app, foreign)) == (422, "VALIDATION_FAILED")


def test_a_generations_charge_lists_its_movements(app: ModuleType) -> None:
    held = submit_example().credits_held
    why = success_data(invoke_app(app, example_event("api/credits/generation")))
    assert (why["generation_id"], why["credits_held"], why["credits_charged"]) == (GENERATION, held, 0)
    assert [movement["kind"] for movement in why["movements"]] == ["hold"]


def test_a_settled_charge_names_price_version_attempts_and_used_grants(app: ModuleType) -> None:
    now, running = system_clock(), start_attempt(submit_example())
    charged, hold = running.credits_held, ledger.wallets().hold(WORKSPACE, GENERATION)
    assert hold is not None
    facts: dict[str, int | str | None] = {"price_version": running.price_version, "attempts": 1}
    ending = plan_settlement(hold, EndState.SETTLED, charged, facts, now)
    generations.store().close_with_ending(running.as_succeeded((), charged, now), ending)
    why = success_data(invoke_app(app, example_event("api/credits/generation")))
    assert (why["credits_charged"], why["attempts"], why["quote"]) == (charged, 1, None)
    assert why["price_version"] == running.price_version
    assert why["grants_used"] == [{"grant_id": f"daily#{now.date()}", "credits": charged}]


def test_a_past_balance_is_returned_and_a_future_one_is_refused(app: ModuleType) -> None:
    before = success_data(invoke_app(app, example_event("api/credits/balance_then")))
    counters = {"tier": None, "available": 0, "held": 0, "debt": 0, "grants": []}
    assert before == counters | {"next_daily_reset_at": None, "daily_credits_withheld": None}
    held = submit_example().credits_held
    now = success_data(invoke_app(app, then(rfc3339(system_clock()))))
    assert (now["available"], now["held"]) == (DAILY - held, held)
    assert [(grant["source"], grant["remaining"]) for grant in now["grants"]] == [("daily", DAILY - held)]
    for wrong in (rfc3339(system_clock() + timedelta(minutes=1)), "9999-12-31T23:59:59-14:00", "2026-11-20", "noon"):
        assert error_of(invoke_app(app, then(wrong))) == (422, "VALIDATION_FAILED")
    assert success_data(invoke_app(app, then("0001-01-01T00:00:00+14:00")))["available"] == 0


def then(at: str) -> dict[str, Any]:
    return event("api/credits/balance_then", queryStringParameters={"at": at})


def test_a_proof_passes_the_verifier(app: ModuleType) -> None:
    submit_example()
    answer = invoke_app(app, example_event("api/credits/proof"))
    proof = success_data(answer)
    assert verify([json.loads(answer["body"])]) == verify([proof])
    assert proof["workspace_id"] == WORKSPACE
    assert sorted(entry["kind"] for entry in proof["entries"]) == ["grant", "hold"]
    assert success_data(invoke_app(app, example_event("api/credits/proof"))) == proof
    onward = event("api/credits/proof", queryStringParameters={"cursor": encode(f"seal#{len(proof['seals'])}")})
    last = success_data(invoke_app(app, onward))
    assert (last["seals"], last["head"], last["wallet"]) == ([], proof["head"], proof["wallet"])
    for wrong in ("c2VhbCM", encode("seal#-1"), encode("seal#9"), encode("seal#one"), encode("movement#1")):
        foreign = event("api/credits/proof", queryStringParameters={"cursor": wrong})
        assert error_of(invoke_app(app, foreign)) == (422, "VALIDATION_FAILED")


def test_a_foreign_generations_charge_gets_the_response_of_a_missing_one(app: ModuleType) -> None:
    missing = invoke_app(app, example_event("api/credits/generation"))
    submit_example()
    foreign = invoke_app(app, foreign_event("api/credits/generation"))
    assert error_of(foreign) == error_of(missing) == (404, "NOT_FOUND")
    assert foreign["body"] == missing["body"]
