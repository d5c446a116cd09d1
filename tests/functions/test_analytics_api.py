"""functions/api/analytics, fed with events."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from pydantic import TypeAdapter

from atelier.analytics.model import Dataset, Group
from atelier.analytics.pack import pack_due
from atelier.wiring import analytics
from tests.functions.analytics_rows import count
from tests.functions.conftest import AwsResources
from tests.functions.example_data import USER, WORKSPACE
from tests.functions.people import call, create_person
from tests.functions.responses import Reply, error_of, invoke_app, success_data
from tests.invoke import event, load_function

HOUR = datetime(2026, 11, 3, 10, tzinfo=UTC)
CANVAS = Group("prj_a", "", USER, "local/canvas", "image")
PAID = Group("", "tok_a", "usr_b", "openai/gpt-image-1", "image")
NOVEMBER = {"from": "2026-11-01", "to": "2026-12-01"}
PATHS = ("usage", "cost", "provider", "credits", "users", "models")


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    count(WORKSPACE, HOUR, CANVAS, requests=2, succeeded=2, credits=4, attempts=2, cost_usage_microusd=70)
    count(WORKSPACE, HOUR + timedelta(days=2), PAID, requests=1, failed=1, failed_timeout=1, attempts=1)
    count(WORKSPACE, HOUR, None, Dataset.CREDITS, granted_daily=50, spent=4)
    return load_function("api/analytics")


def read(app: ModuleType, path: str, **query: str) -> Reply:
    request = event("api/analytics/report_cost", queryStringParameters=query)
    request["rawPath"] = request["requestContext"]["http"]["path"] = f"/api/analytics/{path}"
    return invoke_app(app, request)


def data(app: ModuleType, path: str, **query: str) -> dict[str, Any]:
    found: dict[str, Any] = success_data(read(app, path, **query))
    return found


def test_a_report_is_the_same_before_and_after_its_days_are_kept(app: ModuleType) -> None:
    queries = [
        (path, NOVEMBER | {"period": period} | ({} if path == "credits" else {"group_by": "model"}))
        for path in PATHS
        for period in ("daily", "monthly")
    ]
    before = [data(app, path, **query) for path, query in queries]
    pack_due(deps=analytics.pack_deps(), now=HOUR + timedelta(days=20))
    after = [data(app, path, **query) for path, query in queries]
    assert [report | {"complete_until": ""} for report in after] == [
        report | {"complete_until": ""} for report in before
    ]
    usage = before[0]
    assert [(each["group"]["model"], each["requests"], each["cost_microusd"]) for each in usage["groups"]] == [
        ("local/canvas", 2, 70),
        ("openai/gpt-image-1", 1, 0),
    ]
    assert (len(usage["series"]), usage["time_zone"], usage["from"]) == (60, "UTC", "2026-11-01T00:00:00Z")
    assert usage["totals"]["failed_by_class"] == {"timeout": 1}


@pytest.mark.parametrize("path", PATHS)
def test_each_report_answers_in_the_form_of_its_route(app: ModuleType, path: str) -> None:
    (route,) = [route for route in app.api.routes if route.path == f"/api/analytics/{path}"]
    for query in ({}, NOVEMBER):
        TypeAdapter(route.answer).validate_python(data(app, path, **query), extra="forbid")


def test_an_hour_is_read_from_its_row(app: ModuleType) -> None:
    found = data(app, "usage", **{"from": "2026-11-03T09:30:00Z", "to": "2026-11-03T12:00:00Z", "period": "hourly"})
    assert [(point["period_start"][11:13], point["requests"]) for point in found["series"]] == [
        ("09", 0),
        ("10", 2),
        ("11", 0),
    ]


def test_what_a_query_gets_wrong_is_named(app: ModuleType) -> None:
    for query, path in (
        ({"from": "2026-11-01", "to": "2028-11-01"}, "query.from"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "query.from"),
        ({"from": "yesterday"}, "query.from"),
        ({"group_by": "model,kind,user"}, "query.group_by"),
        ({"period": "weekly"}, "query.period"),
    ):
        refused = read(app, "usage", **query)
        assert error_of(refused) == (422, "VALIDATION_FAILED")
        assert [field["path"] for field in json.loads(refused["body"])["details"]["fields"]] == [path]


def test_another_workspace_has_its_own_sums_and_none_of_ours(app: ModuleType) -> None:
    stranger = create_person("eve")
    for path in PATHS:
        report: dict[str, Any] = success_data(
            call(app, stranger, f"GET /api/analytics/{path}?from=2026-11-01&to=2026-12-01")
        )
        assert report["groups"] == []
        assert {value for value in report["totals"].values() if isinstance(value, int)} == {0}
    refused = call(app, stranger, "GET /api/analytics/usage", **{"atelier-workspace": WORKSPACE})
    assert refused["statusCode"] == 404


def test_an_unknown_report_is_not_found(app: ModuleType) -> None:
    assert read(app, "weather")["statusCode"] == 404


def test_a_chart_is_a_file_that_is_sent_once(app: ModuleType) -> None:
    charts = load_function("api/charts")
    picture = invoke_app(charts, event("api/charts/usage"))
    assert (picture["statusCode"], picture["isBase64Encoded"]) == (200, True)
    assert base64.b64decode(picture["body"]).startswith(b"<?xml")
    headers = picture["headers"]
    assert (headers["Content-Type"], headers["Cache-Control"]) == ("image/svg+xml", "private, max-age=60")
    again = event("api/charts/usage")
    again["headers"]["if-none-match"] = headers["ETag"]
    assert (invoke_app(charts, again)["statusCode"], invoke_app(charts, again)["body"]) == (304, "")
    table = invoke_app(charts, event("api/charts/usage", queryStringParameters=NOVEMBER | {"format": "html"}))
    assert "<caption>Requests by day</caption>" in base64.b64decode(table["body"]).decode()
    refused = invoke_app(charts, event("api/charts/usage", queryStringParameters={"theme": "pink"}))
    assert error_of(refused) == (422, "VALIDATION_FAILED")
