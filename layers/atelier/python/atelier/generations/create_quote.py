"""Create a quote: a signed price for a generation or a run."""

from __future__ import annotations

from datetime import datetime

from atelier.caller import Caller
from atelier.generations.create import CreateDeps, routes_of
from atelier.generations.model import Recipe
from atelier.generations.quote import QuoteInput, pipeline_for, quote, sign_quote
from atelier.generations.quote_schemas import QuoteView, quote_view
from atelier.generations.schemas import QuoteRequest
from atelier.generations.submit import resolve_inputs
from atelier.routing.rank_offers import Routes


def create_quote(deps: CreateDeps, caller: Caller, body: QuoteRequest, now: datetime) -> QuoteView:
    """The price of a request, signed; nothing is stored. Raises ValidationFailed, NotFound, PaymentRequired,
    Unavailable."""
    workspace_id, catalogue, routes = caller.workspace_id, deps.submit.catalogue, routes_of(deps, caller)
    requested_run = body.requested_run()
    if requested_run is not None:
        recipe, pipeline = requested_run
    else:
        character_id = body.character_id
        character = deps.characters().get(workspace_id, character_id) if character_id is not None else None
        recipe = body.recipe(character)
        pipeline = pipeline_for(recipe, enhance=body.enhance_prompt, catalogue=catalogue, now=now, routes=routes)
    recipe, pipeline = resolve_inputs(workspace_id, recipe, pipeline, deps.submit.input_asset_store)
    return _signed_quote(deps, caller, body.quote_input(recipe, pipeline), routes, now)


def quote_recipe(deps: CreateDeps, caller: Caller, recipe: Recipe, now: datetime) -> QuoteView:
    """The price of a recipe without files, signed; nothing is stored. Raises ValidationFailed, PaymentRequired,
    Unavailable."""
    return _signed_quote(deps, caller, QuoteInput.of(recipe), routes_of(deps, caller), now)


def _signed_quote(
    deps: CreateDeps, caller: Caller, quote_input: QuoteInput, routes: Routes, now: datetime
) -> QuoteView:
    catalogue = deps.submit.catalogue
    wallet = caller.wallet or deps.submit.wallets.wallet(caller.workspace_id)
    tier = catalogue.tier(wallet.tier_at(now))
    promise, offers = quote(caller.workspace_id, quote_input, catalogue=catalogue, now=now, routes=routes, tier=tier)
    return quote_view(sign_quote(promise, deps.quote_key()), promise, offers)
