"""The month of usage that `make run` gives its demo account: dated, complete, and as sound as any other usage."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from infra.local import demo_month
from tests.local.client import PASSWORD
from tests.local.conftest import Stack
from tests.local.test_proof import check
from tests.polling import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def person(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> httpx.Client:
    account = {"email": f"{uuid.uuid4().hex}@example.test", "password": PASSWORD}
    running, data = stack.running, tmp_path_factory.mktemp("data")
    resources = {name: running.resource(name) for name in (*demo_month.FOLDERS, demo_month.STARTS)}
    count = asyncio.run(demo_month.make_month(running.aws(), resources, ROOT, data, account))
    assert count == len(demo_month.orders())
    assert list(data.iterdir()) == []
    client = httpx.Client(base_url=stack.base_url, timeout=40)
    signed_in = client.post("/api/auth/login", json={**account, "token_delivery": "body"})
    assert signed_in.status_code == 200, signed_in.text
    client.headers["authorization"] = f"Bearer {signed_in.json()['data']['access_token']}"
    return client


def test_usage_shows_each_order_on_its_day(person: httpx.Client) -> None:
    today = datetime.now(UTC).date()
    expected: dict[str, int] = {}
    for ago, _ in demo_month.orders():
        day = (today - timedelta(days=ago)).isoformat()
        expected[day] = expected.get(day, 0) + 1
    span = {"from": f"{today - timedelta(days=31)}T00:00:00Z", "to": f"{today + timedelta(days=1)}T00:00:00Z"}

    def counted() -> dict[str, int]:
        answer = person.get("/api/analytics/usage", params=span | {"period": "daily"})
        assert answer.status_code == 200, answer.text
        series = answer.json()["data"]["series"]
        return {each["period_start"][:10]: each["succeeded"] for each in series if each["succeeded"]}

    assert wait_until(lambda: counted() == expected, 60), (counted(), expected)
    assert len(expected) > 15


def test_what_was_charged_is_what_the_statement_says_and_its_proof_verifies(
    person: httpx.Client, tmp_path: Path
) -> None:
    generations = person.get("/api/generations", params={"limit": 100}).json()["data"]["items"]
    assert {each["status"] for each in generations} == {"succeeded"}
    proof = person.get("/api/credits/proof")
    file = tmp_path / "proof.json"
    file.write_text(proof.text)
    status, said = check(file)
    assert (status, said.startswith("sound: ")) == (0, True), said
    entries = proof.json()["data"]["entries"]
    assert sum(each["kind"] == "settled" for each in entries) == len(generations)
    # Each day has its own daily credits, and those of yesterday have expired.
    assert max(each["created_at"] for each in generations) < datetime.now(UTC).date().isoformat()


def test_the_sums_of_analytics_agree_with_the_records(stack: Stack, person: httpx.Client) -> None:
    assert person.get("/api/generations").status_code == 200
    compared = stack.running.invoke("SchedulesCompareAnalyticsFunction", {})
    assert (compared["compared"] > 0, compared["differences"]) == (True, 0), compared


def test_what_is_ordered_now_is_made(person: httpx.Client) -> None:
    body = {"prompt": "a lighthouse", "model": "local/canvas", "parameters": {"width": 128, "height": 128}}
    made = person.post("/api/generate/image", json=body, headers={"prefer": "wait=25"})
    assert made.json()["data"]["generation"]["status"] == "succeeded", made.text
