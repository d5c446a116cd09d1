"""Attempts and the finish of generations, composed for the task, queue and stream functions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

from atelier.aws.dynamodb.inbox import DynamoInbox
from atelier.aws.secrets import Secret
from atelier.aws.sqs import SqsAttemptQueue
from atelier.aws.stepfunctions import StepFunctionsWorkflow
from atelier.clock import Clock, system_clock
from atelier.generations.attempt import Attempting
from atelier.generations.callback import Address, sign
from atelier.generations.finish import Finishing
from atelier.generations.model import Attempt, Generation
from atelier.generations.ports import Media
from atelier.providers._contract import Provider
from atelier.settings import (
    AttemptSigning,
    AttemptsQueue,
    Deployment,
    GenerateMedia,
    GenerationTimes,
    InboxTable,
    MediaStore,
    RunPipeline,
)
from atelier.wiring import adapters, moderation, routing
from atelier.wiring.budgets import projects
from atelier.wiring.generations import store
from atelier.wiring.ledger import wallets
from atelier.wiring.library import assets
from atelier.wiring.prices import prices


@cache
def inbox() -> DynamoInbox:
    """The store of received webhooks."""
    kept = DynamoInbox()
    kept.bind(InboxTable.read().name)
    return kept


@cache
def workflow() -> StepFunctionsWorkflow:
    """The executions of generate_media and run_pipeline."""
    return StepFunctionsWorkflow(GenerateMedia.read().arn, RunPipeline.read().arn)


@cache
def queue() -> SqsAttemptQueue:
    """The attempts queue."""
    return SqsAttemptQueue(AttemptsQueue.read().url)


def providers() -> Mapping[str, Provider]:
    """The adapters of the enabled providers that the platform has a key for, by id."""
    return adapters.platform()


@cache
def signing_key() -> bytes:
    """The key that signs attempt ids in webhook paths."""
    return bytes.fromhex(Secret(AttemptSigning.read().secret).value()["key"])


def webhook_url(generation: Generation, attempt: Attempt) -> str:
    """The URL to which the provider sends the webhooks of this attempt."""
    address = Address(attempt.provider, generation.workspace_id, generation.id, attempt.id)
    token = sign(address, signing_key())
    return f"{Deployment.read().public_url}/api/webhooks/providers/{attempt.provider}/{token}"


@cache
def media() -> Media:
    """The adapter that stages, checks and stores result files."""
    from atelier.aws.s3 import MediaStore as S3MediaStore
    from atelier.media.delivery import Delivery
    from atelier.media.fetch import Fetcher

    store = S3MediaStore(MediaStore.read().bucket)
    return Delivery(store, Fetcher(local_hosts=adapters.standin_hosts()), look=moderation.outputs())


def attempting(clock: Clock = system_clock, *, for_attempts: bool = False) -> Attempting:
    """The dependencies of an attempt. for_attempts: the calling function has the time to wait for a synchronous
    provider's work."""
    return Attempting(
        generations=store(),
        catalogue=prices(),
        providers=adapters.platform(for_attempts=for_attempts),
        workflow=workflow(),
        queue=queue(),
        media=media(),
        inbox=inbox(),
        webhook_url=webhook_url,
        poll_seconds=GenerationTimes.read().poll_seconds,
        clock=clock,
        health=routing.book(),
        places=routing.places(),
        own_provider=partial(routing.own_provider, clock=clock, for_attempts=for_attempts),
    )


def finishing() -> Finishing:
    """The dependencies of ending a generation with a result."""
    projects()  # Binds the budgets' table: the closing transaction writes to it.
    return Finishing(store(), wallets(), prices(), media(), assets(), workflow())
