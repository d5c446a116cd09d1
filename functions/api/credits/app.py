"""Credits over HTTP: present and past balance, statement, proof, and why a generation was charged."""

from __future__ import annotations

from atelier import cursors
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.ledger.explain import movements_of
from atelier.ledger.schemas import (
    BalanceQuery,
    BalanceView,
    ExplanationView,
    ProofQuery,
    ProofView,
    StatementQuery,
    StatementView,
    ThresholdRequest,
    ThresholdView,
    balance_view,
    explanation_view,
    past_balance_view,
    statement_view,
    threshold_view,
)
from atelier.wiring import auth, ledger

api = Api("credits", gate=auth.gate, limiter=auth.limiter)
handler = api.handler


@api.route(
    "GET",
    "/api/credits",
    "/api/user/credits",
    permission="credits.read",
    query=BalanceQuery,
    answer=BalanceView,
    errors=(503,),
)
def balance(request: Request[Empty]) -> Response:
    """The present balance, with today's grant; or the balance at a past instant."""
    at = request.query.at
    if at is not None:
        # Imported here, as below, because other requests read no seals.
        from atelier.wiring import seals

        return Response(past_balance_view(seals.balance_at(request.caller.workspace_id, at, request.now), at))
    wallet = ledger.refresh_wallet(request.caller.workspace_id, request.now)
    return Response(balance_view(wallet, ledger.daily_grant(wallet.tier_at(request.now)), request.now))


@api.route("GET", "/api/credits/threshold", permission="credits.read", answer=ThresholdView)
def threshold(request: Request[Empty]) -> Response:
    """With how many credits the workspace is told, by `credits.low`, that few are left."""
    wallet = ledger.wallets().wallet(request.caller.workspace_id)
    return Response(threshold_view(wallet, ledger.monthly_credits))


@api.route("PUT", "/api/credits/threshold", permission="budgets.manage", body=ThresholdRequest, answer=ThresholdView)
def change_threshold(request: Request[ThresholdRequest]) -> Response:
    """Change with how many credits the workspace is told that few are left; null = as its tier says."""
    ledger.wallets().set_low_below(request.caller.workspace_id, request.body.credits)
    return threshold(request)


@api.route(
    "GET",
    "/api/credits/entries",
    "/api/user/credits/entries",
    permission="credits.read",
    query=StatementQuery,
    answer=StatementView,
)
def statement(request: Request[Empty]) -> Response:
    """The statement: every movement with its entries, newest first."""
    query: StatementQuery = request.query
    after = cursors.decode(query.cursor, "movement#")
    return Response(statement_view(ledger.wallets().movements(request.caller.workspace_id, after, query.limit)))


@api.route(
    "GET",
    "/api/credits/proof",
    "/api/user/credits/proof",
    permission="credits.read",
    query=ProofQuery,
    answer=ProofView,
    errors=(503,),
)
def proof(request: Request[Empty]) -> Response:
    """The proof of the wallet, oldest entries first, for a verifier that works offline."""
    from atelier.ledger.prove import cursor_after, position_of
    from atelier.wiring import seals

    position = position_of(request.query.cursor)
    page, next_position = seals.proof(request.caller.workspace_id, position, request.now)
    return Response({**page, "next_cursor": cursor_after(next_position)})


@api.route(
    "GET",
    "/api/credits/generations/<generation_id>",
    "/api/user/credits/generations/<generation_id>",
    permission="credits.read",
    answer=ExplanationView,
    errors=(404,),
)
def explanation(request: Request[Empty]) -> Response:
    """Why a generation was charged: its hold, and how the hold ended."""
    generation_id = request.path_id("generation_id", "gen")
    movements = movements_of(request.caller.workspace_id, generation_id, wallets=ledger.wallets())
    return Response(explanation_view(generation_id, movements))
