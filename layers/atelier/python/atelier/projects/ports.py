"""What projects need from outside: their store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from atelier.frozen import dataclass
from atelier.projects.model import Alert, Budget, Project


class BudgetRefused(Exception):
    """A reservation did not go through: the budget must be looked at. `name` says which."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class ProjectExists(Exception):
    """A project with this id has been written before."""


class ProjectMoved(Exception):
    """The project, or its budget, is no longer as it was seen: read again and plan again."""


class ProjectInUse(Exception):
    """A generation belongs to this project."""


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """Newest first; `next_id` continues after the last."""

    projects: tuple[Project, ...]
    next_id: str | None


class Budgets(Protocol):
    """Budgets as an accepted generation needs them; reserving itself is a part of the hold's transaction."""

    def budget(self, workspace_id: str, name: str) -> Budget | None:
        """Consistent."""
        ...

    def begin_period(self, seen: Budget, period: str) -> None:
        """Start a month: nothing spent yet, reservations stay. Yields in silence when the budget is no longer as it was
        seen."""
        ...


class ProjectStore(Budgets, Protocol):
    """Projects with their budgets, and alerts. Every write is conditional."""

    def create(self, project: Project, budget: Budget) -> None:
        """Write both in one transaction; raises ProjectExists."""
        ...

    def get(self, workspace_id: str, project_id: str) -> Project:
        """Consistent; raises NotFound."""
        ...

    def list(self, workspace_id: str, archived: bool | None, after_id: str | None, limit: int) -> ProjectPage: ...

    def budgets(self, workspace_id: str, names: Iterable[str]) -> Mapping[str, Budget]: ...

    def change(self, seen: tuple[Project, Budget], after: tuple[Project, Budget]) -> None:
        """Write a project's description, and of its budget limit, thresholds and whether it is archived; raises
        ProjectMoved."""
        ...

    def delete(self, workspace_id: str, project_id: str) -> None:
        """Remove a project that no generation was ever made for; raises ProjectInUse, NotFound."""
        ...

    def create_budget(self, budget: Budget) -> None:
        """Write a budget unless it is there already."""
        ...

    def change_budget(self, seen: Budget, after: Budget) -> None:
        """Write limit and thresholds; raises ProjectMoved."""
        ...

    def alerts(self, workspace_id: str, name: str) -> tuple[Alert, ...]:
        """A budget's alerts, newest first."""
        ...

    def raise_alert(self, alert: Alert) -> Alert:
        """Write an alert unless it is there already; returns it as it is kept."""
        ...

    def acknowledge(self, workspace_id: str, name: str, alert_id: str, now: datetime) -> Alert:
        """The first acknowledgement stays; raises NotFound."""
        ...

    def told(self, alert: Alert, now: datetime) -> None:
        """Remember that the event bus knows of an alert."""
        ...
