"""SnapStart is off, because it costs more than it saves: docs/speed.md."""

from __future__ import annotations

import re

import pytest

from tests.bench.measure import ROOT
from tests.bench.snap_start import INIT_SECONDS, LOADS, dollars_of_month, init_seconds_that_pay


@pytest.mark.parametrize("requests", LOADS)
def test_snap_start_costs_more_than_it_saves(requests: int) -> None:
    without, with_snapshots = dollars_of_month(requests, LOADS[requests])
    assert without < with_snapshots
    # Even if every request met a cold environment.
    assert dollars_of_month(requests, 1.0)[0] < dollars_of_month(requests, 1.0)[1]


def test_a_start_is_far_too_quick_to_pay_for_a_snapshot() -> None:
    assert INIT_SECONDS * 10 < init_seconds_that_pay() < 11


def test_the_page_says_what_is_computed() -> None:
    page = (ROOT / "docs/speed.md").read_text()
    rows = dict(re.findall(r"^\| ([\d,]+) \| [\d %]+ \| \$([\d.]+ \| \$[\d.]+) \|$", page, re.MULTILINE))
    assert set(rows) == {f"{requests:,}" for requests in LOADS}
    for requests, share in LOADS.items():
        without, with_snapshots = dollars_of_month(requests, share)
        assert rows[f"{requests:,}"] == f"{without:.4f} | ${with_snapshots:.2f}"
