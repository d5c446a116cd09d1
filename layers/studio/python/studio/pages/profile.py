"""What a person says about themselves, and the end of the account."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError
from studio.endpoints import route
from studio.visit import Visit

PAGE = "/profile"
FIELDS = ("name", "persona", "locale", "time_zone", "avatar_asset_id")
PERSONAS = ("none", "artist", "educator", "partner")
IMAGES = 24


def show(visit: Visit) -> Response:
    """The profile."""
    return _page(visit)


def change(visit: Visit) -> Response:
    """Keeps what was written."""
    written = {name: str(visit.form.get(name, "")).strip() for name in FIELDS}
    # An empty name is refused by the API; the other fields are removed by leaving them empty.
    body: dict[str, Any] = {name: value or (value if name == "name" else None) for name, value in written.items()}
    try:
        visit.api.call("PUT", "/api/users/me", body)
    except ApiError as error:
        if error.status != 422:
            raise
        return _page(visit, written, error)
    return visit.go(f"{PAGE}?saved=1")


def delete(visit: Visit) -> Response:
    """Asks for the deletion of the account, and says until when it can be taken back."""
    try:
        due_at = visit.api.call("DELETE", "/api/users/me").data["deletion_due_at"]
    except ApiError as error:
        if error.status != 409:
            raise
        return _page(visit, refused=error)
    visit.session.end()
    visit.api.access_token = ""
    return visit.page("account_deleted.html", due_at=due_at)


def _page(
    visit: Visit,
    written: dict[str, str] | None = None,
    error: ApiError | None = None,
    refused: ApiError | None = None,
) -> Response:
    profile, images = visit.api.get_together(("/api/users/me", {}), ("/api/assets", {"type": "image", "limit": IMAGES}))
    failure = error or refused
    return visit.page(
        "profile.html",
        status=failure.status if failure else 200,
        profile=profile | (written or {}),
        email=profile["email"],
        images=images["items"],
        personas=PERSONAS,
        saved="saved" in visit.query,
        errors=error.fields if error else {},
        refused=refused,
    )


routes = [route(PAGE, show), route(PAGE, change, "POST"), route("/profile/delete", delete, "POST")]
