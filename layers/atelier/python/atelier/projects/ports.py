"""Ports of projects: their store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass
from atelier.projects.model import Alert, Budget, Project


class BudgetRefused(Exception):
    """A reservation failed on the budget `name`. Read that budget to learn why (see `recover_reservation.py`)."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class ProjectExists(Exception):
    """A project with this id exists already."""


class StaleProject(Exception):
    """The project or its budget changed since it was read: read both and apply the change again."""


class ProjectsFull(Exception):
    """The workspace has as many projects as it may have. Archived ones do not count."""

    def __init__(self, used: int) -> None:
        super().__init__(str(used))
        self.used = used


class ProjectInUse(Exception):
    """A generation belongs to this project."""


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """Projects, newest first. `next_id` is the id after which the next page begins; None on the last page."""

    projects: tuple[Project, ...]
    next_id: str | None


class Budgets(Protocol):
    """The part of the store that submitting a generation needs. The reservation itself is written in the transaction of
    the hold."""

    def budget(self, workspace_id: str, name: str) -> Budget | None:
        """The budget with this name (consistent read), None when there is none."""
        ...

    def begin_period(self, before: Budget, period: str) -> None:
        """Start a new month: nothing is spent yet, reservations stay. Does nothing when the budget changed since it was
        read."""
        ...


class AlertStore(Protocol):
    """The part of the store that raising alerts needs."""

    def budget(self, workspace_id: str, name: str) -> Budget | None:
        """The budget with this name (consistent read), None when there is none."""
        ...

    def raise_alert(self, alert: Alert) -> Alert:
        """Write an alert unless it exists already; returns the stored alert."""
        ...

    def mark_published(self, alert: Alert, now: datetime) -> None:
        """Mark an alert as published at `now`."""
        ...


class ProjectStore(Budgets, AlertStore, Protocol):
    """Projects with their budgets, and alerts. Every write is conditional."""

    def create(self, project: Project, budget: Budget, projects_max: int, events: Sequence[AuditEvent] = ()) -> None:
        """Write both, and the audit events of that, in one transaction. Raises ProjectExists; ProjectsFull when there
        are `projects_max` already; StaleProject when a parallel write won."""
        ...

    def get(self, workspace_id: str, project_id: str) -> Project:
        """The project (consistent read); raises NotFound."""
        ...

    def list(self, workspace_id: str, archived: bool | None, after_id: str | None, limit: int) -> ProjectPage: ...

    def budgets(self, workspace_id: str, names: Iterable[str]) -> Mapping[str, Budget]: ...

    def change(
        self,
        before: tuple[Project, Budget],
        after: tuple[Project, Budget],
        projects_max: int | None,
        events: Sequence[AuditEvent] = (),
    ) -> None:
        """Write a project's texts, its budget's limit, thresholds and archived mark, and audit events. projects_max:
        how many projects there may be, needed when an archived one comes back; None = any number. Raises StaleProject,
        ProjectsFull."""
        ...

    def delete(self, workspace_id: str, project_id: str) -> None:
        """Remove a project that no generation was ever made for. Raises ProjectInUse, NotFound, and StaleProject when a
        parallel write won."""
        ...

    def create_budget(self, budget: Budget) -> None:
        """Write a budget unless it exists already."""
        ...

    def change_budget(self, before: Budget, after: Budget, events: Sequence[AuditEvent] = ()) -> None:
        """Write a budget's limit and thresholds, and audit events; raises StaleProject."""
        ...

    def alerts(self, workspace_id: str, name: str) -> tuple[Alert, ...]:
        """A budget's alerts, newest first."""
        ...

    def acknowledge(self, workspace_id: str, name: str, alert_id: str, now: datetime) -> Alert:
        """Mark an alert as acknowledged at `now`, unless it is already; returns the stored alert. Raises NotFound."""
        ...
