"""Generations for the HTTP function, composed. Nothing here imports a provider or decodes media."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from atelier import cursors
from atelier.adapters.aws.dynamodb import pause_with_jitter
from atelier.adapters.aws.dynamodb.generations import DynamoGenerations
from atelier.adapters.aws.dynamodb.idempotency import DynamoIdempotencyKeys
from atelier.adapters.aws.secrets import Secret
from atelier.adapters.media.keys import media_key
from atelier.clock import system_clock
from atelier.errors import NotFound, ProviderFailed, ValidationFailed
from atelier.generations import quote as quoting
from atelier.generations import submit as submitting
from atelier.generations.character import with_character
from atelier.generations.model import TEXT_KINDS, Generation, Kind, Pipeline, Recipe, Status
from atelier.generations.pipelines import rewritten_prompt
from atelier.generations.ports import Filters, GenerationPage
from atelier.generations.run_schemas import EnhancedView, EnhanceRequest
from atelier.generations.schemas import (
    AssetRef,
    GenerationEnvelope,
    GenerationView,
    MakeRequest,
    QuoteRequest,
    QuoteView,
    generation_view,
    quote_view,
    stage_view,
)
from atelier.generations.wait import WAIT_SECONDS_MAX, wait_for_end
from atelier.http import Caller, Request, Response
from atelier.ledger.model import Wallet
from atelier.library.character import Character
from atelier.routing.rank_offers import Routes
from atelier.settings import (
    AttemptSigning,
    DailyCredits,
    GenerationsTable,
    GenerationTimes,
    MediaBucket,
    RequestsTable,
)
from atelier.wiring import media_urls, moderation, routing, waiting
from atelier.wiring.budgets import projects
from atelier.wiring.ledger import wallets
from atelier.wiring.library import assets
from atelier.wiring.prices import prices
from atelier.wiring.sunsets import routing_catalogue

if TYPE_CHECKING:
    from atelier.generations.finish import CloseDeps

# The longest text that is read into a response, in bytes. The gateway allows 10 MB for a response.
TEXT_BYTES_MAX = 4 * 1024 * 1024


@cache
def store() -> DynamoGenerations:
    """The generations of this deployment."""
    generations = DynamoGenerations()
    generations.bind(GenerationsTable.read().name)
    return generations


@cache
def _keys() -> DynamoIdempotencyKeys:
    keys = DynamoIdempotencyKeys()
    keys.bind(RequestsTable.read().name)
    return keys


def close_deps() -> CloseDeps:
    """The dependencies of ending a generation without a result."""
    from atelier.generations.finish import CloseDeps

    projects()  # Binds the budgets' table: the closing transaction writes to it.
    return CloseDeps(store(), wallets(), prices())


@cache
def _quote_key() -> bytes:
    return quoting.derive_quote_key(bytes.fromhex(Secret(AttemptSigning.read().secret).value()["key"]))


def create_quote(caller: Caller, body: QuoteRequest, now: datetime) -> QuoteView:
    """A signed price."""
    workspace_id, catalogue, routes = caller.workspace_id, routing_catalogue(now), _routes(caller, now)
    requested_run = body.requested_run()
    if requested_run is not None:
        recipe, pipeline = requested_run
    else:
        recipe = body.recipe(_character(workspace_id, body.character_id) if body.character_id else None)
        pipeline = quoting.pipeline_for(
            recipe, enhance=body.enhance_prompt, catalogue=catalogue, now=now, routes=routes
        )
    recipe, pipeline = submitting.resolve_inputs(workspace_id, recipe, pipeline, assets())
    quote_input = body.quote_input(recipe, pipeline)
    promise, offers = quoting.quote(workspace_id, quote_input, catalogue=catalogue, now=now, routes=routes)
    return quote_view(quoting.sign_quote(promise, _quote_key()), promise, offers)


def _wallet(caller: Caller) -> Wallet | None:
    """The workspace's wallet, if the gate has read it."""
    return caller.prefetched if isinstance(caller.prefetched, Wallet) else None


