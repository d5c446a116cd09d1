"""Deployments of a site: requesting, following, rolling back; and the workspace's accounts at other hosts."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError
from studio.endpoints import route
from studio.visit import Visit

PER_PAGE = 25
TARGETS = ("cloudfront", "netlify", "vercel", "github_pages")
OPEN_STATUSES = ("queued", "building", "uploading")
# The settings of each kind of account.
SETTINGS = {
    "netlify": ("team", "site_id"),
    "vercel": ("team_id",),
    "github": ("owner", "repository", "branch"),
    "sanity": ("project_id", "dataset", "document_type"),
}
# How long a page waits before it looks at a deployment again; a connection tells it what happens before.
PAUSES_SECONDS = (1, 2, 3, 5, 10)
SHOWN_IN_FORM = (409, 422)
DEPLOYMENTS, INTEGRATIONS = "/api/deployments", "/api/integrations"


def show_deployments(visit: Visit) -> Response:
    """The deployments of a site, and the form for a new one."""
    return _list_page(visit)


def deploy(visit: Visit) -> Response:
    """Requests a deployment."""
    fields = {"site_id": visit.part("site_id"), "target": str(visit.form.get("target", ""))}
    body = {**fields, "preview": visit.form.get("preview") == "1"}
    try:
        made = visit.api.call("POST", DEPLOYMENTS, body, headers={"Idempotency-Key": visit.form_key}).data
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _list_page(visit, status=error.status, error=error)
    return visit.go(f"/deployments/{made['deployment']['id']}")


def check_domain(visit: Visit) -> Response:
    """Asks DNS whether the site's own domain leads to a target."""
    target = {"target": str(visit.form.get("target", ""))}
    try:
        checked = visit.api.call("POST", f"/api/sites/{visit.part('site_id')}/domain-check", target).data
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _list_page(visit, status=error.status, domain_error=error)
    return _list_page(visit, checked=checked)


def show_deployment(visit: Visit) -> Response:
    """A deployment with its log; for htmx the part that changes. Query of the part: `look`, how often it has asked."""
    place, look = _path(visit), visit.query.get("look", "0")
    looks = int(look) if look.isdecimal() and len(look) < 6 else 0
    found, log = visit.api.get_together((place, {}), (f"{place}/log", {}))
    deployment = found["deployment"]
    return visit.page(
        "deployment_body.html" if visit.is_partial else "deployment.html",
        deployment=deployment,
        lines=log["lines"],
        is_open=deployment["status"] in OPEN_STATUSES,
        looks=looks + 1,
        pause=PAUSES_SECONDS[min(looks, len(PAUSES_SECONDS) - 1)],
        pause_without_script=PAUSES_SECONDS[-1],
    )


def cancel(visit: Visit) -> Response:
    """Cancels a deployment."""
    visit.api.call("POST", f"{_path(visit)}/cancel")
    return visit.go(f"/deployments/{visit.part('deployment_id')}")


def roll_back(visit: Visit) -> Response:
    """Shows again what an earlier deployment showed."""
    made = visit.api.call("POST", f"{_path(visit)}/rollback", headers={"Idempotency-Key": visit.form_key}).data
    return visit.go(f"/deployments/{made['deployment']['id']}")


def show_integrations(visit: Visit) -> Response:
    """The accounts at other hosts, and the form for a new one."""
    return _accounts_page(visit)


def add_integration(visit: Visit) -> Response:
    """Adds an account; its token is not shown again."""
    try:
        visit.api.call("POST", INTEGRATIONS, _account(visit), headers={"Idempotency-Key": visit.form_key})
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _accounts_page(visit, status=error.status, error=error)
    return visit.go("/integrations")


def test_integration(visit: Visit) -> Response:
    """Calls the host with an account."""
    try:
        tested = visit.api.call("POST", f"{INTEGRATIONS}/{visit.part('integration_id')}/test").data
    except ApiError as error:
        if error.status != 502:
            raise
        return _accounts_page(visit, status=502, error=error)
    return _accounts_page(visit, tested=tested)


def remove_integration(visit: Visit) -> Response:
    """Removes an account with its token."""
    visit.api.call("DELETE", f"{INTEGRATIONS}/{visit.part('integration_id')}")
    return visit.go("/integrations")


def _path(visit: Visit) -> str:
    return f"{DEPLOYMENTS}/{visit.part('deployment_id')}"


def _account(visit: Visit) -> dict[str, Any]:
    """The form's fields as the API takes them: the settings of the chosen kind that are filled in."""
    kind = str(visit.form.get("kind", ""))
    settings = {name: str(visit.form.get(name, "")).strip() for name in SETTINGS.get(kind, ())}
    return {
        "kind": kind,
        "name": str(visit.form.get("name", "")).strip(),
        "credentials": str(visit.form.get("credentials", "")).strip(),
        "settings": {name: value for name, value in settings.items() if value},
    }


def _list_page(
    visit: Visit,
    *,
    status: int = 200,
    error: ApiError | None = None,
    domain_error: ApiError | None = None,
    checked: Any = None,
) -> Response:
    site_id, cursor = visit.part("site_id"), visit.query.get("cursor", "")
    site, deployments = visit.api.get_together(
        (f"/api/sites/{site_id}", {}),
        (DEPLOYMENTS, {"site_id": site_id, "limit": PER_PAGE, "cursor": cursor}),
    )
    return visit.page(
        "deployments.html",
        status=status,
        site=site["site"],
        deployments=deployments,
        targets=TARGETS,
        chosen=str(visit.form.get("target", "")) or TARGETS[0],
        error=error,
        domain_error=domain_error,
        checked=checked,
    )


def _accounts_page(visit: Visit, *, status: int = 200, error: ApiError | None = None, tested: Any = None) -> Response:
    # The token is not among the fields that come back: no page ever contains one.
    fields = {name: str(visit.form.get(name, "")) if error else "" for name in ("kind", "name", *_setting_names())}
    return visit.page(
        "integrations.html",
        status=status,
        integrations=visit.get(INTEGRATIONS)["items"],
        kinds=SETTINGS,
        fields=fields,
        tested=tested,
        error=error,
        errors={path.rpartition(".")[2]: text for path, text in error.fields.items()} if error else {},
    )


def _setting_names() -> tuple[str, ...]:
    return tuple(name for names in SETTINGS.values() for name in names)


routes = [
    route("/sites/{site_id}/deployments", show_deployments),
    route("/sites/{site_id}/deployments", deploy, "POST"),
    route("/sites/{site_id}/deployments/domain", check_domain, "POST"),
    route("/deployments/{deployment_id}", show_deployment),
    route("/deployments/{deployment_id}/cancel", cancel, "POST"),
    route("/deployments/{deployment_id}/rollback", roll_back, "POST"),
    route("/integrations", show_integrations),
    route("/integrations", add_integration, "POST"),
    route("/integrations/{integration_id}/test", test_integration, "POST"),
    route("/integrations/{integration_id}/remove", remove_integration, "POST"),
]
