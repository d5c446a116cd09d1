"""Authenticate an Authorization header for the gateway's authorizer: the caller's claims, or the reason for refusal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier.errors import Unauthenticated
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.api_tokens import TOKEN_PREFIX, TokenText, invalid_token
from atelier.identity.ports import ApiTokens

Context = dict[str, str | int]


def authenticate(
    header: str, *, access_tokens: AccessTokens, api_tokens: Callable[[], ApiTokens], now: datetime
) -> Context:
    """The context that the gateway passes to the functions.

    For a session: {"user_id", "session_id", "workspace_id", "expires_at"}, the last in seconds since 1970. For an API
    token: "token_id" in place of "session_id". For an invalid header: {"reason"}. The gateway caches the context for
    minutes, so `authorize.py` checks again whatever may have ended since. api_tokens: a factory, called for API
    tokens only."""
    try:
        token = bearer_token(header)
        if token.startswith(TOKEN_PREFIX):
            return _authenticate_api_token(token, api_tokens, now)
        claims = access_tokens.verify(token, now)
    except Unauthenticated as error:
        return {"reason": error.message}
    return {
        "user_id": claims.user_id,
        "session_id": claims.session_id,
        "workspace_id": claims.workspace_id,
        "expires_at": int(claims.expires_at.timestamp()),
    }


def optional_bearer_token(header: str) -> str | None:
    """The token of an Authorization header; None when the header has another scheme or is empty."""
    return bearer_token(header) if header.lower().startswith("bearer ") else None


def bearer_token(header: str) -> str:
    """The token of `Bearer <token>`; raises Unauthenticated."""
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("This call needs an access token.")
    return token.strip()


def _authenticate_api_token(text: str, api_tokens: Callable[[], ApiTokens], now: datetime) -> Context:
    presented = TokenText.parse(text)
    tokens = api_tokens()
    token = tokens.token(presented.workspace_id, presented.token_id)
    if token is None or not presented.matches(token):
        raise invalid_token()
    token.require_valid(now)
    # Here and not in `authorize.py`, because the gateway calls the authorizer only once in some minutes for each
    # token.
    if token.should_record_use(now):
        tokens.note_use(token, now)
    return {
        "user_id": token.user_id,
        "token_id": token.id,
        "workspace_id": token.workspace_id,
        "expires_at": int(token.expires_at.timestamp()),
    }
