"""Each alarm of the templates fires by what its runbook says and by nothing else, and ends again. The templates of
alarms are deployed on the embedded AWS, with queues and state machines in place of the product's."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from infra.local.alarms import LocalAlarms
from infra.local.deploy import Aws
from infra.local.emulator import Emulator
from infra.local.expression_alarms import read_expression_alarms
from infra.local.fire_alarm import STREAM, NoDrill, fire, write_lines
from infra.local.templates import read_template
from tests.polling import wait_until

ROOT = Path(__file__).parents[2]
STACKS = ("Observability", "Objectives")
LOG_GROUP = "/atelier/logs"
TEMPLATES = {stack: read_template(ROOT / f"infra/{stack.lower()}.yaml") for stack in STACKS}


def alarms_of(kind: str) -> dict[str, dict[str, Any]]:
    """The alarms of a type by logical id, but for those that compute with metrics."""
    return {
        stack + name: resource["Properties"]
        for stack in STACKS
        for name, resource in TEMPLATES[stack]["Resources"].items()
        if resource["Type"] == f"AWS::CloudWatch::{kind}" and "Metrics" not in resource["Properties"]
    }


SIMPLE, COMBINED = alarms_of("Alarm"), alarms_of("CompositeAlarm")
COMPUTING = read_expression_alarms(ROOT)
API_ERRORS, BACKUP_MISSING = "ObservabilityApiErrorsAlarm", "ObservabilityBackupMissingAlarm"
BACKUP = {
    "_aws": {
        "CloudWatchMetrics": [
            {"Namespace": "Atelier", "Dimensions": [["service"]], "Metrics": [{"Name": "BackupsCompleted"}]}
        ]
    },
    "service": "atelier",
    "BackupsCompleted": [1],
}
# Alarms that watch one metric together fire together: the parts of an objective.
SAME_METRIC = {
    name: {other for other in SIMPLE if SIMPLE[other]["MetricName"] == alarm["MetricName"]}
    for name, alarm in SIMPLE.items()
    if alarm["Namespace"] == "Atelier"
}


@dataclass
class World:
    """The deployed alarms, and what watches them on a clock of its own."""

    aws: Aws
    resources: Mapping[str, str]

    def __post_init__(self) -> None:
        # In the past, so that the clock can be turned on: lines from the future are refused.
        self.now = time.time() - 5 * 86400
        self.sentences: list[str] = []
        self.watched = LocalAlarms(
            lambda: self.aws, lambda: self.resources, ROOT, self.sentences.append, clock=lambda: self.now
        )

    def described(self, logical_id: str) -> dict[str, Any]:
        """A simple alarm, in the shape of DescribeAlarms."""
        names = [self.resources[logical_id]]
        [alarm] = self.aws.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
        return dict(alarm)

    def firing(self) -> set[str]:
        """The logical ids of all alarms that fire."""
        found = self.aws.client("cloudwatch").describe_alarms(
            StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        names = {alarm["AlarmName"] for kind in ("MetricAlarms", "CompositeAlarms") for alarm in found.get(kind, [])}
        # An alarm that combines others or computes, which is created by the API, is named by its logical id.
        known = {name for name, physical in self.resources.items() if physical in names}
        return known | (names & {*COMBINED, *COMPUTING})

    def make_fire(self, logical_id: str) -> None:
        """Does what makes the alarm fire, in each of its periods."""
        alarm = self.described(logical_id)
        for _ in range(alarm["EvaluationPeriods"]):
            self.now += alarm["Period"]
            failed = self.failed_executions(alarm)
            fire(alarm, self.aws, LOG_GROUP, self.now)
            if alarm["Namespace"] == "AWS/States":
                wait_until(lambda failed=failed: self.failed_executions(alarm) > failed)
            self.turn_on(0)

    def turn_on(self, seconds: float) -> None:
        """Turns the clock on, to a time at which a backup was completed, and decides."""
        self.now += seconds
        write_lines(self.aws, LOG_GROUP, self.now, json.dumps(BACKUP))
        self.now += 2
        self.watched.decide()

    def failed_executions(self, alarm: Mapping[str, Any]) -> int:
        """How many executions of the alarm's state machine have failed."""
        if alarm["Namespace"] != "AWS/States":
            return 0
        machine = alarm["Dimensions"][0]["Value"]
        executions = self.aws.client("stepfunctions").list_executions(stateMachineArn=machine, statusFilter="FAILED")
        return len(executions["executions"])

    def let_end(self, logical_id: str) -> None:
        """Takes the cause away, and turns the clock on until no alarm looks back to it."""
        alarm = self.described(logical_id)
        if alarm["Namespace"] == "AWS/SQS":
            sqs = self.aws.client("sqs")
            sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=alarm["Dimensions"][0]["Value"])["QueueUrl"])
        elif alarm["Namespace"] == "Atelier":
            self.aws.client("logs").delete_log_stream(logGroupName=LOG_GROUP, logStreamName=STREAM)
        self.turn_on(2 * 86400 + 120)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Aws, dict[str, str]]]:
    """The embedded AWS with the alarms on it, and their physical ids by logical id."""
    emulator = Emulator(tmp_path_factory.mktemp("emulator"))
    emulator.start()
    try:
        aws = Aws(emulator.endpoint)
        aws.client("logs").create_log_group(logGroupName=LOG_GROUP)
        resources = {"Logs": LOG_GROUP}
        topic = aws.client("sns").create_topic(Name="alarms")["TopicArn"]
        for stack in STACKS:
            resources |= _deployed(aws, stack, topic)
        yield aws, resources
    finally:
        emulator.stop()


