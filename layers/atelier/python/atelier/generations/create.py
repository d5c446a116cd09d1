"""Create a generation or a run: from a request, from a template, as a retry, or to enhance a prompt.

Each function here decides what is created, and `accept` then writes it with `submit_generation`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.caller import Caller
from atelier.dataclass import dataclass
from atelier.errors import NotFound, ProviderFailed, ValidationFailed
from atelier.generations.character import with_character
from atelier.generations.model import Generation, Kind, Pipeline, Recipe, Status
from atelier.generations.pipelines import rewritten_prompt
from atelier.generations.ports import CharacterReads, TemplateReads
from atelier.generations.quote import Quote, may_become_run, pipeline_for, verify_quote
from atelier.generations.reuse import kept_in_library
from atelier.generations.run_schemas import EnhancedView, EnhanceRequest, PipelineRequest
from atelier.generations.schemas import MakeRequest
from atelier.generations.submit import AcceptedGeneration, Submission, SubmitDeps, submit_generation
from atelier.generations.wait import WAIT_SECONDS_MAX
from atelier.routing.rank_offers import Routes

# The namespace of the idempotency keys of requests that create a generation or a run.
SCOPE = "generate"


@dataclass(frozen=True, slots=True)
class CreateDeps:
    """The dependencies of creating a generation.

    routes_of_workspace: the workspace's routes to providers, from the stored preferences, for a caller without a wallet
    (see `SubmitDeps.routes_of_wallet`). quote_key: reads the key that signs
    quotes. characters, templates: open their stores; few requests need them. read_text: reads the text that a
    generation delivered. wait(generation, seconds, requested_at): waits for the end of a generation. check_webhook_url:
    says why an address may not be called, None = it may."""

    submit: SubmitDeps
    routes_of_workspace: Callable[[str], Routes]
    quote_key: Callable[[], bytes]
    characters: Callable[[], CharacterReads]
    templates: Callable[[], TemplateReads]
    read_text: Callable[[Generation], str | None]
    wait: Callable[[Generation, int, datetime], Generation]
    check_webhook_url: Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """How the caller wants a request handled. idempotency_key: the caller's own. wait_seconds: how long the caller is
    ready to wait for the result; None or 0 = not at all."""

    idempotency_key: str | None = None
    wait_seconds: int | None = None


NO_OPTIONS = CreateOptions()


@dataclass(frozen=True, slots=True)
class CreatedGeneration:
    """A generation in its current state. replayed: an earlier request with the same idempotency key had created it.
    waited_seconds: how long the caller was ready to wait, if the generation ended within that time; None = it did not,
    or the caller did not want to wait."""

    generation: Generation
    replayed: bool
    waited_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class EnhancedPrompt:
    """The response about an enhanced prompt, and the generation that writes it."""

    view: EnhancedView
    generation: Generation
    replayed: bool


def create(
    deps: CreateDeps,
    caller: Caller,
    body: MakeRequest,
    now: datetime,
    options: CreateOptions = NO_OPTIONS,
    *,
    kind: str | None = None,
    template_id: str | None = None,
) -> CreatedGeneration:
    """Create the generation or the run that a body requests. `kind` and `template_id` are those of the path.

    Raises NotFound for an unknown kind, character or template; ValidationFailed when path, body and template contradict
    one another; and what `submit_generation` raises."""
    if kind is not None and kind not in list(Kind):
        raise NotFound("There is no such route.")
    if template_id not in (None, body.template_id or template_id):
        raise ValidationFailed([{"path": "template_id", "message": "This path runs another template."}])
    requested_run = body.requested_run()
    if requested_run is not None and template_id is not None:
        raise ValidationFailed([{"path": "pipeline", "message": "A template is not run in stages."}])
    recipe, pipeline = requested_run or _recipe_and_implied_pipeline(
        deps, caller, body, now, kind, template_id or body.template_id
    )
    return _create_from_body(deps, caller, body, recipe, pipeline, now, options)


def create_run(
    deps: CreateDeps,
    caller: Caller,
    body: PipelineRequest,
    now: datetime,
    options: CreateOptions = NO_OPTIONS,
) -> CreatedGeneration:
    """Create the run of a pipeline. Raises ValidationFailed, and what `submit_generation` raises."""
    recipe, pipeline = body.recipe_and_pipeline()
    return _create_from_body(deps, caller, body, recipe, pipeline, now, options)


def retry(
    deps: CreateDeps,
    caller: Caller,
    generation_id: str,
    now: datetime,
    options: CreateOptions = NO_OPTIONS,
) -> CreatedGeneration:
    """Create a new generation of the same recipe, which calls back whom the earlier one calls. The retry of a stage is
    that of its run; the retry of a failed run keeps its delivered stages, which are not charged again. Raises NotFound,
    and what `submit_generation` raises."""
    workspace_id, generations = caller.workspace_id, deps.submit.generations
    earlier = generations.get(workspace_id, generation_id)
    if earlier.parent_id is not None:
        earlier = generations.get(workspace_id, earlier.parent_id)
    # A reused result is retried from the generation that made it, which may be a run.
    original = generations.get(workspace_id, earlier.reused_from) if earlier.reused_from else earlier
    # The fingerprint is fixed per retried generation, so a repetition matches even if other stages are left by then.
    scope = f"retry {earlier.id}"
    accepted = accept(
        deps,
        caller,
        replace(original.recipe, request_fingerprint=scope),
        _scoped(scope, options.idempotency_key),
        now,
        project_id=earlier.project_id,
        pipeline=_remaining_pipeline(deps, original),
        webhook_url=earlier.webhook_url,
        purpose=original.purpose,
    )
    _count_template_use(deps, accepted)
    return _wait(deps, accepted, options.wait_seconds, now)


def enhance(
    deps: CreateDeps, caller: Caller, body: EnhanceRequest, now: datetime, idempotency_key: str | None = None
) -> EnhancedPrompt:
    """Have a prompt rewritten by a text model, and wait for it within the gateway's time-out. Raises ProviderFailed
    when the generation ended without a result, and what `submit_generation` raises."""
    accepted = accept(deps, caller, body.recipe(), _scoped("enhance", idempotency_key), now, project_id=body.project_id)
    generation = deps.wait(accepted.generation, WAIT_SECONDS_MAX, now)
    if not generation.is_open and generation.status is not Status.SUCCEEDED:
        failure = generation.failure
        raise ProviderFailed(
            failure.message if failure else "This was cancelled.",
            generation_id=generation.id,
            error_class=failure.error_class if failure else None,
        )
    enhanced_text = deps.read_text(generation)
    view = EnhancedView(
        prompt=None if enhanced_text is None else rewritten_prompt(body.prompt, enhanced_text),
        original=body.prompt,
        credits_charged=generation.credits_charged,
        generation_id=generation.id,
        status=generation.status.value,
    )
    return EnhancedPrompt(view, generation, accepted.replayed)


def accept(
    deps: CreateDeps,
    caller: Caller,
    recipe: Recipe,
    idempotency_key: str | None,
    now: datetime,
    *,
    project_id: str | None = None,
    quote_id: str | None = None,
    pipeline: Pipeline | None = None,
    reuse: bool = False,
    webhook_url: str | None = None,
    purpose: dict[str, Any] | None = None,
) -> AcceptedGeneration:
    """Accept a generation for a verified caller; with a `pipeline` it is a run. idempotency_key: with its namespace.
    purpose: see Generation. Raises ValidationFailed for a quote that is not ours or an address that may not be called,
    and what `submit_generation` raises."""
    refusal = deps.check_webhook_url(webhook_url) if webhook_url else None
    if refusal:
        message = f"must be an https address in the internet: {refusal}"
        raise ValidationFailed([{"path": "webhook_url", "message": message}])
    submission = Submission(
        caller.workspace_id,
        caller.user_id,
        recipe,
        idempotency_key,
        project_id,
        _verified_quote(deps, quote_id) if quote_id else None,
        pipeline,
        reuse,
        caller.token_id,
        webhook_url,
        purpose,
    )
    return submit_generation(
        submission, deps=deps.submit, now=now, wallet=caller.wallet, counted_bytes=caller.counted_bytes
    )


def routes_of(deps: CreateDeps, caller: Caller) -> Routes:
    """The routes of the caller's workspace to providers."""
    wallet, routes_of_wallet = caller.wallet, deps.submit.routes_of_wallet
    if wallet is not None and routes_of_wallet is not None:
        return routes_of_wallet(wallet)
    return deps.routes_of_workspace(caller.workspace_id)


