"""Workspaces and organisations: where the person works, who belongs to it, invitations, settings and usage.

These pages name their workspace in their path, whichever the person works in."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError
from studio.endpoints import route
from studio.visit import Visit

ROLES = ("owner", "admin", "editor", "member", "viewer")
# Refusals that the page itself shows, beside what was written.
SHOWN_ON_PAGE = (403, 404, 409, 422, 429)


def show_workspaces(visit: Visit) -> Response:
    """The person's workspaces, and the form for a new organisation."""
    return _workspaces(visit)


def create(visit: Visit) -> Response:
    """Creates an organisation, and shows its members."""
    name = str(visit.form.get("name", ""))
    try:
        made = _post(visit, "/api/workspaces", {"name": name})["workspace"]
    except ApiError as error:
        if error.status not in SHOWN_ON_PAGE:
            raise
        return _workspaces(visit, name=name, error=error)
    return visit.go(f"/team/{made['id']}")


def work_here(visit: Visit) -> Response:
    """Chooses where the person works."""
    workspace = _workspace(visit)
    is_personal = workspace["kind"] == "personal"
    visit.session.work_in("" if is_personal else workspace["id"], workspace["name"])
    return visit.go("/create")


def show_members(visit: Visit) -> Response:
    """Who belongs to an organisation."""
    return _members(visit)


def change_role(visit: Visit) -> Response:
    """Gives a member another role."""
    path = f"{_path(visit)}/members/{visit.part('user_id')}"
    return _changed(visit, "PUT", path, {"role": str(visit.form.get("role", ""))})


def remove_member(visit: Visit) -> Response:
    """Removes a member."""
    return _changed(visit, "DELETE", f"{_path(visit)}/members/{visit.part('user_id')}")


def transfer(visit: Visit) -> Response:
    """Makes a member the owner in the person's place."""
    return _changed(visit, "POST", f"{_path(visit)}/transfer", {"user_id": str(visit.form.get("user_id", ""))})


def leave(visit: Visit) -> Response:
    """Leaves an organisation, for the personal workspace."""
    try:
        _post(visit, f"{_path(visit)}/leave", {})
    except ApiError as error:
        if error.status not in SHOWN_ON_PAGE:
            raise
        return _members(visit, error=error)
    visit.session.work_in("", "")
    return visit.go("/team")


def show_invitations(visit: Visit) -> Response:
    """The open invitations, and the form for another one."""
    return _invitations(visit)


def invite(visit: Visit) -> Response:
    """Invites an address."""
    email, role = str(visit.form.get("email", "")), str(visit.form.get("role", "editor"))
    try:
        _post(visit, f"{_path(visit)}/invitations", {"email": email, "role": role})
    except ApiError as error:
        if error.status not in SHOWN_ON_PAGE:
            raise
        return _invitations(visit, email=email, role=role, error=error)
    return visit.go(f"/team/{visit.part('workspace_id')}/invitations")


def send_again(visit: Visit) -> Response:
    """Sends the mail of an invitation again."""
    return _invitation_changed(visit, "POST", f"{_invitation_path(visit)}/resend")


def revoke(visit: Visit) -> Response:
    """Revokes an invitation."""
    return _invitation_changed(visit, "DELETE", _invitation_path(visit))


def show_settings(visit: Visit) -> Response:
    """Name, short name and rules of an organisation, how much of each quota is used, and how to delete it."""
    return _settings(visit)


def change_settings(visit: Visit) -> Response:
    """Changes them."""
    form = visit.form
    settings = {name: form.get(name) == "1" for name in ("require_mfa", "open_invitations")}
    body = {"name": str(form.get("name", "")), "slug": str(form.get("slug", "")), "settings": settings}
    try:
        _call(visit, "PUT", _path(visit), body)
    except ApiError as error:
        if error.status not in SHOWN_ON_PAGE:
            raise
        return _settings(visit, error=error)
    return visit.go(f"/team/{visit.part('workspace_id')}/settings")


def delete(visit: Visit) -> Response:
    """Deletes an organisation, which its owner can undo for two weeks."""
    _call(visit, "DELETE", _path(visit))
    visit.session.work_in("", "")
    return visit.go("/team")


def restore(visit: Visit) -> Response:
    """Restores a deleted organisation."""
    _post(visit, f"{_path(visit)}/restore", {})
    return visit.go(f"/team/{visit.part('workspace_id')}")


def show_invitation(visit: Visit) -> Response:
    """What the link of an invitation leads to, before its button is pressed."""
    token = visit.query.get("token", "")
    return _invitation(visit, token)


def accept(visit: Visit) -> Response:
    """Accepts an invitation; the person then works in the organisation."""
    token = str(visit.form.get("token", ""))
    try:
        joined = _post(visit, f"/api/invitations/{_segment(token)}/accept", {})["workspace"]
    except ApiError as error:
        if error.status not in SHOWN_ON_PAGE:
            raise
        return _invitation(visit, token, error=error)
    visit.session.work_in(joined["id"], joined["name"])
    return visit.go(f"/team/{joined['id']}")


