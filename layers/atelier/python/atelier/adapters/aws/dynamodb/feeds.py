"""Feeds in the realtime table.

    pk <feed>  sk page#<number of the first event, 15 digits>   events that were appended together
    pk <feed>  sk claim#<event id>                              an event that came without a stream's position
    pk <feed>  sk claim#                                        the first page, for a minute
    pk <feed>  sk watched                                       until when all events are kept

A page takes the number after the last one in its key, so of two writers at once one finds it taken and tries again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import BooleanAttribute, NumberAttribute
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    CompactJSON,
    ConditionsFailed,
    Item,
    TransactionConflict,
    conditional,
    pause_with_jitter,
    transaction,
)
from atelier.feeds.model import (
    KEPT,
    KNOWN_FOR,
    NUMBERING_SLACK,
    FeedEvent,
    FeedPage,
    FeedSlice,
    StreamPosition,
    first_sequence,
    may_miss_events,
)
from atelier.retrying import LostRace, retrying

PAGE_PREFIX, CLAIM_PREFIX = "page#", "claim#"
WATCHED = "watched"
RENEWAL_SECONDS = 3600
EVENTS_MAX = 90
SLICE_PAGES = 50
TRIES_MAX = 30
FIRST_CLAIM = timedelta(minutes=1)


class FeedPageItem(Item):
    """Events that were appended together."""

    events = CompactJSON()
    positions = CompactJSON(null=True)
    is_first = BooleanAttribute(null=True)
    expires_at_seconds = NumberAttribute()


class FeedClaimItem(Item):
    """An event that the feed has; without an id, the feed's first page, so that there is one."""

    expires_at_seconds = NumberAttribute()


class FeedWatchItem(Item):
    """Until when somebody may watch the feed: seconds since 1970. `start`: a number that readers got while the feed had
    no event; the next one is above it."""

    expires_at_seconds = NumberAttribute(null=True)
    start = NumberAttribute(null=True)


class DynamoFeeds:
    """FeedWriter and FeedReader on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the table."""
        for item in (FeedPageItem, FeedClaimItem, FeedWatchItem):
            item.bind(table_name)

    def append(
        self, feed_id: str, events: Sequence[FeedEvent], now: datetime, position: StreamPosition | None = None
    ) -> None:
        assert len(events) <= EVENTS_MAX
        if not all(event.is_routine for event in events) or (events and _is_watched(feed_id, now)):
            retrying(
                lambda: _append_once(feed_id, events, now, position),
                on=LostRace,
                busy="The feed is busy. Try again.",
                tries_max=TRIES_MAX,
                pause=pause_with_jitter,
            )

    def has_had(self, feed_id: str, event_id: str) -> bool:
        sk = f"{CLAIM_PREFIX}{event_id}"
        return next(iter(FeedClaimItem.query(feed_id, FeedClaimItem.sk == sk, consistent_read=True)), None) is not None

    def watch(self, feed_id: str, until: datetime) -> None:
        seconds = int(until.timestamp())
        # A watch that is renewed all the time is written once in an hour.
        earlier = FeedWatchItem.expires_at_seconds.does_not_exist() | (
            FeedWatchItem.expires_at_seconds < seconds - RENEWAL_SECONDS
        )
        item = FeedWatchItem(feed_id, WATCHED)
        actions: list[Action] = [FeedWatchItem.expires_at_seconds.set(seconds)]
        conditional(lambda: item.update(actions=actions, condition=earlier))

    def watch_less(self, feed_id: str, until: datetime) -> None:
        seconds = int(until.timestamp())
        item = FeedWatchItem(feed_id, WATCHED)
        actions: list[Action] = [FeedWatchItem.expires_at_seconds.set(seconds)]
        conditional(lambda: item.update(actions=actions, condition=FeedWatchItem.expires_at_seconds > seconds))

    def newest(self, feed_id: str, now: datetime) -> int:
        page = _page_at(feed_id, None)
        if page is None:
            # No clock but this number decides: the first page is written above it, or was written before.
            start = _raise_start(feed_id, first_sequence(now))
            page = _page_at(feed_id, None)
            return page.last if page else start
        return page.last

    def after(self, feed_id: str, cursor: int, now: datetime) -> FeedSlice:
        newest = _page_at(feed_id, None)
        if newest is None:
            return FeedSlice((), cursor, is_incomplete=may_miss_events(cursor, None, now))
        if cursor >= newest.last:
            # A number above the newest event: of no event yet, or of a feed that begins anew.
            return FeedSlice((), newest.last, is_incomplete=cursor > newest.last)
        if cursor + 1 >= newest.first:
            return FeedSlice(tuple(newest.entries_after(cursor)), newest.last)
        return _slice(feed_id, cursor, newest, now)


def _is_watched(feed_id: str, now: datetime) -> bool:
    item = _watch(feed_id)
    return item is not None and (item.expires_at_seconds or 0) > now.timestamp()


def _watch(feed_id: str) -> FeedWatchItem | None:
    # Read consistently: who begins to watch relies on each event after that.
    found = FeedWatchItem.query(feed_id, FeedWatchItem.sk == WATCHED, consistent_read=True)
    return next(iter(found), None)


def _start(feed_id: str) -> int | None:
    item = _watch(feed_id)
    return int(item.start) if item is not None and item.start else None


def _raise_start(feed_id: str, number: int) -> int:
    """Raise the number above which the feed's first page is to be written; returns it."""
    item = FeedWatchItem(feed_id, WATCHED)
    lower = FeedWatchItem.start.does_not_exist() | (FeedWatchItem.start < number)
    actions: list[Action] = [FeedWatchItem.start.set(number)]
    return number if conditional(lambda: item.update(actions=actions, condition=lower)) else _start(feed_id) or number


