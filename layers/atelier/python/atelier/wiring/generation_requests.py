"""Requests for generations, composed: create, quote, wait and present. Nothing here imports a provider or decodes
media."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from functools import cache, partial

from atelier.adapters.aws.dynamodb import pause_with_jitter
from atelier.adapters.aws.dynamodb.generations.prompt_refusals import DynamoPromptRefusals
from atelier.adapters.aws.secrets import Secret
from atelier.clock import system_clock
from atelier.generations.create import CreateDeps
from atelier.generations.model import Generation
from atelier.generations.present import PresentDeps
from atelier.generations.quote import derive_quote_key
from atelier.generations.read_generation import ReadDeps
from atelier.generations.submit import SubmitDeps
from atelier.generations.wait import WaitDeps
from atelier.generations.wait import wait as wait_for_end
from atelier.settings import AttemptSigning, DailyCredits, GenerationTimes, WaitLimits
from atelier.wiring import media_urls, moderation, moderation_queue, routing, waiting
from atelier.wiring.generations import read_text, store
from atelier.wiring.idempotency import idempotency_keys
from atelier.wiring.ledger import wallets
from atelier.wiring.library import assets, characters, templates
from atelier.wiring.projects import projects
from atelier.wiring.sunsets import routing_catalogue


def create_deps(now: datetime) -> CreateDeps:
    """The dependencies of creating a generation, with the catalogue and the routes of this moment."""
    return CreateDeps(
        submit=_submit_deps(now),
        routes_of_workspace=partial(routing.routes, now=now),
        quote_key=_quote_key,
        characters=characters,
        templates=templates,
        read_text=read_text,
        wait=wait,
        check_webhook_url=_check_webhook_url,
    )


def _check_webhook_url(url: str) -> str | None:
    # Imported here, because few requests name an address.
    from atelier.wiring import webhook_endpoints

    return webhook_endpoints.sender().check(url)


@cache
def present_deps() -> PresentDeps:
    """The dependencies of presenting a generation."""
    return PresentDeps(store(), read_text, media_urls.asset_urls, _deleted_assets, routing.queue_position)


def _deleted_assets(workspace_id: str, asset_ids: list[str]) -> frozenset[str]:
    return assets().deleted(workspace_id, asset_ids)


@cache
def read_deps() -> ReadDeps:
    """The dependencies of reading a generation."""
    return ReadDeps(store(), wait)


def wait(generation: Generation, seconds: int, requested_at: datetime, user_id: str | None = None) -> Generation:
    """Wait for the end of a generation, for a bounded time."""
    return wait_for_end(_wait_deps(), generation, seconds, requested_at, user_id)


def _submit_deps(now: datetime) -> SubmitDeps:
    return SubmitDeps(
        catalogue=routing_catalogue(now),
        lifetime_max=timedelta(seconds=GenerationTimes.read().lifetime_seconds_max),
        wallets=wallets(),
        generations=store(),
        keys=idempotency_keys(),
        budgets=projects(),
        input_asset_store=assets(),
        pause=pause_with_jitter,
        routes_of_wallet=partial(routing.routes_of_wallet, now=now),
        moderation=moderation.prompt_check(),
        refusals=DynamoPromptRefusals(),
        flags=moderation_queue.queue(),
        daily_verified_only=DailyCredits.read().verified_only,
    )


@cache
def _wait_deps() -> WaitDeps:
    return WaitDeps(store(), waiting.slots(), WaitLimits.read().concurrent_waits_max, time.sleep, system_clock)


@cache
def _quote_key() -> bytes:
    return derive_quote_key(bytes.fromhex(Secret(AttemptSigning.read().secret).value()["key"]))
