"""Reads, seals and archives of audit logs, in the audit table (`audit_log.py` lists its items); and what its stream
delivers."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Item,
    TransactionConflict,
    audit_log,
    conditional,
    newest_page,
    transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import EVENT_PREFIX, AuditEventItem
from atelier.audit_log.ports import DueArchive, EventFilter, EventPage
from atelier.audit_log.seals import AuditSeal, PublicForm, from_public, to_public
from atelier.ids import floor_id
from atelier.ledger.sealed_keys import SealNumberTaken

SHARDS = 16
SEAL_PREFIX = "seal#"
# The attributes of an event that an erasure may change or remove.
REDUCED_BY_ERASURE = {"address", "user_agent", "request_id", "token_id", "facts", "erased"}


class AuditSealItem(Item):
    """One seal, written once and never changed."""

    seal = UnicodeAttribute()
    # As of an event.
    expires_at_seconds = NumberAttribute(null=True)


class ArchiveItem(Item):
    """A log has seals of a month. With `expires_at_seconds` it is archived."""

    expires_at_seconds = NumberAttribute(null=True)


def bind(table_name: str) -> None:
    """Name the audit table."""
    audit_log.bind(table_name)
    AuditSealItem.bind(table_name)
    ArchiveItem.bind(table_name)


class DynamoAuditReads:
    """AuditReads on DynamoDB."""

    def page(self, log: str, wanted: EventFilter, after: str | None, limit: int) -> EventPage:
        matching = _matching(wanted)
        lowest = EVENT_PREFIX + (floor_id("adt", wanted.begin) if wanted.begin else "")
        highest = EVENT_PREFIX + (floor_id("adt", wanted.end) if wanted.end else "~")
        items, next_key = newest_page(
            AuditEventItem, log, (lowest, highest), matching=matching, after=after, limit=limit
        )
        return EventPage(tuple(map(event_of, items)), next_key)


class DynamoAuditSeals:
    """AuditSeals and ArchiveMarks on DynamoDB."""

    def newest(self, log: str, *, consistent: bool) -> AuditSeal | None:
        found = AuditSealItem.query(
            log,
            AuditSealItem.sk.startswith(SEAL_PREFIX),
            consistent_read=consistent,
            scan_index_forward=False,
            limit=1,
            page_size=1,
        )
        return next((seal_of(item) for item in found), None)

    def between(self, log: str, first: int, last: int, /) -> list[AuditSeal]:
        # Read consistently although seals never change: if a new one were missing here, its events would seem unsealed.
        found = AuditSealItem.query(log, AuditSealItem.sk.between(_key(first), _key(last)), consistent_read=True)
        return [seal_of(item) for item in found]

    def oldest(self, log: str, limit: int) -> list[AuditSeal]:
        found = AuditSealItem.query(
            log,
            AuditSealItem.sk.startswith(SEAL_PREFIX),
            filter_condition=AuditSealItem.expires_at_seconds.does_not_exist(),
            consistent_read=True,
            limit=limit,
            page_size=limit,
        )
        return [seal_of(item) for item in found]

    def append(self, log: str, seal: AuditSeal, *, begins_month: bool) -> None:
        item = AuditSealItem(log, _key(seal.number), seal=json.dumps(to_public(seal), separators=(",", ":")))
        is_new = AuditSealItem.pk.does_not_exist()
        if not begins_month:
            if not conditional(lambda: item.save(condition=is_new)):
                raise SealNumberTaken
            return
        try:
            with transaction() as write:
                write.save(item, is_new, part="seal")
                write.save(ArchiveItem(_shard(log), f"{seal.at[:7]}#{log}"))
        except (ConditionsFailed, TransactionConflict) as error:
            raise SealNumberTaken from error

    def events_of(self, log: str, ids: Sequence[str]) -> list[PublicForm]:
        keys = [(log, EVENT_PREFIX + id) for id in ids]
        found = {item.sk: event_of(item) for item in AuditEventItem.batch_get(keys, consistent_read=True)}
        return [found[sk] for _, sk in keys if sk in found]

    def due(self, end: datetime) -> Iterator[DueArchive]:
        first_not_due = f"{end:%Y-%m}"
        for shard in range(SHARDS):
            unmarked = ArchiveItem.expires_at_seconds.does_not_exist()
            items = ArchiveItem.query(f"archive#{shard}", ArchiveItem.sk < first_not_due, filter_condition=unmarked)
            for item in items:
                month, _, log = item.sk.partition("#")
                yield DueArchive(log, month)

    def expire(self, log: str, seals: Sequence[AuditSeal], at: datetime) -> None:
        seconds = int(at.timestamp())
        for seal in seals:
            for id, _ in seal.events:
                _expire(AuditEventItem(log, EVENT_PREFIX + id), seconds)
            # The seal last: while it is there without a mark, the next run marks its events again.
            _expire(AuditSealItem(log, _key(seal.number)), seconds)

    def finish(self, archive: DueArchive, at: datetime) -> None:
        _expire(ArchiveItem(_shard(archive.log), f"{archive.month}#{archive.log}"), int(at.timestamp()))


def archive_mark_key(log: str, month: str) -> tuple[str, str]:
    """The key of the item that says that a log has seals of a month."""
    return _shard(log), f"{month}#{log}"


def event_of(item: AuditEventItem) -> PublicForm:
    """A stored event in its public form."""
    return {
        "id": item.sk.removeprefix(EVENT_PREFIX),
        "at": item.at,
        "actor": item.actor,
        "token_id": item.token_id,
        "action": item.action,
        "target": item.target,
        "outcome": item.outcome,
        "address": item.address or "",
        "user_agent": item.user_agent or "",
        "request_id": item.request_id or "",
        "facts": item.facts or {},
        **({"erased": item.erased} if item.erased else {}),
    }


def _matching(wanted: EventFilter) -> Condition | None:
    of_actor = None if wanted.actor is None else AuditEventItem.actor == wanted.actor
    if wanted.action is None:
        return of_actor
    action = AuditEventItem.action
    of_action = action.startswith(wanted.action) if wanted.action.endswith(".") else action == wanted.action
    return of_action if of_actor is None else of_actor & of_action


def new_events(records: Iterable[Mapping[str, Any]]) -> dict[str, Iterator[PublicForm]]:
    """The new events in a batch of the table's stream (DynamoDB JSON, with both images), by log. An image is read when
    its event is, so that one that cannot be read is a failure of its own log alone."""
    images: dict[str, list[dict[str, dict[str, Any]]]] = {}
    for record in records:
        keys = record["dynamodb"]["Keys"]
        if record["eventName"] == "INSERT" and keys["sk"]["S"].startswith(EVENT_PREFIX):
            images.setdefault(keys["pk"]["S"], []).append(record["dynamodb"]["NewImage"])
    return {log: map(_event, written) for log, written in images.items()}


def changed_events(records: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(log, sort key) of the events that a batch of the stream shows as changed, or as deleted by another than TTL. The
    mark of an archived event is no change, and neither is what an erasure takes out: the proof says in which events."""
    return [
        (record["dynamodb"]["Keys"]["pk"]["S"], record["dynamodb"]["Keys"]["sk"]["S"])
        for record in records
        if record["dynamodb"]["Keys"]["sk"]["S"].startswith(EVENT_PREFIX) and _is_changed(record)
    ]


