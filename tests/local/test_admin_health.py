"""The health of a whole local stack, read with the permissions of its template."""

from __future__ import annotations

import json

from tests.local.administrator import create_administrator
from tests.local.client import poll_until
from tests.local.conftest import Stack


def test_all_parts_of_a_deployment_are_read_with_the_permissions_of_the_template(stack: Stack) -> None:
    ada = create_administrator(stack.base_url, stack.running)
    answer = ada.get("/api/admin/health")
    assert answer.status_code == 200, answer.text
    found = answer.json()["data"]
    assert found["unread"] == {}
    running = stack.running
    assert running.table("ledger") in {each["name"] for each in found["tables"]}
    assert {each["status"] for each in found["tables"]} == {"ACTIVE"}
    assert {each["is_dead_letters"] for each in found["queues"]} == {True, False}
    assert {each["state"] for each in found["streams"]} == {"Enabled"}
    assert "rate(1 minute)" in {each["expression"] for each in found["schedules"]}
    alarms = {each["name"]: each["description"] for each in found["alarms"]}
    assert "ledger_drift.md" in alarms[running.resource("ObservabilityLedgerDriftAlarm")]

    queue = running.resource("MessagingResetsDeadLetters")
    running.aws().client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps({"shard": 3, "after": None}))
    assert ada.get("/api/admin/health").json()["data"]["status"] == "attention"
    firing = running.resource("ObservabilityResetsDeadLettersAlarm")
    # Other tests of this stack may have made other alarms fire.
    alarms_now = poll_until(
        lambda: ada.get("/api/admin/health").json()["data"]["alarms"],
        lambda found: firing in {each["name"] for each in found if each["state"] == "ALARM"},
    )
    are_quiet = [each["state"] != "ALARM" for each in alarms_now]
    assert are_quiet == sorted(are_quiet)
    running.aws().client("sqs").purge_queue(QueueUrl=queue)
