"""Moving a project into an organisation: the form, and how far the move is."""

from __future__ import annotations

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

# Refusals that the form itself shows.
SHOWN_IN_FORM = (403, 404, 409, 422)
SECONDS_BETWEEN_LOOKS = 2


def show_move(visit: Visit) -> Response:
    """The form; of a project that has left, or is leaving, where it went."""
    try:
        project = visit.get(_path(visit))["project"]
    except ApiError as error:
        if "state" not in error.details:
            raise
        return _show_state(visit)
    return _form(visit, project)


def move(visit: Visit) -> Response:
    """Begins the move."""
    target_id, headers = str(visit.form.get("workspace_id", "")), {"Idempotency-Key": visit.form_key}
    try:
        visit.api.call("POST", f"{_path(visit)}/move", {"workspace_id": target_id}, headers=headers)
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _form(visit, visit.get(_path(visit))["project"], target_id=target_id, error=error)
    return visit.go(f"/projects/{visit.part('project_id')}/move")


def _form(visit: Visit, project: Json, *, target_id: str = "", error: ApiError | None = None) -> Response:
    owned = [each for each in _workspaces(visit) if each["kind"] == "organization" and each["role"] == "owner"]
    return visit.page(
        "project_move.html",
        status=error.status if error else 200,
        project=project,
        organizations=[each for each in owned if not each["deleted_at"]],
        target_id=target_id,
        error=error,
    )


def _show_state(visit: Visit) -> Response:
    state = visit.get(f"{_path(visit)}/move")["move"]
    target = next((each for each in _workspaces(visit) if each["id"] == state["workspace_id"]), None)
    return visit.page("project_moved.html", state=state, target=target, seconds=SECONDS_BETWEEN_LOOKS)


def _workspaces(visit: Visit) -> list[Json]:
    items: list[Json] = visit.get("/api/workspaces")["items"]
    return items


def _path(visit: Visit) -> str:
    return f"/api/projects/{visit.part('project_id')}"


routes = [
    route("/projects/{project_id}/move", show_move),
    route("/projects/{project_id}/move", move, "POST"),
]
