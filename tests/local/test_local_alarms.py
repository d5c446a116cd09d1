"""Alarms of the whole local stack: what happens there makes them fire, and a person at the terminal sees it."""

from __future__ import annotations

import urllib3

from infra.local import fire_alarm
from tests.local.client import AccountClient
from tests.local.conftest import Stack
from tests.polling import wait_until

SECONDS_MAX = 30


def firing(stack: Stack) -> set[str]:
    """The names of the alarms that fire, as DescribeAlarms says it."""
    pages = stack.running.aws().client("cloudwatch").get_paginator("describe_alarms")
    return {
        alarm["AlarmName"]
        for answer in pages.paginate(StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        for alarm in [*answer["MetricAlarms"], *answer.get("CompositeAlarms", [])]
    }


def test_a_wallet_that_was_changed_past_the_ledger_raises_its_alarm(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    assert person.generate(wait=25).json()["data"]["generation"]["status"] == "succeeded"
    stack.running.aws().client("dynamodb").update_item(
        TableName=stack.running.table("ledger"),
        Key={"pk": {"S": person.workspace_id}, "sk": {"S": "wallet"}},
        UpdateExpression="ADD available :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    assert person.generate(wait=25).status_code in (200, 202)
    alarm = stack.running.resource("ObservabilityLedgerDriftAlarm")
    wait_until(lambda: alarm in firing(stack), SECONDS_MAX)
    wait_until(lambda: any("A wallet and its entries differ" in line for line in stack.running.lines), SECONDS_MAX)
    page = urllib3.request("GET", f"{stack.running.base_url}/local/alarms").data.decode()
    assert "<td>LedgerDriftAlarm<br>" in page


def test_the_drill_of_a_runbook_fires_an_alarm_of_the_running_stack(stack: Stack) -> None:
    assert fire_alarm.main(["SubmissionsFastShort", "--data", str(stack.running.data)]) == 0
    assert fire_alarm.main(["ResetsDeadLetters", "--data", str(stack.running.data)]) == 0
    wait_until(lambda: "ObjectivesSubmissionsAlarm" in firing(stack), SECONDS_MAX)
    wait_until(lambda: stack.running.resource("ObservabilityResetsDeadLettersAlarm") in firing(stack), SECONDS_MAX)
    wait_until(lambda: any("Submissions are refused" in line for line in stack.running.lines), SECONDS_MAX)
    # Others look at what is in this queue.
    stack.running.aws().client("sqs").purge_queue(QueueUrl=stack.running.resource("MessagingResetsDeadLetters"))


def test_a_drill_without_an_alarm_or_a_stack_says_so(stack: Stack) -> None:
    assert fire_alarm.main(["NoSuchAlarm", "--data", str(stack.running.data)]) == 1
    assert fire_alarm.main(["LedgerDrift", "--data", str(stack.running.data / "nothing")]) == 1
    # It fires by what does not happen.
    assert fire_alarm.main(["BackupMissing", "--data", str(stack.running.data)]) == 1


def test_an_alarm_that_computes_is_on_the_page_and_has_its_drill(stack: Stack) -> None:
    assert fire_alarm.main(["ApiErrors", "--data", str(stack.running.data)]) == 0

    def page() -> str:
        return urllib3.request("GET", f"{stack.running.base_url}/local/alarms").data.decode()

    wait_until(lambda: "<td>ApiErrorsAlarm<br>" in page(), SECONDS_MAX)
