"""When an alarm fires, and which lines a filter pattern matches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.local.alarm_rules import Metric, Point, Points, alarm_state
from infra.local.filter_patterns import UnknownPattern, compile_pattern

METRIC = Metric("Atelier", "Faults", frozenset({("service", "atelier")}))
ALARM: dict[str, Any] = {
    "Namespace": "Atelier",
    "MetricName": "Faults",
    "Dimensions": [{"Name": "service", "Value": "atelier"}],
    "Statistic": "Sum",
    "Period": 300,
    "EvaluationPeriods": 2,
    "Threshold": 3.0,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "TreatMissingData": "notBreaching",
}
NOW = 1_900_000_020.0


def state(values: dict[float, float], **changes: Any) -> str | None:
    """The state of ALARM with changes; values: seconds ago → value."""
    points = Points(seconds_kept=86400)
    points.add(Point(METRIC, value, NOW - ago) for ago, value in sorted(values.items(), reverse=True))
    decided = alarm_state({**ALARM, **changes}, points, NOW)
    return None if decided is None else decided[0]


@pytest.mark.parametrize(
    ("values", "changes", "expected"),
    [
        ({0: 3, 400: 3}, {}, "ALARM"),
        ({0: 3}, {}, "OK"),
        ({0: 3}, {"DatapointsToAlarm": 1}, "ALARM"),
        ({0: 3}, {"TreatMissingData": "breaching"}, "ALARM"),
        ({0: 3}, {"TreatMissingData": "missing"}, None),
        ({0: 2, 30: 1, 400: 1, 500: 2}, {}, "ALARM"),
        ({0: 2, 30: 1}, {"EvaluationPeriods": 1, "Statistic": "Maximum"}, "OK"),
        ({0: 5, 30: 1}, {"EvaluationPeriods": 1, "Statistic": "Average"}, "ALARM"),
        ({0: 5, 30: 0}, {"EvaluationPeriods": 1, "Statistic": "Average"}, "OK"),
        ({0: 5, 30: 0}, {"EvaluationPeriods": 1, "Statistic": "Minimum"}, "OK"),
        ({0: 1, 30: 1, 40: 1}, {"EvaluationPeriods": 1, "Statistic": "SampleCount"}, "ALARM"),
        ({0: 3}, {"EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold"}, "OK"),
        ({0: 2}, {"EvaluationPeriods": 1, "ComparisonOperator": "LessThanThreshold"}, "ALARM"),
        ({301: 3}, {"EvaluationPeriods": 1}, "OK"),
        ({}, {}, "OK"),
    ],
)
def test_an_alarm_compares_each_period(
    values: dict[float, float], changes: dict[str, Any], expected: str | None
) -> None:
    assert state(values, **changes) == expected


def test_values_of_other_dimensions_do_not_count() -> None:
    points = Points(seconds_kept=86400)
    points.add([Point(Metric("Atelier", "Faults", frozenset()), 9, NOW)])
    decided = alarm_state({**ALARM, "EvaluationPeriods": 1}, points, NOW)
    assert decided is not None
    assert decided[0] == "OK"


def test_values_are_forgotten_after_their_time() -> None:
    points = Points(seconds_kept=600)
    points.add([Point(METRIC, 1, NOW - 7200), Point(METRIC, 1, NOW)])
    assert points.within(METRIC, 0, NOW) == [1]


LINE = json.dumps({"message": "request", "route": "ANY /v1/{proxy+}", "status": 503, "a": {"b": [2.0]}, "ok": None})


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ('{ $.message = "request" }', True),
        ('{ ($.message = "request") && ($.status >= 500) }', True),
        ('{ $.message = "request" && $.status < 500 }', False),
        ('{ $.message = "other" || $.status = 503 }', True),
        ('{ $.message = "other" || $.status = 503 && $.status != 503 }', False),
        ('{ ($.message = "other" || $.status = 503) && $.route = "ANY /v1*" }', True),
        ('{ $.route = "*generate*" }', False),
        ('{ $.message != "other" }', True),
        ("{ $.a.b > 1 }", True),
        ("{ $.a.c > 1 }", False),
        ("{ $.ok = 1 }", False),
        ('?"\\"status\\": 503" ?nothing', True),
        ("?neither ?nor", False),
        ("request v1", True),
        ("request v2", False),
        ("", True),
    ],
)
def test_a_pattern_matches(pattern: str, matches: bool) -> None:
    assert compile_pattern(pattern)(LINE) is matches


def test_a_pattern_of_json_matches_no_other_line() -> None:
    assert not compile_pattern("{ $.a = 1 }")("START RequestId: 1")
    assert not compile_pattern("{ $.a = 1 }")('["a"]')


@pytest.mark.parametrize(
    "pattern", ["{ $.a IS TRUE }", "{ $.a = }", "{ ($.a = 1 }", "{ $.a = 1 ) }", "{ a = 1 }", "{ }", "?any plain"]
)
def test_a_pattern_that_is_not_known_is_refused(pattern: str) -> None:
    with pytest.raises(UnknownPattern):
        compile_pattern(pattern)
