"""HTTP schemas of projects, budgets and alerts. Money is integer micro-USD."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from atelier.lazy_model import LazyModel
from atelier.projects.manage import NewProject, ProjectAndBudget
from atelier.projects.model import THRESHOLDS, Alert, Budget, Project

Name = Annotated[str, Field(min_length=1, max_length=120)]
Description = Annotated[str, Field(max_length=2000)]
Url = Annotated[str, Field(max_length=500, pattern=r"^(https://|/media/)[!-~]+$")]
Money = Annotated[int, Field(ge=0, le=10**15)]
Percent = Annotated[int, Field(ge=1, le=100)]


def _sorted_unique(thresholds: list[int]) -> list[int]:
    return sorted(set(thresholds))


Thresholds = Annotated[list[Percent], Field(max_length=10), AfterValidator(_sorted_unique)]


class AlertSettings(LazyModel):
    """When to raise alerts, in percent of the budget."""

    model_config = ConfigDict(extra="forbid")

    alert_thresholds: Thresholds = list(THRESHOLDS)


class CreateProjectRequest(LazyModel):
    """A new project."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Name
    description: Description | None = None
    thumbnail_url: Url | None = None
    budget_microusd: Money | None = None
    settings: AlertSettings = AlertSettings.of_defaults()

    @property
    def changes_budget(self) -> bool:
        """Whether the request sets a budget."""
        return self.budget_microusd is not None

    def new(self, workspace_id: str, user_id: str, idempotency_key: str | None) -> NewProject:
        """The command for the use case."""
        return NewProject(
            workspace_id=workspace_id,
            user_id=user_id,
            name=self.name,
            description=self.description,
            thumbnail_url=self.thumbnail_url,
            budget_microusd=self.budget_microusd,
            thresholds=tuple(self.settings.alert_thresholds),
            idempotency_key=f"projects {idempotency_key}" if idempotency_key else None,
        )


class ChangeProjectRequest(LazyModel):
    """Changes of a project: a field that is left out stays as it is, and null clears it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Name = ""
    description: Description | None = None
    thumbnail_url: Url | None = None
    budget_microusd: Money | None = None
    settings: AlertSettings = AlertSettings.of_defaults()
    archived: bool = False

    @property
    def changes_budget(self) -> bool:
        """Whether the request changes the budget or its alert thresholds."""
        return not self.model_fields_set.isdisjoint({"budget_microusd", "settings"})

    def change(self, before: ProjectAndBudget, now: datetime) -> ProjectAndBudget:
        """The project and its budget with this request's changes. `seen`: both as they were read."""
        project, budget = before
        named = self.model_fields_set
        texts = {name: getattr(self, name) for name in named & {"name", "description", "thumbnail_url"}}
        if "archived" in named:
            texts["archived_at"] = (project.archived_at or now) if self.archived else None
        limit = self.budget_microusd if "budget_microusd" in named else budget.limit_microusd
        thresholds = tuple(self.settings.alert_thresholds) if "settings" in named else budget.thresholds
        return replace(project, **texts), replace(budget, limit_microusd=limit, thresholds=thresholds)


class ProjectQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    archived: bool | None = None
    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None


class BudgetRequest(LazyModel):
    """The workspace's monthly budget (UTC); null = no limit."""

    model_config = ConfigDict(extra="forbid")

    budget_microusd: Money | None
    settings: AlertSettings = AlertSettings.of_defaults()


class BudgetView(LazyModel):
    """A workspace's budget of the present month. Reserved amounts belong to running generations."""

    budget_microusd: int | None
    spent_microusd: int
    reserved_microusd: int
    left_microusd: int | None
    period: str = Field(examples=["2026-11"])
    settings: AlertSettings


class ProjectView(LazyModel):
    """A project with its budget."""

    id: str
    name: str
    description: str | None
    thumbnail_url: str | None
    budget_microusd: int | None
    spent_microusd: int
    reserved_microusd: int
    left_microusd: int | None
    settings: AlertSettings
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ProjectEnvelope(LazyModel):
    project: ProjectView


class ProjectList(LazyModel):
    items: list[ProjectView]
    next_cursor: str | None


class AlertView(LazyModel):
    """A threshold of a budget that the spent amount has reached."""

    id: str
    project_id: str | None
    alert_type: Literal["threshold_reached", "budget_exceeded"]
    threshold: int
    budget_microusd: int
    current_spend_microusd: int
    period: str | None
    triggered_at: datetime
    acknowledged_at: datetime | None


class AlertEnvelope(LazyModel):
    alert: AlertView


class AlertList(LazyModel):
    items: list[AlertView]
    next_cursor: str | None = None


def project_view(project: Project, budget: Budget) -> ProjectView:
    """The response for a project with its budget."""
    return ProjectView(
        id=project.id,
        name=project.name,
        description=project.description,
        thumbnail_url=project.thumbnail_url,
        budget_microusd=budget.limit_microusd,
        spent_microusd=budget.spent_microusd,
        reserved_microusd=budget.reserved_microusd,
        left_microusd=_left_microusd(budget),
        settings=AlertSettings(alert_thresholds=list(budget.thresholds)),
        archived_at=project.archived_at,
        created_at=project.created_at,
        updated_at=project.updated_at,
    )


def budget_view(budget: Budget) -> BudgetView:
    """The response for a workspace's budget."""
    return BudgetView(
        budget_microusd=budget.limit_microusd,
        spent_microusd=budget.spent_microusd,
        reserved_microusd=budget.reserved_microusd,
        left_microusd=_left_microusd(budget),
        period=budget.period or "",
        settings=AlertSettings(alert_thresholds=list(budget.thresholds)),
    )


def alert_view(alert: Alert) -> AlertView:
    """The response for an alert."""
    return AlertView(
        id=alert.id,
        project_id=alert.budget if alert.budget.startswith("prj_") else None,
        alert_type=alert.type.value,
        threshold=alert.threshold,
        budget_microusd=alert.limit_microusd,
        current_spend_microusd=alert.spent_microusd,
        period=alert.period,
        triggered_at=alert.triggered_at,
        acknowledged_at=alert.acknowledged_at,
    )


def _left_microusd(budget: Budget) -> int | None:
    return None if budget.limit_microusd is None else max(budget.left_microusd, 0)
