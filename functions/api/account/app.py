"""/api/auth/me: the caller's own account."""

from __future__ import annotations

from atelier.http.api import Api
from atelier.http.request import Request
from atelier.http.response import Response
from atelier.identity.schemas import AccountView, account_view
from atelier.wiring import identity
from atelier.wiring.auth import gate, limiter

api = Api("account", gate=gate, limiter=limiter)


@api.route("GET", "/api/auth/me", permission="account.read", answer=AccountView)
def me(request: Request[object]) -> Response:
    """The caller's account, and the workspaces of which it is a member."""
    return Response(account_view(*identity.account(request.caller.user_id)))


handler = api.handler
