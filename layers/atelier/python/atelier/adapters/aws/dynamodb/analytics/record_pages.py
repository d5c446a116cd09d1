"""All generations and all movements of a workspace, with what they contribute: for rebuilds."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from atelier.adapters.aws.dynamodb import Item
from atelier.adapters.aws.dynamodb.analytics.facts import decode_counted
from atelier.adapters.aws.dynamodb.analytics.records import (
    generation_contribution,
    movement_contribution,
    refusal_contribution,
)
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.generations.prompt_refusals import PromptRefusalItem, decode_refusal
from atelier.adapters.aws.dynamodb.ledger.items import MovementItem, decode_movement
from atelier.adapters.aws.dynamodb.moves.items import PREFIX as MOVE_PREFIX
from atelier.adapters.aws.dynamodb.moves.items import MoveItem
from atelier.analytics.ports import ContributedRecord
from atelier.clock import parse_rfc3339, rfc3339
from atelier.generations.prompt_refusal import PREFIX as REFUSAL

# As many as a rebuild counts in one transaction, or a few more.
PAGE_SIZE = 50
ItemT = TypeVar("ItemT", bound=Item)


class GenerationPages:
    """RecordPages of the generations table: its generations, and then the requests that moderation refused."""

    def page(self, workspace_id: str, after: str | None) -> list[ContributedRecord]:
        is_refusal = after is not None and after.startswith(REFUSAL)
        page = [] if is_refusal else _items(GenerationItem, workspace_id, "gen_", after)
        if page:
            return [_contributed(item) for item in page]
        refusals = _items(PromptRefusalItem, workspace_id, REFUSAL, after if is_refusal else None)
        return [_contributed_refusal(item) for item in refusals]


class MovementPages:
    """RecordPages of the ledger. A movement never changes."""

    def page(self, workspace_id: str, after: str | None) -> list[ContributedRecord]:
        items = _items(MovementItem, workspace_id, "movement#", after)
        movements = [(item.sk, decode_movement(item)) for item in items]
        return [ContributedRecord(place, movement_contribution(each), each.at) for place, each in movements]


class MovesOfSource:
    """RecordRemovals of a workspace: projects that were moved into another one, with their generations."""

    def since(self, workspace_id: str, at: datetime) -> bool:
        moves = MoveItem.query(workspace_id, MoveItem.sk.startswith(MOVE_PREFIX), consistent_read=True)
        return any(not each.completed_at or each.completed_at >= rfc3339(at) for each in moves)


def _contributed(item: GenerationItem) -> ContributedRecord:
    generation = decode_counted(item)
    ends = [attempt.ended_at for attempt in generation.attempts if attempt.ended_at is not None]
    moves = [parse_rfc3339(item.moved_at)] if item.moved_at else []
    ended_at = generation.completed_at or generation.created_at
    # A result that comes after the deadline replaces the end that was counted then.
    was_late = not generation.is_open and ended_at > generation.deadline_at
    return ContributedRecord(
        generation.id,
        generation_contribution(generation),
        max([ended_at, *ends, *moves]),
        generation.deadline_at if was_late else None,
    )


def _contributed_refusal(item: PromptRefusalItem) -> ContributedRecord:
    refusal = decode_refusal(item)
    return ContributedRecord(item.sk, refusal_contribution(refusal), refusal.at)


def _items(model: type[ItemT], workspace_id: str, prefix: str, after: str | None) -> list[ItemT]:
    # "~" sorts after every character of an id.
    keys = Item.sk.between(f"{after}!" if after else prefix, f"{prefix}~")
    return list(model.query(workspace_id, keys, consistent_read=True, limit=PAGE_SIZE, page_size=PAGE_SIZE))
