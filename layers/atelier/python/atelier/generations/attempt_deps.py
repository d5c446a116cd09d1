"""What the attempts of generations depend on, and an attempt as a job for its provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from zlib import crc32

from atelier.catalogue.catalogue import Catalogue
from atelier.catalogue.model import accepted_inputs
from atelier.clock import Clock
from atelier.dataclass import dataclass
from atelier.generations.model import Attempt, Generation, InputAssets
from atelier.generations.ports import AttemptQueue, GenerationStore, Media, Workflow
from atelier.inbox.ports import WebhookInbox
from atelier.provider_port import Input, Job, Provider
from atelier.routing.health_cache import HealthCache
from atelier.routing.rate_limiter import RateLimiter


@dataclass(frozen=True, slots=True)
class AttemptDeps:
    """The dependencies of submitting, polling, cancelling and concluding an attempt."""

    generations: GenerationStore
    catalogue: Catalogue
    providers: Mapping[str, Provider]
    workflow: Workflow
    queue: AttemptQueue
    media: Media
    inbox: WebhookInbox
    webhook_url: Callable[[Generation, Attempt], str]
    poll_seconds: int
    clock: Clock
    health: HealthCache
    rate_limiter: RateLimiter
    # (workspace id, provider, key id) -> the adapter that uses the workspace's own key; None when it cannot be used.
    own_provider: Callable[[str, str, str], Provider | None]

    def provider(self, generation: Generation, attempt: Attempt) -> Provider | None:
        """The adapter of an attempt's provider, with the platform's key or the workspace's own; None without access."""
        if attempt.key is None:
            return self.providers.get(attempt.provider)
        return self.own_provider(generation.workspace_id, attempt.provider, attempt.key)

    def run_seconds(self, model: str, generation: Generation) -> int:
        """The longest time, in seconds, that a model may run for a generation."""
        return self.catalogue.model(model).run_seconds(generation.recipe.parameters)

    def job(self, generation: Generation, attempt: Attempt, *, with_files: bool = True) -> Job:
        """The attempt as a job for the provider. `with_files=False` leaves out the input files: reading a result does
        not need them. Raises NotFound when an input file was deleted, InputUnusable when one does not fit."""
        model = self.catalogue.model(attempt.model)
        recipe = generation.recipe
        # A later candidate may take other parameters than the first. The seed is derived from the generation's id, so
        # that every visit sends the same one.
        parameters = self.catalogue.parameters_for(
            attempt.model, recipe.parameters, seed=crc32(generation.id.encode()), facts=recipe.facts
        )
        # The webhooks of another account are signed with a secret that we do not have, so an attempt with the
        # workspace's own key is only polled.
        uses_webhook = model.supports_webhook and attempt.key is None
        return Job(
            attempt_id=attempt.id,
            kind=recipe.kind,
            model=attempt.model,
            prompt=recipe.prompt,
            negative_prompt=recipe.negative_prompt,
            parameters=parameters,
            settings=model.settings,
            webhook_url=self.webhook_url(generation, attempt) if uses_webhook else None,
            run_seconds_max=model.run_seconds(parameters),
            inputs=self._inputs(generation.workspace_id, accepted_inputs(model, recipe.inputs)) if with_files else {},
        )

    def _inputs(self, workspace_id: str, sources: InputAssets) -> dict[str, tuple[Input, ...]]:
        inputs = {
            role: tuple(self.media.read_input(workspace_id, each) for each in given) for role, given in sources.items()
        }
        images = inputs.get("image") or inputs.get("reference")
        if images and (masks := inputs.get("mask")):
            inputs["mask"] = tuple(self.media.prepare_mask(mask, images[0]) for mask in masks)
        return inputs
