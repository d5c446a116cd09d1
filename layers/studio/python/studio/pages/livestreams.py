"""Livestreams: what is announced and live, one of them with its player, and what its host does with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.responses import JSONResponse, Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

LIVESTREAMS = "/api/livestreams"
SCOPES = ("public", "workspace")
ACCESS = ("public", "workspace", "tier", "enrolment")
# Refusals that a page itself shows.
SHOWN = (403, 409, 422)
EMPTY: Mapping[str, str] = {
    "title": "",
    "description": "",
    "starts": "",
    "time_zone": "",
    "access": "public",
    "tiers": "",
    "workshop_id": "",
}


def show_list(visit: Visit) -> Response:
    """The livestreams of a scope: those for everybody, or those of the workspace."""
    chosen = visit.query.get("scope", "")
    scope = chosen if chosen in SCOPES else SCOPES[0]
    page = visit.get(LIVESTREAMS, scope=scope, cursor=visit.query.get("after"))
    # What is live comes first.
    items = sorted(page["items"], key=lambda each: each["status"] not in ("live", "idle"))
    return visit.page("livestreams.html", items=items, after=page["next_cursor"], scope=scope, scopes=SCOPES)


def show_new(visit: Visit) -> Response:
    """The form for a new livestream."""
    zone = visit.get("/api/users/me")["time_zone"] or "UTC"
    return _form_page(visit, {**EMPTY, "time_zone": zone})


def create(visit: Visit) -> Response:
    """Announces a livestream."""
    typed = {name: str(visit.form.get(name, "")).strip() for name in EMPTY}
    body: Json = {name: typed[name] for name in ("title", "description", "access")}
    body["starts_at"] = _instant(typed["starts"], typed["time_zone"])
    if typed["access"] == "tier":
        body["tiers"] = [each.strip() for each in typed["tiers"].split(",") if each.strip()]
    if typed["access"] == "enrolment":
        body["workshop_id"] = typed["workshop_id"] or None
    try:
        made = visit.api.call("POST", LIVESTREAMS, body, headers={"Idempotency-Key": visit.form_key}).data
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _form_page(visit, typed, error=error)
    return visit.go(f"/live/{made['livestream']['id']}")


def show(visit: Visit) -> Response:
    """A livestream with its player."""
    return _page(visit)


def show_state(visit: Visit) -> Response:
    """What changes while somebody looks at it; another state loads the page anew."""
    livestream = visit.get(_path(visit))["livestream"]
    answer = visit.page("livestream_state.html", livestream=livestream)
    if livestream["status"] != visit.query.get("was"):
        answer.headers["HX-Refresh"] = "true"
    return answer


def renew_playback(visit: Visit) -> Response:
    """The URL of the picture for some minutes more, for the player's script; the cookies come with it."""
    playback = _playback(visit)
    return JSONResponse({"url": playback["url"] if playback else None})


def act(visit: Visit) -> Response:
    """Starts or ends it."""
    try:
        visit.api.call("POST", f"{_path(visit)}/{visit.part('action')}")
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _page(visit, error=error)
    return visit.go(f"/live/{visit.part('livestream_id')}")


def show_key(visit: Visit) -> Response:
    """Shows the host where to send the picture, with the key."""
    return _with_ingest(visit, "GET", "stream-key")


def rotate_key(visit: Visit) -> Response:
    """Replaces the key, and shows the new one."""
    return _with_ingest(visit, "POST", "stream-key/rotate")


def add_target(visit: Visit) -> Response:
    """Forwards the picture to another place, too."""
    body = {"url": str(visit.form.get("url", "")).strip(), "stream_key": str(visit.form.get("secret_key", "")).strip()}
    try:
        visit.api.call("POST", f"{_path(visit)}/simulcast-targets", body)
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _page(visit, error=error)
    return visit.go(f"/live/{visit.part('livestream_id')}")


def remove_target(visit: Visit) -> Response:
    """Forwards it no more."""
    try:
        visit.api.call("DELETE", f"{_path(visit)}/simulcast-targets/{visit.part('target_id')}")
    except ApiError as error:
        if error.status not in (*SHOWN, 404):
            raise
    return visit.go(f"/live/{visit.part('livestream_id')}")


