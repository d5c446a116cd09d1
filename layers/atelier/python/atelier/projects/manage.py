"""Create, change, archive and remove projects, and set budgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.caller import Caller
from atelier.catalogue.quotas import Quota
from atelier.dataclass import dataclass
from atelier.errors import Conflict, Forbidden, NotFound
from atelier.idempotency import IdempotencyKeys, fingerprint
from atelier.ids import new_id
from atelier.projects.model import THRESHOLDS, WORKSPACE, Budget, Project, month_of
from atelier.projects.ports import ProjectExists, ProjectInUse, ProjectsFull, ProjectStore, StaleProject
from atelier.retrying import LostRace, retrying

TRIES_MAX = 20
PROJECT_BUSY = "This project is changing quickly. Try again."
PROJECTS_BUSY = "The workspace's projects are changing quickly. Try again."
ProjectAndBudget = tuple[Project, Budget]


class Wallets(Protocol):
    """The wallet, which must record that its workspace has a budget."""

    def mark_budgeted(self, workspace_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class NewProject:
    """A request for a new project from an authenticated caller. `idempotency_key` is the caller's own, if any;
    thresholds are in percent of the budget."""

    workspace_id: str
    user_id: str
    name: str
    description: str | None = None
    thumbnail_url: str | None = None
    budget_microusd: int | None = None
    thresholds: tuple[int, ...] = THRESHOLDS
    idempotency_key: str | None = None

    def fingerprint(self) -> str:
        """A digest of the request (32 hex digits), to which the idempotency key is bound."""
        facts = [self.name, self.description, self.thumbnail_url, self.budget_microusd, self.thresholds]
        return fingerprint(facts)


def require_budget_permission(caller: Caller, *, changes_budget: bool) -> None:
    """Raises Forbidden for a request that changes a budget, unless the caller's role allows that."""
    if changes_budget and not caller.has_permission("budgets.manage"):
        raise Forbidden("Your role does not allow changing budgets.")


def list_projects(
    workspace_id: str, archived: bool | None, after: str | None, limit: int, *, projects: ProjectStore
) -> tuple[list[ProjectAndBudget], str | None]:
    """One page of projects with their budgets, newest first, and the id after which the next page begins."""
    page = projects.list(workspace_id, archived, after, limit)
    budgets = projects.budgets(workspace_id, [project.id for project in page.projects])
    # A project that was removed between the two reads has no budget and is left out.
    return [(project, budgets[project.id]) for project in page.projects if project.id in budgets], page.next_id


def create_project(
    new: NewProject, *, projects: ProjectStore, keys: IdempotencyKeys, quota: Quota, origin: Origin, now: datetime
) -> tuple[ProjectAndBudget, bool]:
    """Create a project. Returns it with its budget, and whether the same request created it before. quota: that of
    projects. Raises IdempotencyMismatch when the key was used for another request, QuotaExceeded, Unavailable."""
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
    events = _budget_events(None, budget, origin, now)
    try:
        retrying(
            lambda: projects.create(project, budget, quota.limit, events),
            on=StaleProject,
            busy=PROJECTS_BUSY,
            tries_max=TRIES_MAX,
        )
    except ProjectsFull as full:
        raise quota.exceeded(full.used) from None
    except ProjectExists:
        # The same request created it earlier, or in parallel.
        return read_project(new.workspace_id, project_id, projects=projects), True
    return (project, budget), False


def read_project(workspace_id: str, project_id: str, *, projects: ProjectStore) -> ProjectAndBudget:
    """A project with its budget; raises NotFound."""
    project, budget = projects.get(workspace_id, project_id), projects.budget(workspace_id, project_id)
    if budget is None:
        raise NotFound  # The project was removed between the two reads.
    return project, budget


