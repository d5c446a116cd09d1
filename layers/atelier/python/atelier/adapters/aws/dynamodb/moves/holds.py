"""A hold of the clean-up on DynamoDB: while a project is being moved, the files of its workspace are left alone."""

from __future__ import annotations

from atelier.adapters.aws.dynamodb.moves.items import PREFIX, MoveItem


class DynamoMoveHold:
    """Hold of moves that are under way."""

    def __init__(self, table_name: str) -> None:
        MoveItem.bind(table_name)

    def needs(self, workspace_id: str, _sha256: str) -> bool:
        """Whether a move out of the workspace is not complete."""
        is_open = MoveItem.completed_at.does_not_exist()
        found = MoveItem.query(workspace_id, MoveItem.sk.startswith(PREFIX), filter_condition=is_open)
        return next(iter(found), None) is not None
