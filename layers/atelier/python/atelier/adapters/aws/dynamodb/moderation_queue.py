"""ModerationQueue on DynamoDB, in the generations table.

pk moderation   sk mod_…    one item
"""

from __future__ import annotations

from collections.abc import Sequence

from pynamodb.attributes import UnicodeAttribute, UnicodeSetAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import size  # pyright: ignore[reportUnknownVariableType]
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Item,
    Transaction,
    conditional,
    newest_page,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound
from atelier.moderation.queue import Decision, Flag, FlaggedItem, FlaggedPage, FlagSource, ItemDecided

BUSY = "The queue is busy. Try again."
TRIES_MAX = 5
# More refusals of a day say nothing more about a person.
SUBJECTS_MAX = 200
MODERATION, PREFIX = "moderation", "mod_"


class FlaggedItemItem(Item):
    """One item of the queue."""

    source = UnicodeAttribute()
    workspace_id = UnicodeAttribute()
    user_id = UnicodeAttribute()
    category = UnicodeAttribute()
    kind = UnicodeAttribute()
    model = UnicodeAttribute()
    subject_ids = UnicodeSetAttribute()
    first_at = UnicodeAttribute()
    last_at = UnicodeAttribute()
    decision = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(null=True)
    decided_by = UnicodeAttribute(null=True)
    decided_at = UnicodeAttribute(null=True)


class DynamoModerationQueue:
    """ModerationQueue on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the generations table. Decisions also write to the audit table, which its own adapter binds."""
        FlaggedItemItem.bind(table_name)

    def flag(self, flag: Flag) -> None:
        of = FlaggedItemItem
        first = (
            (of.source, flag.source.value),
            (of.workspace_id, flag.workspace_id),
            (of.user_id, flag.user_id),
            (of.category, flag.category),
            (of.kind, flag.kind),
            (of.model, flag.model),
            (of.first_at, rfc3339(flag.at)),
        )
        actions: list[Action] = [attribute.set(attribute | value) for attribute, value in first]
        actions += [of.last_at.set(rfc3339(flag.at)), of.subject_ids.add({flag.subject_id})]
        has_room = FlaggedItemItem.subject_ids.does_not_exist() | (size(FlaggedItemItem.subject_ids) < SUBJECTS_MAX)
        item = FlaggedItemItem(MODERATION, flag.item_id)
        conditional(lambda: item.update(actions, condition=has_room))

    def get(self, id: str) -> FlaggedItem:
        try:
            return _decode(FlaggedItemItem.get(MODERATION, id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound("There is no such item.") from error

    def page(self, after: str | None, limit: int, *, only_open: bool) -> FlaggedPage:
        matching = FlaggedItemItem.decision.does_not_exist() if only_open else None
        bounds = PREFIX, PREFIX + "~"
        items, next_id = newest_page(FlaggedItemItem, MODERATION, bounds, matching=matching, after=after, limit=limit)
        return FlaggedPage(tuple(map(_decode, items)), next_id)

    def decide(self, decided: FlaggedItem, *, events: Sequence[AuditEvent]) -> None:
        assert decided.decision is not None
        assert decided.decided_at is not None
        actions: list[Action] = [
            FlaggedItemItem.decision.set(decided.decision.value),
            FlaggedItemItem.reason.set(decided.reason or ""),
            FlaggedItemItem.decided_by.set(decided.decided_by or ""),
            FlaggedItemItem.decided_at.set(rfc3339(decided.decided_at)),
        ]

        def fill(write: Transaction) -> None:
            is_open = FlaggedItemItem.pk.exists() & FlaggedItemItem.decision.does_not_exist()
            write.update(FlaggedItemItem(MODERATION, decided.id), actions, is_open, part="item")
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise ItemDecided from error


def _decode(item: FlaggedItemItem) -> FlaggedItem:
    return FlaggedItem(
        item.sk,
        FlagSource(item.source),
        item.workspace_id,
        item.user_id,
        item.category,
        item.kind,
        item.model,
        tuple(sorted(item.subject_ids)),
        parse_rfc3339(item.first_at),
        parse_rfc3339(item.last_at),
        Decision(item.decision) if item.decision else None,
        item.reason,
        item.decided_by,
        parse_rfc3339(item.decided_at) if item.decided_at else None,
    )
