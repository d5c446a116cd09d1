"""API tokens over HTTP, for users who are logged in: an API token itself has no access to these routes."""

from __future__ import annotations

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.identity.token_schemas import IssuedTokenView, IssueTokenRequest, TokenList, TokenQuery, issued_token_view
from atelier.wiring import auth, tokens

api = Api("tokens", gate=auth.gate, limiter=auth.limiter)
handler = api.handler


@api.route("GET", "/api/tokens", permission="tokens.read", query=TokenQuery, answer=TokenList)
def list_tokens(request: Request[Empty]) -> Response:
    """List the workspace's API tokens, newest first, without their secret values."""
    query: TokenQuery = request.query
    return Response(tokens.list_tokens(request.caller.workspace_id, query.cursor, query.limit))


@api.route(
    "POST",
    "/api/tokens",
    permission="tokens.manage",
    body=IssueTokenRequest,
    answer=IssuedTokenView,
    statuses=(201,),
    errors=(409,),
)
def issue_token(request: Request[IssueTokenRequest]) -> Response:
    """Create an API token for a program; only this response shows it."""
    body = request.body
    issued = tokens.issue(
        request.caller, body.name, tuple(body.scopes), body.expires_at, request.idempotency_key, request.now
    )
    headers = {"Location": f"/api/tokens/{issued.token.id}"}
    if issued.text is None:
        headers["Idempotent-Replayed"] = "true"
    return Response(issued_token_view(issued), status=201, headers=headers)


@api.route("DELETE", "/api/tokens/<token_id>", permission="tokens.manage", statuses=(204,), errors=(404,))
def revoke_token(request: Request[Empty]) -> Response:
    """Revoke an API token: your own, or any token if you administer the workspace. It ends at once."""
    tokens.revoke(request.caller, request.path_id("token_id", "tok"), request.now)
    return Response(status=204)
