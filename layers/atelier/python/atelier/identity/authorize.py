"""What the authorizer says of an Authorization header: who it is, or why it is nobody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier.errors import Unauthenticated
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.api_tokens import PREFIX, Shown, refused
from atelier.identity.ports import ApiTokens

Context = dict[str, str | int]


def authorize(
    header: str, *, access_tokens: AccessTokens, api_tokens: Callable[[], ApiTokens], now: datetime
) -> Context:
    """The context that functions get: {"user_id", "session_id", "workspace_id", "expires_at"} with the last in seconds
    since 1970, with "token_id" in place of "session_id" for a program, or {"reason"}. The gateway keeps an answer for
    minutes, so what may end before is looked at again (admit.py). api_tokens: only an API token has them opened."""
    try:
        token = bearer(header)
        if token.startswith(PREFIX):
            return _program(token, api_tokens, now)
        claims = access_tokens.verify(token, now)
    except Unauthenticated as error:
        return {"reason": error.message}
    return {
        "user_id": claims.user_id,
        "session_id": claims.session_id,
        "workspace_id": claims.workspace_id,
        "expires_at": int(claims.expires_at.timestamp()),
    }


def bearer(header: str) -> str:
    """The token of `Bearer <token>`; raises Unauthenticated."""
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("This call needs an access token.")
    return token.strip()


def _program(text: str, api_tokens: Callable[[], ApiTokens], now: datetime) -> Context:
    shown = Shown.parse(text)
    tokens = api_tokens()
    token = tokens.token(shown.workspace_id, shown.token_id)
    if token is None or not shown.proves(token):
        raise refused()
    token.check(now)
    # Here and not at the gate: the gateway asks once in some minutes, however busy the program is.
    if token.should_note_use(now):
        tokens.note_use(token, now)
    return {
        "user_id": token.user_id,
        "token_id": token.id,
        "workspace_id": token.workspace_id,
        "expires_at": int(token.expires_at.timestamp()),
    }
