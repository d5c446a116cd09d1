"""Create a quote: a signed price for a generation or a run."""

from __future__ import annotations

from datetime import datetime

from atelier.caller import Caller
from atelier.generations.create import CreateDeps, routes_of
from atelier.generations.quote import pipeline_for, quote, sign_quote
from atelier.generations.schemas import QuoteRequest
from atelier.generations.submit import resolve_inputs
from atelier.generations.view_schemas import QuoteView, quote_view


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
    quote_input = body.quote_input(recipe, pipeline)
    wallet = caller.wallet or deps.submit.wallets.wallet(workspace_id)
    tier = catalogue.tier(wallet.tier_at(now))
    promise, offers = quote(workspace_id, quote_input, catalogue=catalogue, now=now, routes=routes, tier=tier)
    return quote_view(sign_quote(promise, deps.quote_key()), promise, offers)
