"""Generations over HTTP: ask, look, list, cancel, retry, recipe."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier import cursors
from atelier.generations.contract import (
    GenerateRequest,
    GenerationEnvelope,
    GenerationList,
    ImageRequest,
    ListQuery,
    RecipeEnvelope,
    recipe_view,
)
from atelier.generations.model import Recipe
from atelier.http import Answer, Api, Nothing, Request
from atelier.wiring import admission, generations

api = Api("generations", gate=admission.gate, limiter=admission.limiter)
handler = api.handler
create = partial(
    api.route,
    "POST",
    permission="generations.create",
    answer=GenerationEnvelope,
    statuses=(202, 200),
    errors=(402, 404, 409, 413, 415, 503),
)

read = partial(api.route, "GET", permission="generations.read", errors=(404,))


@create("/api/generate", body=GenerateRequest)
def generate(request: Request[GenerateRequest]) -> Answer:
    """Make something; the kind is in the body."""
    return _submit(request, request.body.recipe(), "generate")


@create("/api/generate/image", body=ImageRequest)
def generate_image(request: Request[ImageRequest]) -> Answer:
    """Make pictures."""
    return _submit(request, request.body.recipe(), "generate")


@read("/api/generations", query=ListQuery, answer=GenerationList)
def list_generations(request: Request[Nothing]) -> Answer:
    """List the workspace's generations, newest first."""
    query: ListQuery = request.query
    after = cursors.decode(query.cursor, "gen_")
    page = generations.store().list(request.caller.workspace_id, query.filters(), after, query.limit)
    items = [generations.view(generation, request.now) for generation in page.generations]
    return Answer(GenerationList(items=items, next_cursor=cursors.encode(page.next_id)))


@read("/api/generations/<generation_id>", answer=GenerationEnvelope)
def get_generation(request: Request[Nothing]) -> Answer:
    """One generation: status, progress, attempts, cost, assets."""
    generation = generations.store().get(request.caller.workspace_id, request.id("generation_id", "gen"))
    return Answer(GenerationEnvelope(generation=generations.view(generation, request.now)))


@create("/api/generations/<generation_id>/cancel")
def cancel_generation(request: Request[Nothing]) -> Answer:
    """Ask for a generation to stop; 200 when it has, 202 while its provider is being told."""
    generation = generations.cancel(request.caller.workspace_id, request.id("generation_id", "gen"), request.now)
    view = GenerationEnvelope(generation=generations.view(generation, request.now))
    return Answer(view, status=202 if generation.is_open else 200)


@create("/api/generations/<generation_id>/retry")
def retry_generation(request: Request[Nothing]) -> Answer:
    """Run the same recipe again, as a new generation."""
    earlier = generations.store().get(request.caller.workspace_id, request.id("generation_id", "gen"))
    return _submit(request, earlier.recipe, f"retry {earlier.id}")


@read("/api/generations/<generation_id>/recipe", answer=RecipeEnvelope)
def get_recipe(request: Request[Nothing]) -> Answer:
    """All parameters of a generation, to run it again."""
    generation = generations.store().get(request.caller.workspace_id, request.id("generation_id", "gen"))
    return Answer(RecipeEnvelope(recipe=recipe_view(generation)))


def _submit(request: Request[Any], recipe: Recipe, scope: str) -> Answer:
    key = f"{scope} {request.idempotency_key}" if request.idempotency_key else None
    accepted = generations.submit(request.caller, recipe, key, request.now)
    generation = accepted.generation
    if request.wait_seconds:
        generation = generations.wait(generation, request.wait_seconds, request.now)
    headers = {"Location": f"/api/generations/{generation.id}"}
    if accepted.replayed:
        headers["Idempotent-Replayed"] = "true"
    met = bool(request.wait_seconds) and not generation.is_open
    if met:
        headers["Preference-Applied"] = f"wait={request.wait_seconds}"
    view = GenerationEnvelope(generation=generations.view(generation, request.now))
    return Answer(view, status=200 if met else 202, headers=headers)
