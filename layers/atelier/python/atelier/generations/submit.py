"""Accept a generation: validate, price, reserve the credits, write it. Nothing is sent anywhere yet."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from atelier.errors import NotFound, Unavailable
from atelier.generations.model import Generation, Recipe, Status
from atelier.generations.ports import GenerationExists, GenerationStore, IdempotencyKeys
from atelier.ids import new_id
from atelier.ledger.model import Daily, open_hold
from atelier.ledger.ports import StaleWallet, WalletStore
from atelier.ledger.refresh import refreshed
from atelier.pricing.catalogue import Catalogue

TRIES_MAX = 60
QUEUE_ALLOWANCE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Submission:
    """What a verified caller asks for. `idempotency_key` is the caller's own, if any."""

    workspace_id: str
    user_id: str
    recipe: Recipe
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The generation as it stands, and whether this key had been accepted before."""

    generation: Generation
    replayed: bool


def submit(
    submission: Submission,
    *,
    catalogue: Catalogue,
    lifetime_max: timedelta,
    wallets: WalletStore,
    generations: GenerationStore,
    keys: IdempotencyKeys,
    pause: Callable[[int], None],
    now: datetime,
) -> Accepted:
    """Write one generation and its hold in one transaction, or raise and write nothing.

    Raises ValidationFailed, InsufficientCredits, IdempotencyMismatch, RateLimited, Unavailable. `pause(tries)`
    waits a little before the next try after losing to a parallel writer of the same wallet."""
    workspace_id, recipe = submission.workspace_id, submission.recipe
    generation_id = new_id("gen", now)
    # Without a seed of the caller's, one that the recipe then keeps, so that it can be run again exactly.
    parameters, offers = catalogue.offers(
        recipe.kind,
        recipe.model,
        recipe.parameters,
        today=now.date(),
        seed=secrets.randbelow(2**31),
        prompt=recipe.prompt,
    )
    credits_max = max(offer.credits_max for offer in offers)
    if submission.idempotency_key is not None:
        # The key is bound to an id before anything else: whoever comes with it, in parallel or after a crash, writes
        # the same generation, and only the first can.
        generation_id = keys.reserve(workspace_id, submission.idempotency_key, recipe.fingerprint(), generation_id)
        try:
            return Accepted(generations.get(workspace_id, generation_id), replayed=True)
        except NotFound:
            pass
    run_time = timedelta(seconds=sum(offer.run_seconds_max for offer in offers))
    deadline_at = now + min(QUEUE_ALLOWANCE + run_time, lifetime_max)
    generation = Generation(
        id=generation_id,
        workspace_id=workspace_id,
        user_id=submission.user_id,
        recipe=replace(recipe, parameters=parameters),
        candidates=tuple(offer.model for offer in offers),
        price_version=catalogue.price_version,
        watermark=True,
        credits_held=credits_max,
        status=Status.QUEUED,
        created_at=now,
        deadline_at=deadline_at,
    )

    def daily(tier: str) -> Daily:
        given = catalogue.tier(tier)
        return Daily(given.daily_credits, given.daily_reset)

    for tries in range(TRIES_MAX):
        wallet = refreshed(workspace_id, wallets=wallets, daily=daily, now=now)
        tier = catalogue.tier(wallet.tier)
        generation = replace(generation, watermark=tier.watermark)
        facts: dict[str, int | str | None] = {
            "price_version": catalogue.price_version,
            "model": offers[0].model,
            "candidates": len(offers),
        }
        opening = open_hold(
            wallet, generation_id, credits_max, deadline_at, facts, now, holds_open_max=tier.generations_open_max
        )
        try:
            generations.open_with_hold(generation, opening)
        except StaleWallet:
            pause(tries)
            continue
        except GenerationExists:
            # Our own earlier write whose answer was lost, or a parallel request with the same key.
            return Accepted(generations.get(workspace_id, generation_id), replayed=True)
        return Accepted(generation, replayed=False)
    raise Unavailable("The wallet is busy. Try again.")
