"""The alarms of the local stack. The embedded AWS keeps alarms and metric filters, but makes no metric of what
functions log, of queues and of state machines. This does it: it reads them every few seconds, decides by the rules of
CloudWatch (`alarm_rules.py`) and stores each alarm's state in the embedded AWS, where DescribeAlarms shows it, as on
AWS. A page lists the alarms, with their runbooks. The pages exist on this machine alone.
"""

from __future__ import annotations

import asyncio
import html
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from infra.local.alarm_rules import Metric, Point, Points, alarm_state, metrics_of, period_of
from infra.local.deploy import Aws
from infra.local.expression_alarms import RUNBOOKS, STACKS, read_expression_alarms
from infra.local.filter_patterns import compile_pattern, field_of
from infra.local.templates import read_template

PATH = "/local/alarms"
ROUND_SECONDS = 3.0
# Lines are read when they are this old, so that none is written after its time was read.
LINES_LAG_SECONDS = 1.0
LOG_GROUP = "Logs"
OBJECTIVES_STACK = "Objectives"
_RUNBOOK = re.compile(r"Runbook: \S*/([a-z_]+\.md)")
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Alarms</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ max-width: 70rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }}
table {{ border-collapse: collapse; }} th, td {{ text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; }}
td:first-child {{ white-space: nowrap; }}
tr.alarm td:first-child {{ font-weight: bold; }} small {{ opacity: .75; }}
</style></head><body><h1>Alarms</h1><p>{summary}</p><table><thead><tr><th>state</th><th>alarm</th><th>why</th></tr></thead>
<tbody>{rows}</tbody></table></body></html>
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


