"""Projects with their budgets, and the workspace's budget of the month."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from studio import money
from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

PAGE_PROJECTS = 24
SHOWN_GENERATIONS = 10
SHOWN_ASSETS = 12
# Refusals that the form itself shows, beside what was written.
SHOWN_IN_FORM = (403, 409, 422)


class FormWrong(Exception):
    """A field cannot be read. `fields`: messages by the field's name."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(str(fields))
        self.fields = fields


def show_projects(visit: Visit) -> Response:
    """The projects, and the budget of the month. Query: `archived=1` for the archived ones, `cursor`, and `put_away`
    with the id of a project that was archived just now."""
    archived = visit.query.get("archived") == "1"
    query = {"archived": str(archived).lower(), "cursor": visit.query.get("cursor", ""), "limit": PAGE_PROJECTS}
    found, budget, alerts = visit.api.get_together(
        ("/api/projects", query), ("/api/settings/budget", {}), ("/api/settings/budget/alerts", {})
    )
    return visit.page(
        "projects.html",
        found=found,
        archived=archived,
        budget=budget,
        alerts=_open(alerts),
        put_away=visit.query.get("put_away", ""),
    )


def show_project(visit: Visit) -> Response:
    """One project: its budget, its alerts, and what was made for it."""
    project_id = visit.part("project_id")
    try:
        project, generations, assets = visit.api.get_together(
            (f"/api/projects/{project_id}", {}),
            ("/api/generations", {"project_id": project_id, "limit": SHOWN_GENERATIONS}),
            ("/api/assets", {"project_id": project_id, "archived": "false", "limit": SHOWN_ASSETS}),
        )
    except ApiError as error:
        if "state" not in error.details:
            raise
        return visit.go(f"/projects/{project_id}/move")
    return visit.page(
        "project.html",
        project=project["project"],
        generations=generations,
        assets=assets,
        # Projects of the personal workspace alone can be moved.
        is_movable=not visit.api.workspace_id,
    )


def show_alerts(visit: Visit) -> Response:
    """A project's alerts: a part of its page, and a page for itself without JavaScript."""
    project_id = visit.part("project_id")
    alerts = visit.get(f"/api/projects/{project_id}/alerts")
    template = "projects_alerts.html" if visit.is_partial else "project_alerts.html"
    return visit.page(template, alerts=alerts["items"], project_id=project_id, path=_alert_path(project_id))


def acknowledge(visit: Visit) -> Response:
    """Acknowledges an alert of a project."""
    project_id, alert_id = visit.part("project_id"), visit.part("alert_id")
    visit.api.call("POST", f"/api/projects/{project_id}/alerts/{alert_id}/acknowledge", {})
    return visit.go(f"/projects/{project_id}")


def acknowledge_of_workspace(visit: Visit) -> Response:
    """Acknowledges an alert of the workspace's budget."""
    visit.api.call("POST", f"/api/settings/budget/alerts/{visit.part('alert_id')}/acknowledge", {})
    return visit.go("/projects")


def show_new(visit: Visit) -> Response:
    """The form for a new project."""
    return _form(visit, None, {"name": "", "description": "", "budget": "", "thresholds": "80, 100"})


def create(visit: Visit) -> Response:
    """Makes a project."""
    try:
        headers = {"Idempotency-Key": visit.form_key}
        made = visit.api.call("POST", "/api/projects", _wanted(visit), headers=headers).data["project"]
    except (ApiError, FormWrong) as error:
        return _form_again(visit, None, error)
    return visit.go(f"/projects/{made['id']}")


def show_edit(visit: Visit) -> Response:
    """The form that changes a project."""
    project = _project(visit)
    typed = {
        "name": project["name"],
        "description": project["description"] or "",
        "budget": money.written(project["budget_microusd"]),
        "thresholds": _written_thresholds(project),
    }
    return _form(visit, project, typed)


def edit(visit: Visit) -> Response:
    """Changes a project."""
    project_id = visit.part("project_id")
    try:
        visit.api.call("PUT", f"/api/projects/{project_id}", _wanted(visit))
    except (ApiError, FormWrong) as error:
        return _form_again(visit, _project(visit), error)
    return visit.go(f"/projects/{project_id}")


def archive(visit: Visit) -> Response:
    """Puts a project away. The list then offers to bring it back."""
    project_id = visit.part("project_id")
    visit.api.call("PUT", f"/api/projects/{project_id}", {"archived": True})
    return visit.go(f"/projects?put_away={project_id}")


def restore(visit: Visit) -> Response:
    """Brings an archived project back."""
    project_id = visit.part("project_id")
    visit.api.call("PUT", f"/api/projects/{project_id}", {"archived": False})
    return visit.go(f"/projects/{project_id}")