def _routes(caller: Caller, now: datetime) -> Routes:
    wallet = _wallet(caller)
    return routing.routes_of_wallet(wallet, now) if wallet else routing.routes(caller.workspace_id, now)


def _verified_quote(quote_id: str) -> quoting.Quote:
    promise = quoting.verify_quote(quote_id, _quote_key())
    if promise is None:
        raise ValidationFailed([{"path": "quote_id", "message": "This is no quote for this request."}])
    return promise


def submit_for_caller(
    caller: Caller,
    recipe: Recipe,
    idempotency_key: str | None,
    now: datetime,
    *,
    project_id: str | None = None,
    quote_id: str | None = None,
    pipeline: Pipeline | None = None,
    reuse: bool = False,
) -> submitting.AcceptedGeneration:
    """Accept a generation for a verified caller; with a `pipeline` it is a run."""
    verified_quote = _verified_quote(quote_id) if quote_id else None
    return submitting.submit_generation(
        submitting.Submission(
            caller.workspace_id,
            caller.user_id,
            recipe,
            idempotency_key,
            project_id,
            verified_quote,
            pipeline,
            reuse,
        ),
        deps=submitting.SubmitDeps(
            catalogue=routing_catalogue(now),
            lifetime_max=timedelta(seconds=GenerationTimes.read().lifetime_seconds_max),
            wallets=wallets(),
            generations=store(),
            keys=_keys(),
            budgets=projects(),
            input_asset_store=assets(),
            pause=pause_with_jitter,
            routes=partial(routing.routes_of_wallet, now=now),
            moderation=moderation.prompt_check(),
            daily_verified_only=DailyCredits.read().verified_only,
        ),
        now=now,
        wallet=_wallet(caller),
    )


def create(request: Request[MakeRequest], kind: str | None = None, template_id: str | None = None) -> Response:
    """Accept the generation that a body requests. `kind` and `template_id` come from the path. Raises NotFound for an
    unknown kind."""
    body = request.body
    if kind is not None and kind not in list(Kind):
        raise NotFound("There is no such route.")
    if template_id not in (None, body.template_id or template_id):
        raise ValidationFailed([{"path": "template_id", "message": "This path runs another template."}])
    requested_run = body.requested_run()
    if requested_run is not None and template_id is not None:
        raise ValidationFailed([{"path": "pipeline", "message": "A template is not run in stages."}])
    if requested_run is not None:
        recipe, pipeline = requested_run
        return accept_and_respond(
            request, recipe, "generate", body.project_id, body.quote_id, pipeline=pipeline, reuse=body.reuse
        )
    recipe = _recipe(request.caller.workspace_id, body, kind, template_id or body.template_id)
    pipeline = None
    if body.enhance_prompt or quoting.may_become_run(recipe):
        # Only these requests can become a run. All others skip this step and its reads.
        pipeline = quoting.pipeline_for(
            recipe,
            enhance=body.enhance_prompt,
            catalogue=routing_catalogue(request.now),
            now=request.now,
            routes=_routes(request.caller, request.now),
        )
    if body.enhance_prompt:
        # The fingerprint is that of the request, so a repetition matches even if it then needs other stages.
        recipe = replace(recipe, asked=f"{recipe.fingerprint()}+enhanced")
    elif pipeline is not None:
        recipe = replace(recipe, asked=recipe.fingerprint())
    return accept_and_respond(
        request, recipe, "generate", body.project_id, body.quote_id, pipeline=pipeline, reuse=body.reuse
    )


def _recipe(workspace_id: str, body: MakeRequest, kind: str | None, template_id: str | None) -> Recipe:
    if template_id is None and body.character_id is None:
        return body.recipe(kind)
    # The fingerprint is that of the request, so a repetition matches even if template or character have changed.
    fingerprint = f"{body.fingerprint()}{template_id}"
    template = None
    if template_id is not None:
        from atelier.wiring.templates import templates

        template = templates().get(workspace_id, template_id)
    recipe = replace(body.recipe(kind, template), asked=fingerprint)
    return with_character(recipe, _character(workspace_id, body.character_id)) if body.character_id else recipe


