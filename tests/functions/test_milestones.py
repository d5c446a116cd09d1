"""Sign-ups, active members, first pictures and first payments, from the streams: each once, whatever comes twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import botocore.session
import pytest

from atelier.analytics.milestones import mark_milestones, reached_by, sign_up
from atelier.analytics.model import Dataset, Fact, Group, Milestone, MilestoneKind, Row
from atelier.ids import new_id
from atelier.wiring import analytics
from tests.embedded_aws import Tables
from tests.integration.analytics_world import EndingsWorld, Streams
from tests.integration.world import NOON
from tests.invoke import load_function


@pytest.fixture
def bound(tables: Tables) -> None:
    analytics.bind_table()


def deliver(records: list[dict[str, Any]]) -> None:
    load_function("streams/analytics").handler({"Records": records}, None)


def report(first: date, end: date) -> dict[str, Any]:
    event = {"from": str(first), "to": str(end), "microusd_per_credit": 10_000}
    people: dict[str, Any] = load_function("tasks/report_platform").handler(event, None)["people"]
    return people


def test_a_workspaces_way_to_its_first_payment(tables: Tables, aws: botocore.session.Session) -> None:
    streams = Streams(tables, aws)
    # Its wallet, a bought grant, a picture and a failure, by two members.
    world = EndingsWorld(tables)
    first, second = new_id("usr", NOON), new_id("usr", NOON - timedelta(days=40))
    world.end_one("succeed", first)
    world.end_one("fail", second)
    records = list(streams.new_records())

    deliver(records)
    deliver(records)
    for record in reversed(records):
        deliver([record])

    day = NOON.date()
    people = report(day, day + timedelta(days=2))
    expected = {"sign_ups": 1, "active_users": 2, "first_pictures": 1, "first_payments": 1}
    nothing = dict.fromkeys(expected, 0)
    assert people["days"] == [
        {"day": str(day), **expected},
        {"day": str(day + timedelta(days=1)), **nothing},
    ]
    (cohort,) = people["cohorts"]
    assert (cohort["month"], cohort["sign_ups"], cohort["first_pictures"], cohort["first_payments"]) == (
        f"{day:%Y-%m}",
        1,
        1,
        1,
    )
    # The other member signed up forty days earlier.
    assert cohort["active_after_months"] == [1]
    earlier = report((NOON - timedelta(days=40)).date(), day)["cohorts"][0]
    assert sum(earlier["active_after_months"]) == 1
    assert earlier["active_after_months"][-1] == 1


def at_work(user: str, at: datetime, workspace: str = "wsp_1", **counts: int) -> Fact:
    row = Row(Dataset.USAGE, at.replace(minute=0), Group("", "", user, "local/canvas", "image"))
    return Fact(workspace, f"{user}#{at}", at, {row: {"requests": 1, **counts}})


def test_a_cohort_is_followed_month_by_month(bound: None) -> None:
    store, january = analytics.milestone_store(), NOON.replace(month=1, day=31)
    users = [new_id("usr", january) for _ in range(3)]
    for user, months in zip(users, ((1, 2, 4), (1,), (4,)), strict=True):
        for month in months:
            at = january.replace(month=month, day=15 if month > 1 else 31)
            mark_milestones(reached_by(at_work(user, at)), store=store)
            mark_milestones(reached_by(at_work(user, at + timedelta(hours=2))), store=store)

    cohort = report(january.date(), january.date() + timedelta(days=1))["cohorts"][0]

    assert cohort["active_after_months"] == [2, 1, 0, 2]
    assert report(january.date(), january.date() + timedelta(days=1))["days"][0]["active_users"] == 2


def test_many_at_once_mark_once(bound: None) -> None:
    store = analytics.milestone_store()
    reached = reached_by(at_work(new_id("usr", NOON), NOON, new_id("wsp", NOON), pixels=5))
    assert len(reached) == 3

    with ThreadPoolExecutor(8) as pool:
        marked = list(pool.map(lambda _: mark_milestones(reached, store=store), range(16)))

    assert sum(marked) == 3
    day = report(NOON.date(), NOON.date() + timedelta(days=1))["days"][0]
    assert (day["active_users"], day["first_pictures"]) == (1, 1)


@pytest.mark.parametrize(("counts", "is_payment"), [
    ({"granted_purchase": 500}, True),
    ({"granted_monthly": 1000, "expired": 2}, True),
    ({"granted_daily": 50}, False),
    ({"granted_promo": 50, "spent": 4}, False),
    ({"granted_purchase": -500}, False),
])  # fmt: skip
def test_only_what_was_paid_for_is_a_payment(counts: dict[str, int], is_payment: bool) -> None:
    fact = Fact("wsp_1", "grant#1", NOON, {Row(Dataset.CREDITS, NOON.replace(minute=0), Group()): counts})

    assert bool(reached_by(fact)) == is_payment


def test_a_correction_is_no_activity() -> None:
    taken = at_work("usr_1", NOON)
    row = next(iter(taken.counts))

    assert reached_by(Fact("wsp_1", "late", NOON, {row: {"requests": -1, "pixels": -5}})) == set()


def test_a_new_workspace_is_a_sign_up_on_the_day_of_its_id() -> None:
    workspace = new_id("wsp", NOON)

    assert sign_up(workspace) == Milestone(workspace, MilestoneKind.SIGN_UP, NOON.date())
