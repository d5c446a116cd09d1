"""The ports of moves: their store, and what they need of other contexts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from atelier.errors import NotFound

if TYPE_CHECKING:
    from atelier.audit_log.model import AuditEvent
    from atelier.identity.permissions import Role
    from atelier.library.model import Asset, DeletedAsset
    from atelier.library.ports import RemovedFile
    from atelier.moves.model import Move
    from atelier.projects.model import Budget, Project
    from atelier.workspaces.model import WorkspaceProfile


class StaleMove(Exception):
    """The record of the move, or something that was to be moved, changed since it was read: read again."""


class NotOwner(Exception):
    """Whoever requested the move is no owner of the target any more, or the target was deleted."""


class StorageFull(Exception):
    """The target cannot store the project's files. used, added: bytes that it stores, and that would come."""

    def __init__(self, used: int, added: int) -> None:
        super().__init__(f"{used} + {added}")
        self.used = used
        self.added = added


class ProjectMoved(NotFound):
    """The project has left the workspace, or is leaving it; the facts say for which one."""

    def __init__(self, move: Move) -> None:
        text = "This project was moved to another workspace." if move.is_done else "This project is being moved."
        super().__init__(text)
        self.facts = {"workspace_id": move.target_id, "state": "moved" if move.is_done else "moving"}


class MoveStore(Protocol):
    """The records of moves, and the items that they move. An item is at one side at any time: each page leaves the
    source and comes to the target in one transaction, which also changes the record and the counters. Everything that
    takes a `Move` raises StaleMove when the stored record is another one."""

    def get(self, workspace_id: str, project_id: str) -> Move | None:
        """The move of a project away from this workspace (consistent read)."""
        ...

    def count_under_way(self, workspace_id: str, project_id: str, now: datetime) -> int:
        """How many generations of the project may still change; a run counts once."""
        ...

    def begin(
        self, move: Move, project: Project, budget: Budget, projects_max: int, events: Sequence[AuditEvent]
    ) -> None:
        """Take project and budget out of the source, and write the record, if both are still as they were read, and the
        user owns the target: from then on nothing new comes into the project. The project is counted at the target,
        and no longer at the source. Raises StaleMove, NotOwner, ProjectsFull."""
        ...

    def touch(self, move: Move) -> None:
        """Write the record again, so that the move goes on after everything that continues it has failed."""
        ...

    def count_bytes(self, move: Move) -> int:
        """The bytes of the project's stored files. Only fewer can follow after `begin`."""
        ...

    def reserve(self, move: Move, size_bytes: int, storage_max: int) -> None:
        """Count the project's bytes at the target; the step of assets follows. Raises StorageFull."""
        ...

    def undo(self, move: Move, events: Sequence[AuditEvent]) -> None:
        """Put project and budget back, and remove the record of a move that has moved nothing yet."""
        ...

    def next_assets(self, move: Move) -> tuple[Asset | DeletedAsset, ...]:
        """The next page of the project's assets, in the order of their ids, with what remains of deleted ones."""
        ...

    def move_assets(self, move: Move, page: Sequence[Asset | DeletedAsset], now: datetime) -> None:
        """Move a page. At the source remains of each asset what remains of a deleted one, its file pending."""
        ...

    def find_moved(self, move: Move) -> tuple[Asset | DeletedAsset, ...]:
        """The unsettled assets, as they are at the target."""
        ...

    def settle(self, move: Move) -> None:
        """Note that no file of the unsettled assets is left at the source."""
        ...

    def move_generations(self, move: Move, now: datetime) -> bool:
        """Move the next page of generations with their recipes; returns False when there are no more. An asset that a
        generation has delivered and that does not belong to the project stays where it is: at the target it is one that
        was deleted."""
        ...

    def move_alerts(self, move: Move) -> bool:
        """Move the next page of the budget's alerts; returns False when there are no more."""
        ...

    def enter(self, before: Move, after: Move) -> None:
        """Go to the next step."""
        ...

    def finish(self, before: Move, after: Move, events: Sequence[AuditEvent]) -> None:
        """Put project and budget into the target, and count there what was moved in fact."""
        ...


class MovableFiles(Protocol):
    """The files of assets, by the hash of their bytes."""

    def copy(self, source_id: str, target_id: str, sha256: str, format: str) -> None:
        """Copy a file and its thumbnail from one workspace to another. Safe to repeat, also after the file was removed
        from the source."""
        ...

    def remove(self, workspace_id: str, sha256: str, format: str) -> RemovedFile: ...

    def restore(self, removed: RemovedFile) -> None: ...


class Workspaces(Protocol):
    """Workspaces, as far as moves read them."""

    def profile(self, workspace_id: str) -> WorkspaceProfile:
        """A workspace by a consistent read, deleted ones too; raises NotFound."""
        ...


class Members(Protocol):
    """Members of workspaces, as far as moves read them."""

    def role(self, user_id: str, workspace_id: str) -> Role | None:
        """The role of a user in a workspace, from the user's own items (consistent read); None = no member."""
        ...
