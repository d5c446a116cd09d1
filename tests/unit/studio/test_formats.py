"""How Studio writes numbers, money, sizes and times."""

from __future__ import annotations

import pytest

from studio import formats


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (1234567, "1\u202f234\u202f567"), (-1000, "-1\u202f000")]
)
def test_a_number(value: int, text: str) -> None:
    assert formats.number(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (12, "+12"), (-3, "−3"), (-1200, "−1\u202f200")])
def test_a_signed_number(value: int, text: str) -> None:
    assert formats.signed_number(value) == text


@pytest.mark.parametrize(
    ("microusd", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (10_000, "$0.01"),
        (1_234_500, "$1.2345"),
        (5_000_000, "$5.00"),
        (-2_500_000, "−$2.50"),
        (12_345_678_900_000, "$12\u202f345\u202f678.90"),
    ],
)
def test_money_is_exact(microusd: int, text: str) -> None:
    assert formats.dollars(microusd) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0\u202fB"),
        (999, "999\u202fB"),
        (1000, "1.0\u202fkB"),
        (857_123, "857\u202fkB"),
        (1_400_000, "1.4\u202fMB"),
        (3 * 10**15, "3000\u202fTB"),
    ],
)
def test_a_size(count: int, text: str) -> None:
    assert formats.size(count) == text


def test_a_time_is_shown_to_the_minute_in_utc() -> None:
    shown = formats.time("2026-11-28T19:03:59.120+02:00")
    assert shown == '<time datetime="2026-11-28T19:03:59.120+02:00">2026-11-28 17:03 UTC</time>'
    assert formats.time(None) == "–"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(None, "–"), (0, "0.0\u202fs"), (3420, "3.4\u202fs"), (60_000, "1\u202fmin"), (125_000, "2\u202fmin 5\u202fs")],
)
def test_a_duration(milliseconds: int | None, text: str) -> None:
    assert formats.seconds(milliseconds) == text


def test_lines_are_escaped() -> None:
    assert formats.lines("a <b>\nc") == "a &lt;b&gt;<br>c"
