"""The stored form of moves: the item, its conversion, and the parts that all its transactions share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pynamodb.attributes import Attribute, NumberAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import CompactJSON, Item, Transaction
from atelier.clock import parse_rfc3339, rfc3339
from atelier.moves.model import Move, Step

PREFIX = "move#"
# The name of the record's part of a transaction.
MOVE_PART = "move"
ItemT = TypeVar("ItemT", bound=Item)


class MoveItem(Item):
    """One move. `project` and `budget` are the items that it has taken out of the source, until they are at the
    target."""

    target_id = UnicodeAttribute()
    user_id = UnicodeAttribute()
    started_at = UnicodeAttribute()
    step = UnicodeAttribute()
    cursor = UnicodeAttribute(null=True)
    reserved_bytes = NumberAttribute(default=0)
    moved_bytes = NumberAttribute(default=0)
    assets = NumberAttribute(default=0)
    generations = NumberAttribute(default=0)
    unsettled = CompactJSON(null=True)
    revision = NumberAttribute(default=0)
    completed_at = UnicodeAttribute(null=True)
    project = CompactJSON(null=True)
    budget = CompactJSON(null=True)


def move_item(move: Move, project: Item, budget: Item) -> MoveItem:
    """A new record, with the items that it takes out of the source."""
    return MoveItem(
        move.source_id,
        PREFIX + move.project_id,
        target_id=move.target_id,
        user_id=move.user_id,
        started_at=rfc3339(move.started_at),
        step=move.step.value,
        project=project.serialize(),
        budget=budget.serialize(),
    )


def decode_move(item: MoveItem) -> Move:
    return Move(
        project_id=item.sk.removeprefix(PREFIX),
        source_id=item.pk,
        target_id=item.target_id,
        user_id=item.user_id,
        started_at=parse_rfc3339(item.started_at),
        step=Step(item.step),
        cursor=item.cursor,
        reserved_bytes=int(item.reserved_bytes),
        moved_bytes=int(item.moved_bytes),
        assets=int(item.assets),
        generations=int(item.generations),
        unsettled=tuple(item.unsettled or ()),
        revision=int(item.revision),
        completed_at=parse_rfc3339(item.completed_at) if item.completed_at else None,
    )


def put_move(write: Transaction, before: Move, after: Move) -> None:
    """Add to a transaction the change of a move's record, if it is still `before` (one update)."""
    write.update(key_of(before), move_actions(before, after), unchanged(before), part=MOVE_PART)


def move_actions(before: Move, after: Move) -> list[Action]:
    actions: list[Action] = [
        MoveItem.step.set(after.step.value),
        MoveItem.reserved_bytes.set(after.reserved_bytes),
        MoveItem.moved_bytes.set(after.moved_bytes),
        MoveItem.assets.set(after.assets),
        MoveItem.generations.set(after.generations),
        MoveItem.revision.set(before.revision + 1),
        MoveItem.unsettled.set(list(after.unsettled)) if after.unsettled else MoveItem.unsettled.remove(),
        MoveItem.cursor.set(after.cursor) if after.cursor else MoveItem.cursor.remove(),
    ]
    if after.is_done:
        assert after.completed_at is not None, "a move that is done has a time of its end"
        actions.append(MoveItem.completed_at.set(rfc3339(after.completed_at)))
        actions += [MoveItem.project.remove(), MoveItem.budget.remove()]
    return actions


def key_of(move: Move) -> MoveItem:
    return MoveItem(move.source_id, PREFIX + move.project_id)


def unchanged(move: Move) -> Condition:
    """Condition: the record is the one that was read."""
    return MoveItem.revision == move.revision


def relocated(item: ItemT, workspace_id: str) -> ItemT:
    """The same item in another workspace's partition."""
    # What remains of a deleted asset has no name.
    return type(item).from_raw_data({**item.serialize(null_check=False), "pk": {"S": workspace_id}})


def has_value(attribute: Attribute[Any], value: Any) -> Condition:
    """Condition: the attribute has this value; None = it is missing."""
    return attribute.does_not_exist() if value is None else attribute == value


def move_addresses(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """(source, project) of the moves that records of the table's stream name (DynamoDB JSON, as Lambda delivers
    them), each once."""
    found: dict[tuple[str, str], None] = {}
    for record in records:
        keys = record["dynamodb"]["Keys"]
        if keys["sk"]["S"].startswith(PREFIX):
            found[keys["pk"]["S"], keys["sk"]["S"].removeprefix(PREFIX)] = None
    return iter(found)
