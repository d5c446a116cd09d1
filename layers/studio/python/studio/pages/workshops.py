"""Workshops: those that one can attend, one's own enrolments, and what educators do with theirs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

WORKSHOPS = "/api/workshops"
SCOPES = ("public", "enrolled", "workspace")
# Refusals that a page itself shows: credits, roles and personas, what happened meanwhile, fields.
SHOWN = (402, 403, 409, 422)
PAID = ("enrol", "confirm")
STARS = (5, 4, 3, 2, 1)
EMPTY: Mapping[str, str] = {
    "title": "",
    "description": "",
    "starts": "",
    "ends": "",
    "time_zone": "",
    "capacity": "10",
    "price_credits": "0",
    "visibility": "workspace",
    "every_weeks": "",
    "count": "",
}


def show_list(visit: Visit) -> Response:
    """The workshops of a scope: public ones, one's own enrolments, or those of the workspace."""
    chosen = visit.query.get("scope", "")
    scope = chosen if chosen in SCOPES else SCOPES[0]
    page = visit.get(WORKSHOPS, scope=scope, cursor=visit.query.get("after"))
    return visit.page("workshops.html", workshops=page["items"], after=page["next_cursor"], scope=scope, scopes=SCOPES)


def show_new(visit: Visit) -> Response:
    """The form for a new workshop."""
    zone = visit.get("/api/users/me")["time_zone"] or "UTC"
    return _form_page(visit, {**EMPTY, "time_zone": zone})


def create(visit: Visit) -> Response:
    """Keeps a new workshop, or a series, as drafts."""
    body = _body(visit)
    weeks, count = str(visit.form.get("every_weeks", "")), str(visit.form.get("count", ""))
    if weeks or count:
        body["repeat"] = {"every_weeks": _number(weeks or "1"), "count": _number(count)}
    try:
        made = visit.api.call("POST", WORKSHOPS, body, headers={"Idempotency-Key": visit.form_key}).data
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _form_page(visit, _typed(visit), error=error)
    return visit.go(f"/workshops/{made['workshop']['id']}")


def show(visit: Visit) -> Response:
    """A workshop, and what one can do."""
    return _page(visit)


def act(visit: Visit) -> Response:
    """Enrols, confirms, withdraws; or schedules, completes, cancels."""
    action = visit.part("action")
    headers = {"Idempotency-Key": visit.form_key}
    # What one agrees to is the price that the page has shown.
    seen = str(visit.form.get("price_credits", ""))
    body = {"price_credits": _number(seen)} if action in PAID and seen else None
    try:
        visit.api.call("POST", f"{_path(visit)}/{action}", body, headers=headers)
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _page(visit, error=error)
    return visit.go(f"/workshops/{visit.part('workshop_id')}")


def review(visit: Visit) -> Response:
    """Keeps what an attendee says."""
    body = {"stars": _number(str(visit.form.get("stars", ""))), "text": str(visit.form.get("text", ""))}
    try:
        visit.api.call("PUT", f"{_path(visit)}/review", body)
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _page(visit, error=error)
    return visit.go(f"/workshops/{visit.part('workshop_id')}")


def show_work(visit: Visit) -> Response:
    """Shows a published work of the person's own."""
    return _change_works(visit, "PUT", str(visit.form.get("listing_id", "")))


def take_off_work(visit: Visit) -> Response:
    """Shows a work no more."""
    return _change_works(visit, "DELETE", visit.part("listing_id"))


def _change_works(visit: Visit, method: str, listing_id: str) -> Response:
    try:
        visit.api.call(method, f"{_path(visit)}/works/{quote(listing_id, safe='')}")
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _page(visit, error=error)
    return visit.go(f"/workshops/{visit.part('workshop_id')}")


def calendar_file(visit: Visit) -> Response:
    """The file for calendars."""
    answer = visit.api.call("GET", f"{_path(visit)}/calendar.ics", headers={"accept": "text/calendar"})
    names = ("content-type", "content-disposition")
    return Response(answer.body, headers={name: answer.headers[name] for name in names})


def show_edit(visit: Visit) -> Response:
    """The form of a workshop."""
    workshop = visit.get(_path(visit))["workshop"]
    return _form_page(visit, _shown(workshop), workshop=workshop)


def change(visit: Visit) -> Response:
    """Keeps what was changed."""
    try:
        visit.api.call("PUT", _path(visit), _body(visit))
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _form_page(visit, _typed(visit), workshop=visit.get(_path(visit))["workshop"], error=error)
    return visit.go(f"/workshops/{visit.part('workshop_id')}")


def show_attendees(visit: Visit) -> Response:
    """Who has enrolled."""
    after = visit.query.get("after")
    workshop, attendees = visit.api.get_together(
        (_path(visit), {}), (f"{_path(visit)}/attendees", {"cursor": after or None})
    )
    items, following = attendees["items"], attendees["next_cursor"]
    return visit.page("workshop_attendees.html", workshop=workshop["workshop"], attendees=items, after=following)


def mark(visit: Visit) -> Response:
    """Notes whether somebody has attended."""
    attended = visit.form.get("attended") == "1"
    visit.api.call("PUT", f"{_path(visit)}/attendees/{visit.part('user_id')}", {"attended": attended})
    return visit.go(f"/workshops/{visit.part('workshop_id')}/attendees")


