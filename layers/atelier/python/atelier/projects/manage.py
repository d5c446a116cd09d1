"""Make, change, archive and remove projects, and say what may be spent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from atelier.errors import Conflict, NotFound, Unavailable
from atelier.ids import new_id
from atelier.projects.model import THRESHOLDS, WORKSPACE, Budget, Project, month
from atelier.projects.ports import ProjectExists, ProjectInUse, ProjectMoved, ProjectStore

TRIES_MAX = 20
Both = tuple[Project, Budget]


class IdempotencyKeys(Protocol):
    """Binds a caller's key to one id and one fingerprint, for ever."""

    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str: ...


class Wallets(Protocol):
    """What must know that a workspace has a budget."""

    def mark_budgeted(self, workspace_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class NewProject:
    """What a verified caller wants. `idempotency_key` is the caller's own, if any."""

    workspace_id: str
    user_id: str
    name: str
    description: str | None = None
    thumbnail_url: str | None = None
    budget_microusd: int | None = None
    thresholds: tuple[int, ...] = THRESHOLDS
    idempotency_key: str | None = None

    def fingerprint(self) -> str:
        """What the key is bound to."""
        facts = [self.name, self.description, self.thumbnail_url, self.budget_microusd, self.thresholds]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def create(new: NewProject, *, projects: ProjectStore, keys: IdempotencyKeys, now: datetime) -> tuple[Both, bool]:
    """The project with its budget, and whether this request had been answered before. Raises IdempotencyMismatch."""
    project_id = new_id("prj", now)
    if new.idempotency_key is not None:
        project_id = keys.reserve(new.workspace_id, new.idempotency_key, new.fingerprint(), project_id)
    project = Project(
        id=project_id,
        workspace_id=new.workspace_id,
        user_id=new.user_id,
        name=new.name,
        created_at=now,
        updated_at=now,
        description=new.description,
        thumbnail_url=new.thumbnail_url,
    )
    budget = Budget(new.workspace_id, project_id, new.budget_microusd, thresholds=new.thresholds)
    try:
        projects.create(project, budget)
    except ProjectExists:
        # The same request before, or in parallel.
        return read(new.workspace_id, project_id, projects=projects), True
    return (project, budget), False


def read(workspace_id: str, project_id: str, *, projects: ProjectStore) -> Both:
    """A project with its budget; raises NotFound."""
    project, budget = projects.get(workspace_id, project_id), projects.budget(workspace_id, project_id)
    if budget is None:
        raise NotFound  # It went between the two.
    return project, budget


def change(
    workspace_id: str, project_id: str, to: Callable[[Both], Both], *, projects: ProjectStore, now: datetime
) -> Both:
    """What `to` makes of a project. Raises NotFound, or Unavailable when others change it all the time."""
    for _ in range(TRIES_MAX):
        seen = read(workspace_id, project_id, projects=projects)
        project, budget = to(seen)
        # Each change has a time of its own: by it the next writer knows what it has seen.
        at = max(now, seen[0].updated_at + timedelta(milliseconds=1))
        after = replace(project, updated_at=at), replace(budget, archived=project.archived_at is not None)
        try:
            projects.change(seen, after)
        except ProjectMoved:
            continue
        return after
    raise Unavailable("This project is changing quickly. Try again.")


def remove(workspace_id: str, project_id: str, *, projects: ProjectStore) -> None:
    """Remove a project that was never used. Raises NotFound, or Conflict: what was made for it says so for ever."""
    for _ in range(TRIES_MAX):
        try:
            projects.delete(workspace_id, project_id)
        except ProjectInUse:
            raise Conflict("Something was made for this project: archive it instead.", project_id=project_id) from None
        except ProjectMoved:
            continue
        return
    raise Unavailable("This project is changing quickly. Try again.")


def workspace_budget(workspace_id: str, *, projects: ProjectStore, now: datetime) -> Budget:
    """What the workspace may spend in this month, and what it has."""
    budget = projects.budget(workspace_id, WORKSPACE)
    if budget is None:
        return Budget(workspace_id, WORKSPACE, period=month(now))
    # A month that nobody has asked in yet begins with nothing.
    return replace(budget, period=month(now), spent_microusd=0) if (budget.period or "") < month(now) else budget


def change_workspace_budget(
    workspace_id: str,
    limit_microusd: int | None,
    thresholds: tuple[int, ...],
    *,
    projects: ProjectStore,
    wallets: Wallets,
    now: datetime,
) -> Budget:
    """Set or lift what the workspace may spend in a month. It counts what is asked for from its first setting on."""
    for _ in range(TRIES_MAX):
        seen = projects.budget(workspace_id, WORKSPACE)
        if seen is None:
            projects.create_budget(Budget(workspace_id, WORKSPACE, period=month(now)))
            continue
        if seen.period is not None and seen.period < month(now):
            projects.begin_period(seen, month(now))
            continue
        after = replace(seen, limit_microusd=limit_microusd, thresholds=thresholds)
        try:
            projects.change_budget(seen, after)
        except ProjectMoved:
            continue
        # Last, and each time: whoever died between the two is made up for by asking again.
        wallets.mark_budgeted(workspace_id)
        return after
    raise Unavailable("This budget is changing quickly. Try again.")
