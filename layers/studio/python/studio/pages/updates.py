"""Updates in the room of the platform's administrators: written, looked at, scheduled, sent, cancelled, counted."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

PATH, PAGE = "/api/admin/updates", "/admin/updates"
PER_PAGE = 25
KINDS = ("news", "feature", "maintenance", "terms")
PERSONAS = ("artist", "educator", "partner", "none")
ROLES = ("user", "admin")
LOCALES = ("en", "de")
ACTS = ("schedule", "send", "cancel")
# Refusals that the page itself shows; one that wants a fresh factor is answered with the page for it.
SHOWN_ON_PAGE = (404, 409, 422)


def show_list(visit: Visit) -> Response:
    """The updates, and the form of a new one."""
    return _list(visit, None)


def create(visit: Visit) -> Response:
    """Writes a draft, and shows it as its readers will see it."""
    try:
        headers = {"Idempotency-Key": visit.form_key}
        made = visit.api.call("POST", PATH, update_of(visit), headers=headers).data["update"]
    except ApiError as error:
        if not _is_shown(error):
            raise
        return _list(visit, error)
    return visit.go(f"{PAGE}/{made['id']}")


def show_one(visit: Visit) -> Response:
    """One update: its preview, its counts, and what can be done with it."""
    return _one(visit, None)


def change(visit: Visit) -> Response:
    """Replaces what a draft says."""
    return _act(visit, "PUT", "", update_of(visit))


def act(visit: Visit) -> Response:
    """Schedules, sends or cancels an update, or deletes a draft."""
    name = visit.part("act")
    if name == "delete":
        return _act(visit, "DELETE", "", None, back=PAGE)
    body = {"at": _instant(visit, "at")} if name == "schedule" else {}
    return _act(visit, "POST", f"/{name}", body) if name in ACTS else visit.go(PAGE)


def update_of(visit: Visit) -> dict[str, Any]:
    """The update of the form, as the API takes it. Times in the form are UTC."""
    form = visit.form
    label, url = str(form.get("label", "")), str(form.get("url", ""))
    tiers = [tier.strip() for tier in str(form.get("tiers", "")).split(",") if tier.strip()]
    return {
        "title": str(form.get("title", "")),
        "body": str(form.get("body", "")).replace("\r\n", "\n"),
        "kind": str(form.get("kind", "")),
        "audience": {
            "user_id": str(form.get("user_id", "")) or None,
            "tiers": tiers,
            **{name: [str(each) for each in form.getlist(name)] for name in ("personas", "roles", "locales")},
            "seen_after": _day(visit, "seen_after"),
            "seen_before": _day(visit, "seen_before"),
        },
        "action": {"label": label, "url": url} if label or url else None,
        "is_action_item": "is_action_item" in form,
        "shown_until": _instant(visit, "shown_until"),
    }


def _day(visit: Visit, name: str) -> str | None:
    value = str(visit.form.get(name, ""))
    return f"{value}T00:00:00Z" if value else None


def _instant(visit: Visit, name: str) -> str | None:
    """A field of the type datetime-local: `2026-11-29T12:00`."""
    value = str(visit.form.get(name, ""))
    return f"{value}:00Z" if value else None


def _act(visit: Visit, method: str, below: str, body: Json | None, *, back: str = "") -> Response:
    update = visit.part("update")
    try:
        visit.api.call(method, f"{PATH}/{update}{below}", body)
    except ApiError as error:
        if not _is_shown(error):
            raise
        return _one(visit, error)
    return visit.go(back or f"{PAGE}/{update}")


def _is_shown(error: ApiError) -> bool:
    return error.status in SHOWN_ON_PAGE and error.code != "STEP_UP_REQUIRED"


def _list(visit: Visit, error: ApiError | None) -> Response:
    found = visit.get(PATH, limit=PER_PAGE, cursor=visit.query.get("cursor", ""))
    written = update_of(visit) if error else _EMPTY
    return visit.page(
        "updates.html", status=error.status if error else 200, found=found, written=written, error=error, **_CHOICES
    )


def _one(visit: Visit, error: ApiError | None) -> Response:
    found = visit.get(f"{PATH}/{visit.part('update')}")
    written = update_of(visit) if error and "title" in visit.form else found["update"]
    return visit.page(
        "update.html",
        status=error.status if error else 200,
        update=found["update"],
        counts=found["counts"],
        written=written,
        error=error,
        **_CHOICES,
    )


_CHOICES: dict[str, Any] = {"kinds": KINDS, "personas": PERSONAS, "roles": ROLES, "locales": LOCALES}
_EMPTY: dict[str, Any] = {
    "title": "",
    "body": "",
    "kind": KINDS[0],
    "action": None,
    "is_action_item": False,
    "shown_until": None,
    "audience": {
        "user_id": None,
        "tiers": [],
        "personas": [],
        "roles": [],
        "locales": [],
        "seen_after": None,
        "seen_before": None,
    },
}

routes = [
    route(PAGE, show_list),
    route(PAGE, create, "POST"),
    route(f"{PAGE}/{{update}}", show_one),
    route(f"{PAGE}/{{update}}", change, "POST"),
    route(f"{PAGE}/{{update}}/{{act}}", act, "POST"),
]