def _workspaces(visit: Visit, *, name: str = "", error: ApiError | None = None) -> Response:
    current = visit.api.workspace_id
    items = _get(visit, "/api/workspaces")["items"]
    visit.api.workspace_id = current
    return visit.page(
        "team.html", status=error.status if error else 200, items=items, current=current, name=name, error=error
    )


def _members(visit: Visit, *, error: ApiError | None = None) -> Response:
    visit.api.workspace_id = ""
    path = _path(visit)
    workspace, members = visit.api.get_together((path, {}), (f"{path}/members", {}))
    return visit.page(
        "team_members.html",
        status=error.status if error else 200,
        workspace=workspace["workspace"],
        members=members["items"],
        roles=ROLES,
        error=error,
    )


def _changed(visit: Visit, method: str, path: str, body: dict[str, Any] | None = None) -> Response:
    try:
        _call(visit, method, path, body)
    except ApiError as error:
        if error.status not in SHOWN_ON_PAGE or error.code == "STEP_UP_REQUIRED":
            raise
        return _members(visit, error=error)
    return visit.go(f"/team/{visit.part('workspace_id')}")


def _invitations(visit: Visit, *, email: str = "", role: str = "editor", error: ApiError | None = None) -> Response:
    visit.api.workspace_id = ""
    path = _path(visit)
    workspace, open_invitations = visit.api.get_together((path, {}), (f"{path}/invitations", {}))
    return visit.page(
        "team_invitations.html",
        status=error.status if error else 200,
        workspace=workspace["workspace"],
        invitations=open_invitations["items"],
        roles=ROLES,
        email=email,
        role=role,
        error=error,
        errors=error.fields if error else {},
    )


def _invitation_changed(visit: Visit, method: str, path: str) -> Response:
    try:
        _call(visit, method, path, {} if method == "POST" else None)
    except ApiError as error:
        if error.status not in SHOWN_ON_PAGE:
            raise
        return _invitations(visit, error=error)
    return visit.go(f"/team/{visit.part('workspace_id')}/invitations")


def _settings(visit: Visit, *, error: ApiError | None = None) -> Response:
    visit.api.workspace_id = ""
    path = _path(visit)
    workspace, usage = visit.api.get_together((path, {}), (f"{path}/usage", {}))
    return visit.page(
        "team_settings.html",
        status=error.status if error else 200,
        workspace=workspace["workspace"],
        quotas=usage["quotas"],
        error=error,
        errors=error.fields if error else {},
    )


def _invitation(visit: Visit, token: str, *, error: ApiError | None = None) -> Response:
    invitation = None
    try:
        invitation = _get(visit, f"/api/invitations/{_segment(token)}")["invitation"]
    except ApiError as missing:
        if missing.status not in SHOWN_ON_PAGE:
            raise
        error = error or missing
    status = error.status if error else 200
    return visit.page("invitation.html", status=status, invitation=invitation, token=token, error=error)


def _workspace(visit: Visit) -> dict[str, Any]:
    workspace: dict[str, Any] = _get(visit, _path(visit))["workspace"]
    return workspace


def _path(visit: Visit) -> str:
    return f"/api/workspaces/{visit.part('workspace_id')}"


def _invitation_path(visit: Visit) -> str:
    return f"{_path(visit)}/invitations/{visit.part('invitation_id')}"


def _segment(token: str) -> str:
    """A token as a part of a path; one that can be none becomes one that no invitation has."""
    return token if token and all(character.isalnum() or character in "._-" for character in token) else "none"


def _get(visit: Visit, path: str) -> dict[str, Any]:
    visit.api.workspace_id = ""
    return visit.get(path)


def _post(visit: Visit, path: str, body: dict[str, Any]) -> dict[str, Any]:
    return _call(visit, "POST", path, body)


def _call(visit: Visit, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    visit.api.workspace_id = ""
    headers = {"Idempotency-Key": visit.form_key} if method == "POST" else {}
    return visit.api.call(method, path, body, headers=headers).data


routes = [
    route("/team", show_workspaces),
    route("/team", create, "POST"),
    route("/team/{workspace_id}", show_members),
    route("/team/{workspace_id}/work", work_here, "POST"),
    route("/team/{workspace_id}/members/{user_id}", change_role, "POST"),
    route("/team/{workspace_id}/members/{user_id}/remove", remove_member, "POST"),
    route("/team/{workspace_id}/transfer", transfer, "POST"),
    route("/team/{workspace_id}/leave", leave, "POST"),
    route("/team/{workspace_id}/invitations", show_invitations),
    route("/team/{workspace_id}/invitations", invite, "POST"),
    route("/team/{workspace_id}/invitations/{invitation_id}/resend", send_again, "POST"),
    route("/team/{workspace_id}/invitations/{invitation_id}/revoke", revoke, "POST"),
    route("/team/{workspace_id}/settings", show_settings),
    route("/team/{workspace_id}/settings", change_settings, "POST"),
    route("/team/{workspace_id}/delete", delete, "POST"),
    route("/team/{workspace_id}/restore", restore, "POST"),
    route("/invitation", show_invitation),
    route("/invitation", accept, "POST"),
]
