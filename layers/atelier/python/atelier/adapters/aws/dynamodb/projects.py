"""Projects, budgets and alerts in the library's table.

    pk wsp_…  sk prj_…                   a project's description
    pk wsp_…  sk budget#prj_…            its budget; budget#workspace is the whole workspace's
    pk wsp_…  sk usage#projects          how many are not archived; see `usage.py`
    pk wsp_…  sk alert#prj_…#alr_…       a threshold that was reached; its id is derived, so it exists once

Counters are stored apart from descriptions, which are larger and change at other times. A DynamoDB condition cannot add
attributes, so `left_microusd` always holds limit − spent − reserved, and a reservation only needs the condition that it
is large enough. Changing the limit changes `left_microusd` by the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    CONFLICT_CODES,
    ConditionsFailed,
    Item,
    Transaction,
    TransactionConflict,
    TransactionFailed,
    conditional,
    newest_page,
    pause_with_jitter,
    transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.usage import PROJECTS, USAGE_PART, UsageItem, complete_usage, put_usage, read_usage
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound
from atelier.projects.model import WORKSPACE, Alert, Budget, Project
from atelier.projects.ports import ProjectExists, ProjectInUse, ProjectPage, ProjectsFull, StaleProject

ALERTS_MAX = 100
# Argument of `pause` after a change of a budget has lost to generations that reserve on it.
BUSY_PAUSE = 3


class ProjectItem(Item):
    """A project's name, description and image."""

    user_id = UnicodeAttribute()
    name = UnicodeAttribute()
    description = UnicodeAttribute(null=True)
    thumbnail_url = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    archived_at = UnicodeAttribute(null=True)


class BudgetItem(Item):
    """One budget's counters."""

    limit_microusd = NumberAttribute(null=True)
    left_microusd = NumberAttribute()
    spent_microusd = NumberAttribute()
    reserved_microusd = NumberAttribute()
    generations = NumberAttribute()
    thresholds = JSONAttribute()
    period = UnicodeAttribute(null=True)
    archived = NumberAttribute(null=True)


class AlertItem(Item):
    """One alert."""

    threshold = NumberAttribute()
    limit_microusd = NumberAttribute()
    spent_microusd = NumberAttribute()
    period = UnicodeAttribute(null=True)
    triggered_at = UnicodeAttribute()
    acknowledged_at = UnicodeAttribute(null=True)
    published_at = UnicodeAttribute(null=True, attr_name="told_at")


def bind(table_name: str) -> None:
    """Name the library's table."""
    for item in (ProjectItem, BudgetItem, AlertItem, UsageItem):
        item.bind(table_name)


def budget_part(name: str) -> str:
    """The name of a budget's part of a transaction."""
    return f"budget {name}"


def put_reservations(write: Transaction, workspace_id: str, names: Sequence[str], microusd: int, period: str) -> None:
    """Add to a hold's transaction the reservation of an amount on each of these budgets: one update each (part
    `budget_part`). `period`: the current month, which a workspace's budget must have reached."""
    for name in names:
        condition = BudgetItem.pk.exists() & BudgetItem.archived.does_not_exist()
        if microusd:
            condition &= BudgetItem.limit_microusd.does_not_exist() | (BudgetItem.left_microusd >= microusd)
        if name == WORKSPACE:
            condition &= BudgetItem.period >= period
        actions: list[Action] = [
            BudgetItem.left_microusd.set(BudgetItem.left_microusd - microusd),
            BudgetItem.reserved_microusd.set(BudgetItem.reserved_microusd + microusd),
            BudgetItem.generations.set(BudgetItem.generations + 1),
        ]
        write.update(BudgetItem(workspace_id, f"budget#{name}"), actions, condition, part=budget_part(name))


def put_spending(write: Transaction, workspace_id: str, names: Sequence[str], *, released: int, spent: int) -> None:
    """Add to the transaction of a generation's end the change of its budgets: `released` of the reserved amount is free
    again, `spent` is spent (micro-USD). No condition is needed: the generation's own condition makes the end happen
    once."""
    if not released and not spent:
        return
    for name in names:
        actions: list[Action] = [
            BudgetItem.left_microusd.set(BudgetItem.left_microusd + (released - spent)),
            BudgetItem.reserved_microusd.set(BudgetItem.reserved_microusd - released),
            BudgetItem.spent_microusd.set(BudgetItem.spent_microusd + spent),
        ]
        write.update(BudgetItem(workspace_id, f"budget#{name}"), actions)


