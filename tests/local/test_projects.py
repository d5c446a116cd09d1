"""Quotes, projects and budgets as an outside client uses them, on the whole stack with its IAM policies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.client import AccountClient, poll_until, run_concurrently
from tests.local.conftest import Stack

pytestmark = pytest.mark.usefixtures("healthy_provider")

REMOTE = {"model": "replicate/sdxl", "prompt": "a lighthouse", "parameters": {"width": 512, "height": 512}}
ESTIMATE = 1707


def ask(person: AccountClient, **body: Any) -> Any:
    return person.http.post("/api/generate/image", json={**REMOTE, **body})


def project(person: AccountClient, project_id: str) -> dict[str, Any]:
    return person.get(f"/api/projects/{project_id}").json()["data"]["project"]


def test_a_project_spends_its_generations_costs_and_raises_alerts(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    made = person.http.post("/api/projects", json={"name": "Harbour lights", "budget_microusd": 2 * ESTIMATE})
    assert made.status_code == 201, made.text
    project_id = made.json()["data"]["project"]["id"]
    settings = {"settings": {"alert_thresholds": [1, 100]}}
    assert person.http.put(f"/api/projects/{project_id}", json=settings).status_code == 200
    quoted = person.http.post("/api/quotes", json={"kind": "image", **REMOTE}).json()["data"]
    assert quoted["cost_microusd"] == ESTIMATE
    answers = run_concurrently(6, lambda _: ask(person, project_id=project_id))
    assert sorted(answer.status_code for answer in answers) == [202, 202, 402, 402, 402, 402]
    refused = next(answer.json() for answer in answers if answer.status_code == 402)
    assert (refused["error"], refused["details"]["limit"]) == ("BUDGET_EXCEEDED", f"project:{project_id}")
    ids = [answer.json()["data"]["generation"]["id"] for answer in answers if answer.status_code == 202]
    ended = [person.wait_for_end(generation_id) for generation_id in ids]
    assert {generation["status"] for generation in ended} == {"succeeded"}
    seen = project(person, project_id)
    assert seen["spent_microusd"] == sum(generation["cost_microusd"] for generation in ended) > 0
    assert seen["reserved_microusd"] == 0
    assert person.get("/api/assets").json()["data"]["items"][0]["project_id"] == project_id
    found = person.get("/api/generations", project_id=project_id).json()["data"]["items"]
    assert {generation["id"] for generation in found} == set(ids)
    alerts = poll_until(lambda: person.get(f"/api/projects/{project_id}/alerts").json()["data"]["items"], bool)
    alert = f"/api/projects/{project_id}/alerts/{alerts[-1]['id']}/acknowledge"
    assert person.http.post(alert).json()["data"]["alert"]["acknowledged_at"]
    person.assert_books_balance()


def test_a_quote_is_redeemed_once_and_the_workspace_budget_is_enforced(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    quote = person.http.post("/api/quotes", json={"kind": "image", **REMOTE}).json()["data"]
    answers = run_concurrently(3, lambda _: ask(person, quote_id=quote["quote_id"]))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409]
    made = next(answer.json()["data"]["generation"] for answer in answers if answer.status_code == 202)
    assert made["credits_held"] == quote["credits_max"]
    assert person.http.put("/api/settings/budget", json={"budget_microusd": ESTIMATE}).status_code == 200
    first, second = ask(person), ask(person)
    assert (first.status_code, second.status_code) == (202, 402)
    assert second.json()["details"] == {"limit": "workspace", "needed": ESTIMATE, "available": 0}
    assert person.wait_for_end(first.json()["data"]["generation"]["id"])["status"] == "succeeded"
    seen = person.get("/api/settings/budget").json()["data"]
    assert (seen["reserved_microusd"], seen["spent_microusd"] > 0) == (0, True)
    stranger = AccountClient(stack.base_url)
    assert ask(stranger, quote_id=quote["quote_id"]).status_code == 422
    assert stranger.get("/api/settings/budget").json()["data"]["budget_microusd"] is None