def _create_from_body(
    deps: CreateDeps,
    caller: Caller,
    body: MakeRequest | PipelineRequest,
    recipe: Recipe,
    pipeline: Pipeline | None,
    now: datetime,
    options: CreateOptions,
) -> CreatedGeneration:
    accepted = accept(
        deps,
        caller,
        recipe,
        _scoped(SCOPE, options.idempotency_key),
        now,
        project_id=body.project_id,
        quote_id=body.quote_id,
        pipeline=pipeline,
        reuse=body.reuse,
        webhook_url=body.webhook_url,
    )
    _count_template_use(deps, accepted)
    return _wait(deps, accepted, options.wait_seconds, now)


def _verified_quote(deps: CreateDeps, quote_id: str) -> Quote:
    promise = verify_quote(quote_id, deps.quote_key())
    if promise is None:
        raise ValidationFailed([{"path": "quote_id", "message": "This is no quote for this request."}])
    return promise


def _recipe_and_implied_pipeline(
    deps: CreateDeps, caller: Caller, body: MakeRequest, now: datetime, kind: str | None, template_id: str | None
) -> tuple[Recipe, Pipeline | None]:
    """The recipe of a plain request, and its pipeline if it has to become a run."""
    recipe = _recipe(deps, caller.workspace_id, body, kind, template_id)
    if not body.enhance_prompt and not may_become_run(recipe):
        # Most requests. They need no price yet, and no routes.
        return recipe, None
    pipeline = pipeline_for(
        recipe,
        enhance=body.enhance_prompt,
        catalogue=deps.submit.catalogue,
        now=now,
        routes=routes_of(deps, caller),
    )
    # The fingerprint is that of the request, so a repetition matches even if it then needs other stages.
    if body.enhance_prompt:
        return replace(recipe, request_fingerprint=f"{recipe.fingerprint()}+enhanced"), pipeline
    if pipeline is not None:
        return replace(recipe, request_fingerprint=recipe.fingerprint()), pipeline
    return recipe, None


