"""Exports: the records of a time as a file, or everything of the workspace; requested, followed and downloaded."""

from __future__ import annotations

import re
from datetime import date, timedelta

from starlette.responses import Response

from studio.api_client import ApiError
from studio.clock import utc_now
from studio.endpoints import route
from studio.visit import Visit

DATASETS = ("generations", "entries", "usage", "audit", "product_events")
FORMATS = ("csv", "ndjson", "parquet")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
DAYS_DEFAULT = 30
EXPORTS_PER_PAGE = 25
# Refusals that the form itself shows, beside what was chosen.
SHOWN_IN_FORM = (403, 409, 422)
OPEN = ("queued", "running")
# An export of everything is being written.
CONFLICT = 409


def show_exports(visit: Visit) -> Response:
    """The exports, and the form for a new one."""
    return _page(visit)


def request(visit: Visit) -> Response:
    """Requests an export of whole days."""
    chosen = {name: str(visit.form.get(name, "")) for name in ("dataset", "format", "first", "last")}
    last = _day(chosen["last"])
    body = {
        "dataset": chosen["dataset"],
        "format": chosen["format"],
        "from": f"{chosen['first']}T00:00:00Z",
        "to": f"{last + timedelta(days=1)}T00:00:00Z" if last else "",
    }
    try:
        visit.api.call("POST", "/api/analytics/exports", body, headers={"Idempotency-Key": visit.form_key})
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _page(visit, status=error.status, chosen=chosen, error=error)
    return visit.go("/exports")


def _day(text: str) -> date | None:
    """A day of the form; None when it is none."""
    try:
        return date.fromisoformat(text) if DAY.fullmatch(text) and text < "9999" else None
    except ValueError:
        return None


def _page(
    visit: Visit, *, status: int = 200, chosen: dict[str, str] | None = None, error: ApiError | None = None
) -> Response:
    exports = visit.get("/api/analytics/exports", limit=EXPORTS_PER_PAGE, cursor=visit.query.get("cursor", ""))
    today = utc_now().date()
    first = str(today - timedelta(days=DAYS_DEFAULT))
    return visit.page(
        "exports.html",
        status=status,
        exports=exports,
        datasets=DATASETS,
        formats=FORMATS,
        chosen=chosen or {"dataset": DATASETS[0], "format": FORMATS[0], "first": first, "last": str(today)},
        error=error,
        errors=_errors(error),
        is_open=any(each["status"] in OPEN for each in exports["items"]),
    )


def _errors(error: ApiError | None) -> dict[str, str]:
    """The messages by the form's fields."""
    fields = {"from": "first", "to": "last"}
    return {fields.get(path, path): message for path, message in error.fields.items()} if error else {}


def show_everything(visit: Visit) -> Response:
    """The exports of everything, and the form for a new one. Only owners see it."""
    return _everything(visit)


def request_everything(visit: Visit) -> Response:
    """Requests an export of everything that the workspace has."""
    try:
        visit.api.call("POST", "/api/exports/workspace", headers={"Idempotency-Key": visit.form_key})
    except ApiError as error:
        if error.status != CONFLICT:
            raise
        return _everything(visit, status=error.status, error=error)
    return visit.go("/exports/everything")


def _everything(visit: Visit, *, status: int = 200, error: ApiError | None = None) -> Response:
    exports = visit.get("/api/exports/workspace", limit=EXPORTS_PER_PAGE, cursor=visit.query.get("cursor", ""))
    is_open = any(each["status"] in OPEN for each in exports["items"])
    return visit.page("export_everything.html", status=status, exports=exports, error=error, is_open=is_open)


routes = [
    route("/exports", show_exports),
    route("/exports", request, "POST"),
    route("/exports/everything", show_everything),
    route("/exports/everything", request_everything, "POST"),
]
