"""Each alarm has a runbook, and watches a metric that the product writes; each dashboard shows such metrics."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from atelier import telemetry
from infra.local.alarm_rules import Metric
from infra.local.alarms import RUNBOOKS, embedded_metrics
from infra.local.filter_patterns import compile_pattern
from infra.local.fire_alarm import LINES
from infra.local.templates import read_template

ROOT = Path(__file__).parents[3]
PRODUCT = (ROOT / "functions", ROOT / "layers/atelier/python/atelier")
HEADINGS = ["What it means", "How to see it", "What to do", "Make it happen"]
# Metrics that AWS writes, by namespace, as far as alarms and dashboards use them.
OF_AWS = {
    "AWS/ApiGateway": {"Count", "4xx", "5xx", "Latency"},
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"},
    "AWS/States": {
        "ExecutionsStarted",
        "ExecutionsSucceeded",
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ConsumedCapacity",
    },
    "AWS/Lambda": {"Throttles", "ConcurrentExecutions", "Invocations", "IteratorAge", "Errors"},
    "AWS/DynamoDB": {
        "ThrottledRequests",
        "TransactionConflict",
        "ConsumedWriteCapacityUnits",
        "ConsumedReadCapacityUnits",
    },
    "AWS/Logs": {"IncomingBytes"},
}


@cache
def resources() -> dict[str, dict[str, Any]]:
    """Every resource of the nested stacks, by `file/logical id`."""
    return {
        f"{path.stem}/{name}": resource
        for path in sorted((ROOT / "infra").glob("*.yaml"))
        for name, resource in read_template(path)["Resources"].items()
    }


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in resources().items() if each["Type"] == kind}


ALARMS = of_type("AWS::CloudWatch::Alarm") | of_type("AWS::CloudWatch::CompositeAlarm")
DASHBOARDS = of_type("AWS::CloudWatch::Dashboard")


@cache
def written() -> frozenset[tuple[str, frozenset[str]]]:
    """(name, dimensions beside the service) of every metric that the product writes."""
    found: set[tuple[str, frozenset[str]]] = set()
    for folder in PRODUCT:
        for path in folder.rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id.startswith("put_"):
                    first = call.args[0] if call.args else None
                    if isinstance(first, ast.Constant):
                        names = frozenset(keyword.arg for keyword in call.keywords if keyword.arg)
                        found.add((str(first.value), names))
    return frozenset(found)


def filtered() -> set[str]:
    """The ends of the names of metrics that filters make of lines: the stack's name stands before."""
    return {
        text_of(transformation["MetricName"]).removeprefix("${AWS::StackName}-")
        for properties in of_type("AWS::Logs::MetricFilter").values()
        for transformation in properties["MetricTransformations"]
    }


def text_of(value: Any) -> str:
    return str(value["Fn::Sub"] if isinstance(value, dict) else value)


def problem_of(namespace: str, name: str, dimensions: frozenset[str]) -> str | None:
    """Why nobody writes this metric; None if somebody does."""
    if namespace in OF_AWS:
        return None if name in OF_AWS[namespace] else f"AWS has no {name}"
    suffix = name.removeprefix("${AWS::StackName}-")
    if suffix != name:
        return None if suffix in filtered() else f"no filter makes {name}"
    return None if (name, dimensions - {"service"}) in written() else f"no put_… writes {name} by {set(dimensions)}"


# ---- runbooks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_names_its_runbook(name: str) -> None:
    description = text_of(ALARMS[name]["AlarmDescription"])
    found = re.search(r" Runbook: \$\{Runbooks\}/([a-z_]+\.md)$", description)
    assert found, f"{name}: end the description with ` Runbook: ${{Runbooks}}/<name>.md`, by !Sub"
    runbook = ROOT / RUNBOOKS / found[1]
    assert runbook.is_file(), f"write {RUNBOOKS}/{found[1]}"
    assert re.findall(r"^## (.+)$", runbook.read_text("utf-8"), re.MULTILINE) == HEADINGS


