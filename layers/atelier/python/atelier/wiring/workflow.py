"""Attempts and the finish of generations, composed for the task, queue and stream functions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

from atelier.adapters.aws.secrets import Secret
from atelier.adapters.aws.sqs import SqsAttemptQueue
from atelier.clock import Clock, system_clock
from atelier.generations.attempt_deps import AttemptDeps
from atelier.generations.finish import FinishDeps
from atelier.generations.finish import finish as finish_generation
from atelier.generations.measure import measure_generation
from atelier.generations.model import Attempt, Generation
from atelier.generations.outcome import Outcome
from atelier.generations.ports import Media
from atelier.generations.webhook_token import WebhookAddress, sign
from atelier.provider_port import Provider
from atelier.settings import (
    AttemptSigning,
    AttemptsQueue,
    Deployment,
    GenerationTimes,
    MediaBucket,
)
from atelier.wiring import moderation, moderation_queue, provider_adapters, routing
from atelier.wiring.executions import inbox, workflow
from atelier.wiring.generations import store
from atelier.wiring.ledger import wallets
from atelier.wiring.library import assets
from atelier.wiring.prices import prices
from atelier.wiring.projects import projects


@cache
def queue() -> SqsAttemptQueue:
    """The attempts queue."""
    return SqsAttemptQueue(AttemptsQueue.read().url)


def providers() -> Mapping[str, Provider]:
    """The adapters of the enabled providers that the platform has a key for, by id."""
    return provider_adapters.platform_adapters()


@cache
def signing_key() -> bytes:
    """The key that signs attempt ids in webhook paths."""
    return bytes.fromhex(Secret(AttemptSigning.read().secret).value()["key"])


def webhook_url(generation: Generation, attempt: Attempt) -> str:
    """The URL to which the provider sends the webhooks of this attempt."""
    address = WebhookAddress(attempt.provider, generation.workspace_id, generation.id, attempt.id)
    token = sign(address, signing_key())
    return f"{Deployment.read().public_url}/api/webhooks/providers/{attempt.provider}/{token}"


@cache
def media() -> Media:
    """The adapter that stages, checks and stores result files."""
    from atelier.adapters.aws.s3 import MediaStore as S3MediaStore
    from atelier.adapters.media.delivery import Delivery
    from atelier.adapters.media.fetch import Fetcher

    store = S3MediaStore(MediaBucket.read().bucket)
    return Delivery(
        store, Fetcher(local_hosts=provider_adapters.simulator_hosts()), inspect_output=moderation.output_check()
    )


def attempt_deps(clock: Clock = system_clock, *, for_attempts: bool = False) -> AttemptDeps:
    """The dependencies of an attempt. for_attempts: the calling function has the time to wait for a synchronous
    provider's work."""
    return AttemptDeps(
        generations=store(),
        catalogue=prices(),
        providers=provider_adapters.platform_adapters(for_attempts=for_attempts),
        workflow=workflow(),
        queue=queue(),
        media=media(),
        inbox=inbox(),
        webhook_url=webhook_url,
        poll_seconds=GenerationTimes.read().poll_seconds,
        clock=clock,
        health=routing.health_cache(),
        rate_limiter=routing.rate_limiter(),
        own_provider=partial(routing.own_provider, clock=clock, for_attempts=for_attempts),
    )


def finish_deps() -> FinishDeps:
    """The dependencies of ending a generation with a result."""
    projects()  # Binds the budgets' table: the closing transaction writes to it, and to that of the assets.
    assets()
    return FinishDeps(store(), wallets(), prices(), media(), workflow(), moderation_queue.queue())


def finish(workspace_id: str, generation_id: str, outcome: Outcome, *, clock: Clock = system_clock) -> Generation:
    """Bring a generation to its end, and measure it."""
    ended = finish_generation(workspace_id, generation_id, outcome, deps=finish_deps(), now=clock())
    measure_generation(ended, prices())
    return ended
