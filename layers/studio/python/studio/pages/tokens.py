"""API tokens: for programs that use the API in the person's name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from starlette.responses import Response

from studio import settings
from studio.api_client import ApiError, Json
from studio.clock import utc_now
from studio.endpoints import route
from studio.visit import Visit

# The API's groups of permissions, and the single ones. Each has its words in the catalogue of texts.
GROUPS = ("all", "read")
PERMISSIONS = (
    *("generations.create", "generations.read", "assets.create", "assets.read", "assets.manage"),
    *("models.read", "credits.read", "analytics.read", "member-analytics.read", "members.read"),
    *("exports.read", "exports.create", "events.track", "events.manage", "realtime.read"),
    *("projects.read", "projects.manage", "characters.read", "characters.manage", "templates.read", "templates.manage"),
    *(
        "billing.read",
        "budgets.read",
        "budgets.manage",
        "providers.read",
        "providers.manage",
        "api-keys.read",
        "api-keys.manage",
        "sites.read",
        "sites.comment",
        "sites.edit",
        "sites.publish",
        "sites.deploy",
        "integrations.manage",
        "webhooks.read",
        "webhooks.manage",
        "home.read",
        "articles.read",
        "articles.edit",
        "articles.publish",
        "livestreams.read",
        "livestreams.manage",
        "workshops.enrol",
        "workshops.manage",
        "workshops.read",
        "showcase.buy",
        "showcase.publish",
        "showcase.react",
        "showcase.read",
    ),
)
DAYS = (7, 30, 90, 366)
DAYS_DEFAULT = 90
# The longest time that the API allows is also what it takes when no time is said.
DAYS_MAX = 366
TOKENS_PER_PAGE = 25
# Refusals that the form itself shows, beside what was written.
SHOWN_IN_FORM = (403, 409, 422)


def show_tokens(visit: Visit) -> Response:
    """The tokens, and the form for a new one."""
    return _page(visit)


def make(visit: Visit) -> Response:
    """Makes a token and shows it, this once."""
    scopes = [str(scope) for scope in visit.form.getlist("scope")]
    name, days = str(visit.form.get("name", "")), str(visit.form.get("days", ""))
    body = {"name": name, "scopes": scopes, "expires_at": end_of(days, utc_now())}
    try:
        made = visit.api.call("POST", "/api/tokens", body, headers={"Idempotency-Key": visit.form_key}).data
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _page(visit, status=error.status, name=name, scopes=scopes, days=days, error=error)
    return _page(visit, made=made)


def end_of(days: str, now: datetime) -> str | None:
    """When a token of so many days ends, None = as late as the API allows. It ends with a day, so that a form that is
    sent twice says the same."""
    count = int(days) if days.isdecimal() and len(days) <= len(str(DAYS_MAX)) else DAYS_MAX
    if count >= DAYS_MAX:
        return None
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight + timedelta(days=count + 1)).isoformat().replace("+00:00", "Z")


def revoke(visit: Visit) -> Response:
    """Ends a token."""
    visit.api.call("DELETE", f"/api/tokens/{visit.part('token_id')}")
    return visit.go("/tokens")


def _page(
    visit: Visit,
    *,
    status: int = 200,
    made: Json | None = None,
    name: str = "",
    scopes: Sequence[str] = ("all",),
    days: str = str(DAYS_DEFAULT),
    error: ApiError | None = None,
) -> Response:
    cursor = visit.query.get("cursor", "")
    tokens = visit.get("/api/tokens", limit=TOKENS_PER_PAGE, cursor=cursor)
    return visit.page(
        "tokens.html",
        status=status,
        tokens=tokens,
        now=utc_now().isoformat(),
        made=made,
        groups=GROUPS,
        permissions=PERMISSIONS,
        choices=DAYS,
        name=name,
        scopes=scopes,
        days=days,
        error=error,
        errors=_errors(error),
        origin=settings.public_origin(),
    )


def _errors(error: ApiError | None) -> dict[str, str]:
    """The messages by the form's fields: the API names the place in a list."""
    return {path.partition(".")[0]: message for path, message in error.fields.items()} if error else {}


routes = [
    route("/tokens", show_tokens),
    route("/tokens", make, "POST"),
    route("/tokens/{token_id}/revoke", revoke, "POST"),
]
