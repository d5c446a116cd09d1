"""DeploymentParts by the APIs of the services. What belongs to the deployment begins with the name of its stack, as
CloudFormation names it; the queues are known by their URLs."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.quotas import AwsQuotas
from atelier.system_health.read_health import (
    AlarmView,
    MessageQueueView,
    PartUnread,
    QuotaView,
    ScheduleView,
    StreamView,
    TableView,
)
from atelier.telemetry import logger

# A page has 50 to 100 names; a deployment has less than 100 of each kind, but an account may have many deployments, and
# 2,500 tables by default.
PAGES_MAX = 100
AGE_MINUTES = 15


@contextmanager
def _with_reasons() -> Generator[None]:
    """Errors of the SDK become PartUnread. The reason is the error's code, since its text names roles and accounts."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise PartUnread(error.response.get("Error", {}).get("Code", "")) from error
    except BotoCoreError as error:
        raise PartUnread(type(error).__name__) from error


class AwsDeploymentParts:
    """DeploymentParts. stack: the name of the deployment's stack; queues, dead: URLs of its queues, and of those of
    dead letters; api_id: its HTTP API."""

    def __init__(self, stack: str, queues: Iterable[str], dead: Iterable[str], api_id: str) -> None:
        self._prefix = f"{stack}-"
        self._queues = [*((url, False) for url in queues), *((url, True) for url in dead)]
        # Created here, because parts are read in threads, and sessions of the SDK are for one.
        self._clients = {
            "cloudwatch": client("cloudwatch"),
            "dynamodb": client("dynamodb"),
            "lambda": client("lambda"),
            "scheduler": client("scheduler"),
            "service-quotas": client("service-quotas"),
            "sesv2": client("sesv2"),
            "sqs": client("sqs"),
        }
        self._quotas = AwsQuotas(self._clients, api_id)

    @_with_reasons()
    def tables(self) -> list[TableView]:
        names = self._names(self._all("dynamodb", "list_tables", "TableNames"))
        described = [self._clients["dynamodb"].describe_table(TableName=name)["Table"] for name in names]
        return [
            TableView(
                name=table["TableName"],
                status=table["TableStatus"],
                items=table.get("ItemCount", 0),
                bytes=table.get("TableSizeBytes", 0),
            )
            for table in described
        ]

    @_with_reasons()
    def queues(self) -> list[MessageQueueView]:
        return [self._queue(url, is_dead_letters=dead) for url, dead in self._queues]

    def _queue(self, url: str, *, is_dead_letters: bool) -> MessageQueueView:
        names = [f"ApproximateNumberOfMessages{suffix}" for suffix in ("", "Delayed", "NotVisible")]
        answer = self._clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=names)
        waiting, delayed, in_flight = (int(answer["Attributes"][name]) for name in names)
        return MessageQueueView(
            name=url.rpartition("/")[2],
            messages=waiting + delayed,
            in_flight=in_flight,
            is_dead_letters=is_dead_letters,
        )

    @_with_reasons()
    def streams(self, now: datetime) -> list[StreamView]:
        listed = self._all("lambda", "list_event_source_mappings", "EventSourceMappings")
        mappings = {_function(mapping["FunctionArn"]) + mapping["UUID"]: mapping for mapping in listed}
        mine = [mappings[key] for key in self._names(mappings)]
        functions = {_function(each["FunctionArn"]) for each in mine if ":dynamodb:" in each["EventSourceArn"]}
        ages = self._ages(sorted(functions), now)
        return [
            StreamView(
                function=_function(mapping["FunctionArn"]),
                source=_source(mapping["EventSourceArn"]),
                state=mapping["State"],
                last_result=mapping.get("LastProcessingResult"),
                age_seconds=ages.get(_function(mapping["FunctionArn"]))
                if ":dynamodb:" in mapping["EventSourceArn"]
                else None,
            )
            for mapping in mine
        ]

    def _ages(self, functions: list[str], now: datetime) -> dict[str, float]:
        """The age of what functions took from streams, in seconds; without those that CloudWatch does not know."""
        from botocore.exceptions import BotoCoreError, ClientError

        queries = [
            {"Id": f"age{index}", "MetricStat": _iterator_age(function)} for index, function in enumerate(functions)
        ]
        if not queries:
            return {}
        try:
            answer = self._clients["cloudwatch"].get_metric_data(
                MetricDataQueries=queries, StartTime=now - timedelta(minutes=AGE_MINUTES), EndTime=now
            )
        except (BotoCoreError, ClientError):
            # The rest of the part is of use without it.
            logger.exception("the age of streams cannot be read")
            return {}
        values = {result["Id"]: result["Values"] for result in answer["MetricDataResults"]}
        found = {function: values.get(f"age{index}") for index, function in enumerate(functions)}
        return {function: max(ages) / 1000 for function, ages in found.items() if ages}

    @_with_reasons()
    def schedules(self) -> list[ScheduleView]:
        listed = self._all("scheduler", "list_schedules", "Schedules", NamePrefix=self._prefix)
        # The list has no expressions.
        names = self._names(schedule["Name"] for schedule in listed)
        described = [self._clients["scheduler"].get_schedule(Name=name) for name in names]
        return [
            ScheduleView(name=each["Name"], state=each["State"], expression=each["ScheduleExpression"])
            for each in described
        ]

    @_with_reasons()
    def alarms(self) -> list[AlarmView]:
        arguments = {"AlarmNamePrefix": self._prefix, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
        pages = list(self._pages("cloudwatch", "describe_alarms", **arguments))
        kinds = ("MetricAlarms", "CompositeAlarms")
        alarms = {alarm["AlarmName"]: alarm for page in pages for kind in kinds for alarm in page.get(kind, [])}
        return [
            AlarmView(
                name=name,
                state=alarms[name]["StateValue"],
                since=alarms[name].get("StateTransitionedTimestamp", alarms[name]["StateUpdatedTimestamp"]),
                reason=alarms[name].get("StateReason", ""),
                description=alarms[name].get("AlarmDescription", ""),
            )
            for name in self._names(alarms)
        ]

    @_with_reasons()
    def quotas(self, now: datetime) -> list[QuotaView]:
        return self._quotas.read(self._names(self._all("dynamodb", "list_tables", "TableNames")), now)

    def _names(self, names: Iterable[str]) -> list[str]:
        """Those of this deployment. Each part has some: without any, they are not where they are looked for."""
        mine = sorted(name for name in names if self._is_mine(name))
        if not mine:
            raise PartUnread(f"There is nothing whose name begins with {self._prefix}")
        return mine

    def _is_mine(self, name: str) -> bool:
        """After the stack's name comes the logical id, with a capital letter; `staging` comes in a stack's own name."""
        return name.startswith(self._prefix) and name[len(self._prefix) :][:1].isupper()

    def _all(self, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
        for page in self._pages(service, operation, **arguments):
            yield from page[key]

    def _pages(self, service: str, operation: str, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        for count, page in enumerate(self._clients[service].get_paginator(operation).paginate(**arguments)):
            if count == PAGES_MAX:
                raise PartUnread(f"The account has more than {PAGES_MAX} pages of them.")
            yield page


def _iterator_age(function: str) -> dict[str, Any]:
    dimensions = [{"Name": "FunctionName", "Value": function}]
    metric = {"Namespace": "AWS/Lambda", "MetricName": "IteratorAge", "Dimensions": dimensions}
    return {"Metric": metric, "Period": 60 * AGE_MINUTES, "Stat": "Maximum"}


def _function(arn: str) -> str:
    """`arn:…:function:name`, or with a version after it."""
    return arn.partition(":function:")[2].partition(":")[0]


def _source(arn: str) -> str:
    """`arn:…:table/name/stream/time`, or `arn:…:name` of a queue."""
    return arn.split("/")[1] if ":table/" in arn else arn.rpartition(":")[2]
