"""Generations over HTTP: quote, create, get, list, cancel, retry, recipe."""

from __future__ import annotations

from functools import partial

from atelier import cursors
from atelier.generations import schemas
from atelier.generations.run_schemas import EnhancedView, EnhanceRequest, PipelineList, PipelineRequest, pipeline_list
from atelier.http import Api, Empty, Request, Response
from atelier.wiring import auth, generations

api = Api("generations", gate=auth.spending_gate, limiter=auth.limiter)
handler = api.handler
ERRORS = (402, 404, 409, 413, 415, 503)
post_route = partial(api.route, "POST", permission="generations.create", statuses=(202, 200), errors=ERRORS)
generation_route = partial(post_route, answer=schemas.GenerationEnvelope)
get_route = partial(api.route, "GET", permission="generations.read", errors=(404,))


@generation_route(
    "/api/quotes", body=schemas.QuoteRequest, answer=schemas.QuoteView, statuses=(200,), errors=(413, 415, 503)
)
def quote(request: Request[schemas.QuoteRequest]) -> Response:
    """Get a binding price: a signed quote, redeemed once and never exceeded."""
    return Response(generations.create_quote(request.caller, request.body, request.now))


@generation_route("/api/generate", body=schemas.MakeRequest)
def generate(request: Request[schemas.MakeRequest]) -> Response:
    """Create a generation; its kind is given by the body or by a template."""
    return generations.create(request)


@generation_route("/api/generate/<kind>", body=schemas.MakeRequest)
def generate_kind(request: Request[schemas.MakeRequest]) -> Response:
    """Create a text, an image, a video, audio (speech), a talking avatar, a page, or an upscale of an image."""
    return generations.create(request, kind=request.path["kind"])


@generation_route("/api/templates/<template_id>/run", body=schemas.MakeRequest)
def run_template(request: Request[schemas.MakeRequest]) -> Response:
    """Create a generation from a template; values in the body override those of the template."""
    return generations.create(request, template_id=request.path_id("template_id", "tpl"))


@generation_route("/api/pipelines", body=PipelineRequest)
def run_pipeline(request: Request[PipelineRequest]) -> Response:
    """Create a run: several stages, each made from the result of the one before, under one hold of credits."""
    (recipe, pipeline), body = request.body.recipe_and_pipeline(), request.body
    return generations.accept_and_respond(
        request, recipe, "generate", body.project_id, body.quote_id, pipeline=pipeline, reuse=body.reuse
    )


@get_route("/api/pipelines", answer=PipelineList, errors=())
def list_pipelines(_request: Request[Empty]) -> Response:
    """List the pipelines and their stages."""
    return Response(pipeline_list())


@generation_route(
    "/api/prompts/enhance", body=EnhanceRequest, answer=EnhancedView, statuses=(200, 202), errors=(402, 502, 503)
)
def enhance_prompt(request: Request[EnhanceRequest]) -> Response:
    """Have a prompt rewritten by a text model. If it takes longer than 25 s, poll its generation."""
    return generations.enhance(request)


@get_route("/api/generations", query=schemas.ListQuery, answer=schemas.GenerationList)
def list_generations(request: Request[Empty]) -> Response:
    """List the workspace's generations, newest first."""
    query, after = request.query, cursors.decode(request.query.cursor, "gen_")
    page = generations.list_page(request.caller.workspace_id, query.filters(), after, query.limit)
    items = [generations.view(generation, request.now, with_text=False) for generation in page.generations]
    return Response(schemas.GenerationList(items=items, next_cursor=cursors.encode(page.next_id)))


@get_route("/api/generations/<generation_id>", answer=schemas.GenerationEnvelope)
def get_generation(request: Request[Empty]) -> Response:
    """Get one generation: status, progress, attempts, cost, assets."""
    generation = generations.store().get(request.caller.workspace_id, request.path_id("generation_id", "gen"))
    return Response(schemas.GenerationEnvelope(generation=generations.view(generation, request.now)))


@generation_route("/api/generations/<generation_id>/cancel")
def cancel_generation(request: Request[Empty]) -> Response:
    """Cancel a generation: 200 when it has ended, 202 while its provider is asked to stop."""
    generation = generations.cancel(request.caller.workspace_id, request.path_id("generation_id", "gen"), request.now)
    view = schemas.GenerationEnvelope(generation=generations.view(generation, request.now))
    return Response(view, status=202 if generation.is_open else 200)


@generation_route("/api/generations/<generation_id>/retry")
def retry_generation(request: Request[Empty]) -> Response:
    """Run the same recipe again, as a new generation."""
    return generations.retry(request, request.path_id("generation_id", "gen"))


@get_route("/api/generations/<generation_id>/recipe", answer=schemas.RecipeEnvelope)
def get_recipe(request: Request[Empty]) -> Response:
    """Get all parameters of a generation, to run it again."""
    generation = generations.store().get(request.caller.workspace_id, request.path_id("generation_id", "gen"))
    return Response(schemas.RecipeEnvelope(recipe=schemas.recipe_view(generation)))
