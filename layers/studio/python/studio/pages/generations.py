"""One generation: how far it is, what came out of it, what it cost and why, and what can be done with it."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from studio.api_client import Json
from studio.endpoints import route
from studio.visit import Visit

EARLIER_MAX = 8
OPEN = ("queued", "running")
# How long the API may hold the answer to each look at a generation that is under way. It answers at once when it has
# ended; progress is shown at every look, so the first ones are short.
WAITS_SECONDS = (1, 2, 2, 3, 4, 6, 8, 10, 15, 20)
# The pause before the next look: when the API has held the answer, and when it has not, because too many requests wait.
PAUSE_SECONDS, PAUSE_UNHELD_SECONDS = 0.2, 5
PAUSE_WITHOUT_SCRIPT_SECONDS = 4


def show(visit: Visit) -> Response:
    """The page of a generation; for htmx its part that changes, once it has ended or after a while. Query of the part:
    `look`, how often it has asked; `live`, it is told what happens by a connection, so the answer may come at once."""
    generation_id = visit.request.path_params["generation_id"]
    look = visit.query.get("look", "0")
    looks = int(look) if look.isdecimal() and len(look) < 6 else 0
    path, why = f"/api/generations/{generation_id}", f"/api/credits/generations/{generation_id}"
    if visit.is_partial:
        is_live = visit.query.get("live") == "1"
        wait = WAITS_SECONDS[min(looks, len(WAITS_SECONDS) - 1)]
        held = {} if is_live else {"Prefer": f"wait={wait}"}
        generation = visit.api.call("GET", path, headers=held).data["generation"]
        pause = pause_after(visit.api.waited_seconds, wait)
        explanation = None if generation["status"] in OPEN or generation["parent_id"] else visit.get(why)
        return visit.page("generation_body.html", is_live=is_live, **_values(generation, explanation, looks + 1, pause))
    found, earlier = visit.api.get_together((path, {}), ("/api/generations", {"limit": EARLIER_MAX + 1}))
    generation = found["generation"]
    explanation = None if generation["status"] in OPEN or generation["parent_id"] else visit.get(why)
    others = _others(earlier, generation_id)
    return visit.page(
        "generation.html", earlier=others, is_live=False, **_values(generation, explanation, looks, PAUSE_SECONDS)
    )


def show_earlier(visit: Visit) -> Response:
    """The other generations, for htmx, when something has happened to one of them."""
    found = visit.get("/api/generations", limit=EARLIER_MAX + 1)
    return visit.page("generation_earlier.html", earlier=_others(found, visit.request.path_params["generation_id"]))


def _others(found: Json, generation_id: str) -> list[Json]:
    return [each for each in found["items"] if each["id"] != generation_id][:EARLIER_MAX]


def pause_after(waited_seconds: float, wait: int) -> float:
    """The pause in seconds before the next look, after the API was asked to hold the answer for `wait` seconds."""
    return PAUSE_SECONDS if waited_seconds >= wait / 2 else PAUSE_UNHELD_SECONDS


def _values(generation: Json, explanation: Json | None, looks: int, pause: float) -> Json:
    return {
        "generation": generation,
        "explanation": explanation,
        "is_open": generation["status"] in OPEN,
        "looks": looks,
        "pause": pause,
        "pause_without_script": PAUSE_WITHOUT_SCRIPT_SECONDS,
        "change": _change(generation),
    }


def _change(generation: Json) -> str:
    """Where the form is that asks for the same, to be changed."""
    return f"/create?{urlencode({'from': generation['id']})}"


def cancel(visit: Visit) -> Response:
    """Stops a generation."""
    path = f"/generations/{visit.request.path_params['generation_id']}"
    visit.api.call("POST", f"/api{path}/cancel", {}, headers={"Idempotency-Key": visit.form_key})
    return visit.go(path)


def retry(visit: Visit) -> Response:
    """Orders the same again, as a new generation."""
    path = f"/api/generations/{visit.request.path_params['generation_id']}/retry"
    made = visit.api.call("POST", path, {}, headers={"Idempotency-Key": visit.form_key}).data["generation"]
    return visit.go(f"/generations/{made['id']}")


routes = [
    route("/generations/{generation_id}", show),
    route("/parts/generations/{generation_id}/earlier", show_earlier),
    route("/generations/{generation_id}/cancel", cancel, "POST"),
    route("/generations/{generation_id}/retry", retry, "POST"),
]
