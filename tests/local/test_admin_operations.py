"""What administrators of a whole local stack do beside its health, with the permissions of its template."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.local.administrator import create_administrator
from tests.local.client import AccountClient, poll_until
from tests.local.conftest import Stack


@pytest.fixture(scope="module")
def ada(stack: Stack) -> AccountClient:
    return create_administrator(stack.base_url, stack.running)


def data_of(answer: Any, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()["data"]


def test_a_proposed_pack_is_on_sale_after_another_administrator_published_it(stack: Stack, ada: AccountClient) -> None:
    body = {"name": "large", "changes": {"price": 11000}, "reason": "Dearer models"}
    proposal = data_of(ada.http.post("/api/admin/tiers/proposals", json=body), 201)["proposal"]
    path = f"/api/admin/tiers/proposals/{proposal['id']}"
    assert ada.http.post(f"{path}/publish", json={"apply": True}).status_code == 403
    shown = data_of(ada.http.post(f"{path}/publish", json={"apply": False}))
    assert "110.00 USD" in shown["stripe"]["table"]

    bob = create_administrator(stack.base_url, stack.running)
    done = data_of(bob.http.post(f"{path}/publish", json={"apply": True}))
    assert (done["proposal"]["state"], done["stripe"]["left"]) == ("published", 0)
    [large] = [pack for pack in data_of(bob.get("/api/admin/tiers"))["packs"] if pack["name"] == "large"]
    assert large["on_sale"] == "large@2"
    # Other processes read it within a minute.
    on_sale = poll_until(
        lambda: {pack["id"] for pack in data_of(ada.get("/api/billing/tiers"))["packs"]},
        lambda ids: "large@2" in ids,
        90,
    )
    assert "large@1" not in on_sale


def test_a_job_that_was_run_by_hand_shows_its_run(ada: AccountClient) -> None:
    def jobs() -> dict[str, Any]:
        return {each["name"]: each for each in data_of(ada.get("/api/admin/jobs"))["items"]}

    before = jobs()
    assert len(before) >= 11
    for job in before.values():
        assert job["schedule"].startswith(("rate(", "cron(")), job
        assert job["enabled"]
        assert datetime.fromisoformat(job["next_run_at"])
    started = data_of(ada.http.post("/api/admin/jobs/erase-due/run"), 202)["started_at"]
    after = poll_until(
        jobs,
        lambda found: (found["erase-due"]["last_run"] or {"started_at": ""})["started_at"] >= started,
        30,
    )
    assert after["erase-due"]["last_run"]["result"] == "succeeded"


def test_quotas_of_aws_are_numbers_or_null_with_a_reason(ada: AccountClient) -> None:
    # The embedded AWS's first answers may take longer than a part is waited for.
    read = poll_until(lambda: data_of(ada.get("/api/admin/health"))["quotas"], lambda found: found is not None, 60)
    quotas = {each["name"]: each for each in read}
    assert quotas.keys() == {
        "lambda-concurrency",
        "dynamodb-table-reads",
        "dynamodb-table-writes",
        "api-gateway-rate",
        "ses-sending",
    }
    for quota in quotas.values():
        assert quota["share"] is not None or quota["reason"], quota
        assert "AccessDenied" not in (quota["reason"] or ""), quota


def test_a_refused_prompt_is_decided_in_the_queue(stack: Stack, ada: AccountClient) -> None:
    person = AccountClient(stack.base_url)
    assert person.generate("ch1ld p0rn").status_code == 422
    queue = data_of(ada.get("/api/admin/moderation?limit=100"))["items"]
    [item] = [each for each in queue if each["workspace_id"] == person.workspace_id]
    body = {"decision": "suspend", "reason": "It was meant"}
    decided = data_of(ada.http.post(f"/api/admin/moderation/{item['id']}/decide", json=body))["item"]
    assert decided["decision"] == "suspend"
    # Whatever reads the session is refused at once.
    assert person.generate("a fox").status_code == 401