def show_delete(visit: Visit) -> Response:
    """Asks whether this project, by its name, is to be deleted."""
    return visit.page("project_delete.html", project=_project(visit), error=None)


def delete(visit: Visit) -> Response:
    """Deletes a project for which nothing was ever made."""
    try:
        visit.api.call("DELETE", f"/api/projects/{visit.part('project_id')}")
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return visit.page("project_delete.html", status=error.status, project=_project(visit), error=error)
    return visit.go("/projects")


def show_budget(visit: Visit) -> Response:
    """The form of the workspace's budget."""
    budget = visit.get("/api/settings/budget")
    typed = {"budget": money.written(budget["budget_microusd"]), "thresholds": _written_thresholds(budget)}
    return visit.page("projects_budget.html", budget=budget, typed=typed, error=None, errors={})


def set_budget(visit: Visit) -> Response:
    """Sets the workspace's budget of the month, or lifts it."""
    try:
        visit.api.call("PUT", "/api/settings/budget", _wanted_budget(visit))
    except (ApiError, FormWrong) as error:
        shown = {"budget": visit.get("/api/settings/budget"), "typed": _typed(visit, "budget", "thresholds")}
        return visit.page("projects_budget.html", status=422, **shown, **_what_is_wrong(error))
    return visit.go("/projects")


def _project(visit: Visit) -> Json:
    return visit.get(f"/api/projects/{visit.part('project_id')}")["project"]


def _open(alerts: Json) -> list[Json]:
    return [alert for alert in alerts["items"] if not alert["acknowledged_at"]]


def _alert_path(project_id: str) -> str:
    return f"/projects/{project_id}/alerts"


def _written_thresholds(budget: Json) -> str:
    return ", ".join(str(percent) for percent in budget["settings"]["alert_thresholds"])


def _wanted(visit: Visit) -> Json:
    """The project that the form describes, as the API takes it. Raises FormWrong."""
    name, description = (str(visit.form.get(each, "")).strip() for each in ("name", "description"))
    return {"name": name, "description": description or None, **_wanted_budget(visit)}


def _wanted_budget(visit: Visit) -> Json:
    wrong: dict[str, str] = {}
    limit, thresholds = None, []
    try:
        limit = money.microusd(str(visit.form.get("budget", "")))
    except ValueError:
        wrong["budget"] = visit.t("projects.budget_wrong")
    words = str(visit.form.get("thresholds", "")).replace("%", " ").replace(",", " ").split()
    if all(word.isdecimal() and 1 <= int(word) <= 100 for word in words):
        thresholds = [int(word) for word in words]
    else:
        wrong["thresholds"] = visit.t("projects.thresholds_wrong")
    if wrong:
        raise FormWrong(wrong)
    return {"budget_microusd": limit, "settings": {"alert_thresholds": thresholds}}


def _typed(visit: Visit, *names: str) -> Mapping[str, str]:
    return {name: str(visit.form.get(name, "")) for name in names}


def _what_is_wrong(error: ApiError | FormWrong) -> Mapping[str, Any]:
    """The error for the page, if it belongs to no field, and the messages of the fields. Raises an error that no form
    can show."""
    if isinstance(error, ApiError) and error.status not in SHOWN_IN_FORM:
        raise error
    names = {"budget_microusd": "budget", "settings.alert_thresholds": "thresholds"}
    fields = {names.get(path, path): message for path, message in error.fields.items()}
    return {"error": None if fields else error, "errors": fields}


def _form(visit: Visit, project: Json | None, typed: Mapping[str, str]) -> Response:
    return visit.page("project_form.html", project=project, typed=typed, error=None, errors={})


def _form_again(visit: Visit, project: Json | None, error: ApiError | FormWrong) -> Response:
    typed = _typed(visit, "name", "description", "budget", "thresholds")
    return visit.page("project_form.html", status=422, project=project, typed=typed, **_what_is_wrong(error))


routes = [
    route("/projects", show_projects),
    route("/projects/new", show_new),
    route("/projects/new", create, "POST"),
    route("/projects/budget", show_budget),
    route("/projects/budget", set_budget, "POST"),
    route("/projects/budget/alerts/{alert_id}", acknowledge_of_workspace, "POST"),
    route("/projects/{project_id}", show_project),
    route("/projects/{project_id}/edit", show_edit),
    route("/projects/{project_id}/edit", edit, "POST"),
    route("/projects/{project_id}/archive", archive, "POST"),
    route("/projects/{project_id}/restore", restore, "POST"),
    route("/projects/{project_id}/delete", show_delete),
    route("/projects/{project_id}/delete", delete, "POST"),
    route("/projects/{project_id}/alerts", show_alerts),
    route("/projects/{project_id}/alerts/{alert_id}", acknowledge, "POST"),
]
