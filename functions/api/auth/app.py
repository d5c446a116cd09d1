"""/api/auth: sign up, log in, refresh, log out, and the public keys. These routes need no authentication."""

from __future__ import annotations

from typing import Any

from atelier.errors import Unauthenticated
from atelier.http.api import Api
from atelier.http.request import Request
from atelier.http.response import Response, created
from atelier.identity import refresh_cookie
from atelier.identity.authenticate import optional_bearer_token
from atelier.identity.log_in import LogIn
from atelier.identity.model import Device, SignInResult
from atelier.identity.schemas import (
    KeySetView,
    LogInRequest,
    RefreshTokenRequest,
    SignedInView,
    SignInView,
    SignUpRequest,
    TokensView,
    sign_in_view,
    tokens_view,
)
from atelier.identity.sign_up import SignUp
from atelier.wiring import identity
from atelier.wiring.auth import limiter

api = Api("auth", limiter=limiter)


@api.route("POST", "/api/auth/signup", body=SignUpRequest, answer=SignedInView, statuses=(201,), errors=(403, 409))
def sign_up(request: Request[SignUpRequest]) -> Response:
    """Create an account with a personal workspace, and open a session."""
    _require_own_origin(request)
    body = request.body
    key, origin = request.idempotency_key, request.origin
    command = SignUp(body.email, body.password, body.name.strip(), _device(request), key, origin, request.language)
    result = identity.sign_up(command, request.now)
    view, cookies = _answer(result, body.token_delivery)
    return created(None, view, replayed=result.replayed, cookies=cookies)


@api.route("POST", "/api/auth/login", body=LogInRequest, answer=SignInView, errors=(401, 403))
def log_in(request: Request[LogInRequest]) -> Response:
    """Open a session, or tell what it still needs: a second factor, or to take back the account's deletion."""
    _require_own_origin(request)
    body = request.body
    command = LogIn(body.email, body.password, _device(request), request.origin)
    view, cookies = _answer(identity.log_in(command, request.now), body.token_delivery)
    return Response(view, cookies=cookies)


@api.route("POST", "/api/auth/refresh", body=RefreshTokenRequest, answer=TokensView, errors=(401, 403))
def refresh(request: Request[RefreshTokenRequest]) -> Response:
    """Exchange a refresh token, from the cookie or the body, for its successor and a new access token."""
    presented = _presented(request)
    if presented.token is None:
        raise Unauthenticated("There is no refresh token.")
    tokens = identity.refresh(presented.token, request.origin, request.now)
    cookies = refresh_cookie.cookies_for(tokens.refresh_token, presented.delivery)
    return Response(tokens_view(tokens, presented.delivery), cookies=cookies)


@api.route("POST", "/api/auth/logout", body=RefreshTokenRequest, statuses=(204,), errors=(403,))
def log_out(request: Request[RefreshTokenRequest]) -> Response:
    """End the session of the refresh token (cookie or body) or of the bearer token. Repeating it is no error."""
    access_token = optional_bearer_token(request.headers.get("authorization", ""))
    identity.log_out(_presented(request).token, access_token, request.now)
    return Response(status=204, cookies=(refresh_cookie.expired_cookie(),))


@api.route("GET", "/.well-known/jwks.json", "/api/auth/.well-known/jwks.json", answer=KeySetView, raw=True)
def public_keys(_request: Request[object]) -> Response:
    """The public keys that verify access tokens (RFC 7517)."""
    return Response(identity.public_keys(), headers={"Cache-Control": "public, max-age=300"})


def _answer(result: SignInResult, delivery: str) -> tuple[SignInView, tuple[str, ...]]:
    """The view of a sign-in, and the cookies that belong to it."""
    return sign_in_view(result, delivery), refresh_cookie.cookies_of(result, delivery)


def _require_own_origin(request: Request[Any]) -> None:
    refresh_cookie.require_own_origin(request.headers.get("origin"), identity.allows_origin)


def _presented(request: Request[RefreshTokenRequest]) -> refresh_cookie.PresentedToken:
    origin = request.headers.get("origin")
    return refresh_cookie.presented_token(request.body.refresh_token, request.cookies, origin, identity.allows_origin)


def _device(request: Request[SignUpRequest] | Request[LogInRequest]) -> Device:
    return Device(request.headers.get("user-agent", "")[:256], request.source_address)


handler = api.handler
