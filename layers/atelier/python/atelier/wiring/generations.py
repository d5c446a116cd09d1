"""Generations as the HTTP function needs them, composed: nothing here imports a provider or decodes media."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from functools import cache

from atelier.aws.dynamodb import pause
from atelier.aws.dynamodb.generations import DynamoGenerations
from atelier.aws.dynamodb.idempotency import DynamoIdempotencyKeys
from atelier.clock import system_clock
from atelier.generations import cancel as cancelling
from atelier.generations import submit as submitting
from atelier.generations.contract import AssetRef, GenerationView, generation_view
from atelier.generations.finish import Closing
from atelier.generations.model import Generation, Recipe
from atelier.generations.wait import wait_for_end
from atelier.http import Caller
from atelier.settings import GenerationsTable, GenerationTimes, RequestsTable
from atelier.wiring import media_urls
from atelier.wiring.ledger import wallets
from atelier.wiring.prices import prices
from atelier.wiring.sunsets import routed


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


def closing() -> Closing:
    """What ends a generation without a result."""
    return Closing(store(), wallets(), prices())


def submit(caller: Caller, recipe: Recipe, idempotency_key: str | None, now: datetime) -> submitting.Accepted:
    """Accept a generation for a verified caller."""
    return submitting.submit(
        submitting.Submission(caller.workspace_id, caller.user_id, recipe, idempotency_key),
        catalogue=routed(now),
        lifetime_max=timedelta(seconds=GenerationTimes.read().lifetime_seconds_max),
        wallets=wallets(),
        generations=store(),
        keys=_keys(),
        pause=pause,
        now=now,
    )


def cancel(workspace_id: str, generation_id: str, now: datetime) -> Generation:
    """Cancel a generation of the workspace."""
    return cancelling.cancel(workspace_id, generation_id, to=closing(), now=now)


def wait(generation: Generation, seconds: int, asked_at: datetime) -> Generation:
    """Wait for the end, within bounds."""
    return wait_for_end(generation, asked_at, seconds, generations=store(), sleep=time.sleep, clock=system_clock)


def view(generation: Generation, now: datetime) -> GenerationView:
    """The contract's form of a generation, with signed URLs."""
    assets: list[AssetRef] = []
    for picture in generation.pictures:
        url, thumbnail_url = media_urls.urls(generation.workspace_id, picture.sha256, picture.format, now)
        assets.append(
            AssetRef(
                id=picture.id,
                type="image",
                url=url,
                thumbnail_url=thumbnail_url,
                sha256=picture.sha256,
                width=picture.width,
                height=picture.height,
                format=picture.format,
                size_bytes=picture.size_bytes,
            )
        )
    return generation_view(generation, assets)
