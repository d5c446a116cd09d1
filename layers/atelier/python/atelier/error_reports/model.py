"""An error that a function logged, as a value, read from its line.

An allow-list: type, place, stack and ids. The text of an exception, bodies, prompts, keys and addresses are left out,
because an exception may quote what a person sent. The log has the whole line; the report has the ids that find it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from atelier.dataclass import dataclass

LEVELS = {"ERROR": "error", "CRITICAL": "fatal"}
# Facts of a line that name what it concerns, beside those whose names end with `_id`.
TAGS = ("code", "kind", "model", "provider", "route", "service", "log", "location", "month", "day", "dataset")
TAG_VALUE = re.compile(r"[A-Za-z0-9_.:/#<>@{}+ -]{1,100}")
# `user@example.com` fits the pattern above and is no id.
ADDRESS = re.compile(r"[^@\s]@[^@\s]")
# What the Lambda runtime writes by itself, when a handler raised, ran out of time, or died, and for the loggers of
# libraries, whose texts may contain anything.
RAISED = re.compile(r"\[ERROR\] (?P<type>[A-Za-z_][A-Za-z0-9_.]{0,100})(?::|\s|$)")
OF_LIBRARY = "[ERROR]\t"
ENDED = re.compile(r"Task timed out|Runtime exited|Runtime\.[A-Za-z]{1,50}")
FRAME = re.compile(r'File "(?P<file>[^"\n]{1,300})", line (?P<line>\d{1,6}), in (?P<function>[^\n]{1,100})')
FRAMES_MAX = 50


@dataclass(frozen=True, slots=True)
class Frame:
    """One call of a stack: where, without the values there."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """id: 32 hexadecimal digits, the same for the same line, so that a tracker counts it once. title: a constant text
    of our code. type: the exception's class; None = none was raised. frames: the outermost call first."""

    id: str
    at: datetime
    level: str
    title: str
    type: str | None
    frames: tuple[Frame, ...]
    tags: Mapping[str, str]


def read_reports(log_events: Iterable[Mapping[str, Any]]) -> list[ErrorReport]:
    """The reports of events of CloudWatch Logs ({id, timestamp, message}); lines that are no errors give none."""
    found = [read_report(str(each["id"]), int(each["timestamp"]), str(each["message"])) for each in log_events]
    return [report for report in found if report is not None]


def read_report(event_id: str, milliseconds: int, line: str) -> ErrorReport | None:
    """The report of a line; None if it is no error."""
    report_id = hashlib.sha256(event_id.encode()).hexdigest()[:32]
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    try:
        facts = json.loads(line)
    except ValueError:
        return _of_runtime(report_id, at, line)
    if not isinstance(facts, dict):
        return None
    named = cast("dict[str, Any]", facts)
    return _of_logger(report_id, at, named) if named.get("level") in LEVELS else None


def _of_logger(report_id: str, at: datetime, facts: Mapping[str, Any]) -> ErrorReport:
    trace = cast("Mapping[str, Any]", facts.get("stack_trace") or {})
    frames = cast("list[Mapping[str, Any]]", trace.get("frames", []))
    found = [Frame(str(each.get("file")), int(each.get("line") or 0), str(each.get("function"))) for each in frames]
    name = facts.get("exception_name")
    return ErrorReport(
        report_id,
        at,
        LEVELS[facts["level"]],
        _title(facts.get("message")),
        str(name) if name else None,
        tuple(found[-FRAMES_MAX:]),
        {name: value for name, value in facts.items() if _is_tag(name, value)},
    )


def _of_runtime(report_id: str, at: datetime, line: str) -> ErrorReport | None:
    raised, ended = RAISED.match(line), ENDED.search(line)
    if raised is not None:
        title, name = "a handler raised", raised["type"]
    elif line.startswith(OF_LIBRARY):
        title, name = "a library logged an error", None
    elif ended is not None:
        title, name = ended[0], None
    else:
        return None
    frames = [Frame(each["file"], int(each["line"]), each["function"]) for each in FRAME.finditer(line)]
    return ErrorReport(report_id, at, "error", title, name, tuple(frames[-FRAMES_MAX:]), {})


def _title(message: Any) -> str:
    """A message without an address: those of our code are constants, but a library may log by our logger too."""
    text = message if isinstance(message, str) else "error"
    return "error" if ADDRESS.search(text) else text[:200]


def _is_tag(name: str, value: Any) -> bool:
    if not (name in TAGS or name.endswith("_id")) or not isinstance(value, str):
        return False
    return TAG_VALUE.fullmatch(value) is not None and ADDRESS.search(value) is None
