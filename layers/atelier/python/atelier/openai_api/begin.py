"""Begin the generation of a request, or find the one that an earlier try of the same SDK call began."""

from __future__ import annotations

from dataclasses import replace

from atelier.catalogue.model import Model
from atelier.dataclass import dataclass
from atelier.errors import AtelierError, ValidationFailed
from atelier.generations.create import accept
from atelier.generations.model import Kind
from atelier.generations.submit import AcceptedGeneration
from atelier.ids import is_id
from atelier.openai_api import model_names, models
from atelier.openai_api.deps import RequestFacts, ServeDeps, rate_limit_headers
from atelier.openai_api.errors import ModelNotFound
from atelier.openai_api.input_images import store_images
from atelier.openai_api.ports import SdkRetries
from atelier.openai_api.request import MappedRequest, compare_with_generation, fit_to_models
from atelier.openai_api.sdk_retries import Call, Order, accept_once


@dataclass(frozen=True, slots=True)
class BegunGeneration:
    """A generation that was accepted for a call, and the response headers about it."""

    call: Call
    order: Order
    headers: dict[str, str]
    sdk_retries: SdkRetries

    def mark_answered(self) -> None:
        """Record that the result has been sent, so that the same request makes a new generation from now on."""
        self.sdk_retries.mark_answered(self.call.workspace_id, self.call.fingerprint, self.order.name)


def begin_generation(deps: ServeDeps, facts: RequestFacts, original: MappedRequest) -> BegunGeneration:
    """Accept a generation for a request. Raises ModelNotFound; the refusals of its parameters, images and texts with
    the request's own field names; and what `submit_generation` raises."""
    model = model_names.resolve(original.model, deps.create.submit.catalogue.data)
    if model is None:
        raise _model_not_found(deps, facts, original, "there is none of that name.")
    mapped = original
    try:
        mapped, ignored = fit_to_models(
            replace(original, model=model), _candidate_models(deps, facts, original.kind, model)
        )
        call = _call(facts, mapped, deps)

        def submit(name: str) -> AcceptedGeneration:
            return accept(deps.create, facts.caller, call.recipe, name, facts.now, project_id=call.project_id)

        order = accept_once(call, submit, deps.sdk_retries, facts.now)
    except ValidationFailed as error:
        raise _translate_refusal(deps, facts, mapped, error) from error

    headers = rate_limit_headers(deps.limiter, facts.caller.user_id, facts.now)
    headers |= _adjustment_headers(original, order, ignored)
    if order.replayed:
        headers["Idempotent-Replayed"] = "true"
    return BegunGeneration(call, order, headers, deps.sdk_retries)


def _call(facts: RequestFacts, mapped: MappedRequest, deps: ServeDeps) -> Call:
    project_id = facts.headers.get("openai-project", "")
    return Call(
        facts.caller.workspace_id,
        facts.caller.user_id,
        facts.path,
        mapped.to_recipe(store_images(deps, facts, mapped)),
        facts.headers,
        key=facts.idempotency_key,
        token_id=facts.caller.token_id,
        project_id=project_id if is_id(project_id, "prj") else None,
    )


def _candidate_models(deps: ServeDeps, facts: RequestFacts, kind: Kind, model: str) -> list[Model]:
    """The model of the request, or for `auto` all that may be chosen for the workspace."""
    platform = deps.create.submit.catalogue
    if model != model_names.AUTO:
        return [platform.model(model)]
    routes = deps.create.routes_of_workspace(facts.caller.workspace_id)
    return list(routes.catalogue(platform).auto_models(kind, facts.now.date()))


def _translate_refusal(
    deps: ServeDeps, facts: RequestFacts, mapped: MappedRequest, error: ValidationFailed
) -> AtelierError:
    model_message = next((each["message"] for each in error.facts["fields"] if each["path"] == "model"), None)
    if model_message:
        return _model_not_found(deps, facts, mapped, model_message)
    return mapped.translate_error(error)


def _model_not_found(deps: ServeDeps, facts: RequestFacts, mapped: MappedRequest, why: str) -> ModelNotFound:
    offered = models.offered_models(deps.models(facts.caller.workspace_id), mapped.kind.value)
    return ModelNotFound(mapped.model, why, models.model_choices(offered))


def _adjustment_headers(original: MappedRequest, order: Order, ignored: tuple[str, ...]) -> dict[str, str]:
    """The headers that name the values of the request that were changed or ignored."""
    adjusted, ignored_values = compare_with_generation(original, order.generation.recipe.parameters)
    texts = {
        "atelier-adjusted-parameters": ", ".join(adjusted),
        "atelier-ignored-parameters": ", ".join((*ignored, *ignored_values)),
    }
    return {name: text for name, text in texts.items() if text}