def _is_changed(record: Mapping[str, Any]) -> bool:
    if record["eventName"] == "REMOVE":
        return record.get("userIdentity", {}).get("principalId") != "dynamodb.amazonaws.com"
    if record["eventName"] == "INSERT":
        return False
    before, after = (
        {name: value for name, value in record["dynamodb"][image].items() if name != "expires_at_seconds"}
        for image in ("OldImage", "NewImage")
    )
    is_redacted = "erased" in after and "erased" not in before
    return _untouched(before) != _untouched(after) if is_redacted else before != after


def _untouched(image: Mapping[str, Any]) -> dict[str, Any]:
    """What of an event an erasure leaves as it is."""
    return {name: value for name, value in image.items() if name not in REDUCED_BY_ERASURE}


def _expire(item: AuditEventItem | AuditSealItem | ArchiveItem, seconds: int) -> None:
    """Mark an item that may go. An item that TTL has deleted is not created again."""
    attribute = type(item).expires_at_seconds
    unmarked = type(item).pk.exists() & attribute.does_not_exist()
    conditional(lambda: item.update([attribute.set(seconds)], condition=unmarked))


def _event(image: dict[str, dict[str, Any]]) -> PublicForm:
    return event_of(AuditEventItem.from_raw_data(image))


def _key(number: int) -> str:
    return f"{SEAL_PREFIX}{number:012d}"


def _shard(log: str) -> str:
    return f"archive#{zlib.crc32(log.encode()) % SHARDS}"


def seal_of(item: AuditSealItem) -> AuditSeal:
    """A stored seal."""
    return from_public(json.loads(item.seal))