def begin_upload(visit: Visit) -> Response:
    """Gives the host a place to send a video to, in place of the livestream."""
    try:
        place = visit.api.call("POST", f"{_path(visit)}/upload").data["upload"]
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _page(visit, error=error)
    visit.file_origin = _origin(place["url"])
    return _page(visit, upload=place)


def _path(visit: Visit) -> str:
    return f"{LIVESTREAMS}/{visit.part('livestream_id')}"


def _with_ingest(visit: Visit, method: str, below: str) -> Response:
    try:
        ingest = visit.api.call(method, f"{_path(visit)}/{below}").data["ingest"]
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _page(visit, error=error)
    return _page(visit, ingest=ingest)


def _page(
    visit: Visit, *, error: ApiError | None = None, ingest: Json | None = None, upload: Json | None = None
) -> Response:
    livestream: Json = visit.get(_path(visit))["livestream"]
    is_watched = livestream["status"] == "live" or livestream["recording"] == "kept"
    playback = _playback(visit) if is_watched else None
    return visit.page(
        "livestream.html",
        status=error.status if error else 200,
        livestream=livestream,
        playback=playback,
        targets=_targets(visit) if livestream["is_yours"] and livestream["is_ready"] and _is_open(livestream) else None,
        ingest=ingest,
        upload=upload,
        takes_video=_takes_video(livestream) or upload is not None,
        error=error,
    )


def _takes_video(livestream: Json) -> bool:
    """Whether the page offers to send a video: in place of the livestream, or of a recording that is missing."""
    if not (livestream["is_yours"] and livestream["can_manage"] and livestream["is_ready"]):
        return False
    is_over_without = livestream["status"] == "ended" and livestream["recording"] in ("none", "failed")
    return livestream["status"] == "scheduled" or is_over_without


def _is_open(livestream: Json) -> bool:
    return bool(livestream["status"] != "ended")


def _playback(visit: Visit) -> Json | None:
    """How the person watches; None when it is for others, or over. The answer's cookies go on to the browser, and the
    page may load from where the picture is."""
    try:
        answer = visit.api.call("GET", f"{_path(visit)}/playback")
    except ApiError as error:
        if error.status not in (403, 409):
            raise
        return None
    visit.set_cookies.extend(answer.cookies)
    playback: Json = answer.data["playback"]
    visit.media_origin = _origin(playback["url"])
    return playback


def _origin(url: Any) -> str:
    """The origin of a URL; empty for a path of our own."""
    parts = urlsplit(str(url))
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _targets(visit: Visit) -> list[Json] | None:
    """Where the picture is forwarded to; None while the streaming service does not answer."""
    try:
        items: list[Json] = visit.get(f"{_path(visit)}/simulcast-targets")["items"]
    except ApiError as error:
        if error.status not in (403, 409, 502, 503):
            raise
        return None
    return items


def _form_page(visit: Visit, typed: Mapping[str, str], *, error: ApiError | None = None) -> Response:
    workshops = visit.get("/api/workshops", scope="workspace")["items"]
    names = {"starts_at": "starts"}
    errors = {names.get(path, path.partition(".")[0]): text for path, text in (error.fields if error else {}).items()}
    return visit.page(
        "livestream_form.html",
        status=error.status if error else 200,
        typed=typed,
        workshops=workshops,
        access=ACCESS,
        error=error,
        errors=errors,
    )


def _instant(text: str, zone_name: str) -> str:
    """A local time of the form, in UTC; one that is none stays as it was typed, and is refused by the API."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=_zone(zone_name)).astimezone(UTC).isoformat()
    except ValueError:
        return text


def _zone(name: str) -> Any:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


routes = [
    route("/live", show_list),
    route("/live/new", show_new),
    route("/live", create, "POST"),
    route("/live/{livestream_id}", show),
    route("/live/{livestream_id}/playback", renew_playback),
    route("/parts/live/{livestream_id}", show_state),
    route("/live/{livestream_id}/do/{action}", act, "POST"),
    route("/live/{livestream_id}/key", show_key, "POST"),
    route("/live/{livestream_id}/key/rotate", rotate_key, "POST"),
    route("/live/{livestream_id}/upload", begin_upload, "POST"),
    route("/live/{livestream_id}/targets", add_target, "POST"),
    route("/live/{livestream_id}/targets/{target_id}/remove", remove_target, "POST"),
]