def _append_once(feed_id: str, events: Sequence[FeedEvent], now: datetime, position: StreamPosition | None) -> None:
    newest = _page_at(feed_id, None)
    positions = dict(newest.positions) if newest else {}
    if position:
        if positions.get(position.source, -1) >= position.number:
            return
        positions[position.source] = position.number
    start = None if newest else _start(feed_id)
    first = newest.last + 1 if newest else max(first_sequence(now), (start or 0) + 1)
    page = FeedPage(first, tuple(events), newest is None, positions)
    claimed = () if position else page.events
    if claimed or page.is_first:
        _append_with_claims(feed_id, page, claimed, start, now)
    elif not conditional(lambda: _page_item(feed_id, page, now).save(condition=Item.pk.does_not_exist())):
        raise LostRace


def _append_with_claims(
    feed_id: str, page: FeedPage, claimed: Sequence[FeedEvent], start: int | None, now: datetime
) -> None:
    """Append events, and a claim for the id of each one in `claimed`; events that are claimed already are left out, in
    another transaction. The first page of a feed has a claim too, because two of them could have different numbers, and
    needs the feed's `start` as it was read."""
    try:
        with transaction() as write:
            write.save(_page_item(feed_id, page, now), Item.pk.does_not_exist(), part=PAGE_PREFIX)
            for event in claimed:
                expiry = _expiry(now, KNOWN_FOR.get(event.type, KEPT))
                write.save(_claim(feed_id, event.id, expiry), Item.pk.does_not_exist(), part=event.id)
            if page.is_first:
                free = Item.pk.does_not_exist() | (FeedClaimItem.expires_at_seconds < int(now.timestamp()))
                first = _claim(feed_id, "", int((now + FIRST_CLAIM).timestamp()))
                write.save(first, free, part=PAGE_PREFIX)
                unchanged = FeedWatchItem.start.does_not_exist() if start is None else FeedWatchItem.start == start
                write.check(FeedWatchItem, feed_id, WATCHED, unchanged, part=PAGE_PREFIX)
    except ConditionsFailed as failed:
        if PAGE_PREFIX in failed.parts:
            raise LostRace from failed
        left = tuple(event for event in page.events if event.id not in failed.parts)
        if left:
            page = FeedPage(page.first, left, page.is_first, page.positions)
            _append_with_claims(feed_id, page, left, start, now)
    except TransactionConflict as conflict:
        raise LostRace from conflict


def _claim(feed_id: str, event_id: str, expires_at_seconds: int) -> FeedClaimItem:
    return FeedClaimItem(feed_id, f"{CLAIM_PREFIX}{event_id}", expires_at_seconds=expires_at_seconds)


def _slice(feed_id: str, cursor: int, newest: FeedPage, now: datetime) -> FeedSlice:
    start = _page_at(feed_id, cursor + 1)
    lowest = start.first if start else 0
    found = FeedPageItem.query(
        feed_id,
        FeedPageItem.sk.between(_key(lowest), _key(newest.first)),
        consistent_read=True,
        limit=SLICE_PAGES,
        page_size=SLICE_PAGES,
    )
    pages = [_page(item) for item in found]
    entries = tuple(entry for page in pages for entry in page.entries_after(cursor))
    is_incomplete = start is None and may_miss_events(cursor, pages[0] if pages else None, now)
    last = pages[-1].last if pages else newest.last
    return FeedSlice(entries, last, has_more=last < newest.last, is_incomplete=is_incomplete)


def _page_at(feed_id: str, number: int | None) -> FeedPage | None:
    """The newest page that begins at a number or below it; the newest of all when it is None."""
    found = FeedPageItem.query(
        feed_id,
        FeedPageItem.sk.between(_key(0), _key(10**15 - 1 if number is None else max(number, 0))),
        consistent_read=True,
        scan_index_forward=False,
        limit=1,
        page_size=1,
    )
    return next((_page(item) for item in found), None)


def new_pages(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, FeedPage]]:
    """The feed and page of each new page in a batch of the table's stream (DynamoDB JSON, with the new image)."""
    for record in records:
        keys = record["dynamodb"]["Keys"]
        if record["eventName"] == "INSERT" and keys["sk"]["S"].startswith(PAGE_PREFIX):
            yield keys["pk"]["S"], _page(FeedPageItem.from_raw_data(record["dynamodb"]["NewImage"]))


def _page_item(feed_id: str, page: FeedPage, now: datetime) -> FeedPageItem:
    return FeedPageItem(
        feed_id,
        _key(page.first),
        events=[[event.id, event.type, event.occurred_at, event.data] for event in page.events],
        # As text, because a stream's number has more digits than a JSON reader may keep.
        positions={source: str(number) for source, number in page.positions.items()} or None,
        is_first=page.is_first or None,
        expires_at_seconds=_expiry(now),
    )


def _page(item: FeedPageItem) -> FeedPage:
    first = int(item.sk.removeprefix(PAGE_PREFIX))
    positions: dict[str, str] = item.positions or {}
    events = tuple(FeedEvent(*json_values) for json_values in item.events)
    return FeedPage(first, events, bool(item.is_first), {source: int(number) for source, number in positions.items()})


def _key(number: int) -> str:
    return f"{PAGE_PREFIX}{number:015d}"


def _expiry(now: datetime, kept: timedelta = KEPT) -> int:
    return int((now + kept + NUMBERING_SLACK).timestamp())
