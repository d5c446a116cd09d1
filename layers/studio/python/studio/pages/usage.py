"""Usage: what a month has brought and cost, by model, project or member, beside the month before; charts, and their
values as tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.clock import utc_now
from studio.endpoints import route
from studio.visit import Visit

GROUPINGS = ("model", "project", "user")
CHARTS = ("cost", "usage", "latency", "credits")
THEMES = ("light", "dark")
MONTH = re.compile(r"20\d\d-(?:0[1-9]|1[0-2])")
PROJECTS_MAX = 100
MEMBERS_MAX = 100
# Credits that came and went, in the order of the page.
CREDIT_FIELDS = ("granted", "spent", "expired", "revoked", "transferred")
ENDINGS = ("succeeded", "failed", "cancelled", "expired")
PERCENTILES = ("p50", "p95", "p99")
# What the browser gets as the API sent it.
FILE_HEADERS = ("content-type", "etag", "cache-control")
# Only owners and admins may read what single members did.
SHOWN_ON_PAGE = (403,)


def show_usage(visit: Visit) -> Response:
    """A month. Query: `month` (2026-11), the present one without it; `by`, one of GROUPINGS."""
    month, by = _month(visit), visit.query.get("by", "")
    by = by if by in GROUPINGS else GROUPINGS[0]
    span = {**month_span(month), "period": "monthly"}
    calls: list[tuple[str, Mapping[str, Any]]] = [("/api/analytics/credits", span), *_calls_for_names(visit, by)]
    refused: ApiError | None = None
    try:
        usage, credits, *named = visit.api.get_together(("/api/analytics/usage", {**span, "group_by": by}), *calls)
    except ApiError as error:
        if error.status not in SHOWN_ON_PAGE or by != "user":
            raise
        refused = error
        usage, credits = visit.api.get_together(("/api/analytics/usage", span), calls[0])
        named = []
    return visit.page(
        "usage.html",
        month=month,
        earlier=shifted(month, -1),
        later=shifted(month, 1) if month < _present() else None,
        by=by,
        groupings=GROUPINGS,
        usage=usage,
        credits=credits,
        credit_fields=CREDIT_FIELDS,
        rows=_rows(visit, usage, by, _names(visit, by, named)),
        change=change,
        charts=CHARTS,
        themes=THEMES,
        refused=refused,
    )


def show_table(visit: Visit) -> Response:
    """The values of a chart as a table, day by day. Query: `month`."""
    name, month = visit.part("chart"), _month(visit)
    path, query, columns_of = _TABLES.get(name, _TABLES["usage"])
    report = visit.get(path, **month_span(month), **query, period="daily", previous="false")
    columns = columns_of(visit, report)
    today = utc_now().date().isoformat()
    days = [day for day in dict.fromkeys(point["period_start"][:10] for point in report["series"]) if day <= today]
    title = name if name in _TABLES else "usage"
    return visit.page("usage_table.html", name=title, month=month, days=days, columns=columns)


def send_chart(visit: Visit) -> Response:
    """A chart as the API draws it. Query: `month`, `theme`."""
    name, theme = visit.part("chart"), visit.query.get("theme", "")
    query = {
        **month_span(_month(visit)),
        "theme": theme if theme in THEMES else THEMES[0],
        "language": visit.t.language,
    }
    known = visit.request.headers.get("if-none-match")
    answer = visit.api.call(
        "GET",
        f"/api/analytics/charts/{name}.svg",
        query=query,
        headers={"if-none-match": known} if known else {},
    )
    headers = {each: answer.headers[each] for each in FILE_HEADERS if each in answer.headers}
    return Response(answer.body, answer.status, headers=headers)


def change(now: int, before: int) -> str:
    """How far a number is from the one before, in percent: +20 %, −5 %; empty where there was nothing before."""
    if not before:
        return ""
    percent = round(100 * (now - before) / before)
    return f"{'+' if percent > 0 else '−' if percent < 0 else '±'}{abs(percent)}\u202f%"


def _present() -> str:
    return f"{utc_now():%Y-%m}"


def _month(visit: Visit) -> str:
    month = visit.query.get("month", "")
    return month if MONTH.fullmatch(month) else _present()


def shifted(month: str, number: int) -> str:
    """The month a number of months later: 2026-12, 1 → 2027-01."""
    months = int(month[:4]) * 12 + int(month[5:]) - 1 + number
    return f"{months // 12:04}-{months % 12 + 1:02}"


def month_span(month: str) -> dict[str, str]:
    """A month as the range of a report."""
    return {"from": f"{month}-01", "to": f"{shifted(month, 1)}-01"}


def _calls_for_names(visit: Visit, by: str) -> list[tuple[str, Mapping[str, Any]]]:
    """What has the names of the groups. In the personal workspace there is one member, whose name is known."""
    if by == "project":
        return [("/api/projects", {"limit": PROJECTS_MAX})]
    if by == "user" and visit.api.workspace_id:
        return [(f"/api/workspaces/{visit.api.workspace_id}/members", {"limit": MEMBERS_MAX})]
    return []


def _names(visit: Visit, by: str, found: Sequence[Json]) -> Mapping[str, str]:
    """The names of groups by their id, as far as there are some."""
    items = [each for page in found for each in page["items"]]
    if by == "project":
        return {each["id"]: each["name"] for each in items}
    return {each["user_id"]: each["name"] for each in items if each.get("name")}


def _rows(visit: Visit, usage: Json, by: str, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row for each group of this month or the one before: its name, this month's sums and the earlier ones."""
    earlier = {each["group"][by]: each for each in usage["previous"]["groups"] if by in each["group"]}
    current = {each["group"][by]: each for each in usage["groups"]}
    is_own = by == "user" and not visit.api.workspace_id
    rows = list[dict[str, Any]]()
    for key in [*current, *(key for key in earlier if key not in current)]:
        name = visit.t("usage.none." + by) if key is None else names.get(key, key)
        rows.append(
            {
                "key": key,
                "name": visit.session.name or name if is_own else name,
                "sums": current.get(key),
                "before": earlier.get(key),
            }
        )
    return rows


