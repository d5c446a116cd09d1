"""What a sign-in may still lack after its first step, whatever the way: a second factor, or to take back a deletion."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.csrf import FIELD
from studio.visit import Visit

Kept = Sequence[tuple[str, str]]


def next_step(visit: Visit, data: Json, target: str, kept: Kept) -> Response | None:
    """The page that asks for what is missing; None when the session is open. data: the API's answer to a sign-in."""
    if data.get("mfa_required"):
        return second_factor_page(visit, data["mfa_ticket"], data["factors"], target, kept)
    if data.get("restore_required"):
        return visit.page(
            "restore.html", ticket=data["restore_ticket"], due_at=data["deletion_due_at"], next=target, error=None
        )
    return None


def second_factor_page(
    visit: Visit, ticket: str, factors: Sequence[str], target: str, kept: Kept, error: ApiError | None = None
) -> Response:
    """The page that asks for the second factor."""
    values: dict[str, Any] = {"ticket": ticket, "factors": list(factors), "next": target, "kept": kept, "error": error}
    return visit.page("second_factor.html", status=error.status if error else 200, **values)


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
