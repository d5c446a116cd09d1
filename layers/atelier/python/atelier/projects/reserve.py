"""Why a budget did not take a reservation, and what to do about it."""

from __future__ import annotations

from datetime import datetime

from atelier.errors import BudgetExceeded, Conflict, NotFound
from atelier.projects.model import WORKSPACE, month
from atelier.projects.ports import Budgets


def clear(workspace_id: str, name: str, needed_microusd: int, *, budgets: Budgets, now: datetime) -> None:
    """Return where trying again can help, after beginning a new month if that is what was missing. Raises
    BudgetExceeded, NotFound for a project that there is not, Conflict for one that is archived."""
    budget = budgets.budget(workspace_id, name)
    if budget is None:
        raise NotFound("There is no such project.")
    if budget.archived:
        raise Conflict("This project is archived.", project_id=name)
    if name == WORKSPACE and (budget.period or "") < month(now):
        budgets.begin_period(budget, month(now))
        return
    if not budget.takes(needed_microusd):
        limit = WORKSPACE if name == WORKSPACE else f"project:{name}"
        raise BudgetExceeded(limit=limit, needed=needed_microusd, available=max(budget.left_microusd, 0))
