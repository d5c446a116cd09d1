"""Budgets and their alerts as values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from atelier.ids import is_id
from atelier.projects.model import AlertType, Budget, due_alerts, month_of

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MONEY = st.integers(0, 10**12)


@given(limit=MONEY, spent=MONEY, reserved=MONEY, more=MONEY)
def test_an_accepted_reservation_never_exceeds_the_limit(limit: int, spent: int, reserved: int, more: int) -> None:
    budget = Budget("wsp_A", "prj_A", limit, spent, reserved)
    if budget.can_reserve(more) and more:
        assert spent + reserved + more <= limit
    assert budget.can_reserve(0)
    assert replace(budget, limit_microusd=None).can_reserve(more)


@given(limit=MONEY, spent=MONEY, thresholds=st.sets(st.integers(1, 100), max_size=10))
def test_an_alert_is_due_for_each_reached_threshold(limit: int, spent: int, thresholds: set[int]) -> None:
    budget = Budget("wsp_A", "prj_A", limit, spent, thresholds=tuple(sorted(thresholds)))
    due = due_alerts(budget, NOON)
    assert {alert.threshold for alert in due} == {each for each in thresholds if spent and spent * 100 >= each * limit}
    assert all(is_id(alert.id, "alr") for alert in due)
    assert len({alert.id for alert in due}) == len(due)


def test_an_alerts_id_depends_on_budget_threshold_limit_and_month() -> None:
    budget = Budget("wsp_A", "workspace", 100, 100, period="2026-11")
    later = due_alerts(replace(budget, spent_microusd=150), NOON)
    assert [alert.id for alert in later] == [alert.id for alert in due_alerts(budget, NOON)]
    for other in (replace(budget, limit_microusd=90), replace(budget, period="2026-12"), replace(budget, name="prj_A")):
        assert not {alert.id for alert in due_alerts(other, NOON)} & {alert.id for alert in later}
    assert [alert.type for alert in later] == [AlertType.THRESHOLD_REACHED, AlertType.BUDGET_EXCEEDED]


def test_a_budget_without_a_limit_has_no_due_alerts() -> None:
    assert due_alerts(Budget("wsp_A", "prj_A", None, 10**9), NOON) == []


def test_a_budget_month_is_in_utc() -> None:
    assert month_of(datetime.fromisoformat("2026-12-01T00:30:00+02:00")) == "2026-11"
    assert month_of(NOON) == "2026-11"
