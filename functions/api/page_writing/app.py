"""Page writing over HTTP: models write pages, sections, texts and layouts of sites, as drafts."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.generations.quote_schemas import QuoteView
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created, progress_status
from atelier.page_writing import present_writing
from atelier.page_writing.schemas import GeneratePageRequest, TakeRequest, WritingEnvelope, WritingRequest
from atelier.wiring import auth, page_writing

api = Api("page-writing", gate=auth.spending_gate, limiter=auth.limiter)
handler = api.handler
ERRORS = (402, 404, 409, 413, 415, 503)
edit = partial(api.route, "POST", permission="sites.edit", errors=ERRORS)
write = partial(edit, answer=WritingEnvelope, statuses=(202, 200))
WRITING = "/api/sites/<site_id>/writings/<generation_id>"


def ordered(request: Request[Any], site_id: str) -> Response:
    """202 and the writing, or 200 when the caller has waited for its end."""
    deps, options = page_writing.order_deps(request.now), page_writing.options(request)
    saving, caller = page_writing.writing_deps(), request.caller
    result = present_writing.order(deps, saving, caller, site_id, request.body, request.now, options)
    return created(
        f"/api/sites/{site_id}/writings/{result.generation.id}",
        result.view,
        replayed=result.replayed,
        status=progress_status(is_final=not result.generation.is_open),
        waited_seconds=result.waited_seconds,
    )


@write("/api/sites/<site_id>/generate", body=WritingRequest)
def generate_for_site(request: Request[WritingRequest]) -> Response:
    """Have a model write for a site. The result is a draft: a person publishes it."""
    return ordered(request, request.path_id("site_id", "sit"))


@write("/api/ai/generate-page", body=GeneratePageRequest)
def generate_page(request: Request[GeneratePageRequest]) -> Response:
    """Have a model write for the site that the body names."""
    return ordered(request, request.body.site_id)


@edit("/api/sites/<site_id>/generate/quote", body=WritingRequest, answer=QuoteView, statuses=(200,))
def quote(request: Request[WritingRequest]) -> Response:
    """Get a binding price for what a model would write: a signed quote, redeemed once and never exceeded."""
    # Imported here, because most requests read.
    from atelier.page_writing.order_writing import quote_writing

    deps, wanted = page_writing.order_deps(request.now), request.body.wanted(request.path_id("site_id", "sit"))
    return Response(quote_writing(deps, request.caller, wanted, request.now))


@api.route("GET", WRITING, permission="sites.read", answer=WritingEnvelope, errors=(404, 503))
def get_writing(request: Request[Empty]) -> Response:
    """Get what became of what a model was asked to write."""
    ids = request.path_id("site_id", "sit"), request.path_id("generation_id", "gen")
    deps, workspace_id = page_writing.writing_deps(), request.caller.workspace_id
    return Response(present_writing.read_writing(deps, workspace_id, *ids, request.now))


@edit(f"{WRITING}/take", body=TakeRequest, answer=WritingEnvelope, statuses=(200,))
def take_writing(request: Request[TakeRequest]) -> Response:
    """Save a proposal as the newest version of its page, in place of what others have written."""
    ids = request.path_id("site_id", "sit"), request.path_id("generation_id", "gen")
    deps, caller = page_writing.writing_deps(), request.caller
    return Response(present_writing.take(deps, caller, *ids, request.body, request.now))
