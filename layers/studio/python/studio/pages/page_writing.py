"""Write with AI: a model writes for a site, and the result is a draft.

The person sees the price before anything is ordered: the first press of the button asks for it, the second one orders
at that price. When the form has changed in between, the price is shown anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

FIELDS = ("kind", "task", "prompt", "page_id", "block_id", "language", "path", "model")
TASKS = ("write", "improve", "translate", "seo")
KINDS_OF_PAGE, KINDS_WITHOUT_PAGE = ("page", "section", "content", "layout"), ("page", "section", "layout")
# Refusals that the form itself shows, beside what was written.
SHOWN_IN_FORM = (402, 403, 409, 422, 429, 503)
WAIT_SECONDS = 15
# How often a page without a script asks whether the draft is there.
REFRESH_SECONDS = 4


def show_form(visit: Visit) -> Response:
    """The form. Query: `page`, `block`: what it is about; `task`: what is chosen at first."""
    page_id, task = visit.query.get("page", ""), visit.query.get("task", "write")
    typed = {
        **dict.fromkeys(FIELDS, ""),
        "kind": "content" if page_id and task != "write" else "section" if page_id else "page",
        "task": task if task in TASKS else "write",
        "page_id": page_id,
        "block_id": visit.query.get("block", ""),
    }
    return _form(visit, typed)


def write(visit: Visit) -> Response:
    """Show the price, or order at the price that was shown."""
    typed = {name: str(visit.form.get(name, "")).strip() for name in FIELDS}
    site_id, body = visit.part("site_id"), {name: value for name, value in typed.items() if value}
    seen = price_key(typed)
    try:
        if str(visit.form.get("quote_for", "")) != seen:
            quote = visit.api.call("POST", f"/api/sites/{site_id}/generate/quote", body).data
            return _form(visit, typed, quote={**quote, "for": seen})
        headers = {"Idempotency-Key": visit.form_key}
        order = {**body, "quote_id": str(visit.form.get("quote_id", "")), "wait": WAIT_SECONDS}
        made = visit.api.call("POST", f"/api/sites/{site_id}/generate", order, headers=headers).data["writing"]
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        shown = error if not error.fields or "quote_id" in error.fields else None
        return _form(visit, typed, status=error.status, error=shown, errors=dict(error.fields))
    return visit.go(f"/sites/{site_id}/writings/{made['generation_id']}")


def show_writing(visit: Visit) -> Response:
    """What became of an order: the draft, a proposal, or why there is none."""
    site_id, generation_id = visit.part("site_id"), visit.part("generation_id")
    writing = visit.get(f"/api/sites/{site_id}/writings/{generation_id}")["writing"]
    newest = None
    if writing["state"] == "proposed":
        newest = visit.get(f"/api/sites/{site_id}/pages/{writing['page_id']}")["page"]
    return visit.page("page_writing.html", writing=writing, newest=newest, refresh_seconds=REFRESH_SECONDS)


def take(visit: Visit) -> Response:
    """Put a proposal in place of what others have written."""
    site_id, generation_id = visit.part("site_id"), visit.part("generation_id")
    base = str(visit.form.get("base_version", ""))
    body = {"base_version": int(base) if base.isascii() and base.isdecimal() and len(base) < 10 else 0}
    visit.api.call("POST", f"/api/sites/{site_id}/writings/{generation_id}/take", body)
    return visit.go(f"/sites/{site_id}/writings/{generation_id}")


def _form(
    visit: Visit,
    typed: Mapping[str, str],
    *,
    status: int = 200,
    quote: Json | None = None,
    error: ApiError | None = None,
    errors: Mapping[str, str] | None = None,
) -> Response:
    site_id = visit.part("site_id")
    site = visit.get(f"/api/sites/{site_id}")["site"]
    models: list[dict[str, Any]] = visit.get("/api/models")["items"]
    page = visit.get(f"/api/sites/{site_id}/pages/{typed['page_id']}")["page"] if typed["page_id"] else None
    return visit.page(
        "page_writing_form.html",
        status=status,
        site=site,
        about=page,
        typed=typed,
        kinds=KINDS_OF_PAGE if page else KINDS_WITHOUT_PAGE,
        tasks=TASKS if page else TASKS[:1],
        models=[model["id"] for model in models if "page" in model["kinds"] and model["is_offered"]],
        quote=quote,
        error=error,
        errors=errors or {},
    )


def price_key(typed: Mapping[str, str]) -> str:
    """What a price was shown for."""
    return hashlib.sha256(json.dumps(dict(typed), sort_keys=True).encode()).hexdigest()


routes = [
    route("/sites/{site_id}/write", show_form),
    route("/sites/{site_id}/write", write, "POST"),
    route("/sites/{site_id}/writings/{generation_id}", show_writing),
    route("/sites/{site_id}/writings/{generation_id}/take", take, "POST"),
]
