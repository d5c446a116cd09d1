"""Reports over HTTP: what was made, what it cost, and what became of the credits."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.analytics.platform_schemas import PlatformQuery, PlatformReport
from atelier.analytics.report import Reader, ReportKind, read_report
from atelier.analytics.schemas import (
    CostReport,
    CreditReport,
    CreditsQuery,
    MemberReport,
    ModelReport,
    ProviderReport,
    ReportQuery,
    UsageReport,
)
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.wiring import analytics, auth

api = Api("analytics", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", permission="analytics.read", query=ReportQuery)


@read("/api/analytics/usage", answer=UsageReport)
def report_usage(request: Request[Empty]) -> Response:
    """Report requests and how they ended, tokens, media, credits, cost and durations."""
    return Response(_report(ReportKind.USAGE, request))


@read("/api/analytics/cost", answer=CostReport)
def report_cost(request: Request[Empty]) -> Response:
    """Report what was paid to providers, who says so, and the part of the workspace's own keys."""
    return Response(_report(ReportKind.COST, request))


@read("/api/analytics/provider", answer=ProviderReport)
def report_providers(request: Request[Empty]) -> Response:
    """Report how each provider did: success, failures by class, latency, cost per result, drift of estimates."""
    return Response(_report(ReportKind.PROVIDER, request))


@read("/api/analytics/credits", query=CreditsQuery, answer=CreditReport)
def report_credits(request: Request[Empty]) -> Response:
    """Report the credits that were granted, by source, spent, expired and revoked, as the ledger has them."""
    return Response(_report(ReportKind.CREDITS, request))


@read("/api/analytics/users", permission="member-analytics.read", answer=MemberReport)
def report_members(request: Request[Empty]) -> Response:
    """Report what each member used, and the last day on which they did."""
    return Response(_report(ReportKind.USERS, request))


@read("/api/analytics/models", answer=ModelReport)
def report_models(request: Request[Empty]) -> Response:
    """Report each model's results, its share of all, and what a result takes in credits, cost and time."""
    return Response(_report(ReportKind.MODELS, request))


def _report(kind: ReportKind, request: Request[Empty]) -> dict[str, Any]:
    caller = request.caller
    reader = Reader(caller.workspace_id, caller.user_id, caller.has_permission("member-analytics.read"))
    return read_report(kind, request.query, reader, request.now, analytics.sums())


@api.route(
    "GET", "/api/admin/report", permission="platform.read", tag="admin", query=PlatformQuery, answer=PlatformReport
)
def report_platform(request: Request[Empty]) -> Response:
    """Report the sums of the whole platform: each model with its margin, credits, and people."""
    query: PlatformQuery = request.query
    sums, people = analytics.platform_sums(), analytics.milestone_store()
    return Response(query.report(sums=sums, people=people))