def _recipe(
    deps: CreateDeps, workspace_id: str, body: MakeRequest, kind: str | None, template_id: str | None
) -> Recipe:
    if template_id is None and body.character_id is None:
        return body.recipe(kind)
    # The fingerprint is that of the request, so a repetition matches even if template or character have changed.
    fingerprint = f"{body.fingerprint()}{template_id}"
    template = deps.templates().get(workspace_id, template_id) if template_id is not None else None
    recipe = replace(body.recipe(kind, template), request_fingerprint=fingerprint)
    if body.character_id is None:
        return recipe
    return with_character(recipe, deps.characters().get(workspace_id, body.character_id))


def _remaining_pipeline(deps: CreateDeps, original: Generation) -> Pipeline | None:
    """The pipeline for the retry of a run, None = `original` is no run."""
    if original.pipeline is None:
        return None
    from atelier.generations.pipeline_run import read_stages, resume

    stage_generations = read_stages(original, deps.submit.generations)
    return resume(original, stage_generations, kept_in_library(original.workspace_id, deps.submit.input_asset_store))


def _count_template_use(deps: CreateDeps, accepted: AcceptedGeneration) -> None:
    template_id = accepted.generation.recipe.template_id
    if template_id and not accepted.replayed:
        deps.templates().count_use(accepted.generation.workspace_id, template_id)


def _wait(deps: CreateDeps, accepted: AcceptedGeneration, wait_seconds: int | None, now: datetime) -> CreatedGeneration:
    """The accepted generation, after waiting for its end as long as the caller allows."""
    if not wait_seconds:
        return CreatedGeneration(accepted.generation, accepted.replayed)
    generation = deps.wait(accepted.generation, wait_seconds, now)
    return CreatedGeneration(generation, accepted.replayed, None if generation.is_open else wait_seconds)


def _scoped(scope: str, idempotency_key: str | None) -> str | None:
    """The caller's idempotency key in its namespace: the same key may be used once for each kind of request."""
    return f"{scope} {idempotency_key}" if idempotency_key else None
