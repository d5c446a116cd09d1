"""Read a project, or where it went."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from atelier.errors import NotFound
from atelier.moves.model import Move
from atelier.moves.ports import MoveStore, ProjectMoved

ReadT = TypeVar("ReadT")


def read_move(workspace_id: str, project_id: str, *, moves: MoveStore) -> Move:
    """The move of a project away from this workspace; raises NotFound when there is none."""
    move = moves.get(workspace_id, project_id)
    if move is None:
        raise NotFound("This project is not being moved.")
    return move


def or_where_it_went(
    read: Callable[[], ReadT], workspace_id: str, project_id: str, *, moves: Callable[[], MoveStore]
) -> ReadT:
    """What `read` returns. Its NotFound becomes ProjectMoved if the project has left the workspace."""
    try:
        return read()
    except NotFound:
        move = moves().get(workspace_id, project_id)
        if move is None:
            raise
        raise ProjectMoved(move) from None