def _character(workspace_id: str, character_id: str) -> Character:
    from atelier.wiring.characters import characters

    return characters().get(workspace_id, character_id)


def _count_template_use(generation: Generation) -> None:
    if generation.recipe.template_id:
        from atelier.wiring.templates import templates

        templates().count_use(generation.workspace_id, generation.recipe.template_id)


def retry(request: Request[Any], generation_id: str) -> Response:
    """Accept the same recipe again as a new generation. The retry of a failed run keeps its delivered stages, which are
    not charged again."""
    workspace_id = request.caller.workspace_id
    earlier = store().get(workspace_id, generation_id)
    if earlier.parent_id is not None:
        earlier = store().get(workspace_id, earlier.parent_id)
    # A reused result is retried from the generation that made it, which may be a run.
    original = store().get(workspace_id, earlier.reused_from) if earlier.reused_from else earlier
    pipeline = None
    if original.pipeline is not None:
        from atelier.generations.pipeline_run import kept_in_library, read_stages, resume

        pipeline = resume(original, read_stages(original, store()), kept_in_library(workspace_id, assets()))
    # The fingerprint is fixed per retried generation, so a repetition matches even if other stages are left by then.
    scope = f"retry {earlier.id}"
    return accept_and_respond(
        request, replace(original.recipe, asked=scope), scope, earlier.project_id, pipeline=pipeline
    )


def accept_and_respond(
    request: Request[Any],
    recipe: Recipe,
    scope: str,
    project_id: str | None,
    quote_id: str | None = None,
    *,
    pipeline: Pipeline | None = None,
    reuse: bool = False,
) -> Response:
    """Accept a generation and build the response: at once, or after waiting as long as the caller allows (`Prefer:
    wait`). scope: the namespace of the caller's Idempotency-Key."""
    key = f"{scope} {request.idempotency_key}" if request.idempotency_key else None
    accepted = submit_for_caller(
        request.caller,
        recipe,
        key,
        request.now,
        project_id=project_id,
        quote_id=quote_id,
        pipeline=pipeline,
        reuse=reuse,
    )
    generation = accepted.generation
    if not accepted.replayed:
        _count_template_use(generation)
    if request.wait_seconds:
        generation = wait(generation, request.wait_seconds, request.now)
    headers = {"Location": f"/api/generations/{generation.id}"}
    if accepted.replayed:
        headers["Idempotent-Replayed"] = "true"
    is_final = bool(request.wait_seconds) and not generation.is_open
    if is_final:
        headers["Preference-Applied"] = f"wait={request.wait_seconds}"
    answer = GenerationEnvelope(generation=view(generation, request.now))
    return Response(answer, status=200 if is_final else 202, headers=headers)


def enhance(request: Request[EnhanceRequest]) -> Response:
    """Have a prompt rewritten, and wait for it within the gateway's time-out. Raises ProviderFailed when the generation
    ended without a result."""
    body = request.body
    key = f"enhance {request.idempotency_key}" if request.idempotency_key else None
    accepted = submit_for_caller(request.caller, body.recipe(), key, request.now, project_id=body.project_id)
    generation = wait(accepted.generation, WAIT_SECONDS_MAX, request.now)
    if not generation.is_open and generation.status is not Status.SUCCEEDED:
        failure = generation.failure
        raise ProviderFailed(
            failure.message if failure else "This was cancelled.",
            generation_id=generation.id,
            error_class=failure.error_class if failure else None,
        )
    enhanced_text = read_text(generation)
    answer = EnhancedView(
        prompt=None if enhanced_text is None else rewritten_prompt(body.prompt, enhanced_text),
        original=body.prompt,
        credits_charged=generation.credits_charged,
        generation_id=generation.id,
        status=generation.status.value,
    )
    headers = {"Location": f"/api/generations/{generation.id}"}
    if accepted.replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(answer, status=202 if generation.is_open else 200, headers=headers)


