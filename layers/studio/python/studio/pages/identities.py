"""The external logins of the person's account: which there are, linking one, unlinking one."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import Response

from studio.api_client import ApiError
from studio.endpoints import route
from studio.external_logins import NAMES, binding
from studio.visit import Visit

PAGE = "/identities"
LINKED = "/identities/linked"
SHOWN_HERE = (401, 403, 404, 409)


def show(visit: Visit) -> Response:
    """The logins, and the providers of which there is none yet."""
    return _page(visit)


def start(visit: Visit) -> Response:
    """Sends the browser to the provider. A redirect would be refused: forms may only be sent to our own pages."""
    provider = visit.part("provider")
    path = f"/api/auth/identities/{provider}"
    answer = visit.api.call("POST", path, {"redirect_to": LINKED}, headers=binding(visit))
    visit.set_cookies += answer.cookies
    url = str(answer.data["url"])
    return visit.page("identities_leave.html", url=url, host=urlsplit(url).hostname)


def finish(visit: Visit) -> Response:
    """Links the login with which the person comes back."""
    if "code" not in visit.query:
        return visit.go(PAGE)
    try:
        visit.api.call("POST", "/api/auth/identities", {"code": visit.query["code"]}, headers=binding(visit))
    except ApiError as error:
        if error.status not in SHOWN_HERE or error.code == "STEP_UP_REQUIRED":
            raise
        return _page(visit, error)
    return visit.go(PAGE)


def unlink(visit: Visit) -> Response:
    """Unlinks a provider's login."""
    try:
        visit.api.call("DELETE", f"/api/auth/identities/{visit.part('provider')}")
    except ApiError as error:
        if error.status not in SHOWN_HERE or error.code == "STEP_UP_REQUIRED":
            raise
        return _page(visit, error)
    return visit.go(PAGE)


def _page(visit: Visit, error: ApiError | None = None) -> Response:
    linked, offered = visit.api.get_together(("/api/auth/identities", {}), ("/api/auth/oauth", {}))
    providers = {each["id"]: each["name"] for each in offered["providers"]}
    linked_ids = {each["provider"] for each in linked["items"]}
    return visit.page(
        "identities.html",
        status=error.status if error else 200,
        links=linked["items"],
        names={**NAMES, **providers},
        others={id: name for id, name in providers.items() if id not in linked_ids},
        error=error,
        refused=visit.query.get("link") == "refused",
    )


routes = [
    route(PAGE, show),
    route("/identities/linked", finish),
    route("/identities/{provider}/link", start, "POST"),
    route("/identities/{provider}/unlink", unlink, "POST"),
]