class LocalAlarms:
    """Decides the states of the alarms of one stack. aws, resources: clients of the embedded AWS, and the physical ids
    of the deployed resources; they are asked for at each use, because a deployment changes them. root: the repository.
    report: gets a sentence when an alarm fires."""

    def __init__(
        self,
        aws: Callable[[], Aws],
        resources: Callable[[], Mapping[str, str]],
        root: Path,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._aws = aws
        self._resources = resources
        self._root = root
        self._report = report
        self._clock = clock
        self._points = Points(seconds_kept=3 * 86400)
        self._read_until = self._began = clock()
        # The combined alarms that fired in the last round.
        self._combined_firing: set[str] = set()
        # By state machine, the failed executions that were counted, or were there before.
        self._executions_seen: dict[str, set[str]] = {}

    def begin(self) -> None:
        """Leaves out what has happened so far."""
        self._read_until = self._began = self._clock()

    async def watch(self) -> None:
        """Decides again and again; never returns. A round that fails is repeated: the stack may be deploying."""
        from botocore.exceptions import BotoCoreError, ClientError

        while True:
            await asyncio.sleep(ROUND_SECONDS)
            try:
                await asyncio.to_thread(self.decide)
            except (BotoCoreError, ClientError):
                continue

    def decide(self) -> None:
        """Reads what happened since the last call, and stores the state of each alarm that has changed."""
        now = self._clock()
        alarms = self._alarms()
        self._create_composites({alarm["AlarmName"]: alarm.get("AlarmRule") for alarm in alarms})
        computing = self._create_computing({alarm["AlarmName"]: alarm for alarm in alarms})
        simple = [alarm for alarm in alarms if "MetricName" in alarm and alarm["AlarmName"] not in computing]
        self._points.add(self._lines(now))
        self._points.add(self._others({metric for alarm in simple for metric in metrics_of(alarm)}, now))
        for alarm in [*simple, *computing.values()]:
            decided = alarm_state(alarm, self._points, now, self._began)
            if decided is None or decided[0] == alarm["StateValue"]:
                continue
            state, reason = decided
            self._aws().client("cloudwatch").set_alarm_state(
                AlarmName=alarm["AlarmName"], StateValue=state, StateReason=reason
            )
            if state == "ALARM" and alarm.get("AlarmActions"):
                self._report(f"alarm: {alarm['AlarmDescription']}")
        self._report_combined()

    def _report_combined(self) -> None:
        """Reports the combined alarms that fire since this round; the embedded AWS decides them by their parts."""
        answer = self._aws().client("cloudwatch").describe_alarms(AlarmTypes=["CompositeAlarm"], StateValue="ALARM")
        firing = {alarm["AlarmName"]: alarm["AlarmDescription"] for alarm in answer.get("CompositeAlarms", [])}
        for name in sorted(firing.keys() - self._combined_firing):
            self._report(f"alarm: {firing[name]}")
        self._combined_firing = set(firing)

    def _alarms(self) -> list[dict[str, Any]]:
        pages = self._aws().client("cloudwatch").get_paginator("describe_alarms")
        types = ["MetricAlarm", "CompositeAlarm"]
        answers = pages.paginate(AlarmTypes=types)
        return [alarm for answer in answers for kind in types for alarm in answer.get(f"{kind}s", [])]

    def _create_composites(self, present: Mapping[str, str | None]) -> None:
        """Creates the alarms that combine others, which the embedded AWS knows, but not in templates. present: name →
        rule; a rule that names alarms of an earlier deployment is replaced."""
        resources = self._resources()
        for logical_id, resource in read_template(self._root / "infra/objectives.yaml")["Resources"].items():
            name = f"{OBJECTIVES_STACK}{logical_id}"
            if resource["Type"] != "AWS::CloudWatch::CompositeAlarm":
                continue
            properties = resource["Properties"]
            rule = re.sub(
                r"\$\{(\w+)\}", lambda found: resources[OBJECTIVES_STACK + found[1]], _text(properties["AlarmRule"])
            )
            if present.get(name) == rule:
                continue
            description = _text(properties["AlarmDescription"]).replace("${Runbooks}", RUNBOOKS)
            self._aws().client("cloudwatch").put_composite_alarm(
                AlarmName=name, AlarmRule=rule, AlarmDescription=description
            )

    def _create_computing(self, present: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """The alarms that compute with metrics, by name, with their present state. The embedded AWS keeps their state
        under a metric of no values; what they compute is in the templates."""
        found = read_expression_alarms(self._root)
        for name, alarm in found.items():
            if present.get(name, {}).get("AlarmDescription") != alarm["AlarmDescription"]:
                self._aws().client("cloudwatch").put_metric_alarm(
                    AlarmName=name,
                    AlarmDescription=alarm["AlarmDescription"],
                    Namespace="Atelier",
                    MetricName=name,
                    Statistic="Sum",
                    Period=period_of(alarm),
                    EvaluationPeriods=alarm["EvaluationPeriods"],
                    Threshold=alarm["Threshold"],
                    ComparisonOperator=alarm["ComparisonOperator"],
                    TreatMissingData="ignore",
                )
        return {
            name: {**alarm, "StateValue": present.get(name, {}).get("StateValue", "INSUFFICIENT_DATA")}
            for name, alarm in found.items()
        }

    # ---- what metrics are made of ------------------------------------------------------------------------------------

    def _lines(self, now: float) -> Iterator[Point]:
        """The values in the lines of functions: embedded metrics, and what metric filters make."""
        logs, group = self._aws().client("logs"), self._resources()[LOG_GROUP]
        filters = [
            (compile_pattern(each["filterPattern"]), each["metricTransformations"])
            for answer in logs.get_paginator("describe_metric_filters").paginate(logGroupName=group)
            for each in answer["metricFilters"]
        ]
        until = now - LINES_LAG_SECONDS
        start, end = int(self._read_until * 1000) + 1, int(until * 1000)
        if start > end:
            return
        self._read_until = until
        for event in logs.filter_log_events(logGroupName=group, startTime=start, endTime=end)["events"]:
            line, at = event["message"], event["timestamp"] / 1000
            yield from embedded_metrics(line, at)
            yield from gateway_metrics(line, at)
            for matches, transformations in filters:
                if matches(line):
                    yield from _transformed(line, transformations, at)

    def _others(self, metrics: Iterable[Metric], now: float) -> Iterator[Point]:
        """The values that services of AWS write themselves."""
        for metric in metrics:
            dimensions = dict(metric.dimensions)
            if metric.namespace == "AWS/SQS":
                yield Point(metric, self._messages_in(dimensions["QueueName"]), now)
            elif metric.namespace == "AWS/States" and metric.name == "ExecutionsFailed":
                yield from [Point(metric, 1, now)] * self._newly_failed(dimensions["StateMachineArn"])

    def _messages_in(self, queue: str) -> float:
        sqs = self._aws().client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        name = "ApproximateNumberOfMessages"
        return float(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])

    def _newly_failed(self, machine: str) -> int:
        """How many executions have failed since the last call; none at the first one."""
        answer = self._aws().client("stepfunctions").list_executions(stateMachineArn=machine, statusFilter="FAILED")
        failed = {execution["executionArn"] for execution in answer["executions"]}
        new = failed - self._executions_seen.get(machine, failed)
        self._executions_seen[machine] = failed
        return len(new)

    # ---- the page ----------------------------------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The list of alarms, those that fire first; or a runbook."""
        path = request.raw_path.partition("?")[0].rstrip("/")
        if path == PATH:
            alarms = await asyncio.to_thread(self._alarms)
            return web.Response(
                text=_page(alarms, self._names()),
                content_type="text/html",
                headers={"content-security-policy": _POLICY},
            )
        runbook = self._root / RUNBOOKS / Path(path).name
        if not runbook.is_file():
            return web.Response(status=404, text="There is no such runbook.\n")
        return web.Response(text=runbook.read_text("utf-8"))

    def _names(self) -> dict[str, str]:
        """The name of each alarm in the templates, by its name in the embedded AWS."""
        prefix = re.compile(f"^({'|'.join(STACKS)})")
        return {physical: prefix.sub("", logical_id) for logical_id, physical in self._resources().items()}


def embedded_metrics(line: str, at: float) -> Iterator[Point]:
    """The values of a line in CloudWatch's embedded metric format; nothing for other lines."""
    if '"_aws"' not in line:
        return
    try:
        facts = json.loads(line)
        directives = facts["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return
    for directive in directives:
        for names in directive["Dimensions"]:
            dimensions = frozenset((name, str(facts[name])) for name in names)
            for metric in directive["Metrics"]:
                found = facts[metric["Name"]]
                for value in found if isinstance(found, list) else [found]:
                    yield Point(Metric(directive["Namespace"], metric["Name"], dimensions), float(value), at)


def gateway_metrics(line: str, at: float) -> Iterator[Point]:
    """What the gateway counts of a request, by the line of the function that answered it; nothing for other lines."""
    if '"message":"request"' not in line:
        return
    try:
        status = int(json.loads(line)["status"])
    except (ValueError, KeyError, TypeError):
        return
    # As in the template's alarm, where the API is a reference by this name.
    api = frozenset({("ApiId", "ApiId")})
    yield Point(Metric("AWS/ApiGateway", "Count", api), 1, at)
    yield Point(Metric("AWS/ApiGateway", "5xx", api), float(status >= 500), at)


def _transformed(line: str, transformations: Iterable[Mapping[str, Any]], at: float) -> Iterator[Point]:
    for each in transformations:
        text = each["metricValue"]
        value = field_of(json.loads(line), text) if text.startswith("$.") else text
        yield Point(Metric(each["metricNamespace"], each["metricName"], frozenset()), float(value), at)


def _text(value: Any) -> str:
    return str(value["Fn::Sub"] if isinstance(value, dict) else value)


def _page(alarms: list[dict[str, Any]], names: Mapping[str, str]) -> str:
    order = {"ALARM": 0, "INSUFFICIENT_DATA": 1, "OK": 1}
    alarms = sorted(alarms, key=lambda alarm: (order[alarm["StateValue"]], alarm["AlarmName"]))
    firing = sum(alarm["StateValue"] == "ALARM" for alarm in alarms)
    summary = f"{firing} of {len(alarms)} alarms fire." if firing else f"None of {len(alarms)} alarms fires."
    return _PAGE.format(summary=summary, rows="".join(_row(alarm, names) for alarm in alarms))


def _row(alarm: Mapping[str, Any], names: Mapping[str, str]) -> str:
    name = names.get(alarm["AlarmName"], re.sub(f"^({'|'.join(STACKS)})", "", alarm["AlarmName"]))
    description = html.escape(alarm.get("AlarmDescription", ""))
    description = _RUNBOOK.sub(rf'<a href="{PATH}/\1">Runbook: \1</a>', description)
    state = "no data" if alarm["StateValue"] == "INSUFFICIENT_DATA" else alarm["StateValue"].lower()
    since = alarm.get("StateUpdatedTimestamp")
    when = f"<br><small>since {since.astimezone(UTC):%H:%M:%S} UTC</small>" if isinstance(since, datetime) else ""
    return (
        f'<tr class="{html.escape(state)}"><td>{html.escape(state)}{when}</td><td>{html.escape(name)}<br>'
        f"<small>{description}</small></td><td>{html.escape(alarm.get('StateReason', ''))}</td></tr>"
    )
