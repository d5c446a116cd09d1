"""The sparse rate limiter: its writes, its refusals, and the bound of its overrun."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.errors import RateLimited, Unavailable
from atelier.identity.rate_limit import SUBJECTS_MAX, SparseLimiter, subscriber_network
from tests.unit.identity.fakes import InMemoryRateWindows

NOW = datetime(2026, 11, 20, 21, 0, 5, tzinfo=UTC)
LIMIT = 600


def passes(limiter: SparseLimiter, subject: str = "account#usr_1", now: datetime = NOW) -> bool:
    try:
        limiter(subject, now)
    except RateLimited:
        return False
    return True


def test_the_first_requests_need_no_write() -> None:
    windows = InMemoryRateWindows()
    limiter = SparseLimiter(lambda: windows, LIMIT)
    assert all(passes(limiter) for _ in range(limiter.share - 1))
    assert windows.writes == 0


def test_many_requests_need_one_write_for_each_share() -> None:
    windows = InMemoryRateWindows()
    limiter = SparseLimiter(lambda: windows, LIMIT)
    assert sum(passes(limiter) for _ in range(10 * LIMIT)) == LIMIT
    assert windows.writes == LIMIT // limiter.share == 30


def test_a_refusal_names_the_seconds_until_the_next_window() -> None:
    limiter = SparseLimiter(InMemoryRateWindows, 1)
    limiter("account#usr_1", NOW)
    with pytest.raises(RateLimited) as refused:
        limiter("account#usr_1", NOW)
    assert (refused.value.limit, refused.value.retry_after_seconds) == (1, 55)
    assert passes(limiter, now=NOW + timedelta(seconds=55))


def test_subjects_do_not_share_an_allowance() -> None:
    limiter = SparseLimiter(InMemoryRateWindows, 1)
    assert passes(limiter, "account#usr_1")
    assert passes(limiter, "account#usr_2")
    assert not passes(limiter, "account#usr_1")


@given(
    workers=st.integers(min_value=1, max_value=8),
    limit=st.integers(min_value=1, max_value=120),
    order=st.lists(st.integers(min_value=0, max_value=7), min_size=100, max_size=600),
)
def test_no_request_below_the_limit_is_refused_and_the_overrun_is_bounded(
    workers: int, limit: int, order: list[int]
) -> None:
    windows = InMemoryRateWindows()
    limiters = [SparseLimiter(lambda: windows, limit) for _ in range(workers)]
    admitted = 0
    for turn in order:
        if passes(limiters[turn % workers]):
            admitted += 1
        else:
            assert admitted >= limit
    assert admitted <= limit + workers * (limiters[0].share - 1)


def test_requests_pass_while_the_counter_is_unavailable() -> None:
    class Silent(InMemoryRateWindows):
        def add(self, subject: str, count: int, window_seconds: int, now: datetime) -> int:
            raise Unavailable("no answer")

    limiter = SparseLimiter(Silent, LIMIT)
    assert all(passes(limiter) for _ in range(2 * LIMIT))


def test_a_flood_of_subjects_does_not_fill_the_memory() -> None:
    limiter = SparseLimiter(InMemoryRateWindows, LIMIT)
    for number in range(SUBJECTS_MAX + 10):
        limiter(f"address#{number}", NOW)
    assert len(vars(limiter)["_unwritten"]) <= SUBJECTS_MAX


@pytest.mark.parametrize(
    ("address", "subscriber"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:bbbb:0:0:2", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("not:an:address", "not:an:address"),
        ("", ""),
    ],
)
def test_an_ipv6_address_is_limited_by_its_network(address: str, subscriber: str) -> None:
    assert subscriber_network(address) == subscriber


def test_addresses_of_one_network_share_an_allowance() -> None:
    limiter = SparseLimiter(InMemoryRateWindows, 1)
    assert passes(limiter, "address#2001:db8:1:2:aaaa::1")
    assert not passes(limiter, "address#2001:db8:1:2:bbbb::2")
    assert passes(limiter, "address#2001:db8:1:3::1")
