"""What workspaces and members have reached, each once: the sign-up, the first picture, the first payment, and each day
and month on which somebody was active.

A milestone is marked and counted in one transaction, on condition that it was not marked before. So it is counted once,
however often its fact is delivered. It is counted on the day of the fact that is seen first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from atelier.analytics.model import Dataset, Fact, Milestone, MilestoneKind
from atelier.analytics.ports import MilestoneStore, PeopleSums
from atelier.ids import created_at
from atelier.telemetry import logger

# Grants that somebody has paid for.
_PAID = ("granted_purchase", "granted_monthly")


def sign_up(workspace_id: str) -> Milestone:
    """The milestone of a new workspace."""
    return Milestone(workspace_id, MilestoneKind.SIGN_UP, created_at(workspace_id).date())


def reached_by(fact: Fact) -> set[Milestone]:
    """The milestones that a fact shows, whether or not they were reached before."""
    found: set[Milestone] = set()
    for row, counts in fact.counts.items():
        day, group = row.hour.date(), row.group
        if row.dataset is Dataset.CREDITS:
            if any(counts.get(name, 0) > 0 for name in _PAID):
                found.add(Milestone(fact.workspace_id, MilestoneKind.FIRST_PAYMENT, day))
            continue
        if counts.get("requests", 0) > 0 and group.user:
            found.add(Milestone(group.user, MilestoneKind.ACTIVE_DAY, day))
            found.add(Milestone(group.user, MilestoneKind.ACTIVE_MONTH, day.replace(day=1)))
        if counts.get("pixels", 0) > 0:
            found.add(Milestone(fact.workspace_id, MilestoneKind.FIRST_PICTURE, day))
    return found


def mark_milestones(milestones: Collection[Milestone], *, store: MilestoneStore) -> int:
    """Mark and count those that are new; returns how many. Safe to repeat, also in parallel."""
    marked = sum(store.mark(each) for each in sorted(store.unmarked(milestones), key=lambda each: each.key))
    if marked:
        logger.info("milestones", marked=marked)
    return marked


def report_people(first: date, end: date, *, sums: PeopleSums) -> dict[str, Any]:
    """Sign-ups, active members, first pictures and first payments of each day from `first` up to `end`, which is not
    included, and of those who signed up in each of its months: how many reached what, and how many were active n months
    after their sign-up."""
    days = [first + timedelta(days=number) for number in range((end - first).days)]
    names = [MilestoneKind.SIGN_UP, MilestoneKind.ACTIVE_DAY, MilestoneKind.FIRST_PICTURE, MilestoneKind.FIRST_PAYMENT]
    months = sorted({day.replace(day=1) for day in days})
    return {
        "days": [{"day": day.isoformat(), **_chosen(sums.of_day(day), names)} for day in days],
        "cohorts": [_cohort(month, sums.of_cohort(month)) for month in months],
    }


def _chosen(counts: Mapping[str, int], names: Iterable[MilestoneKind]) -> dict[str, int]:
    return {name.value: counts.get(name.value, 0) for name in names}


def _cohort(month: date, counts: Mapping[str, int]) -> dict[str, Any]:
    prefix = f"{MilestoneKind.ACTIVE_MONTH.value}_"
    active = {int(name.removeprefix(prefix)): number for name, number in counts.items() if name.startswith(prefix)}
    return {
        "month": f"{month:%Y-%m}",
        **_chosen(counts, [MilestoneKind.SIGN_UP, MilestoneKind.FIRST_PICTURE, MilestoneKind.FIRST_PAYMENT]),
        "active_after_months": [active.get(number, 0) for number in range(max(active, default=-1) + 1)],
    }
