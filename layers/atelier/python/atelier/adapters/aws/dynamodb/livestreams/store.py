"""LivestreamStore on DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    CONFLICT_CODES,
    ConditionsFailed,
    Transaction,
    batch_read,
    conditional,
    newest_page,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.livestreams.items import (
    DUE_OF,
    ITEMS,
    LIVESTREAM,
    PLACE,
    PUBLIC,
    RELEASED_OF,
    VIEWERS,
    LivestreamItem,
    LivestreamPlaceItem,
    ViewerCountItem,
    is_listed,
    livestream_item,
    livestream_of,
)
from atelier.audit_log.model import AuditEvent
from atelier.clock import rfc3339
from atelier.errors import NotFound
from atelier.livestreams.model import Livestream, LivestreamChanged, LivestreamExists
from atelier.livestreams.ports import LivestreamPage, ReleasedStream, StreamReference

BUSY = "The livestream is busy. Try again."
TRIES_MAX = 60
# A player asks again before its permission to watch ends, which is within this time.
VIEWER_WINDOW_SECONDS = 300


class DynamoLivestreams:
    """LivestreamStore on DynamoDB. The audit log's items must be bound to their table."""

    def __init__(self, table_name: str) -> None:
        for item in ITEMS:
            item.bind(table_name)

    def create(self, livestream: Livestream, events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            write.save(livestream_item(livestream), LivestreamItem.pk.does_not_exist(), part="livestream")
            write.save(LivestreamPlaceItem(livestream.id, PLACE, workspace_id=livestream.workspace_id))
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise LivestreamExists from error

    def find(self, livestream_id: str) -> Livestream:
        try:
            place = LivestreamPlaceItem.get(livestream_id, PLACE, consistent_read=True)
            key = place.workspace_id, LIVESTREAM + livestream_id
            return livestream_of(LivestreamItem.get(*key, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def change(self, before: Livestream, after: Livestream, events: Sequence[AuditEvent] = ()) -> None:
        item, is_unchanged = livestream_item(after), LivestreamItem.version == before.version
        if not events:
            # The common case, at half the price of a transaction.
            if not conditional(lambda: item.save(condition=is_unchanged), CONFLICT_CODES):
                raise LivestreamChanged
            return

        def fill(write: Transaction) -> None:
            write.save(item, is_unchanged, part="livestream")
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise LivestreamChanged from error

    def make_due(self, livestream: Livestream, at: datetime) -> None:
        item = LivestreamItem
        actions: list[Action] = [item.due_of.set(DUE_OF), item.due_at.set(rfc3339(at))]
        bare = LivestreamItem(livestream.workspace_id, LIVESTREAM + livestream.id)
        conditional(lambda: bare.update(actions, condition=item.pk.exists()))

    def page(self, workspace_id: str, after_key: str | None, limit: int) -> LivestreamPage:
        bounds = (LIVESTREAM, LIVESTREAM + "~")
        items, next_key = newest_page(
            LivestreamItem, workspace_id, bounds, matching=None, after=after_key, limit=limit, mostly_matching=True
        )
        return LivestreamPage(tuple(map(livestream_of, items)), next_key)

    def public_page(self, after_key: str | None, limit: int) -> LivestreamPage:
        # The key of a page: the prefix, the start, the workspace and the livestream.
        _, starts_at, pk, livestream_id = (after_key or "###").split("#")
        place = {"public": PUBLIC, "starts_at": starts_at, "pk": pk, "sk": LIVESTREAM + livestream_id}
        start = {name: {"S": value} for name, value in place.items()} if after_key else None
        found = LivestreamItem.of_public.query(PUBLIC, limit=limit, page_size=limit, last_evaluated_key=start)
        keys = [(LivestreamItem, item.pk, item.sk) for item in found]
        last = cast("dict[str, Any] | None", found.last_evaluated_key)
        items = batch_read(keys) if keys else {}
        listed = [livestream_of(cast("LivestreamItem", items[key])) for key in keys if key in items]
        next_key = None
        if last:
            next_key = f"public#{last['starts_at']['S']}#{last['pk']['S']}#{last['sk']['S'].removeprefix(LIVESTREAM)}"
        return LivestreamPage(tuple(each for each in listed if is_listed(each)), next_key)

    def due(self, now: datetime, limit: int) -> Sequence[str]:
        is_due = LivestreamItem.due_at <= rfc3339(now)
        found = LivestreamItem.due.query(DUE_OF, is_due, limit=limit, page_size=limit)
        return [item.sk.removeprefix(LIVESTREAM) for item in found]

    def release(self, livestream: Livestream, now: datetime) -> None:
        item = LivestreamPlaceItem
        stream = item.stream_id.set(livestream.stream_id) if livestream.stream_id else item.stream_id.remove()
        actions: list[Action] = [item.due_of.set(RELEASED_OF), item.due_at.set(rfc3339(now)), stream]
        place = LivestreamPlaceItem(livestream.id, PLACE)
        conditional(lambda: place.update(actions, condition=item.pk.exists()))

    def released(self, now: datetime, limit: int) -> Sequence[ReleasedStream]:
        is_due = LivestreamPlaceItem.due_at <= rfc3339(now)
        found = LivestreamPlaceItem.due.query(RELEASED_OF, is_due, limit=limit, page_size=limit)
        keys = [(LivestreamPlaceItem, item.pk, item.sk) for item in found]
        items = batch_read(keys) if keys else {}
        places = [cast("LivestreamPlaceItem", items[key]) for key in keys if key in items]
        return [ReleasedStream(StreamReference(each.workspace_id, each.pk), each.stream_id) for each in places]

    def put_off_removal(self, released: ReleasedStream, at: datetime) -> None:
        item, place = LivestreamPlaceItem, LivestreamPlaceItem(released.reference.livestream_id, PLACE)
        put_off: list[Action] = [item.due_at.set(rfc3339(at))]
        conditional(lambda: place.update(put_off, condition=item.due_of.exists()))

    def forget(self, released: ReleasedStream) -> None:
        item, place = LivestreamPlaceItem, LivestreamPlaceItem(released.reference.livestream_id, PLACE)
        place.update([item.due_of.remove(), item.due_at.remove(), item.stream_id.remove()])

    def count_viewer(self, livestream: Livestream, now: datetime) -> None:
        window, item = _window(now), ViewerCountItem
        bare = ViewerCountItem(livestream.workspace_id, VIEWERS + livestream.id)
        add: list[Action] = [item.counted.add(1)]
        if conditional(lambda: bare.update(add, condition=item.window == window)):
            return
        before = _counted(livestream)
        counted_before = int(before.counted) if before is not None and before.window == window - 1 else 0
        fresh: list[Action] = [item.window.set(window), item.counted_before.set(counted_before), item.counted.set(1)]
        is_older = item.window.does_not_exist() | (item.window < window)
        if not conditional(lambda: bare.update(fresh, condition=is_older)):
            conditional(lambda: bare.update(add, condition=item.window == window))

    def viewers(self, livestream: Livestream, now: datetime) -> int:
        window, found = _window(now), _counted(livestream)
        if found is None or found.window < window - 1:
            return 0
        # Whoever watches asks once in each window, so a window that has just begun has not counted everybody yet.
        return int(max(found.counted, found.counted_before) if found.window == window else found.counted)


def _window(now: datetime) -> int:
    return int(now.timestamp()) // VIEWER_WINDOW_SECONDS


def _counted(livestream: Livestream) -> ViewerCountItem | None:
    try:
        return ViewerCountItem.get(livestream.workspace_id, VIEWERS + livestream.id)
    except DoesNotExist:
        return None
