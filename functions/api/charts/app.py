"""Charts of the reports over HTTP, as pictures and as tables. A function of its own, because only it needs the library
that draws."""

from __future__ import annotations

from functools import partial

from atelier.analytics.chart_schemas import ChartQuery, CreditsChartQuery
from atelier.analytics.draw_chart import HTML_TYPE, SVG_TYPE, ChartName, draw_chart
from atelier.analytics.report import Reader
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.wiring import analytics, auth

api = Api("analytics", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
picture = partial(
    api.route,
    "GET",
    permission="analytics.read",
    query=ChartQuery,
    statuses=(200, 304),
    files=(SVG_TYPE, HTML_TYPE),
)


@picture("/api/analytics/charts/cost.svg")
def chart_cost(request: Request[Empty]) -> Response:
    """Draw what was paid to providers, by model unless `group_by` says otherwise."""
    return _draw(ChartName.COST, request)


@picture("/api/analytics/charts/usage.svg")
def chart_usage(request: Request[Empty]) -> Response:
    """Draw the requests, by how they ended or by group."""
    return _draw(ChartName.USAGE, request)


@picture("/api/analytics/charts/latency.svg")
def chart_latency(request: Request[Empty]) -> Response:
    """Draw the percentiles of the durations of attempts, or the 95th by group."""
    return _draw(ChartName.LATENCY, request)


@picture("/api/analytics/charts/credits.svg", query=CreditsChartQuery)
def chart_credits(request: Request[Empty]) -> Response:
    """Draw the credits that were granted, and those that went."""
    return _draw(ChartName.CREDITS, request)


def _draw(name: ChartName, request: Request[Empty]) -> Response:
    caller = request.caller
    reader = Reader(caller.workspace_id, caller.user_id, caller.has_permission("member-analytics.read"))
    known_tag = request.headers.get("if-none-match")
    file = draw_chart(name, request.query, reader, known_tag, request.now, analytics.chart_deps())
    return Response(file.data, file.status, headers=file.headers)