def test_every_runbook_is_of_an_alarm() -> None:
    named = {
        match[1]
        for each in ALARMS.values()
        if (match := re.search(r"/([a-z_]+\.md)$", text_of(each["AlarmDescription"])))
    }
    assert {path.name for path in (ROOT / RUNBOOKS).glob("*.md")} == named


def test_a_drill_in_a_runbook_is_of_an_alarm() -> None:
    names = {name.partition("/")[2] for name in ALARMS}
    drills = {
        drill
        for path in (ROOT / RUNBOOKS).glob("*.md")
        for drill in re.findall(r"make fire-alarm ALARM=(\w+)", path.read_text("utf-8"))
    }
    assert {drill for drill in drills if not {drill, f"{drill}Alarm"} & names} == set()


# ---- metrics ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(of_type("AWS::CloudWatch::Alarm")))
def test_an_alarm_watches_a_metric_that_is_written(name: str) -> None:
    alarm = ALARMS[name]
    watched = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]
    for metric in watched:
        dimensions = frozenset(each["Name"] for each in metric.get("Dimensions", []))
        assert problem_of(metric["Namespace"], text_of(metric["MetricName"]), dimensions) is None


def metrics_of(body: dict[str, Any]) -> Iterator[tuple[str, str, frozenset[str]]]:
    """(namespace, name, dimensions) of each metric of a dashboard; `.` stands for what the metric before has there."""
    for widget in body["widgets"]:
        before: list[str] = []
        for row in widget["properties"].get("metrics", []):
            if isinstance(row[0], dict):
                found = re.search(r"\{(\w+),([\w,]+)\} MetricName=\"(\w+)\"", row[0]["expression"])
                assert found, row
                yield found[1], found[3], frozenset(found[2].split(","))
                continue
            words = [word for word in row if isinstance(word, str)]
            if words[0] == "...":
                words = [*before[: len(before) - len(words) + 1], *words[1:]]
            words = [before[place] if word == "." else word for place, word in enumerate(words)]
            before = words
            yield words[0], words[1], frozenset(words[2::2])


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_a_dashboard_shows_metrics_that_are_written(name: str) -> None:
    body = json.loads(text_of(DASHBOARDS[name]["DashboardBody"]))
    shown = list(metrics_of(body))
    assert shown or name.endswith("CostDashboard")
    assert [problem for metric in shown if (problem := problem_of(*metric))] == []
    places = [(each["x"], each["y"]) for each in body["widgets"]]
    assert len(set(places)) == len(places)


def test_what_the_product_writes_is_read_from_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.put_count("LedgerDrift", 2)
    telemetry.put_count("AttemptsFailed", Provider="local", ErrorClass="timeout")
    telemetry.logger.error("not a metric")
    points = [point for line in capsys.readouterr().out.splitlines() for point in embedded_metrics(line, 7.0)]
    service = ("service", telemetry.logger.service)
    assert [(point.metric, point.value, point.at) for point in points] == [
        (Metric("Atelier", "LedgerDrift", frozenset({service})), 2.0, 7.0),
        (
            Metric("Atelier", "AttemptsFailed", frozenset({service, ("Provider", "local"), ("ErrorClass", "timeout")})),
            1.0,
            7.0,
        ),
    ]


def test_each_filter_matches_the_line_of_its_drill() -> None:
    for properties in of_type("AWS::Logs::MetricFilter").values():
        [transformation] = properties["MetricTransformations"]
        line, _ = LINES[text_of(transformation["MetricName"]).removeprefix("${AWS::StackName}-")]
        is_of_what_is_good = transformation["MetricValue"] == "0"
        matches = compile_pattern(properties["FilterPattern"])
        assert matches(json.dumps(line, separators=(",", ":"))) is not is_of_what_is_good
