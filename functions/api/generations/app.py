"""Generations over HTTP: quote, create, get, list, cancel, retry, recipe."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.generations import create, present, schemas
from atelier.generations import view_schemas as views
from atelier.generations.create_quote import create_quote
from atelier.generations.quote_schemas import QuoteView
from atelier.generations.read_generation import read_generation
from atelier.generations.run_schemas import EnhancedView, EnhanceRequest, PipelineList, PipelineRequest, pipeline_list
from atelier.generations.schemas import MakeRequest
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created, progress_status, waited_headers
from atelier.wiring import auth, generation_requests, generations

api = Api("generations", gate=auth.spending_gate, limiter=auth.limiter)
handler = api.handler
ERRORS = (402, 404, 409, 413, 415, 503)
post_route = partial(api.route, "POST", permission="generations.create", statuses=(202, 200), errors=ERRORS)
generation_route = partial(post_route, answer=views.GenerationEnvelope)
get_route = partial(api.route, "GET", permission="generations.read", errors=(404,))


def created_generation(request: Request[Any], result: create.CreatedGeneration) -> Response:
    """202 and the generation, or 200 when the caller has waited for its end."""
    generation = result.generation
    return created(
        f"/api/generations/{generation.id}",
        present.envelope(generation_requests.present_deps(), generation, request.now),
        replayed=result.replayed,
        status=progress_status(is_final=result.waited_seconds is not None),
        waited_seconds=result.waited_seconds,
    )


def create_options(request: Request[Any]) -> create.CreateOptions:
    """How the caller wants the request handled."""
    return create.CreateOptions(request.idempotency_key, request.wait_seconds)


def create_generation(
    request: Request[MakeRequest], *, kind: str | None = None, template_id: str | None = None
) -> Response:
    """Create the generation of a body. `kind` and `template_id` are those of the path."""
    deps, options = generation_requests.create_deps(request.now), create_options(request)
    result = create.create(deps, request.caller, request.body, request.now, options, kind=kind, template_id=template_id)
    return created_generation(request, result)


@generation_route(
    "/api/quotes", body=schemas.QuoteRequest, answer=QuoteView, statuses=(200,), errors=(402, 413, 415, 503)
)
def quote(request: Request[schemas.QuoteRequest]) -> Response:
    """Get a binding price: a signed quote, redeemed once and never exceeded."""
    deps = generation_requests.create_deps(request.now)
    return Response(create_quote(deps, request.caller, request.body, request.now))


@generation_route("/api/generate", body=MakeRequest)
def generate(request: Request[MakeRequest]) -> Response:
    """Create a generation; its kind is given by the body or by a template."""
    return create_generation(request)


@generation_route("/api/generate/<kind>", body=MakeRequest)
def generate_kind(request: Request[MakeRequest]) -> Response:
    """Create a text, an image, a video, audio (speech), a talking avatar, a page, or an upscale of an image."""
    return create_generation(request, kind=request.path["kind"])


@generation_route("/api/templates/<template_id>/run", body=MakeRequest)
def run_template(request: Request[MakeRequest]) -> Response:
    """Create a generation from a template; values in the body override those of the template."""
    return create_generation(request, template_id=request.path_id("template_id", "tpl"))


@generation_route("/api/pipelines", body=PipelineRequest)
def run_pipeline(request: Request[PipelineRequest]) -> Response:
    """Create a run: several stages, each made from the result of the one before, under one hold of credits."""
    deps, options = generation_requests.create_deps(request.now), create_options(request)
    result = create.create_run(deps, request.caller, request.body, request.now, options)
    return created_generation(request, result)


@get_route("/api/pipelines", answer=PipelineList, errors=())
def list_pipelines(_request: Request[Empty]) -> Response:
    """List the pipelines and their stages."""
    return Response(pipeline_list())


@generation_route(
    "/api/prompts/enhance", body=EnhanceRequest, answer=EnhancedView, statuses=(200, 202), errors=(402, 502, 503)
)
def enhance_prompt(request: Request[EnhanceRequest]) -> Response:
    """Have a prompt rewritten by a text model. If it takes longer than 25 s, poll its generation."""
    deps, key = generation_requests.create_deps(request.now), request.idempotency_key
    enhanced = create.enhance(deps, request.caller, request.body, request.now, key)
    return created(
        f"/api/generations/{enhanced.generation.id}",
        enhanced.view,
        replayed=enhanced.replayed,
        status=progress_status(is_final=not enhanced.generation.is_open),
    )


@get_route("/api/generations", query=schemas.ListQuery, answer=views.GenerationList)
def list_generations(request: Request[Empty]) -> Response:
    """List the workspace's generations, newest first."""
    workspace_id = request.caller.workspace_id
    return Response(present.list_view(generation_requests.present_deps(), workspace_id, request.query, request.now))


@get_route("/api/generations/<generation_id>", answer=views.GenerationEnvelope, waits=True)
def get_generation(request: Request[Empty]) -> Response:
    """Get one generation: status, progress, place in the queue, attempts, cost, assets."""
    deps, generation_id = generation_requests.read_deps(), request.path_id("generation_id", "gen")
    found = read_generation(deps, request.caller, generation_id, request.wait_seconds, request.now)
    view = present.envelope(generation_requests.present_deps(), found.generation, request.now)
    return Response(view, headers=waited_headers(found.waited_seconds))


@generation_route("/api/generations/<generation_id>/cancel")
def cancel_generation(request: Request[Empty]) -> Response:
    """Cancel a generation: 200 when it has ended, 202 while its provider is asked to stop."""
    # Imported here, because no other route of this function needs it.
    from atelier.generations.cancel import cancel

    workspace_id, generation_id = request.caller.workspace_id, request.path_id("generation_id", "gen")
    generation = cancel(workspace_id, generation_id, deps=generations.close_deps(), now=request.now)
    view = present.envelope(generation_requests.present_deps(), generation, request.now)
    return Response(view, status=progress_status(is_final=not generation.is_open))


@generation_route("/api/generations/<generation_id>/retry")
def retry_generation(request: Request[Empty]) -> Response:
    """Run the same recipe again, as a new generation."""
    deps, generation_id = generation_requests.create_deps(request.now), request.path_id("generation_id", "gen")
    result = create.retry(deps, request.caller, generation_id, request.now, create_options(request))
    return created_generation(request, result)


@get_route("/api/generations/<generation_id>/recipe", answer=views.RecipeEnvelope)
def get_recipe(request: Request[Empty]) -> Response:
    """Get all parameters of a generation, to run it again."""
    generation = generations.store().get(request.caller.workspace_id, request.path_id("generation_id", "gen"))
    return Response(views.RecipeEnvelope(recipe=views.recipe_view(generation)))
