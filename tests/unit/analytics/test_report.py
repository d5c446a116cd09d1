"""Reports: zeros, totals, the range before, what is refused, and what the figures mean."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from atelier.analytics import schemas
from atelier.analytics.model import Dataset, Group
from atelier.analytics.period import PERIODS_MAX, Period, shift
from atelier.analytics.report import ROWS_MAX, Reader, ReportKind, read_report
from atelier.analytics.schemas import CreditsQuery, ReportQuery
from atelier.analytics.sketch import bucket
from atelier.errors import Forbidden, ValidationFailed
from tests.unit.analytics.sums_in_memory import WORKSPACE, SumsInMemory, at

NOW = at("2026-11-29T05")
CANVAS = Group("prj_a", "", "usr_a", "local/canvas", "image")
PAID = Group("", "tok_a", "usr_b", "openai/gpt-image-1", "image")
ADMIN = Reader(WORKSPACE, "usr_a", sees_members=True)
VIEWER = Reader(WORKSPACE, "usr_a", sees_members=False)
REPORTS = {
    ReportKind.USAGE: schemas.UsageReport,
    ReportKind.COST: schemas.CostReport,
    ReportKind.PROVIDER: schemas.ProviderReport,
    ReportKind.CREDITS: schemas.CreditReport,
    ReportKind.USERS: schemas.MemberReport,
    ReportKind.MODELS: schemas.ModelReport,
}


def report(kind: ReportKind, sums: SumsInMemory, reader: Reader = ADMIN, **query: Any) -> dict[str, Any]:
    model = CreditsQuery if kind is ReportKind.CREDITS else ReportQuery
    return read_report(kind, model.model_validate(query), reader, NOW, sums)


def month() -> SumsInMemory:
    sums = SumsInMemory()
    sums.count(at("2026-10-05T10"), CANVAS, requests=4, succeeded=4, credits=8)
    sums.count(at("2026-11-02T10"), CANVAS, requests=3, succeeded=2, failed=1, failed_timeout=1, credits=4, attempts=3)
    sums.count(at("2026-11-02T23"), PAID, requests=5, succeeded=5, credits=50, attempts=6, attempts_succeeded=5)
    sums.count(at("2026-11-02T23"), PAID, cost_provider_microusd=900, cost_estimate_microusd=100, own_key_attempts=3)
    sums.count(at("2026-11-20T01"), CANVAS, requests=1, succeeded=1, credits=2, attempts=1)
    return sums


@pytest.mark.parametrize("kind", ReportKind)
@pytest.mark.parametrize("period", Period)
def test_a_report_has_the_documented_form(kind: ReportKind, period: Period) -> None:
    query = {"from": "2026-11-02", "to": "2026-11-04", "period": period}
    for sums in (month(), SumsInMemory()):
        TypeAdapter(REPORTS[kind]).validate_python(report(kind, sums, **query), strict=False, extra="forbid")


def test_a_series_has_each_period_with_each_group_of_the_range() -> None:
    query = {"from": "2026-11-01", "to": "2026-12-01", "group_by": "model"}
    found = report(ReportKind.USAGE, month(), **query)
    assert [point["period_start"] for point in found["series"]] == [
        shift(Period.DAILY, at("2026-11-01"), day) for day in range(30) for _ in range(2)
    ]
    assert [(each["group"]["model"], each["requests"]) for each in found["groups"]] == [
        ("openai/gpt-image-1", 5),
        ("local/canvas", 4),
    ]
    for group in found["groups"]:
        points = [point for point in found["series"] if point["group"] == group["group"]]
        for name in ("requests", "failed", "credits", "cost_microusd"):
            assert sum(point[name] for point in points) == group[name]
    assert found["totals"]["requests"] == 9
    assert found["totals"]["failed_by_class"] == {"timeout": 1}
    # October, although it has a day more.
    assert (found["previous"]["from"], found["previous"]["totals"]["requests"]) == (at("2026-10-01"), 4)


def test_without_groups_each_period_has_one_row_although_nothing_happened() -> None:
    found = report(ReportKind.USAGE, SumsInMemory(), **{"from": "2026-11-28T22:30:00Z", "period": "hourly"})
    assert [(point["period_start"], point["group"], point["requests"]) for point in found["series"]] == [
        (at(f"2026-11-{hour}"), {}, 0) for hour in ["28T22", "28T23", *(f"29T0{each}" for each in range(6))]
    ]
    assert (found["groups"], found["totals"]["duration_ms"]["p95"]) == ([], None)
    assert found["complete_until"] < NOW


def test_a_filter_and_a_missing_project_are_in_the_figures() -> None:
    found = report(ReportKind.COST, month(), group_by="project", provider="openai", previous=False)
    assert [(each["group"], each["cost_microusd"]) for each in found["groups"]] == [({"project": None}, 1000)]
    assert found["totals"]["cost_by_source"] == {"provider": 900, "usage": 0, "estimate": 100}
    assert found["totals"]["own_key"]["share"] == 0.5
    assert found["previous"] is None


def test_the_scorecard_measures_attempts() -> None:
    sums = SumsInMemory()
    sums.count(at("2026-11-02T10"), PAID, attempts=4, attempts_succeeded=3, attempts_failed_timeout=1, durations=3)
    sums.count(at("2026-11-02T10"), PAID, duration_ms=6000, estimated_microusd=200, estimated_actual_microusd=230)
    sums.count(at("2026-11-02T10"), PAID, cost_provider_microusd=230, **{bucket(1000): 2, bucket(4000): 1})
    (card,) = report(ReportKind.PROVIDER, sums)["groups"]
    assert card["group"] == {"provider": "openai"}
    assert (card["success_rate"], card["failed_by_class"]) == (0.75, {"timeout": 1})
    assert (card["cost_per_result_microusd"], card["estimate_drift_percent"]) == (77, 15.0)
    assert card["duration_ms"]["mean"] == 2000
    assert card["duration_ms"]["p50"] == pytest.approx(1000, rel=0.03)


def test_a_model_report_counts_new_results_of_requests_and_stages() -> None:
    sums = SumsInMemory()
    sums.count(at("2026-11-02T10"), CANVAS, requests=5, succeeded=5, reused=2, credits=6)
    sums.count(at("2026-11-02T10"), CANVAS, stages=3, stages_succeeded=3, stage_credits=6)
    sums.count(at("2026-11-02T10"), PAID, requests=2, succeeded=2, credits=2)
    first, _ = report(ReportKind.MODELS, sums)["groups"]
    assert (first["results"], first["credits"], first["credits_per_result"], first["share"]) == (6, 12, 2.0, 0.75)


@pytest.mark.parametrize("period", [Period.DAILY, Period.MONTHLY])
def test_members_have_the_last_day_on_which_they_were_active(period: Period) -> None:
    sums = month()
    sums.pack_all()
    found = report(ReportKind.USERS, sums, **{"from": "2026-11-01", "to": "2026-12-01", "period": period})
    assert [(each["group"]["user"], each["last_day_active"]) for each in found["groups"]] == [
        ("usr_b", "2026-11-02"),
        ("usr_a", "2026-11-20"),
    ]
    assert len(found["series"]) == (2 if period is Period.MONTHLY else 60)


def test_credits_are_those_of_the_ledger() -> None:
    sums = SumsInMemory()
    sums.count(at("2026-11-02T10"), Group(), Dataset.CREDITS, granted_daily=50, granted_purchase=100, spent=30)
    sums.count(at("2026-11-03T10"), Group(), Dataset.CREDITS, expired=20)
    totals = report(ReportKind.CREDITS, sums)["totals"]
    assert (totals["granted"], totals["spent"], totals["expired"], totals["revoked"]) == (150, 30, 20, 0)
    assert totals["granted_by_source"]["purchase"] == 100


@pytest.mark.parametrize(
    "query", [{"group_by": "user"}, {"group_by": "model,token"}, {"user": "usr_b"}, {"token": "tok_a"}]
)
def test_single_members_are_shown_to_owners_and_admins_alone(query: dict[str, str]) -> None:
    assert report(ReportKind.USAGE, month(), ADMIN, **query)
    with pytest.raises(Forbidden):
        report(ReportKind.USAGE, month(), VIEWER, **query)


def test_everybody_reads_their_own_usage() -> None:
    found = report(ReportKind.USAGE, month(), VIEWER, user="usr_a", group_by="token", previous=False)
    assert found["totals"]["requests"] == 4


@pytest.mark.parametrize("period", Period)
def test_a_range_has_a_longest_length(period: Period) -> None:
    first = at("2020-01-01")
    longest = {"from": first, "to": shift(period, first, PERIODS_MAX[period]), "period": period}
    assert report(ReportKind.USAGE, SumsInMemory(), **longest)
    with pytest.raises(ValidationFailed, match="not valid"):
        report(ReportKind.USAGE, SumsInMemory(), **longest | {"to": shift(period, longest["to"], 1)})


def test_months_of_members_are_read_by_day_and_as_long_as_days_may_be() -> None:
    query = {"from": "2025-11-01", "period": "monthly"}
    assert report(ReportKind.USERS, SumsInMemory(), **query, to="2026-12-01")
    with pytest.raises(ValidationFailed):
        report(ReportKind.USERS, SumsInMemory(), **query, to="2027-01-01")


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-11-02", "to": "2026-11-02"},
        {"from": "2026-11-03", "to": "2026-11-02"},
        {"from": "2027-01-01"},
    ],
)
def test_a_range_is_not_empty(query: dict[str, str]) -> None:
    with pytest.raises(ValidationFailed):
        report(ReportKind.USAGE, SumsInMemory(), **query)


@pytest.mark.parametrize(
    "query",
    [
        *({"group_by": each} for each in ("", "colour", "model,", "model,kind,user", "model kind")),
        *({"from": each} for each in ("2026-13-01", "0001-01-01", "9999-12-31", "2026-11-01T00:00:00", "yesterday")),
        {"period": "weekly"},
        {"project": ""},
    ],
)
def test_a_query_that_means_nothing_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ReportQuery.model_validate(query)


def test_an_answer_has_a_largest_size() -> None:
    sums = SumsInMemory()
    for number in range(ROWS_MAX // 31 + 1):
        sums.count(at("2026-11-02T10"), Group(project=f"prj_{number}"), requests=1)
    query = {"from": "2026-11-01", "to": "2026-12-01"}
    with pytest.raises(ValidationFailed) as refused:
        report(ReportKind.USAGE, sums, **query, group_by="project")
    assert refused.value.facts["fields"][0]["path"] == "query.group_by"
    assert report(ReportKind.USAGE, sums, **query, group_by="model")
