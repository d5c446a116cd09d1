"""The audit log on the embedded AWS: events are put once, alone or in the transaction of the change that they tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb import ConditionsFailed, Item, audit_log, transaction
from atelier.adapters.aws.dynamodb.audit_log import AUDIT_PART, AuditEventItem, DynamoAuditLog, save_events
from atelier.audit_log.model import Origin, audit_event, audit_events
from tests.embedded_aws import Tables

NOW = datetime(2026, 11, 29, 2, 0, 0, 123_000, tzinfo=UTC)
WORKSPACE, USER = "wsp_01M7XCN60QPV5D4J3SZ8C2VYQ1", "usr_01M7XCN60QPV5D4J3SZ8C2VYQ2"
ORIGIN = Origin(USER, None, "203.0.113.7", "curl/8", "req-1")


class ChangedItem(Item):
    """What a transaction changes."""


@pytest.fixture(autouse=True)
def bound(tables: Tables) -> None:
    audit_log.bind(tables.audit)
    ChangedItem.bind(tables.library)


def stored(log: str) -> list[dict[str, Any]]:
    items = AuditEventItem.query(log, consistent_read=True)
    return [{name: value for name, value in item.attribute_values.items() if name != "pk"} for item in items]


def test_an_event_is_stored_with_where_it_came_from() -> None:
    event = audit_event(WORKSPACE, "key.added", ORIGIN, NOW, target="key_1", before=None, after={"name": "n"})
    DynamoAuditLog().append(event)
    assert stored(WORKSPACE) == [
        {
            "sk": f"event#{event.id}",
            "at": "2026-11-29T02:00:00.123Z",
            "action": "key.added",
            "actor": USER,
            "target": "key_1",
            "outcome": "ok",
            "address": "203.0.113.7",
            "user_agent": "curl/8",
            "request_id": "req-1",
            "facts": {"before": None, "after": {"name": "n"}},
        }
    ]


def test_a_written_event_never_changes() -> None:
    event = audit_event(WORKSPACE, "key.added", ORIGIN, NOW)
    DynamoAuditLog().append(event)
    before = stored(WORKSPACE)
    forged = replace(event, action="key.removed")
    DynamoAuditLog().append(forged)
    with pytest.raises(ConditionsFailed) as failure, transaction() as write:
        save_events(write, [forged])
    assert failure.value.parts == {AUDIT_PART}
    assert stored(WORKSPACE) == before


def test_events_are_written_with_the_change_that_they_tell_or_not_at_all() -> None:
    def change() -> None:
        with transaction() as write:
            write.save(ChangedItem("pk", "one"), ChangedItem.pk.does_not_exist(), part="change")
            save_events(write, audit_events((WORKSPACE, USER), "token.issued", ORIGIN, NOW, target="tok_1"))

    change()
    assert [len(stored(log)) for log in (WORKSPACE, USER)] == [1, 1]
    with pytest.raises(ConditionsFailed):
        change()
    assert [len(stored(log)) for log in (WORKSPACE, USER)] == [1, 1]


def test_several_events_without_a_change_are_written_together() -> None:
    DynamoAuditLog().append(*audit_events((WORKSPACE, USER), "session.refused", ORIGIN, NOW, outcome="refused"))
    DynamoAuditLog().append()
    assert [[item["outcome"] for item in stored(log)] for log in (WORKSPACE, USER)] == [["refused"], ["refused"]]
