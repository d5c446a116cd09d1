"""functions/api/admin_generations, and the platform's report over HTTP."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.audit_log.model import PLATFORM_LOG
from atelier.audit_log.ports import EventFilter
from atelier.clock import system_clock
from atelier.ids import created_at, new_id
from atelier.wiring import audit_log, ledger, workflow
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.example_data import (
    ATTEMPT,
    GENERATION,
    PROMPT,
    RUN,
    WORKSPACE,
    movement_kinds,
    start_attempt,
    stored_generation,
    submit_example,
    submit_run,
)
from tests.functions.people import Person, call, create_administrator
from tests.functions.responses import Reply, error_of, success_data
from tests.invoke import load_function

REASON = {"reason": "Its provider has lost the job"}
PATH = f"/api/admin/generations/{GENERATION}"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/admin_generations")


@pytest.fixture
def ada(cloud: AwsResources) -> Person:
    return create_administrator("ada")


def shown(response: Reply) -> dict[str, Any]:
    found: dict[str, Any] = success_data(response)["generation"]
    return found


def actions(log: str) -> list[str]:
    page = audit_log.reads().page(log, EventFilter(action="generation."), None, 50)
    return [each["action"] for each in page.events]


def test_a_generation_is_found_by_its_execution_or_by_its_workspace(app: ModuleType, ada: Person) -> None:
    submit_example()
    assert error_of(call(app, ada, f"GET {PATH}")) == (404, "NOT_FOUND")
    by_workspace = shown(call(app, ada, f"GET {PATH}?workspace_id={WORKSPACE}"))
    workflow.workflow().start(WORKSPACE, GENERATION)
    assert shown(call(app, ada, f"GET {PATH}")) == by_workspace
    for wrong in (ada.workspace_id, "nonsense"):
        assert error_of(call(app, ada, f"GET {PATH}?workspace_id={wrong}")) == (404, "NOT_FOUND")
    missing = new_id("gen", system_clock())
    assert error_of(call(app, ada, f"GET /api/admin/generations/{missing}")) == (404, "NOT_FOUND")


def test_a_generation_of_an_express_execution_is_found_in_the_log(
    cloud: AwsResources, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit_example()
    group, logs = f"log-{cloud.bucket}", client("logs")
    monkeypatch.setenv("ATELIER_LOG_GROUP", group)
    clear_wiring_caches(clients=False)
    app = load_function("api/admin_generations")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    other = new_id("gen", system_clock())
    lines = (
        f"no JSON {GENERATION}",
        json.dumps([1, GENERATION]),
        json.dumps({"message": "attempt ended", "generation_id": GENERATION}),
        json.dumps({"workspace_id": "wsp_other", "generation_id": other, "about": GENERATION}),
    )

    def log(*messages: str) -> None:
        at = int(created_at(GENERATION).timestamp() * 1000) + 400
        events = [{"timestamp": at, "message": message} for message in messages]
        logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=events)

    log(*lines)
    assert error_of(call(app, ada, f"GET {PATH}")) == (404, "NOT_FOUND")
    log(json.dumps({"message": "relayed", "workspace_id": WORKSPACE, "generation_id": GENERATION}))
    assert shown(call(app, ada, f"GET {PATH}"))["workspace_id"] == WORKSPACE
    for missing in (other, "gen_nonsense", 'gen_" "'):
        assert error_of(call(app, ada, f"GET /api/admin/generations/{missing}"))[0] == 404


def test_its_way_has_attempts_webhooks_and_credits_and_not_the_prompt(app: ModuleType, ada: Person) -> None:
    start_attempt(submit_example(model="replicate/sdxl"))
    address = {"workspace_id": WORKSPACE}
    workflow.inbox().keep("replicate", ATTEMPT, "evt_1", address, {}, b"{}", system_clock())
    answer = call(app, ada, f"GET {PATH}?workspace_id={WORKSPACE}")
    found = shown(answer)
    [attempt] = found["attempts"]
    assert (attempt["id"], attempt["model"], len(attempt["webhooks_at"])) == (ATTEMPT, "replicate/sdxl", 1)
    assert [movement["kind"] for movement in found["movements"]] == ["hold"]
    assert found["credits_held"] == -found["movements"][0]["available"]
    assert PROMPT not in answer["body"]


def test_a_stuck_generation_ends_once_and_its_credits_go_back(app: ModuleType, ada: Person) -> None:
    start_attempt(submit_example(model="replicate/sdxl"))
    body = REASON | {"workspace_id": WORKSPACE}
    for _ in range(2):
        ended = shown(call(app, ada, f"POST {PATH}/end", body))
        assert (ended["status"], ended["credits_charged"]) == ("expired", 0)
    assert stored_generation().status.value == "expired"
    assert movement_kinds() == ["expired", "hold", "grant"]
    assert ledger.wallets().wallet(WORKSPACE).held == 0
    assert actions(WORKSPACE) == actions(PLATFORM_LOG) == ["generation.end_requested"]


def test_a_run_ends_with_its_stages(app: ModuleType, ada: Person) -> None:
    submit_run()
    ended = shown(call(app, ada, f"POST /api/admin/generations/{RUN}/end", REASON | {"workspace_id": WORKSPACE}))
    assert (ended["status"], ended["pipeline"]) == ("expired", "image_to_video")
    assert ledger.wallets().wallet(WORKSPACE).held == 0


def test_the_platforms_report_is_that_of_the_task(cloud: AwsResources, ada: Person) -> None:
    days = {"from": "2026-11-01", "to": "2026-12-01"}
    analytics = load_function("api/analytics")
    found = success_data(call(analytics, ada, "GET /api/admin/report?from=2026-11-01&to=2026-12-01"))
    assert found == load_function("tasks/report_platform").handler(days | {"microusd_per_credit": 10_000}, None)
    for query in ("", "from=2026-11-01&to=2026-11-01", "from=2026-01-01&to=2026-12-01", "from=x&to=y"):
        answer = call(analytics, ada, f"GET /api/admin/report?{query}")
        assert error_of(answer) == (422, "VALIDATION_FAILED"), query
