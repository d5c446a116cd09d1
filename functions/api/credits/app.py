"""Credits over HTTP: balance, statement, and why a generation was charged."""

from __future__ import annotations

from atelier import cursors
from atelier.errors import NotFound
from atelier.http import Answer, Api, Nothing, Request
from atelier.ledger.contract import (
    BalanceView,
    ExplanationView,
    StatementQuery,
    StatementView,
    balance_view,
    explanation_view,
    movement_view,
)
from atelier.wiring import admission, ledger

api = Api("credits", gate=admission.gate, limiter=admission.limiter)
handler = api.handler


@api.route("GET", "/api/credits", "/api/user/credits", permission="credits.read", answer=BalanceView, errors=(503,))
def balance(request: Request[Nothing]) -> Answer:
    """The balance now, with today's grant."""
    return Answer(balance_view(ledger.refreshed(request.caller.workspace_id, request.now), request.now))


@api.route(
    "GET",
    "/api/credits/entries",
    "/api/user/credits/entries",
    permission="credits.read",
    query=StatementQuery,
    answer=StatementView,
)
def statement(request: Request[Nothing]) -> Answer:
    """The statement: every movement with its entries, newest first."""
    query: StatementQuery = request.query
    after = cursors.decode(query.cursor, "movement#")
    page = ledger.wallets().movements(request.caller.workspace_id, after, query.limit)
    items = [movement_view(movement) for movement in page.movements]
    return Answer(StatementView(items=items, next_cursor=cursors.encode(page.next_key)))


@api.route(
    "GET",
    "/api/credits/generations/<generation_id>",
    "/api/user/credits/generations/<generation_id>",
    permission="credits.read",
    answer=ExplanationView,
    errors=(404,),
)
def explanation(request: Request[Nothing]) -> Answer:
    """Why a generation was charged: its hold and its end."""
    generation_id = request.id("generation_id", "gen")
    movements = ledger.wallets().movements_of(request.caller.workspace_id, generation_id)
    if not movements:
        raise NotFound
    return Answer(explanation_view(generation_id, movements))
