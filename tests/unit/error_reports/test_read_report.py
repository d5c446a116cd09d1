"""What a line of a function's log says about an error, and what of it is left out."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from atelier.error_reports.model import Frame, read_report, read_reports
from atelier.telemetry import logger

CANARY = "canary-7f3a"
MILLISECONDS = 1_795_966_341_594
STACK = 'Traceback (most recent call last):\n  File "/var/task/app.py", line 12, in handler\n'


def line_of(message: str, **facts: Any) -> str:
    """The line that the product's logger writes for an exception that quotes a canary."""
    try:
        raise KeyError(f"{CANARY} ada@example.com")
    except KeyError as error:
        record = logger.makeRecord(
            "atelier", logging.ERROR, __file__, 1, message, (), (KeyError, error, error.__traceback__)
        )
    for name, value in facts.items():
        setattr(record, name, value)
    return str(logger.registered_formatter.format(record))


def test_an_exception_has_its_place_and_ids_and_nothing_that_it_quotes() -> None:
    report = read_report(
        "37", MILLISECONDS, line_of("not sealed", workspace_id="wsp_A", prompt=CANARY, provider="local")
    )
    assert report is not None
    assert (report.title, report.type, report.level) == ("not sealed", "KeyError", "error")
    assert [frame.function for frame in report.frames] == ["line_of"]
    assert report.tags["workspace_id"] == "wsp_A"
    assert report.tags["provider"] == "local"
    assert CANARY not in repr(report)
    assert "example.com" not in repr(report)
    assert report.at.isoformat() == "2026-11-29T15:32:21.594000+00:00"


def test_the_same_line_is_the_same_report() -> None:
    line = line_of("it failed")
    ids = {read_report(event_id, MILLISECONDS, line).id for event_id in ("1", "1", "2")}  # type: ignore[union-attr]
    assert len(ids) == 2
    assert all(len(each) == 32 for each in ids)


@pytest.mark.parametrize(
    ("line", "title", "type"),
    [
        (
            f"[ERROR] ValueError: {CANARY}\n{STACK}",
            "a handler raised",
            "ValueError",
        ),
        (f"[ERROR]\t2026-11-29T15:00:00.000Z\tid\tsomething {CANARY}", "a library logged an error", None),
        ("2026-11-29T15:00:00.000Z 1-2-3 Task timed out after 15.00 seconds", "Task timed out", None),
        ("RequestId: 1 Error: Runtime exited with error: signal: killed", "Runtime exited", None),
        ('{"level": "CRITICAL", "message": "the end"}', "the end", None),
    ],
)
def test_what_the_runtime_writes_is_an_error_too(line: str, title: str, type: str | None) -> None:
    report = read_report("1", MILLISECONDS, line)
    assert report is not None
    assert (report.title, report.type) == (title, type)
    assert CANARY not in repr(report)


def test_the_stack_of_a_handler_that_raised_is_read() -> None:
    report = read_report("1", MILLISECONDS, f"[ERROR] ValueError: x\n{STACK}    f(1)\n")
    assert report is not None
    assert report.frames == (Frame("/var/task/app.py", 12, "handler"),)


@pytest.mark.parametrize(
    "line",
    [
        "START RequestId: 1",
        '{"level": "INFO", "message": "request"}',
        '{"level": "WARNING", "message": "reconciled"}',
        "[1, 2]",
        "null",
        '{"message": "ERROR"}',
        "",
        "{",
    ],
)
def test_a_line_that_is_no_error_gives_no_report(line: str) -> None:
    assert read_reports([{"id": "1", "timestamp": MILLISECONDS, "message": line}]) == []


@pytest.mark.parametrize(
    "facts",
    [
        {"user_id": "ada@example.com"},
        {"note_id": "line\nbreak"},
        {"body": CANARY},
        {"key_id": "k" * 101},
        {"provider": {"api_key": CANARY}},
        {"code": 7},
    ],
)
def test_a_fact_that_is_no_id_is_left_out(facts: dict[str, Any]) -> None:
    report = read_report("1", MILLISECONDS, json.dumps({"level": "ERROR", "message": "it failed", **facts}))
    assert report is not None
    assert report.tags == {}


def test_a_message_with_an_address_is_left_out() -> None:
    report = read_report("1", MILLISECONDS, json.dumps({"level": "ERROR", "message": "no mail for ada@example.com"}))
    assert report is not None
    assert report.title == "error"
