"""The count of calls with API tokens: few writes, no call too many, and refusal above the quota."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from atelier.errors import QuotaExceeded, Unavailable
from atelier.identity.api_calls import COUNT_INTERVAL, MonthlyCalls

NOW = datetime(2026, 11, 30, 23, 50, tzinfo=UTC)
SHARE = 5


@dataclass
class FakeCalls:
    """The counters, and a quota of `limit` calls. `reads`: how often the quota was read."""

    limit: int = 1000
    counted: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    writes: int = 0
    reads: int = 0
    answers: bool = True

    def add(self, workspace_id: str, month: str, count: int) -> int:
        if not self.answers:
            raise Unavailable("no")
        self.writes += 1
        self.counted[workspace_id, month] += count
        return self.counted[workspace_id, month]

    def quota(self, workspace_id: str, now: datetime) -> FakeCalls:
        self.reads += 1
        return self

    def exceeded(self, used: int, *, added: int = 1) -> QuotaExceeded:
        return QuotaExceeded("no", quota="api_calls", limit=self.limit, used=used, tiers=[])

    def worker(self) -> MonthlyCalls:
        return MonthlyCalls(lambda: self, self.quota, SHARE)


def calls(worker: MonthlyCalls, number: int, now: datetime = NOW, workspace_id: str = "wsp_A") -> int:
    """Makes calls; returns how many passed."""
    passed = 0
    for _ in range(number):
        try:
            worker(workspace_id, now)
        except QuotaExceeded:
            continue
        passed += 1
    return passed


def test_a_share_of_calls_costs_one_write_and_one_read() -> None:
    fake = FakeCalls()
    calls(fake.worker(), 3 * SHARE + 2)
    assert (fake.writes, fake.reads, fake.counted) == (3, 3, {("wsp_A", "2026-11"): 3 * SHARE})


def test_the_calls_of_a_minute_are_added_with_the_first_call_after_it() -> None:
    fake = FakeCalls()
    worker = fake.worker()
    calls(worker, 2)
    calls(worker, 1, NOW + COUNT_INTERVAL)
    assert fake.counted == {("wsp_A", "2026-11"): 3}


def test_workers_lack_less_than_a_share_each() -> None:
    fake = FakeCalls()
    for number in range(8):
        calls(fake.worker(), 2 * SHARE + number % SHARE)
    assert fake.counted["wsp_A", "2026-11"] == 8 * 2 * SHARE


def test_calls_above_the_quota_are_refused_without_further_writes() -> None:
    fake = FakeCalls(limit=2 * SHARE)
    worker = fake.worker()
    # The call that reaches the third share is the first that is refused.
    assert calls(worker, 100) == 3 * SHARE - 1
    assert fake.writes == 3
    with pytest.raises(QuotaExceeded) as refused:
        worker("wsp_A", NOW)
    assert refused.value.facts["used"] == 3 * SHARE
    # Another workspace is not concerned.
    assert calls(worker, SHARE, workspace_id="wsp_B") == SHARE


def test_a_larger_quota_counts_within_a_minute_and_a_new_month_at_once() -> None:
    fake = FakeCalls(limit=SHARE)
    worker = fake.worker()
    calls(worker, 3 * SHARE)
    assert calls(worker, 1, datetime(2026, 12, 1, tzinfo=UTC)) == 1
    fake.limit = 1000
    assert calls(worker, 1, NOW + COUNT_INTERVAL - timedelta(seconds=1)) == 0
    assert calls(worker, 1, NOW + COUNT_INTERVAL) == 1


def test_calls_pass_when_the_counter_does_not_answer() -> None:
    fake = FakeCalls(limit=1, answers=False)
    assert calls(fake.worker(), 50) == 50
