"""An asynchronous provider that misbehaves, seen from outside: whatever it does, the books balance and an image is
charged once. The simulator implements Replicate's documented API; markers in [[…]] make it misbehave."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest

from tests.local.client import AccountClient, poll_until, run_concurrently
from tests.local.conftest import Stack

pytestmark = pytest.mark.usefixtures("healthy_provider")
MODEL = "replicate/sdxl"
SIZE = {"width": 512, "height": 512}


def start(person: AccountClient, prompt: str) -> str:
    answer = person.generate(prompt, model=MODEL, **SIZE)
    assert answer.status_code == 202, answer.text
    return answer.json()["data"]["generation"]["id"]


def predictions(stack: Stack, word: str) -> list[dict[str, Any]]:
    """The submissions to the simulator with this word in their prompt."""
    calls = httpx.get(f"{stack.simulator_url}/_simulator/calls").json()
    calls = calls["calls"] if isinstance(calls, dict) else calls
    return [
        call for call in calls if call["method"] == "POST" and word in str((call.get("body") or {}).get("input", {}))
    ]


@pytest.mark.parametrize(
    "trouble",
    ["", "webhook:lost", "webhook:twice", "webhook:early", "webhook:late=3", "webhook:forged", "webhook:stale"],
)
def test_an_image_is_delivered_once_whatever_happens_to_its_webhook(stack: Stack, trouble: str) -> None:
    person = AccountClient(stack.base_url)
    generation_id = start(person, f"a lake [[{trouble}]]" if trouble else "a lake")
    ended = person.wait_for_end(generation_id)
    assert (ended["status"], ended["provider"], len(ended["assets"])) == ("succeeded", "replicate", 1)
    assert (ended["cost_source"], ended["cost_microusd"] > 0) == ("usage", True)
    assert person.http.get(ended["assets"][0]["url"]).status_code == 200
    assert Counter(movement["kind"] for movement in person.statement()) == {"grant": 1, "hold": 1, "settled": 1}
    person.assert_books_balance()


@pytest.mark.parametrize(
    ("trouble", "error_class"),
    [
        ("run:fail", "transient"),
        ("run:nsfw", "moderated_billed"),
        ("create:422", "invalid_input"),
        ("create:402", "provider_billing"),
        ("output:gone", None),
        ("output:text", None),
        ("output:svg", None),
        ("output:redirect", None),
        ("output:private", None),
        ("output:none", None),
    ],
)
def test_a_providers_failure_releases_the_credits(stack: Stack, trouble: str, error_class: str | None) -> None:
    person = AccountClient(stack.base_url)
    ended = person.wait_for_end(start(person, f"a lake [[{trouble}]]"))
    assert (ended["status"], ended["credits_charged"], ended["assets"]) == ("failed", 0, [])
    assert ended["error"]["code"] == "PROVIDER_FAILED"
    if error_class:
        assert ended["error"]["error_class"] == error_class
    assert "169.254" not in str(ended)
    balance = person.balance()
    assert (balance["available"], balance["held"]) == (50, 0)
    person.assert_books_balance()


def test_requests_wait_while_the_provider_is_rate_limited(stack: Stack) -> None:
    refused = AccountClient(stack.base_url)
    generation_id = start(refused, "a crowded lake [[create:429-body]]")
    waiting = poll_until(
        lambda: refused.generation(generation_id),
        lambda found: [attempt["error_class"] for attempt in found["attempts"]] == ["rate_limited"],
    )
    assert waiting["status"] == "running"
    assert refused.http.post(f"/api/generations/{generation_id}/cancel").status_code in (200, 202)
    assert (refused.wait_for_end(generation_id)["status"], refused.balance()["available"]) == ("cancelled", 50)
    other = AccountClient(stack.base_url)
    ended = other.wait_for_end(start(other, "a patient lake"))
    assert (ended["status"], len(predictions(stack, "a patient lake"))) == ("succeeded", 1)
    for person in (refused, other):
        person.assert_books_balance()


def test_a_submission_whose_response_was_lost_is_found_and_not_repeated(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    ended = person.wait_for_end(start(person, "the lost answer of a lake [[create:lost]] [[webhook:lost]]"))
    assert ended["status"] == "succeeded"
    assert len(predictions(stack, "the lost answer of a lake")) == 1
    person.assert_books_balance()


def test_a_cancelled_running_generation_is_charged_at_most_its_hold(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    generation_id = start(person, "a slow lake [[run:slow=30]]")
    poll_until(lambda: person.generation(generation_id), lambda found: found["status"] == "running")
    cancelled = person.http.post(f"/api/generations/{generation_id}/cancel")
    assert cancelled.status_code == 202
    assert cancelled.json()["data"]["generation"]["cancel_requested"] is True
    ended = person.wait_for_end(generation_id)
    assert ended["status"] == "cancelled"
    assert ended["credits_charged"] <= ended["credits_held"]
    assert person.balance()["held"] == 0
    person.assert_books_balance()


def test_a_webhook_with_a_wrong_path_or_signature_is_refused(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    person.wait_for_end(start(person, "a quiet lake [[webhook:lost]]"))
    [call] = predictions(stack, "a quiet lake")
    path = httpx.URL(call["body"]["webhook"]).path
    headers = {"webhook-id": "m", "webhook-timestamp": "1700000000", "webhook-signature": "v1,AAAA"}
    body = b'{"id": "x", "status": "succeeded", "output": ["https://evil.test/x.png"]}'
    forged = httpx.post(stack.base_url + path, content=body, headers=headers)
    assert (forged.status_code, forged.json()["error"]) == (400, "BAD_REQUEST")
    misdirected = httpx.post(stack.base_url + path[:-4] + "0000", content=body, headers=headers)
    assert misdirected.status_code == 404


def test_ten_generations_with_duplicate_webhooks_are_charged_ten_times(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    ids = run_concurrently(10, lambda number: start(person, f"lake {number} [[webhook:twice]]"))
    ended = [person.wait_for_end(generation_id) for generation_id in ids]
    assert Counter(each["status"] for each in ended) == {"succeeded": 10}
    kinds = Counter(movement["kind"] for movement in person.statement())
    assert kinds == {"grant": 1, "hold": 10, "settled": 10}
    person.assert_books_balance()
