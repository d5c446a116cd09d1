"""When an alarm of CloudWatch fires: the values of its metric in the last periods, compared with its threshold. Pure.

The embedded AWS compares all values of a metric's name since the last period at once, whatever their dimensions, and
treats no missing data, so the local stack decides here and stores the state there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.metric_math import evaluate

RESOLUTION_SECONDS = 60
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True, slots=True)
class Metric:
    """What values are kept under."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric; at: seconds since the epoch."""

    metric: Metric
    value: float
    at: float


class Points:
    """The values of metrics by minute, for as long as an alarm may look back."""

    def __init__(self, seconds_kept: float) -> None:
        self._seconds_kept = seconds_kept
        self._minutes: dict[Metric, dict[int, list[float]]] = {}

    def add(self, points: Iterable[Point]) -> None:
        """Adds values, and forgets those that are too old for any alarm."""
        for point in points:
            minutes = self._minutes.setdefault(point.metric, {})
            minutes.setdefault(int(point.at // RESOLUTION_SECONDS), []).append(point.value)
            oldest = int((point.at - self._seconds_kept) // RESOLUTION_SECONDS)
            for minute in [each for each in minutes if each < oldest]:
                del minutes[minute]

    def within(self, metric: Metric, start: float, end: float) -> list[float]:
        """The values of a metric later than `start` and not later than `end`, by whole minutes."""
        first, last = int(start // RESOLUTION_SECONDS) + 1, int(end // RESOLUTION_SECONDS)
        minutes = self._minutes.get(metric, {})
        return [value for minute in sorted(minutes) if first <= minute <= last for value in minutes[minute]]


def metric_of(alarm: Mapping[str, Any]) -> Metric:
    """The metric that an alarm watches, or a part of one that computes with metrics."""
    dimensions = frozenset((each["Name"], each["Value"]) for each in alarm.get("Dimensions", []))
    return Metric(alarm["Namespace"], alarm["MetricName"], dimensions)


def metrics_of(alarm: Mapping[str, Any]) -> list[Metric]:
    """All metrics that an alarm watches."""
    if "MetricName" in alarm:
        return [metric_of(alarm)]
    return [metric_of(each["MetricStat"]["Metric"]) for each in alarm["Metrics"] if "MetricStat" in each]


def period_of(alarm: Mapping[str, Any]) -> int:
    """The period of an alarm in seconds: that of its metrics, where it computes with several."""
    if "Period" in alarm:
        return int(alarm["Period"])
    return max(int(each["MetricStat"]["Period"]) for each in alarm["Metrics"] if "MetricStat" in each)


def alarm_state(
    alarm: Mapping[str, Any], points: Points, now: float, watched_since: float = 0
) -> tuple[str, str] | None:
    """(OK or ALARM, the reason) of an alarm, in the shape of DescribeAlarms; None = it stays as it was. A period from
    before `watched_since` is not known: it breaches nothing, whatever a missing value means."""
    period, periods = period_of(alarm), alarm["EvaluationPeriods"]
    breaches, newest = 0, None
    compare, missing = _COMPARE[alarm["ComparisonOperator"]], alarm.get("TreatMissingData", "missing")
    for number in range(periods):
        end = now - number * period
        if end - period < watched_since - RESOLUTION_SECONDS and missing == "breaching":
            continue
        value = _value(alarm, points, end - period, end)
        if value is not None:
            newest = value if newest is None else newest
            breaches += compare(value, alarm["Threshold"])
        elif missing == "breaching":
            breaches += 1
        elif missing != "notBreaching":
            return None
    state = "ALARM" if breaches >= alarm.get("DatapointsToAlarm", periods) else "OK"
    found = "no value" if newest is None else f"{alarm.get('Statistic', 'value')} {newest:g}"
    return state, f"{found} in {period} s, threshold {alarm['Threshold']:g}, {breaches} of {periods} periods breach it"


def _value(alarm: Mapping[str, Any], points: Points, start: float, end: float) -> float | None:
    """The value of an alarm in one period; None without one."""
    if "MetricName" in alarm:
        return _statistic_of(metric_of(alarm), alarm["Statistic"], points, start, end)
    parts = {
        each["Id"]: _statistic_of(
            metric_of(each["MetricStat"]["Metric"]), each["MetricStat"]["Stat"], points, start, end
        )
        for each in alarm["Metrics"]
        if "MetricStat" in each
    }
    [returned] = [each for each in alarm["Metrics"] if each.get("ReturnData", True)]
    return evaluate(returned["Expression"], parts)


def _statistic_of(metric: Metric, name: str, points: Points, start: float, end: float) -> float | None:
    values = points.within(metric, start, end)
    return _statistic(name, values) if values else None


def _statistic(name: str, values: list[float]) -> float:
    match name:
        case "Sum":
            return sum(values)
        case "Average":
            return sum(values) / len(values)
        case "Maximum":
            return max(values)
        case "Minimum":
            return min(values)
        case _:
            return float(len(values))