Columns = list[tuple[str, list[Any], str]]


def _by_model(visit: Visit, report: Json) -> Columns:
    """The cost of each model, day by day."""
    return [
        (
            group["group"]["model"] or str(visit.t("usage.none.model")),
            [point["cost_microusd"] for point in report["series"] if point["group"] == group["group"]],
            "dollars",
        )
        for group in report["groups"]
    ]


def _by_ending(visit: Visit, report: Json) -> Columns:
    return [(str(visit.t(f"usage.{name}")), [each[name] for each in report["series"]], "number") for name in ENDINGS]


def _by_percentile(visit: Visit, report: Json) -> Columns:
    return [
        (str(visit.t(f"usage.{name}")), [each["duration_ms"][name] for each in report["series"]], "seconds")
        for name in PERCENTILES
    ]


def _by_credit_field(visit: Visit, report: Json) -> Columns:
    return [
        (str(visit.t(f"usage.{name}")), [each[name] for each in report["series"]], "number") for name in CREDIT_FIELDS
    ]


# Chart → path and query of its report, and the columns of its table: a name, a value for each day, how it is written.
_TABLES: Mapping[str, tuple[str, Mapping[str, str], Callable[[Visit, Json], Columns]]] = {
    "cost": ("/api/analytics/cost", {"group_by": "model"}, _by_model),
    "usage": ("/api/analytics/usage", {}, _by_ending),
    "latency": ("/api/analytics/usage", {}, _by_percentile),
    "credits": ("/api/analytics/credits", {}, _by_credit_field),
}

routes = [
    route("/usage", show_usage),
    route("/usage/table/{chart}", show_table),
    route("/parts/usage/charts/{chart}", send_chart),
]
