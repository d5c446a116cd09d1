"""The administrators' rooms for what runs: single generations, providers, jobs, backups, the margin of models."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from studio.admin_forms import act, safe, status_of
from studio.api_client import ApiError
from studio.clock import utc_now
from studio.endpoints import route
from studio.visit import Visit

# Generations in these states can be ended.
OPEN = ("queued", "running")
PROVIDERS, JOBS = "/admin/providers", "/admin/jobs"
HISTORY_PER_PAGE = 10
HOURS = "24"
ONE_DAY, WEEK = timedelta(days=1), timedelta(days=7)
YEARS = range(2000, 2100)


def find_generation(visit: Visit) -> Response:
    """Goes to the generation that was written."""
    workspace = visit.query.get("workspace", "").strip()
    return visit.go(_generation_path(visit.query.get("generation", ""), workspace))


def show_generation(visit: Visit) -> Response:
    """The way of one generation: its attempts, their webhooks, its credits. Query: `workspace`, if it is known."""
    return _generation(visit, None)


def end_generation(visit: Visit) -> Response:
    """Ends a generation that is stuck, as its deadline does."""
    id, workspace = visit.part("generation"), str(visit.form.get("workspace", ""))
    body = {"workspace_id": workspace or None, "reason": str(visit.form.get("reason", ""))}
    return act(visit, f"/api/admin/generations/{id}/end", body, _generation_path(id, workspace), _generation)


def show_providers(visit: Visit) -> Response:
    """The health of providers, and of their models that have failed or were switched off."""
    return _providers(visit, None)


def switch_provider(visit: Visit) -> Response:
    """Switches a provider or one of its models off for some hours, or on again, which closes its circuit too."""
    name = visit.part("act")
    body: dict[str, Any] = {"model": str(visit.form.get("model", "")).strip() or None}
    if name == "switch-off":
        hours = str(visit.form.get("hours", HOURS))
        body |= {"hours": int(hours) if hours.isascii() and hours.isdigit() else hours}
        body |= {"reason": str(visit.form.get("reason", ""))}
    path = f"/api/admin/providers/{safe(str(visit.form.get('provider', '')))}/{name}"
    return act(visit, path, body, PROVIDERS, _providers)


def show_jobs(visit: Visit) -> Response:
    """The jobs that schedules run. Query: `started`, the one that was just started."""
    return _jobs(visit, None)


def run_job(visit: Visit) -> Response:
    """Runs a job now, beside its schedule."""
    job = visit.part("job")
    return act(visit, f"/api/admin/jobs/{job}/run", {}, f"{JOBS}?started={job}", _jobs)


def show_backups(visit: Visit) -> Response:
    """Backups, and the drills that restore them, with what they have found. Query: `backups`, `drills`: cursors."""
    backups, drills = visit.api.get_together(
        ("/api/admin/backups", {"limit": HISTORY_PER_PAGE, "cursor": visit.query.get("backups", "")}),
        ("/api/admin/drills", {"limit": HISTORY_PER_PAGE, "cursor": visit.query.get("drills", "")}),
    )
    return visit.page("admin_backups.html", backups=backups, drills=drills)


def show_margin(visit: Visit) -> Response:
    """What each model has earned and cost in a week of all workspaces: a longer time takes the API longer than a page
    may. Query: `from`, the first day; without it the last seven days."""
    today = utc_now().date()
    first = _day(visit.query.get("from", "")) or today - WEEK + ONE_DAY
    report = visit.get("/api/admin/report", **{"from": first.isoformat(), "to": (first + WEEK).isoformat()})
    later = first + WEEK
    return visit.page(
        "admin_margin.html",
        report=report,
        first=first,
        last=later - ONE_DAY,
        earlier=first - WEEK,
        later=later if later <= today else None,
    )


def _day(text: str) -> date | None:
    """The day of a query; None for any other text, and for days that no week precedes or follows."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year in YEARS else None


def _generation_path(generation: str, workspace: str) -> str:
    return f"/admin/generations/{safe(generation)}" + (f"?workspace={quote(workspace, safe='')}" if workspace else "")


def _generation(visit: Visit, error: ApiError | None) -> Response:
    workspace = str(visit.form.get("workspace", "")) or visit.query.get("workspace", "")
    found = visit.get(f"/api/admin/generations/{visit.part('generation')}", workspace_id=workspace)["generation"]
    return visit.page(
        "admin_generation.html",
        status=status_of(error),
        found=found,
        is_open=found["status"] in OPEN,
        error=error,
        form=visit.form,
    )


def _providers(visit: Visit, error: ApiError | None) -> Response:
    items: list[dict[str, Any]] = visit.get("/api/admin/providers")["items"]
    return visit.page(
        "admin_providers.html",
        status=status_of(error),
        accesses=items,
        providers=sorted({each["provider"] for each in items}),
        error=error,
        form=visit.form,
        hours=HOURS,
    )


def _jobs(visit: Visit, error: ApiError | None) -> Response:
    jobs: list[dict[str, Any]] = visit.get("/api/admin/jobs")["items"]
    started = visit.query.get("started", "")
    return visit.page(
        "admin_jobs.html",
        status=status_of(error),
        jobs=jobs,
        started=started if started in {each["name"] for each in jobs} else "",
        error=error,
    )


routes = [
    route("/admin/generations", find_generation),
    route("/admin/generations/{generation}", show_generation),
    route("/admin/generations/{generation}/end", end_generation, "POST"),
    route(PROVIDERS, show_providers),
    route(PROVIDERS + "/{act}", switch_provider, "POST"),
    route(JOBS, show_jobs),
    route(JOBS + "/{job}/run", run_job, "POST"),
    route("/admin/backups", show_backups),
    route("/admin/margin", show_margin),
]
