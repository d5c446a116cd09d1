"""What a sign-in may still lack after its first step, whatever the way: a second factor, or to take back a deletion."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.csrf import FIELD
from studio.external_logins import binding
from studio.visit import Visit

Kept = Sequence[tuple[str, str]]


def next_step(
    visit: Visit, data: Json, target: str, kept: Kept, login: Mapping[str, str] | None = None
) -> Response | None:
    """The page that asks for what is missing; None when the session is open. data: the API's answer to a sign-in.
    login: what links an external login once the session is open (`link_login`)."""
    login = login or {}
    if data.get("mfa_required"):
        return second_factor_page(visit, data["mfa_ticket"], data["factors"], target, kept, login=login)
    if data.get("restore_required"):
        ticket, due_at = data["restore_ticket"], data["deletion_due_at"]
        return visit.page("restore.html", ticket=ticket, due_at=due_at, next=target, login=login, error=None)
    return link_login(visit, login)


def second_factor_page(
    visit: Visit,
    ticket: str,
    factors: Sequence[str],
    target: str,
    kept: Kept,
    error: ApiError | None = None,
    *,
    login: Mapping[str, str],
) -> Response:
    """The page that asks for the second factor."""
    values: dict[str, Any] = {"ticket": ticket, "factors": list(factors), "next": target, "kept": kept, "login": login}
    return visit.page("second_factor.html", status=error.status if error else 200, error=error, **values)


def pending_login(visit: Visit) -> dict[str, str]:
    """What the forms of a sign-in carry to link an external login at its end; {} if there is none."""
    found = {name: str(visit.form.get(f"secret_login_{name}", "")) for name in ("link_ticket", "token")}
    return {name: value for name, value in found.items() if value}


def link_login(visit: Visit, login: Mapping[str, str]) -> Response | None:
    """Links an external login to the account that has just been entered. None when that is done, or there is none; the
    page of the logins when the API refuses."""
    if not login:
        return None
    try:
        visit.api.call("POST", "/api/auth/identities", dict(login), headers=binding(visit))
    except ApiError as error:
        if error.status not in (401, 403, 409, 422, 429):
            raise
        return visit.go("/identities?link=refused")
    return None


def entered(visit: Visit, target: str, kept: Kept) -> Response:
    """Where a person goes who has signed in: on, or to the form that was interrupted."""
    return visit.page("go_on.html", next=target, kept=kept) if kept else visit.go(target)


def kept_fields(visit: Visit) -> list[tuple[str, str]]:
    """The fields of the form that was interrupted, which the forms of a sign-in carry as `kept:<name>`."""
    return [
        (name.removeprefix("kept:"), value)
        for name, value in visit.form.multi_items()
        if name.startswith("kept:") and name != f"kept:{FIELD}"
    ]


def credential_of(visit: Visit) -> Json:
    """What the browser's script has put into the form: a passkey's answer. {} if it is none."""
    try:
        found: Any = json.loads(str(visit.form.get("secret_credential", "")))
    except ValueError:
        return {}
    return cast("Json", found) if isinstance(found, dict) else {}
