"""functions/api/credits, fed with events."""

from __future__ import annotations

import json
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.clock import rfc3339, system_clock
from atelier.cursors import encode
from atelier.ledger.model import EndState, end_hold
from atelier.ledger.verify import verify
from atelier.wiring import generations, ledger
from tests.functions.answers import answered, data, refusal, stranger
from tests.functions.cast import GENERATION, WORKSPACE, ask, attempted, movements
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
    # The example's generation has a fixed date and the daily grant has today's, so their order is not fixed.
    assert {(item["kind"], item["available"], item["held"]) for item in statement["items"]} == {
        ("hold", -held, held),
        ("grant", DAILY, 0),
    }
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
    assert sorted(kinds) == ["grant", "hold"]
    foreign = event("api/credits/entries", queryStringParameters={"cursor": "Z2VuXzAx"})
    assert refusal(answered(app, foreign)) == (422, "VALIDATION_FAILED")


def test_a_charge_is_explained(app: ModuleType) -> None:
    held = ask().credits_held
    why = data(answered(app, example("api/credits/generation")))
    assert (why["generation_id"], why["credits_held"], why["credits_charged"]) == (GENERATION, held, 0)
    assert [movement["kind"] for movement in why["movements"]] == ["hold"]


def test_a_settled_charge_names_its_price_its_attempts_and_the_grants_that_paid(app: ModuleType) -> None:
    now, running = system_clock(), attempted(ask())
    charged, hold = running.credits_held, ledger.wallets().hold(WORKSPACE, GENERATION)
    assert hold is not None
    facts: dict[str, int | str | None] = {"price_version": running.price_version, "attempts": 1}
    ending = end_hold(hold, EndState.SETTLED, charged, facts, now)
    generations.store().close_with_ending(running.succeeded((), charged, now), ending)
    why = data(answered(app, example("api/credits/generation")))
    assert (why["credits_charged"], why["attempts"], why["quote"]) == (charged, 1, None)
    assert why["price_version"] == running.price_version
    assert why["grants_used"] == [{"grant_id": f"daily#{now.date()}", "credits": charged}]


def test_the_balance_of_an_instant_is_told_and_none_of_the_future(app: ModuleType) -> None:
    before = data(answered(app, example("api/credits/balance_then")))
    counters = {"available": 0, "held": 0, "debt": 0, "grants": []}
    assert before == counters | {"next_daily_reset_at": None, "daily_credits_withheld": None}
    held = ask().credits_held
    now = data(answered(app, then(rfc3339(system_clock()))))
    assert (now["available"], now["held"]) == (DAILY - held, held)
    assert [(grant["source"], grant["remaining"]) for grant in now["grants"]] == [("daily", DAILY - held)]
    for wrong in (rfc3339(system_clock() + timedelta(minutes=1)), "9999-12-31T23:59:59-14:00", "2026-11-20", "noon"):
        assert refusal(answered(app, then(wrong))) == (422, "VALIDATION_FAILED")
    assert data(answered(app, then("0001-01-01T00:00:00+14:00")))["available"] == 0


def then(at: str) -> dict[str, Any]:
    return event("api/credits/balance_then", queryStringParameters={"at": at})


def test_a_proof_is_what_the_verifier_takes(app: ModuleType) -> None:
    ask()
    answer = answered(app, example("api/credits/proof"))
    proof = data(answer)
    assert verify([json.loads(answer["body"])]) == verify([proof])
    assert proof["workspace_id"] == WORKSPACE
    assert sorted(entry["kind"] for entry in proof["entries"]) == ["grant", "hold"]
    assert data(answered(app, example("api/credits/proof"))) == proof
    onward = event("api/credits/proof", queryStringParameters={"cursor": encode(f"seal#{len(proof['seals'])}")})
    last = data(answered(app, onward))
    assert (last["seals"], last["head"], last["wallet"]) == ([], proof["head"], proof["wallet"])
    for wrong in ("c2VhbCM", encode("seal#-1"), encode("seal#9"), encode("seal#one"), encode("movement#1")):
        foreign = event("api/credits/proof", queryStringParameters={"cursor": wrong})
        assert refusal(answered(app, foreign)) == (422, "VALIDATION_FAILED")


def test_the_charge_of_a_foreign_generation_looks_like_none(app: ModuleType) -> None:
    missing = answered(app, example("api/credits/generation"))
    ask()
    foreign = answered(app, stranger("api/credits/generation"))
    assert refusal(foreign) == refusal(missing) == (404, "NOT_FOUND")
    assert foreign["body"] == missing["body"]
