"""functions/api/admin_health: how the deployment is, by services of the embedded AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from threading import Event
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from atelier.adapters.aws.clients import client, session
from atelier.adapters.aws.quotas import AwsQuotas
from atelier.clock import system_clock
from atelier.settings import DeadLetterQueues
from atelier.system_health.read_health import (
    AlarmView,
    HealthDeps,
    MessageQueueView,
    PartUnread,
    QuotaView,
    ScheduleView,
    StreamView,
    SystemStatus,
    TableView,
    quota_view,
    read_health,
)
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import ROLE, AwsResources
from tests.functions.people import Person, call, create_administrator
from tests.functions.responses import success_data
from tests.functions.test_dead_letters import send, zipped_function
from tests.invoke import load_function

PARTS = ("tables", "queues", "streams", "schedules", "alarms", "quotas")
DESCRIPTION = "A wallet and its entries differ. Runbook: https://example.com/ledger_drift.md"


@pytest.fixture(scope="module", autouse=True)
def empty_account(emulator: str) -> None:
    """Delete the tables that earlier tests of this process left. They are many thousands at the end of a long run, and
    an account at AWS has at most 2,500; what these tests read lists them all."""
    dynamodb = session().create_client("dynamodb", region_name="us-east-1", endpoint_url=emulator)
    pages = dynamodb.get_paginator("list_tables").paginate()
    for name in [name for page in pages for name in page["TableNames"]]:
        dynamodb.delete_table(TableName=name)


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/admin_health")


@pytest.fixture
def ada(cloud: AwsResources) -> Person:
    return create_administrator("ada")


@pytest.fixture
def stack(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a stack that has one of each part. Others, whose names begin alike, have a table each."""
    name = "st" + cloud.tables.identity.removeprefix("identity-").replace("-", "")
    table, function, mapped = f"{name}-Data-Ledger", f"{name}-Follow", []
    tables = (table, f"{name}2-Data-Ledger", f"{name}-staging-Data-Ledger")
    for each in tables:
        client("dynamodb").create_table(
            TableName=each,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        )
    client("lambda").create_function(
        FunctionName=function,
        Runtime="python3.13",
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": zipped_function()},
    )
    stream = client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    queue = client("sqs").get_queue_attributes(QueueUrl=cloud.resets_queue, AttributeNames=["QueueArn"])
    for source, more in ((stream, {"StartingPosition": "TRIM_HORIZON"}), (queue["Attributes"]["QueueArn"], {})):
        created = client("lambda").create_event_source_mapping(
            EventSourceArn=source, FunctionName=function, Enabled=False, **more
        )
        mapped.append(created["UUID"])
    client("scheduler").create_schedule(
        Name=f"{name}-EveryDay",
        ScheduleExpression="rate(1 day)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": f"arn:aws:lambda:us-east-1:000000000000:function:{function}", "RoleArn": ROLE},
        State="DISABLED",
    )
    for alarm in ("A", "B"):
        client("cloudwatch").put_metric_alarm(
            AlarmName=f"{name}-{alarm}",
            AlarmDescription=DESCRIPTION,
            Namespace="Atelier",
            MetricName=name,
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        set_alarm(f"{name}-{alarm}", "OK")
    monkeypatch.setenv("ATELIER_STACK", name)
    clear_wiring_caches(clients=False)
    yield name

    client("cloudwatch").delete_alarms(AlarmNames=[f"{name}-A", f"{name}-B"])
    client("scheduler").delete_schedule(Name=f"{name}-EveryDay")
    for uuid in mapped:
        client("lambda").delete_event_source_mapping(UUID=uuid)
    client("lambda").delete_function(FunctionName=function)
    for each in tables:
        client("dynamodb").delete_table(TableName=each)


def set_alarm(name: str, state: str) -> None:
    client("cloudwatch").set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test says so")


def health(app: ModuleType, ada: Person) -> dict[str, Any]:
    found: dict[str, Any] = success_data(call(app, ada, "GET /api/admin/health"))
    return found


def test_all_parts_of_this_stack_are_shown_and_nothing_of_another_one(
    app: ModuleType, ada: Person, stack: str, cloud: AwsResources
) -> None:
    client("dynamodb").put_item(TableName=f"{stack}-Data-Ledger", Item={"pk": {"S": "one"}})
    found = health(app, ada)
    assert (found["status"], found["unread"]) == ("ok", {})
    [table] = found["tables"]
    assert (table["name"], table["status"], table["items"]) == (f"{stack}-Data-Ledger", "ACTIVE", 1)
    assert len([queue for queue in found["queues"] if queue["is_dead_letters"]]) == len(DeadLetterQueues.read().dead())
    assert {each["source"]: (each["function"], each["age_seconds"]) for each in found["streams"]} == {
        f"{stack}-Data-Ledger": (f"{stack}-Follow", None),
        cloud.resets_queue.rpartition("/")[2]: (f"{stack}-Follow", None),
    }
    assert found["schedules"] == [{"name": f"{stack}-EveryDay", "state": "DISABLED", "expression": "rate(1 day)"}]
    assert [(each["name"], each["state"]) for each in found["alarms"]] == [(f"{stack}-A", "OK"), (f"{stack}-B", "OK")]


def test_the_age_of_a_stream_is_the_oldest_of_the_last_quarter_of_an_hour(
    app: ModuleType, ada: Person, stack: str
) -> None:
    now = system_clock()
    for ago, milliseconds in ((5, 1500), (2, 700), (60, 9000)):
        client("cloudwatch").put_metric_data(
            Namespace="AWS/Lambda",
            MetricData=[
                {
                    "MetricName": "IteratorAge",
                    "Dimensions": [{"Name": "FunctionName", "Value": f"{stack}-Follow"}],
                    "Timestamp": now - timedelta(minutes=ago),
                    "Value": milliseconds,
                }
            ],
        )
    ages = {each["source"]: each["age_seconds"] for each in health(app, ada)["streams"]}
    assert ages.pop(f"{stack}-Data-Ledger") == 1.5
    assert set(ages.values()) == {None}


def test_an_alarm_that_fires_stands_first_and_wants_attention(app: ModuleType, ada: Person, stack: str) -> None:
    set_alarm(f"{stack}-B", "ALARM")
    found = health(app, ada)
    assert found["status"] == "attention"
    first, second = found["alarms"]
    assert (first["name"], first["state"], first["reason"]) == (f"{stack}-B", "ALARM", "a test says so")
    assert first["description"] == DESCRIPTION
    assert second["state"] == "OK"
    set_alarm(f"{stack}-B", "OK")
    assert health(app, ada)["status"] == "ok"


def test_a_dead_letter_wants_attention_and_a_message_of_another_queue_does_not(
    app: ModuleType, ada: Person, stack: str, cloud: AwsResources
) -> None:
    client("sqs").send_message(QueueUrl=cloud.attempts_queue, MessageBody=json.dumps({}), DelaySeconds=60)
    assert health(app, ada)["status"] == "ok"
    send("resets", {"shard": 1})
    found = health(app, ada)
    assert found["status"] == "attention"
    filled = {each["name"]: each["messages"] for each in found["queues"] if each["messages"]}
    assert filled == {cloud.attempts_queue.rpartition("/")[2]: 1, next(name for name in filled if "dead" in name): 1}


def test_a_part_that_cannot_be_read_is_null_with_its_reason(
    app: ModuleType, ada: Person, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = client("sqs").create_queue(QueueName=f"{stack}-gone")["QueueUrl"]
    client("sqs").delete_queue(QueueUrl=gone)
    monkeypatch.setenv("ATELIER_DEAD_LETTERS", f"resets={gone}")
    clear_wiring_caches(clients=False)
    found = health(app, ada)
    assert (found["status"], found["queues"]) == ("attention", None)
    assert list(found["unread"]) == ["queues"]
    assert "NonExistentQueue" in found["unread"]["queues"]
    assert all(found[part] for part in PARTS if part != "queues")


class Answers:
    """Clients of services that answer with these values; an exception is raised."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        answer = self._answers[name]

        def call(**_: Any) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def quotas_of(**changes: Any) -> dict[str, QuotaView]:
    """The quotas with a limit of 1000 each, of which `used` are used in a minute or at the same time."""
    measured = {"MetricDataResults": [{"Values": [5.0, changes.pop("used", 100.0)]}, {"Values": []}]}
    answers: dict[str, Any] = {
        "cloudwatch": Answers(get_metric_data=measured),
        "lambda": Answers(get_account_settings={"AccountLimit": {"ConcurrentExecutions": 1000}}),
        "service-quotas": Answers(get_service_quota={"Quota": {"Value": 1000.0}}),
        "sesv2": Answers(get_account={"SendQuota": {"Max24HourSend": 1000.0, "SentLast24Hours": 799.0}}),
    }
    found = AwsQuotas(answers | changes, "api").read(["t1", "t2"], system_clock())
    return {quota.name: quota for quota in found}


def test_a_quota_is_near_from_eighty_percent_on() -> None:
    found = quotas_of(used=800.0)
    concurrency, mails = found["lambda-concurrency"], found["ses-sending"]
    assert (concurrency.limit, concurrency.used, concurrency.share, concurrency.is_near) == (1000, 800, 0.8, True)
    assert (mails.used, mails.is_near) == (799, False)
    # Sums of a minute are counted by the second.
    for name in ("dynamodb-table-reads", "dynamodb-table-writes", "api-gateway-rate"):
        assert (found[name].used, found[name].is_near) == (800 / 60, False)


def test_a_quota_that_cannot_be_read_is_null_with_its_reason_and_no_alarm() -> None:
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "arn:aws:iam::1:role/x"}}, "GetAccount")
    unmeasured = Answers(get_metric_data={"MetricDataResults": []})
    unlimited = {"SendQuota": {"Max24HourSend": -1.0, "SentLast24Hours": 10.0}}
    found = quotas_of(**{"service-quotas": Answers(get_service_quota=denied), "sesv2": Answers(get_account=denied)})
    for name in ("dynamodb-table-reads", "api-gateway-rate", "ses-sending"):
        assert (found[name].limit, found[name].share, found[name].is_near) == (None, None, False)
        assert found[name].reason == "AccessDeniedException"
    found = quotas_of(cloudwatch=unmeasured, sesv2=Answers(get_account=unlimited))
    assert (found["lambda-concurrency"].limit, found["lambda-concurrency"].share) == (1000, None)
    assert found["lambda-concurrency"].reason == "Nothing was measured."
    assert (found["ses-sending"].used, found["ses-sending"].reason) == (10, "There is no limit.")


def test_a_near_quota_wants_attention() -> None:
    class Near(Parts):
        def streams(self, now: object) -> list[StreamView]:
            return []

        def queues(self) -> list[MessageQueueView]:
            return []

        def schedules(self) -> list[ScheduleView]:
            return []

        def alarms(self) -> list[AlarmView]:
            return []

        def quotas(self, now: object) -> list[QuotaView]:
            return [quota_view("lambda-concurrency", "executions at the same time", 1000, used)]

    for used, status in ((799, SystemStatus.OK), (800, SystemStatus.ATTENTION)):
        found = read_health(deps=HealthDeps(Near(Event())), now=system_clock())
        assert (found.status, found.quotas is not None and found.quotas[0].used) == (status, used)


def test_a_stack_of_which_nothing_is_found_is_not_well(
    app: ModuleType, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_STACK", "no-such-stack")
    clear_wiring_caches(clients=False)
    found = health(app, ada)
    assert found["status"] == "attention"
    assert set(found["unread"]) == {"tables", "streams", "schedules", "alarms", "quotas"}
    assert set(found["unread"].values()) == {"There is nothing whose name begins with no-such-stack-"}


@dataclass
class Parts:
    """Parts that are given; the streams hang until `released`, and the schedules have a defect."""

    released: Event

    def tables(self) -> list[TableView]:
        return [TableView(name="t", status="ACTIVE", items=1, bytes=2)]

    def queues(self) -> list[MessageQueueView]:
        return [MessageQueueView(name="q", messages=3, in_flight=0, is_dead_letters=False)]

    def streams(self, now: object) -> list[StreamView]:
        self.released.wait(30)
        return []

    def schedules(self) -> list[ScheduleView]:
        raise KeyError("State")

    def alarms(self) -> list[AlarmView]:
        raise PartUnread("AccessDenied")

    def quotas(self, now: object) -> list[QuotaView]:
        return []


def test_a_part_that_hangs_or_has_a_defect_does_not_hold_up_the_others() -> None:
    released = Event()
    found = read_health(deps=HealthDeps(Parts(released), seconds_max=0.2), now=system_clock())
    released.set()
    assert found.status is SystemStatus.ATTENTION
    assert (found.streams, found.schedules, found.alarms) == (None, None, None)
    assert found.tables is not None
    assert found.queues is not None
    assert found.unread == {
        "streams": "It took longer than 0.2 seconds.",
        "schedules": "It failed; the log of the function says why.",
        "alarms": "AccessDenied",
    }
