"""What the forms of the administrators' rooms share: an act by the API, and what is shown when it refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError
from studio.visit import Visit

# Refusals that the page itself shows; one that wants a fresh factor is answered with the page for it.
SHOWN_ON_PAGE = (402, 403, 404, 409, 422)
Show = Callable[[Visit, ApiError | None], Response]


def act(visit: Visit, path: str, body: Mapping[str, Any], back: str, show: Show, *, method: str = "POST") -> Response:
    """Sends an act to the API and goes to the page `back`; `show` makes the page of a refusal."""
    try:
        visit.api.call(method, path, body, headers={"Idempotency-Key": visit.form_key})
    except ApiError as error:
        if error.status not in SHOWN_ON_PAGE or error.code == "STEP_UP_REQUIRED":
            raise
        return show(visit, error)
    return visit.go(back)


def status_of(error: ApiError | None) -> int:
    """The status of a page that shows this refusal."""
    return error.status if error else 200


def safe(text: str) -> str:
    """A part of a path, of the letters that ids have."""
    return (
        "".join(letter for letter in text.strip() if letter.isascii() and (letter.isalnum() or letter in "_-"))
        or "none"
    )
