"""HTTP schemas of moves."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from atelier.lazy_model import LazyModel
from atelier.moves.model import Move

WorkspaceId = Annotated[str, Field(pattern=r"^wsp_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]


class MoveProjectRequest(LazyModel):
    """Where to move a project."""

    model_config = ConfigDict(extra="forbid")

    workspace_id: WorkspaceId = Field(description="An organisation that you own.")


class MoveView(LazyModel):
    """The move of a project into another workspace. assets, generations: how many are there already."""

    project_id: str
    workspace_id: str = Field(description="The workspace that the project goes to.")
    state: Literal["moving", "moved"]
    assets: int
    generations: int
    started_at: datetime
    completed_at: datetime | None


class MoveEnvelope(LazyModel):
    move: MoveView


def move_envelope(move: Move) -> MoveEnvelope:
    """The response about a move."""
    view = MoveView(
        project_id=move.project_id,
        workspace_id=move.target_id,
        state="moved" if move.is_done else "moving",
        assets=move.assets,
        generations=move.generations,
        started_at=move.started_at,
        completed_at=move.completed_at,
    )
    return MoveEnvelope(move=view)