def _deployed(aws: Aws, stack: str, topic: str) -> dict[str, str]:
    template = TEMPLATES[stack]
    known = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] != "AWS::CloudWatch::CompositeAlarm" and "Metrics" not in resource["Properties"]
    }
    given = {"LogGroupName": LOG_GROUP, "AlarmsTopicArn": topic, "AlarmEmail": ""}
    parameters = [
        {"ParameterKey": name, "ParameterValue": given[name] if name in given else _made(aws, name)}
        for name in template["Parameters"]
    ]
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(
        StackName=stack, TemplateBody=json.dumps({**template, "Resources": known}), Parameters=parameters
    )

    def status() -> str:
        return str(cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])

    wait_until(lambda: not status().endswith("_IN_PROGRESS"), 60)
    assert status() == "CREATE_COMPLETE"
    found = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    return {stack + each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}


def _made(aws: Aws, parameter: str) -> str:
    """What a parameter names: a queue, a state machine that fails, or just a word."""
    if parameter.endswith(("QueueName", "LettersName")):
        aws.client("sqs").create_queue(QueueName=parameter)
    if parameter.endswith("Arn"):
        definition = json.dumps({"StartAt": "Fail", "States": {"Fail": {"Type": "Fail"}}})
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "states.amazonaws.com"}}
        role = aws.client("iam").create_role(
            RoleName=parameter, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]})
        )["Role"]["Arn"]
        machine = aws.client("stepfunctions").create_state_machine(name=parameter, definition=definition, roleArn=role)
        return str(machine["stateMachineArn"])
    return parameter


@pytest.fixture
def world(stacks: tuple[Aws, dict[str, str]]) -> World:
    """The alarms, none of which fires."""
    return World(*stacks)


@pytest.mark.parametrize("logical_id", sorted(SIMPLE))
def test_an_alarm_fires_alone_and_ends(world: World, logical_id: str) -> None:
    world.watched.decide()
    assert world.firing() == set()
    world.make_fire(logical_id)
    firing = world.firing()
    assert logical_id in firing
    assert firing - set(COMBINED) <= SAME_METRIC.get(logical_id, {logical_id})
    world.let_end(logical_id)
    assert world.firing() == set()


@pytest.mark.parametrize("logical_id", sorted(COMBINED))
def test_an_objective_fires_when_a_long_and_a_short_time_burn(world: World, logical_id: str) -> None:
    part = logical_id.removesuffix("Alarm")
    world.watched.decide()
    world.make_fire(f"{part}SlowShort")
    assert logical_id in world.firing()
    # Half an hour without a failure: the short times are over, so the objective does not fire any more.
    world.now += 1860
    world.watched.decide()
    assert f"{part}FastLong" in world.firing()
    assert logical_id not in world.firing()
    world.let_end(f"{part}SlowShort")


def test_a_firing_alarm_is_said_once_and_stands_on_the_page(world: World) -> None:
    world.watched.decide()
    world.make_fire("ObservabilityLedgerDriftAlarm")
    world.watched.decide()
    [sentence] = world.sentences
    assert "A wallet and its entries differ" in sentence
    page = asyncio.run(world.watched.answer(make_mocked_request("GET", "/local/alarms"))).text or ""
    first = page.partition("<tbody>")[2].partition("</tr>")[0]
    assert first.startswith('<tr class="alarm"><td>alarm')
    assert '<a href="/local/alarms/ledger_drift.md">' in first
    runbook = asyncio.run(world.watched.answer(make_mocked_request("GET", "/local/alarms/ledger_drift.md")))
    assert "# Ledger drift" in (runbook.text or "")
    for other in ("/local/alarms/no.md", "/local/alarms/..%2f..%2fREADME.md", "/local/alarms/../../README.md"):
        assert asyncio.run(world.watched.answer(make_mocked_request("GET", other))).status == 404
    world.let_end("ObservabilityLedgerDriftAlarm")


def test_an_alarm_of_shares_fires_above_its_share_alone_and_ends(world: World) -> None:
    world.turn_on(0)
    alarm = COMPUTING[API_ERRORS]
    for _ in range(alarm["EvaluationPeriods"]):
        # Few requests are no share, and one of a hundred is not more than one of a hundred.
        for status, times in ((500, 3), (200, 300)):
            line = json.dumps({"message": "request", "status": status}, separators=(",", ":"))
            write_lines(world.aws, LOG_GROUP, world.now + 300, *[line] * times)
        world.turn_on(300)
    assert world.firing() == set()
    for _ in range(alarm["EvaluationPeriods"]):
        fire(alarm, world.aws, LOG_GROUP, world.now + 300)
        world.turn_on(300)
    assert world.firing() == {API_ERRORS}
    assert any("5xx" in sentence for sentence in world.sentences)
    page = asyncio.run(world.watched.answer(make_mocked_request("GET", "/local/alarms"))).text or ""
    assert "ApiErrorsAlarm<br>" in page
    world.turn_on(700)
    assert world.firing() == set()


def test_a_missing_backup_fires_once_it_could_have_been_seen(world: World) -> None:
    world.turn_on(0)
    world.now += 25 * 3600
    world.watched.decide()
    assert world.firing() == set()
    world.now += 2.5 * 3600
    world.watched.decide()
    assert world.firing() == {BACKUP_MISSING}
    world.turn_on(60)
    assert world.firing() == set()
    with pytest.raises(NoDrill, match="what does not happen"):
        fire(COMPUTING[BACKUP_MISSING], world.aws, LOG_GROUP, world.now)