def _path(visit: Visit) -> str:
    return f"{WORKSHOPS}/{visit.part('workshop_id')}"


def show_yours(visit: Visit) -> Response:
    """What a workshop has for those who are in it, a part of its page and a page of its own. Query: `materials`, there
    are some; `attended`, the person may show works."""
    requests: list[tuple[str, dict[str, Any]]] = []
    if visit.query.get("materials"):
        requests.append((f"{_path(visit)}/materials", {}))
    if visit.query.get("attended"):
        requests += [("/api/listings", {}), (f"{_path(visit)}/works", {})]
    found = dict(zip((path for path, _ in requests), visit.api.get_together(*requests), strict=True))
    works = {each["listing_id"] for each in found.get(f"{_path(visit)}/works", {"items": []})["items"]}
    own = found.get("/api/listings", {"items": []})["items"]
    materials = found.get(f"{_path(visit)}/materials", {"items": [], "opens_at": None})
    return visit.page(
        "workshop_yours_body.html" if visit.is_partial else "workshop_yours.html",
        workshop_id=visit.request.path_params["workshop_id"],
        materials=materials["items"],
        opens_at=materials["opens_at"] if not materials["items"] else None,
        shown=[each for each in own if each["id"] in works],
        unshown=[each for each in own if each["status"] == "visible" and each["id"] not in works],
    )


def _page(visit: Visit, *, error: ApiError | None = None) -> Response:
    workshop, reviews, works = visit.api.get_together(
        (_path(visit), {}), (f"{_path(visit)}/reviews", {}), (f"{_path(visit)}/works", {})
    )
    found: Json = workshop["workshop"]
    mine = found["enrolment"]
    is_admitted = found["can_manage"] or (mine is not None and mine["state"] in ("enrolled", "attended"))
    # A page makes few calls, so what only some people see is a part of its own.
    facts = {
        "materials": "1" if is_admitted and found["material_ids"] else "",
        "attended": "1" if mine is not None and mine["state"] == "attended" else "",
    }
    given = urlencode({name: value for name, value in facts.items() if value})
    return visit.page(
        "workshop.html",
        status=error.status if error else 200,
        workshop=found,
        mine=mine,
        reviews=reviews["items"],
        works=works["items"],
        yours=f"/workshops/{visit.part('workshop_id')}/yours?{given}" if given else "",
        local=_shown(found),
        error=error,
        stars=STARS,
    )


def _form_page(
    visit: Visit, typed: Mapping[str, str], *, workshop: Json | None = None, error: ApiError | None = None
) -> Response:
    return visit.page(
        "workshop_form.html",
        status=error.status if error else 200,
        typed=typed,
        workshop=workshop,
        error=error,
        errors=_errors(error),
    )


def _errors(error: ApiError | None) -> dict[str, str]:
    """The messages of refused fields by the names that the form has for them."""
    names = {"starts_at": "starts", "ends_at": "ends", "repeat": "count", "repeat.count": "count"}
    return {names.get(path, path.rpartition(".")[2]): text for path, text in (error.fields if error else {}).items()}


def _typed(visit: Visit) -> dict[str, str]:
    return {name: str(visit.form.get(name, "")).strip() for name in EMPTY}


def _body(visit: Visit) -> Json:
    """The form as the API takes it; a time that is none stays as it was typed, and is refused there."""
    typed = _typed(visit)
    zone = _zone(typed["time_zone"])
    return {
        "title": typed["title"],
        "description": typed["description"],
        "starts_at": _instant(typed["starts"], zone),
        "ends_at": _instant(typed["ends"], zone),
        "time_zone": typed["time_zone"],
        "capacity": _number(typed["capacity"]),
        "price_credits": _number(typed["price_credits"]),
        "visibility": typed["visibility"],
    }


def _shown(workshop: Json) -> dict[str, str]:
    """A workshop as its form shows it, with times of its own time zone."""
    zone = _zone(workshop["time_zone"])
    times = {
        name: datetime.fromisoformat(workshop[f"{name}_at"]).astimezone(zone).strftime("%Y-%m-%dT%H:%M")
        for name in ("starts", "ends")
    }
    return {**EMPTY, **{name: str(workshop[name]) for name in EMPTY if name in workshop}, **times}


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _instant(text: str, zone: ZoneInfo) -> str:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).isoformat()
    except ValueError:
        return text


def _number(text: str) -> Any:
    """A whole number; any other text as it is, so that the API says what is wrong with it."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


routes = [
    route("/workshops", show_list),
    route("/workshops", create, "POST"),
    route("/workshops/new", show_new),
    route("/workshops/{workshop_id}", show),
    route("/workshops/{workshop_id}/yours", show_yours),
    route("/workshops/{workshop_id}/edit", show_edit),
    route("/workshops/{workshop_id}/edit", change, "POST"),
    route("/workshops/{workshop_id}/calendar.ics", calendar_file),
    route("/workshops/{workshop_id}/attendees", show_attendees),
    route("/workshops/{workshop_id}/attendees/{user_id}", mark, "POST"),
    route("/workshops/{workshop_id}/review", review, "POST"),
    route("/workshops/{workshop_id}/works", show_work, "POST"),
    route("/workshops/{workshop_id}/works/{listing_id}/off", take_off_work, "POST"),
    route("/workshops/{workshop_id}/do/{action}", act, "POST"),
]
