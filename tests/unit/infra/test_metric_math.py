"""Metric math, as the alarms of the templates use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.expression_alarms import read_expression_alarms
from infra.local.metric_math import MathNotKnown, Value, evaluate

SHARE = "IF(requests > 20, 100 * errors / requests, 0)"


@pytest.mark.parametrize(
    ("expression", "values", "expected"),
    [
        (SHARE, {"requests": 100.0, "errors": 3.0}, 3),
        (SHARE, {"requests": 20.0, "errors": 20.0}, 0),
        (SHARE, {"requests": None, "errors": None}, None),
        (SHARE, {"requests": 100.0, "errors": None}, None),
        ("FILL(backups, 0)", {"backups": None}, 0),
        ("FILL(backups, 0)", {"backups": 2.0}, 2),
        ("-(a + b) * 2 - 1", {"a": 1.0, "b": 2.0}, -7),
        ("a / b", {"a": 1.0, "b": 0.0}, None),
        ("a >= b", {"a": 1.0, "b": 1.0}, 1),
        ("a != b", {"a": 1.0, "b": 1.0}, 0),
    ],
)
def test_an_expression_has_its_value(expression: str, values: dict[str, Value], expected: Value) -> None:
    assert evaluate(expression, values) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "RATE(a)",
        "SUM(METRICS())",
        "a AND b",
        "b",
        "__import__('os')",
        "a[0]",
        "a.b",
        "1 < a < 3",
        "'x'",
        "IF(a, 1)",
        "",
    ],
)
def test_what_is_not_known_is_refused(expression: str) -> None:
    with pytest.raises(MathNotKnown):
        evaluate(expression, {"a": 1.0})


def test_every_alarm_of_the_templates_that_computes_can_be_computed() -> None:
    found = read_expression_alarms(Path(__file__).parents[3])
    assert {"ObservabilityApiErrorsAlarm", "ObservabilityBackupMissingAlarm"} <= found.keys()
    for name, alarm in found.items():
        [returned] = [each for each in alarm["Metrics"] if each.get("ReturnData", True)]
        values = {each["Id"]: 30.0 for each in alarm["Metrics"] if "MetricStat" in each}
        assert evaluate(returned["Expression"], values) is not None, name
        assert "docs/runbooks/" in alarm["AlarmDescription"]
