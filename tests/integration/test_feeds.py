"""Feeds on the embedded store: numbered without a gap, each event once, whoever writes at the same time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from atelier.adapters.aws.dynamodb.feeds import DynamoFeeds, FeedClaimItem, FeedPageItem
from atelier.clock import rfc3339
from atelier.feeds.model import KEPT, FeedEvent, StreamPosition, first_sequence
from tests.conftest import Tables
from tests.integration.world import run_concurrently

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
FEED = "wsp_01JDF0000000000000000000"


def event(name: str, now: datetime = NOW) -> FeedEvent:
    return FeedEvent(name, "generation.running", rfc3339(now), {"generation_id": name})


@pytest.fixture
def feeds(tables: Tables) -> DynamoFeeds:
    store = DynamoFeeds()
    store.bind(tables.realtime)
    store.watch(FEED, NOW + timedelta(days=30))
    return store


def all_after(feeds: DynamoFeeds, cursor: int, now: datetime = NOW) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    more = True
    while more:
        part = feeds.after(FEED, cursor, now)
        assert not part.is_incomplete
        found += [(entry.sequence, entry.event.id) for entry in part.entries]
        cursor, more = part.cursor, part.has_more
    return found


def test_events_are_numbered_in_their_order_from_the_time_on(feeds: DynamoFeeds) -> None:
    start = feeds.newest(FEED, NOW)
    feeds.append(FEED, [event("a"), event("b")], NOW, StreamPosition("generations", 7))
    feeds.append(FEED, [event("c")], NOW, StreamPosition("generations", 8))
    first = first_sequence(NOW) + 1
    assert all_after(feeds, start) == [(first, "a"), (first + 1, "b"), (first + 2, "c")]
    assert all_after(feeds, first) == [(first + 1, "b"), (first + 2, "c")]
    assert all_after(feeds, first + 2) == []
    assert feeds.newest(FEED, NOW) == first + 2


def test_a_position_that_comes_again_appends_nothing(feeds: DynamoFeeds) -> None:
    start = feeds.newest(FEED, NOW)
    long_number = 123456789012345678901234567890123456789012
    for number in (long_number, long_number + 1, long_number, long_number + 1):
        feeds.append(FEED, [event(str(number))], NOW, StreamPosition("generations", number))
    feeds.append(FEED, [event("other")], NOW, StreamPosition("ledger", 3))
    feeds.append(FEED, [event("late")], NOW, StreamPosition("generations", long_number))
    assert [name for _, name in all_after(feeds, start)] == [str(long_number), str(long_number + 1), "other"]


def test_an_event_without_a_position_is_appended_once(feeds: DynamoFeeds) -> None:
    start = feeds.newest(FEED, NOW)
    feeds.append(FEED, [event("a"), event("b")], NOW)
    feeds.append(FEED, [event("b"), event("c"), event("a")], NOW)
    feeds.append(FEED, [event("c")], NOW)
    assert [name for _, name in all_after(feeds, start)] == ["a", "b", "c"]


@pytest.mark.parametrize("with_positions", [True, False])
def test_parallel_writers_leave_no_gap_and_no_double(feeds: DynamoFeeds, with_positions: bool) -> None:
    start = feeds.newest(FEED, NOW)

    def write(writer: int) -> None:
        for number in range(10):
            name = f"{writer}.{number}"
            # Each event comes twice.
            for _ in range(2):
                # Writers read their clocks at different times, so each would begin the feed at another number.
                now = NOW + timedelta(milliseconds=writer)
                position = StreamPosition(f"source{writer}", number) if with_positions else None
                feeds.append(FEED, [event(name), event(f"{name}+")], now, position)

    assert run_concurrently(4, write) == [None] * 4
    found = all_after(feeds, start)
    assert len(found) == 80
    assert [number for number, _ in found] == list(range(found[0][0], found[0][0] + 80))
    for writer in range(4):
        own = [name for _, name in found if name.startswith(f"{writer}.")]
        assert own == [f"{writer}.{n}{end}" for n in range(10) for end in ("", "+")]


def test_a_long_feed_is_read_in_parts(feeds: DynamoFeeds) -> None:
    start = feeds.newest(FEED, NOW)
    for number in range(120):
        feeds.append(FEED, [event(f"{number}"), event(f"{number}+")], NOW, StreamPosition("generations", number))
    first = first_sequence(NOW) + 1
    assert feeds.after(FEED, start, NOW).has_more
    for cursor in (start, first, first + 1, first + 99, first + 100, first + 237, first + 238, first + 239):
        assert [number for number, _ in all_after(feeds, cursor)] == list(range(cursor + 1, first + 240))


def expire(*names: str) -> None:
    """What TTL does with the pages of these events."""
    for item in list(FeedPageItem.query(FEED, FeedPageItem.sk.startswith("page#"))):
        if item.events[0][0] in names:
            item.delete()


def test_a_cursor_below_what_is_kept_is_known_to_miss_events(feeds: DynamoFeeds) -> None:
    start = feeds.newest(FEED, NOW)
    for number in range(4):
        feeds.append(FEED, [event(str(number))], NOW, StreamPosition("generations", number))
    first = first_sequence(NOW) + 1
    expire("0", "1")
    for cursor, incomplete in ((start, True), (first, True), (first + 1, False), (first + 2, False)):
        found = feeds.after(FEED, cursor, NOW)
        assert (found.is_incomplete, found.cursor) == (incomplete, first + 3)
        assert [entry.sequence for entry in found.entries] == list(range(max(cursor + 1, first + 2), first + 4))


def test_a_feed_that_begins_anew_is_numbered_above_what_it_had(feeds: DynamoFeeds) -> None:
    feeds.append(FEED, [event("old"), event("older")], NOW, StreamPosition("generations", 1))
    old = feeds.newest(FEED, NOW)
    expire("old")
    later = NOW + KEPT * 2
    assert feeds.after(FEED, old, later).is_incomplete
    quiet = feeds.newest(FEED, later)
    assert not feeds.after(FEED, quiet, later + timedelta(hours=2)).is_incomplete
    feeds.append(FEED, [event("new")], later + timedelta(hours=3), StreamPosition("generations", 2))
    now = later + timedelta(hours=3)
    assert feeds.after(FEED, old, now).is_incomplete
    assert not feeds.after(FEED, quiet, now).is_incomplete
    assert [entry.event.id for entry in feeds.after(FEED, quiet, now).entries] == ["new"]


def test_a_cursor_that_the_feed_never_gave_misses_events(feeds: DynamoFeeds) -> None:
    feeds.append(FEED, [event("a")], NOW, StreamPosition("generations", 1))
    found = feeds.after(FEED, first_sequence(NOW) + 5, NOW)
    assert (found.entries, found.cursor, found.is_incomplete) == ((), first_sequence(NOW), True)


def test_a_feed_that_nobody_watches_keeps_no_routine_event(feeds: DynamoFeeds) -> None:
    other = "wsp_01JDF0000000000000000001"
    start = feeds.newest(other, NOW)
    failed = replace(event("b"), type="generation.failed")
    called_back = replace(event("c"), type="generation.succeeded", data={"webhook_url": "https://example.com"})
    for number, each in enumerate([event("a"), failed, called_back]):
        feeds.append(other, [each], NOW, StreamPosition("generations", number))
    feeds.watch(other, NOW + timedelta(hours=1))
    feeds.watch(other, NOW + timedelta(minutes=1))
    feeds.append(other, [event("d")], NOW, StreamPosition("generations", 4))
    feeds.append(other, [event("e")], NOW + timedelta(hours=1), StreamPosition("generations", 5))
    assert [entry.event.id for entry in feeds.after(other, start, NOW).entries] == ["b", "c", "d"]


def test_a_watch_is_taken_back_for_those_who_read_until_later(feeds: DynamoFeeds) -> None:
    other = "wsp_01JDF0000000000000000002"
    # Nobody watched: there is nothing to take back, and nothing begins.
    feeds.watch_less(other, NOW + timedelta(hours=25))
    feeds.append(other, [event("a")], NOW)
    feeds.watch(other, NOW + timedelta(days=3650))
    feeds.watch_less(other, NOW + timedelta(hours=25))
    feeds.watch_less(other, NOW + timedelta(hours=26))
    start = feeds.newest(other, NOW)
    feeds.append(other, [event("b")], NOW + timedelta(hours=24))
    feeds.append(other, [event("c")], NOW + timedelta(hours=25))
    assert [entry.event.id for entry in feeds.after(other, start, NOW).entries] == ["b"]


def test_a_feed_knows_an_event_of_some_types_for_weeks(feeds: DynamoFeeds) -> None:
    other, reached = "wsp_01JDF0000000000000000003", replace(event("a"), type="quota.threshold_reached")
    assert not feeds.has_had(other, "a")
    for day in (0, 2):
        feeds.append(other, [reached], NOW + timedelta(days=day))
    claim = FeedClaimItem.get(other, "claim#a")
    assert claim.expires_at_seconds > (NOW + timedelta(days=31)).timestamp()
    assert feeds.has_had(other, "a")
    assert [entry.event.id for entry in feeds.after(other, 0, NOW).entries] == ["a"]


def test_who_reads_an_empty_feed_misses_no_event_of_a_slower_clock(feeds: DynamoFeeds) -> None:
    ahead = NOW + timedelta(seconds=5)
    start = feeds.newest(FEED, ahead)
    feeds.append(FEED, [event("a")], NOW, StreamPosition("generations", 1))
    found = feeds.after(FEED, start, ahead)
    assert ([entry.event.id for entry in found.entries], found.is_incomplete) == (["a"], False)


def test_readers_and_the_first_writer_of_a_feed_agree_on_its_start(feeds: DynamoFeeds) -> None:
    def one(number: int) -> tuple[int, ...]:
        now = NOW + timedelta(milliseconds=number)
        if number == 0:
            feeds.append(FEED, [event("a")], now, StreamPosition("generations", 1))
            return ()
        cursor = feeds.newest(FEED, now)
        return (cursor,)

    cursors = [answer[0] for answer in run_concurrently(8, one) if answer]
    last = feeds.newest(FEED, NOW)
    for cursor in cursors:
        found = feeds.after(FEED, cursor, NOW)
        # Each reader has the event still to come, or had it before.
        assert not found.is_incomplete
        assert (cursor == last) == (found.entries == ())