def list_page(workspace_id: str, filters: Filters, after_id: str | None, limit: int) -> GenerationPage:
    """A page of the workspace's generations, newest first. It has fewer than `limit` items when their texts are too
    long for one response."""
    found = store().list(workspace_id, filters, after_id, limit)
    fitting_items, next_id = cursors.fit_to_response(
        found.generations,
        found.next_id,
        key=lambda each: each.id,
        long_parts=lambda each: [
            each.recipe.prompt,
            each.enhanced_prompt,
            each.recipe.negative_prompt,
            each.recipe.parameters,
        ],
    )
    return GenerationPage(tuple(fitting_items), next_id)


def cancel(workspace_id: str, generation_id: str, now: datetime) -> Generation:
    """Cancel a generation of the workspace."""
    from atelier.generations import cancel as cancelling

    return cancelling.cancel(workspace_id, generation_id, deps=close_deps(), now=now)


def wait(generation: Generation, seconds: int, requested_at: datetime) -> Generation:
    """Wait for the end of a generation, for a bounded time. When too many requests of the account wait already, the
    generation is returned at once."""
    if not generation.is_open:
        return generation
    with waiting.bounded_wait(generation.user_id, seconds) as may_wait:
        return _wait_for_end(generation, seconds, requested_at) if may_wait else generation


def _wait_for_end(generation: Generation, seconds: int, requested_at: datetime) -> Generation:
    return wait_for_end(generation, requested_at, seconds, generations=store(), sleep=time.sleep, clock=system_clock)


def read_text(generation: Generation) -> str | None:
    """The content of a text or page result; None while there is none."""
    text_asset = next((asset for asset in generation.assets if asset.type in ("text", "page")), None)
    if text_asset is None:
        return "" if generation.status is Status.SUCCEEDED and generation.recipe.kind in TEXT_KINDS else None
    from atelier.adapters.aws.s3 import MediaStore as S3MediaStore

    key = media_key(generation.workspace_id, text_asset.sha256, text_asset.format)
    return S3MediaStore(MediaBucket.read().bucket).get(key, TEXT_BYTES_MAX).decode()


def view(generation: Generation, now: datetime, *, with_text: bool = True) -> GenerationView:
    """The response form of a generation, with signed URLs. with_text: include the text and the stages, which a listing
    leaves out."""
    pipeline = generation.pipeline
    if pipeline is None or not with_text:
        return generation_view(generation, _asset_refs(generation, now), read_text(generation) if with_text else None)
    from atelier.generations.pipeline_run import bill_run, read_stages

    stage_generations = read_stages(generation, store())
    if generation.is_open:
        # An open run shows the attempts of its stages so far; its sums are shown when it has ended.
        generation = replace(generation, attempts=bill_run(generation, stage_generations).attempts)
    stage_views = [
        stage_view(planned, stage, _asset_refs(stage, now))
        for planned, stage in zip(pipeline.stages, stage_generations, strict=False)
    ]
    return generation_view(generation, _asset_refs(generation, now), read_text(generation), stage_views)


def _asset_refs(generation: Generation, now: datetime) -> list[AssetRef]:
    refs: list[AssetRef] = []
    for asset in generation.assets:
        url, thumbnail_url = media_urls.asset_urls(generation.workspace_id, asset.sha256, asset.format, now)
        refs.append(
            AssetRef(
                id=asset.id,
                type=asset.type,  # pyright: ignore[reportArgumentType]
                url=url,
                thumbnail_url=thumbnail_url if asset.has_thumbnail else None,
                sha256=asset.sha256,
                width=asset.width,
                height=asset.height,
                duration_ms=asset.duration_ms,
                format=asset.format,
                size_bytes=asset.size_bytes,
            )
        )
    return refs