def change_project(
    workspace_id: str,
    project_id: str,
    apply_change: Callable[[ProjectAndBudget], ProjectAndBudget],
    *,
    projects: ProjectStore,
    quota: Callable[[], Quota],
    origin: Origin,
    now: datetime,
) -> ProjectAndBudget:
    """Change a project and its budget by `apply_change`, and return them. It is called again when a parallel request
    changed them first. quota: reads that of projects, which an archived project needs to come back. Raises NotFound;
    QuotaExceeded; Unavailable when parallel requests change them at every attempt."""

    def attempt() -> ProjectAndBudget:
        before = read_project(workspace_id, project_id, projects=projects)
        project, budget = apply_change(before)
        # Each change has a later `updated_at` than the one before, because the store's condition compares that time to
        # see whether the project changed since it was read.
        at = max(now, before[0].updated_at + timedelta(milliseconds=1))
        after = replace(project, updated_at=at), replace(budget, archived=project.archived_at is not None)
        comes_back = before[0].archived_at is not None and project.archived_at is None
        limit = quota() if comes_back else None
        try:
            events = _budget_events(before[1], after[1], origin, now)
            projects.change(before, after, limit.limit if limit else None, events)
        except ProjectsFull as full:
            raise (limit or quota()).exceeded(full.used) from None
        return after

    return retrying(attempt, on=StaleProject, busy=PROJECT_BUSY, tries_max=TRIES_MAX)


def remove_project(workspace_id: str, project_id: str, *, projects: ProjectStore) -> None:
    """Remove a project that was never used. Raises NotFound, or Conflict when something was made for it, because its
    generations refer to it for ever."""

    def attempt() -> None:
        try:
            projects.delete(workspace_id, project_id)
        except ProjectInUse:
            raise Conflict("Something was made for this project: archive it instead.", project_id=project_id) from None

    retrying(attempt, on=StaleProject, busy=PROJECT_BUSY, tries_max=TRIES_MAX)


def workspace_budget(workspace_id: str, *, projects: ProjectStore, now: datetime) -> Budget:
    """The workspace's budget of this month: limit, spent and reserved amounts; without a limit if none was ever set."""
    budget = projects.budget(workspace_id, WORKSPACE)
    if budget is None:
        return Budget(workspace_id, WORKSPACE, period=month_of(now))
    # The stored budget is of an earlier month until the first reservation of this one: nothing is spent yet.
    return replace(budget, period=month_of(now), spent_microusd=0) if (budget.period or "") < month_of(now) else budget


def change_workspace_budget(
    workspace_id: str,
    limit_microusd: int | None,
    thresholds: tuple[int, ...],
    *,
    projects: ProjectStore,
    wallets: Wallets,
    origin: Origin,
    now: datetime,
) -> Budget:
    """Set the workspace's monthly budget, or lift it (None). Only generations requested after the first setting count.
    Raises Unavailable when parallel requests change the budget at every attempt."""

    def attempt() -> Budget:
        before = projects.budget(workspace_id, WORKSPACE)
        if before is None:
            projects.create_budget(Budget(workspace_id, WORKSPACE, period=month_of(now)))
            raise LostRace  # Whoever created it: read the budget that is there now.
        if before.period is not None and before.period < month_of(now):
            projects.begin_period(before, month_of(now))
            raise LostRace  # Whoever began the month: read the budget again.

        after = replace(before, limit_microusd=limit_microusd, thresholds=thresholds)
        projects.change_budget(before, after, _budget_events(before, after, origin, now))
        # The wallet is marked last and at every call, so that a repeated request repairs a crash between the two
        # writes.
        wallets.mark_budgeted(workspace_id)
        return after

    busy = "This budget is changing quickly. Try again."
    return retrying(attempt, on=(StaleProject, LostRace), busy=busy, tries_max=TRIES_MAX)


def _budget_events(before: Budget | None, after: Budget, origin: Origin, now: datetime) -> list[AuditEvent]:
    """The audit event of a budget's change; none when limit and thresholds stay what they are, or are not set."""
    facts_before, facts_after = _limit_facts(before) if before else None, _limit_facts(after)
    if facts_before == facts_after or (before is None and after.limit_microusd is None):
        return []
    target = None if after.name == WORKSPACE else after.name
    return [
        audit_event(
            after.workspace_id,
            "budget.changed",
            origin,
            now,
            target=target,
            before=facts_before,
            after=facts_after,
        )
    ]


def _limit_facts(budget: Budget) -> dict[str, Any]:
    return {"limit_microusd": budget.limit_microusd, "thresholds": list(budget.thresholds)}