class DynamoProjects:
    """ProjectStore on DynamoDB. The items must be bound to their table first (see `bind`)."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the library's table."""
        bind(table_name)

    def count(self, workspace_id: str) -> int:
        """How many projects of a workspace are not archived."""
        _complete_count(workspace_id)
        return max(read_usage(workspace_id, PROJECTS).used, 0)

    def budget(self, workspace_id: str, name: str) -> Budget | None:
        try:
            return _budget(BudgetItem.get(workspace_id, f"budget#{name}", consistent_read=True))
        except DoesNotExist:
            return None

    def budgets(self, workspace_id: str, names: Iterable[str]) -> Mapping[str, Budget]:
        keys = [(workspace_id, f"budget#{name}") for name in names]
        found = map(_budget, BudgetItem.batch_get(keys, consistent_read=True)) if keys else ()
        return {budget.name: budget for budget in found}

    def begin_period(self, before: Budget, period: str) -> None:
        actions: list[Action] = [
            BudgetItem.period.set(period),
            BudgetItem.spent_microusd.set(0),
            # A delta on the stored value, because generations may reserve meanwhile. What was spent in the old month no
            # longer reduces what is left.
            BudgetItem.left_microusd.set(BudgetItem.left_microusd + before.spent_microusd),
        ]
        unchanged = (BudgetItem.period == before.period) & (BudgetItem.spent_microusd == before.spent_microusd)
        item = BudgetItem(before.workspace_id, f"budget#{before.name}")
        conditional(lambda: item.update(actions, condition=unchanged), CONFLICT_CODES)

    def create(
        self,
        project: Project,
        budget: Budget,
        projects_max: int | None = None,
        events: Sequence[AuditEvent] = (),
    ) -> None:
        _complete_count(project.workspace_id)
        try:
            with transaction() as write:
                write.save(project_item(project), ProjectItem.pk.does_not_exist(), part="project")
                write.save(budget_item(budget), BudgetItem.pk.does_not_exist(), part="budget")
                put_usage(write, project.workspace_id, PROJECTS, 1, most=projects_max)
                save_events(write, events)
        except ConditionsFailed as error:
            if error.parts == frozenset({USAGE_PART}):
                raise _full(project.workspace_id) from error
            raise ProjectExists from error
        except TransactionConflict as error:
            pause_with_jitter(BUSY_PAUSE)
            raise StaleProject from error

    def get(self, workspace_id: str, project_id: str) -> Project:
        try:
            return decode_project(ProjectItem.get(workspace_id, project_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def list(self, workspace_id: str, archived: bool | None, after_id: str | None, limit: int) -> ProjectPage:
        conditions = {
            None: None,
            True: ProjectItem.archived_at.exists(),
            False: ProjectItem.archived_at.does_not_exist(),
        }
        items, next_id = newest_page(
            ProjectItem, workspace_id, ("prj_", "prj_~"), matching=conditions[archived], after=after_id, limit=limit
        )
        return ProjectPage(tuple(map(decode_project, items)), next_id)

    def change(
        self,
        before: tuple[Project, Budget],
        after: tuple[Project, Budget],
        projects_max: int | None = None,
        events: Sequence[AuditEvent] = (),
    ) -> None:
        (seen_project, seen_budget), (project, budget) = before, after
        actions: list[Action] = [
            ProjectItem.name.set(project.name),
            ProjectItem.updated_at.set(rfc3339(project.updated_at)),
        ]

        archived_at = rfc3339(project.archived_at) if project.archived_at else None
        for attribute, value in (
            (ProjectItem.description, project.description),
            (ProjectItem.thumbnail_url, project.thumbnail_url),
            (ProjectItem.archived_at, archived_at),
        ):
            actions.append(attribute.remove() if value is None else attribute.set(value))

        comes_back = (project.archived_at is None) - (seen_project.archived_at is None)
        if comes_back:
            _complete_count(project.workspace_id)

        budget_actions = _limit_actions(seen_budget, budget)
        budget_actions.append(BudgetItem.archived.set(1) if budget.archived else BudgetItem.archived.remove())

        try:
            with transaction() as write:
                write.update(
                    ProjectItem(project.workspace_id, project.id),
                    actions,
                    ProjectItem.updated_at == rfc3339(seen_project.updated_at),
                    part="project",
                )
                write.update(
                    BudgetItem(budget.workspace_id, f"budget#{budget.name}"),
                    budget_actions,
                    _limit_condition(seen_budget),
                    part="budget",
                )
                if comes_back:
                    most = projects_max if comes_back > 0 else None
                    put_usage(write, project.workspace_id, PROJECTS, comes_back, most=most)
                save_events(write, events)
        except TransactionFailed as error:
            if isinstance(error, ConditionsFailed) and error.parts == frozenset({USAGE_PART}):
                raise _full(project.workspace_id) from error
            if isinstance(error, TransactionConflict):
                pause_with_jitter(BUSY_PAUSE)
            raise StaleProject from error

    def delete(self, workspace_id: str, project_id: str) -> None:
        is_archived = self.get(workspace_id, project_id).archived_at is not None
        _complete_count(workspace_id)
        seen = ProjectItem.archived_at.exists() if is_archived else ProjectItem.archived_at.does_not_exist()
        try:
            with transaction() as write:
                write.delete(ProjectItem(workspace_id, project_id), ProjectItem.pk.exists() & seen, part="project")
                write.delete(
                    BudgetItem(workspace_id, f"budget#{project_id}"), BudgetItem.generations == 0, part="budget"
                )
                if not is_archived:
                    put_usage(write, workspace_id, PROJECTS, -1)
        except ConditionsFailed as error:
            raise (StaleProject if "project" in error.parts else ProjectInUse) from error
        except TransactionConflict as error:
            pause_with_jitter(BUSY_PAUSE)
            raise StaleProject from error

    def create_budget(self, budget: Budget) -> None:
        item = budget_item(budget)
        conditional(lambda: item.save(condition=BudgetItem.pk.does_not_exist()), CONFLICT_CODES)

    def change_budget(self, before: Budget, after: Budget, events: Sequence[AuditEvent] = ()) -> None:
        item = BudgetItem(before.workspace_id, f"budget#{before.name}")
        try:
            with transaction() as write:
                write.update(item, _limit_actions(before, after), _limit_condition(before), part="budget")
                save_events(write, events)
        except TransactionFailed as error:
            pause_with_jitter(BUSY_PAUSE)
            raise StaleProject from error

    def alerts(self, workspace_id: str, name: str) -> tuple[Alert, ...]:
        prefix = f"alert#{name}#"
        found = AlertItem.query(workspace_id, AlertItem.sk.startswith(prefix), consistent_read=True, limit=ALERTS_MAX)
        return tuple(
            sorted(map(decode_alert, found), key=lambda alert: (alert.triggered_at, alert.threshold), reverse=True)
        )

    def raise_alert(self, alert: Alert) -> Alert:
        item = alert_item(alert)
        try:
            # Read first: most of the time the alert was raised before, and a read is cheaper than a failed write.
            return decode_alert(AlertItem.get(item.pk, item.sk, consistent_read=True))
        except DoesNotExist:
            pass
        if conditional(lambda: item.save(condition=AlertItem.pk.does_not_exist()), CONFLICT_CODES):
            return alert
        return decode_alert(AlertItem.get(item.pk, item.sk, consistent_read=True))

    def acknowledge(self, workspace_id: str, name: str, alert_id: str, now: datetime) -> Alert:
        item = AlertItem(workspace_id, f"alert#{name}#{alert_id}")
        first = AlertItem.pk.exists() & AlertItem.acknowledged_at.does_not_exist()
        acknowledgement: list[Action] = [AlertItem.acknowledged_at.set(rfc3339(now))]
        conditional(lambda: item.update(acknowledgement, condition=first), CONFLICT_CODES)
        try:
            return decode_alert(AlertItem.get(item.pk, item.sk, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def mark_published(self, alert: Alert, now: datetime) -> None:
        item = AlertItem(alert.workspace_id, f"alert#{alert.budget}#{alert.id}")
        publication: list[Action] = [AlertItem.published_at.set(rfc3339(now))]
        conditional(lambda: item.update(publication, condition=AlertItem.pk.exists()), CONFLICT_CODES)


def _complete_count(workspace_id: str) -> None:
    """Let the counter of projects include those of before there were counters."""

    def count_earlier() -> int:
        found = ProjectItem.query(
            workspace_id,
            ProjectItem.sk.between("prj_", "prj_~"),
            filter_condition=ProjectItem.archived_at.does_not_exist(),
            attributes_to_get=["pk", "sk"],
            consistent_read=True,
        )
        return sum(1 for _ in found)

    complete_usage(workspace_id, PROJECTS, count_earlier)


def _full(workspace_id: str) -> ProjectsFull:
    return ProjectsFull(read_usage(workspace_id, PROJECTS).used)


def _limit_actions(before: Budget, after: Budget) -> list[Action]:
    limit = after.limit_microusd
    return [
        BudgetItem.limit_microusd.remove() if limit is None else BudgetItem.limit_microusd.set(limit),
        BudgetItem.left_microusd.set(BudgetItem.left_microusd + ((limit or 0) - (before.limit_microusd or 0))),
        BudgetItem.thresholds.set(list(after.thresholds)),
    ]


def _limit_condition(before: Budget) -> Condition:
    limit = before.limit_microusd
    same = BudgetItem.limit_microusd.does_not_exist() if limit is None else BudgetItem.limit_microusd == limit
    return BudgetItem.pk.exists() & same


def project_item(project: Project) -> ProjectItem:
    return ProjectItem(
        project.workspace_id,
        project.id,
        user_id=project.user_id,
        name=project.name,
        description=project.description,
        thumbnail_url=project.thumbnail_url,
        created_at=rfc3339(project.created_at),
        updated_at=rfc3339(project.updated_at),
        archived_at=rfc3339(project.archived_at) if project.archived_at else None,
    )


def budget_item(budget: Budget) -> BudgetItem:
    return BudgetItem(
        budget.workspace_id,
        f"budget#{budget.name}",
        limit_microusd=budget.limit_microusd,
        left_microusd=budget.left_microusd,
        spent_microusd=budget.spent_microusd,
        reserved_microusd=budget.reserved_microusd,
        generations=budget.generations,
        thresholds=list(budget.thresholds),
        period=budget.period,
        archived=1 if budget.archived else None,
    )


def decode_project(item: ProjectItem) -> Project:
    return Project(
        id=item.sk,
        workspace_id=item.pk,
        user_id=item.user_id,
        name=item.name,
        created_at=parse_rfc3339(item.created_at),
        updated_at=parse_rfc3339(item.updated_at),
        description=item.description,
        thumbnail_url=item.thumbnail_url,
        archived_at=_time(item.archived_at),
    )


def _budget(item: BudgetItem) -> Budget:
    return Budget(
        workspace_id=item.pk,
        name=item.sk.removeprefix("budget#"),
        limit_microusd=_to_int(item.limit_microusd),
        spent_microusd=int(item.spent_microusd),
        reserved_microusd=int(item.reserved_microusd),
        generations=int(item.generations),
        thresholds=tuple(item.thresholds),
        period=item.period,
        archived=bool(item.archived),
    )


def alert_item(alert: Alert) -> AlertItem:
    """The stored form of an alert."""
    return AlertItem(
        alert.workspace_id,
        f"alert#{alert.budget}#{alert.id}",
        threshold=alert.threshold,
        limit_microusd=alert.limit_microusd,
        spent_microusd=alert.spent_microusd,
        period=alert.period,
        triggered_at=rfc3339(alert.triggered_at),
        acknowledged_at=rfc3339(alert.acknowledged_at) if alert.acknowledged_at else None,
        published_at=rfc3339(alert.published_at) if alert.published_at else None,
    )


def decode_alert(item: AlertItem) -> Alert:
    _, budget, alert_id = item.sk.split("#")
    return Alert(
        id=alert_id,
        workspace_id=item.pk,
        budget=budget,
        threshold=int(item.threshold),
        limit_microusd=int(item.limit_microusd),
        spent_microusd=int(item.spent_microusd),
        triggered_at=parse_rfc3339(item.triggered_at),
        period=item.period,
        acknowledged_at=_time(item.acknowledged_at),
        published_at=_time(item.published_at),
    )


def _time(text: str | None) -> datetime | None:
    return parse_rfc3339(text) if text else None


def _to_int(number: float | None) -> int | None:
    return None if number is None else int(number)
