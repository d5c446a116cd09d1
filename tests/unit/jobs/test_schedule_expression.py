"""When a schedule runs next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from atelier.jobs.schedule_expression import next_run

BEGUN = datetime(2026, 11, 1, 10, 7, 30, tzinfo=UTC)
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(5 minutes)", "2026-11-29T12:02:30"),
        ("rate(1 minute)", "2026-11-29T12:00:30"),
        ("rate(1 hour)", "2026-11-29T12:07:30"),
        ("rate(1 day)", "2026-11-30T10:07:30"),
        ("rate(7 days)", "2026-12-06T10:07:30"),
        ("cron(30 2 * * ? *)", "2026-11-30T02:30:00"),
        ("cron(45 12 * * ? *)", "2026-11-29T12:45:00"),
        ("cron(0 12 * * ? *)", "2026-11-30T12:00:00"),
        ("cron(0/15 * * * ? *)", "2026-11-29T12:15:00"),
        ("cron(0 8 1 * ? *)", "2026-12-01T08:00:00"),
        ("cron(0 8 29 2 ? *)", "2028-02-29T08:00:00"),
        ("cron(15 10 ? * MON-FRI *)", "2026-11-30T10:15:00"),
        ("cron(15 10 ? * 1,7 *)", "2026-12-05T10:15:00"),
        ("cron(0 0 1 JAN ? 2030)", "2030-01-01T00:00:00"),
    ],
)
def test_the_next_run_is_the_first_time_after_now(expression: str, expected: str) -> None:
    found = next_run(expression, BEGUN, NOW)
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "rate(0 minutes)",
        "rate(5 weeks)",
        "at(2026-12-01T00:00:00)",
        "cron(0 0 L * ? *)",
        "cron(0 0 ? * 2#1 *)",
        "cron(61 0 * * ? *)",
        "cron(0 0 * * ? 2020)",
        "cron(0 0 31 2 ? *)",
        "cron(0 0 * * ?)",
        "cron(0/0 0 * * ? *)",
    ],
)
def test_what_is_not_understood_or_is_over_has_no_next_run(expression: str) -> None:
    assert next_run(expression, BEGUN, NOW) is None


def test_a_schedule_that_begins_later_runs_then() -> None:
    later = NOW + timedelta(days=3)
    assert next_run("rate(5 minutes)", later, NOW) == later
