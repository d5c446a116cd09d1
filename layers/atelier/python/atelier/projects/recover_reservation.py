"""Find out why a reservation on a budget failed, and repair it if possible."""

from __future__ import annotations

from datetime import datetime

from atelier.errors import BudgetExceeded, Conflict, NotFound
from atelier.projects.model import WORKSPACE, month_of
from atelier.projects.ports import Budgets


def recover_reservation(workspace_id: str, name: str, needed_microusd: int, *, budgets: Budgets, now: datetime) -> None:
    """Return when the reservation may succeed now, after starting a new month if that was missing. Raises
    BudgetExceeded, NotFound when the project does not exist, Conflict when it is archived."""
    budget = budgets.budget(workspace_id, name)
    if budget is None:
        raise NotFound("There is no such project.")
    if budget.archived:
        raise Conflict("This project is archived.", project_id=name)
    if name == WORKSPACE and (budget.period or "") < month_of(now):
        budgets.begin_period(budget, month_of(now))
        return
    if not budget.can_reserve(needed_microusd):
        limit = WORKSPACE if name == WORKSPACE else f"project:{name}"
        raise BudgetExceeded(limit=limit, needed=needed_microusd, available=max(budget.left_microusd, 0))
