"""Notifications: what a person should know, the bell that says how much of it is unread, and their preferences."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, JSONResponse, Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.rendering import render
from studio.visit import Visit

PER_PAGE = 25
VIEWS = ("current", "unread", "archived")
ACTS = ("read", "acknowledge", "archive")
CHANNELS = ("in_app", "email", "webhook")
DIGESTS = ("at_once", "hourly", "daily")
PATH = "/api/notifications"
# Refusals that the page itself shows.
SHOWN_ON_PAGE = (404, 409, 422)


def show_list(visit: Visit) -> Response:
    """The notifications, newest first."""
    return _list(visit, None)


def show_count(visit: Visit) -> Response:
    """How many are unread, for the bell. Who looks at another page is not told that this failed."""
    unread = 0
    if visit.api.access_token:
        try:
            unread = int(visit.get(f"{PATH}/unread-count")["unread_count"])
        except ApiError:
            return Response(status_code=204)
        visit.session.set_unread(unread)
    return HTMLResponse(render("bell_count.html", {"unread": unread, "t": visit.t}))


def open_connection(visit: Visit) -> Response:
    """A ticket for the connection that tells a page what happens, as JSON for its script."""
    return JSONResponse({"ticket": visit.api.call("POST", "/api/realtime/tickets", {}).data["ticket"]})


def act(visit: Visit) -> Response:
    """Reads, acknowledges or archives one."""
    name = visit.part("act")
    try:
        if name in ACTS:
            visit.api.call("POST", f"{PATH}/{visit.part('notification')}/{name}", {})
    except ApiError as error:
        if error.status not in SHOWN_ON_PAGE:
            raise
        return _list(visit, error)
    return visit.go("/notifications")


def open_one(visit: Visit) -> Response:
    """Reads one and goes where it leads: the API says where that is."""
    answer = visit.api.call("POST", f"{PATH}/{visit.part('notification')}/read", {})
    visit.session.forget_unread()
    action = answer.data["notification"]["action"]
    return visit.go(action["url"] if action else "/notifications")


def read_all(visit: Visit) -> Response:
    """Reads all."""
    visit.api.call("POST", f"{PATH}/read-all", {})
    return visit.go("/notifications")


def show_preferences(visit: Visit) -> Response:
    """What comes by which way, quiet hours and digests."""
    return _preferences(visit, visit.get(f"{PATH}/preferences"), None)


def save_preferences(visit: Visit) -> Response:
    """Replaces the preferences."""
    body = preferences_of(visit)
    try:
        visit.api.call("PUT", f"{PATH}/preferences", body)
    except ApiError as error:
        if error.status not in SHOWN_ON_PAGE:
            raise
        return _preferences(visit, body, error)
    return visit.go("/notifications/preferences?saved=1")


def preferences_of(visit: Visit) -> dict[str, Any]:
    """The preferences of the form. A checkbox that is not checked is not sent, so the form names its kinds."""
    checked = set(map(str, visit.form.getlist("on")))
    kinds = {
        str(kind): {channel: f"{kind} {channel}" in checked for channel in CHANNELS}
        for kind in visit.form.getlist("kind")
    }
    begin, end = str(visit.form.get("from", "")), str(visit.form.get("to", ""))
    quiet = {"from": begin, "to": end} if begin or end else None
    return {"kinds": kinds, "quiet_hours": quiet, "digest": str(visit.form.get("digest", ""))}


def ask_unsubscribe(visit: Visit) -> Response:
    """Asks whoever follows the link of a mail whether these mails should end."""
    return visit.page("unsubscribe.html", token=visit.query.get("token", ""), error=None, is_done=False)


def unsubscribe(visit: Visit) -> Response:
    """Ends the mails about notifications."""
    token, error = str(visit.form.get("token", "")), None
    try:
        visit.api.call("POST", f"{PATH}/unsubscribe?{urlencode({'token': token})}")
    except ApiError as refused:
        if refused.status not in SHOWN_ON_PAGE:
            raise
        error = refused
    status = error.status if error else 200
    return visit.page("unsubscribe.html", status=status, token=token, error=error, is_done=error is None)


def _list(visit: Visit, error: ApiError | None) -> Response:
    view = visit.query.get("view", "")
    chosen = view if view in VIEWS else VIEWS[0]
    query = {chosen: "true"} if chosen != VIEWS[0] else {}
    found = visit.get(PATH, limit=PER_PAGE, cursor=visit.query.get("cursor", ""), **query)
    visit.session.set_unread(int(found["unread_count"]))
    status = error.status if error else 200
    return visit.page("notifications.html", status=status, found=found, view=chosen, views=VIEWS, error=error)


def _preferences(visit: Visit, preferences: Json, error: ApiError | None) -> Response:
    return visit.page(
        "notification_preferences.html",
        status=error.status if error else 200,
        preferences=preferences,
        channels=CHANNELS,
        digests=DIGESTS,
        error=error,
        saved="saved" in visit.query,
    )


routes = [
    route("/notifications", show_list),
    route("/notifications/read-all", read_all, "POST"),
    route("/notifications/preferences", show_preferences),
    route("/notifications/preferences", save_preferences, "POST"),
    route("/notifications/{notification}/open", open_one, "POST"),
    route("/notifications/{notification}/{act}", act, "POST"),
    route("/unsubscribe", ask_unsubscribe, public=True),
    route("/unsubscribe", unsubscribe, "POST", public=True),
    route("/parts/notifications/count", show_count, public=True),
    route("/parts/live", open_connection),
]
