"""/api/auth/mfa, /api/auth/passkeys and /api/auth/step-up: second factors, and signing in with them."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.identity import refresh_cookie
from atelier.identity.factor_schemas import (
    AddedPasskeyView,
    CodeRequest,
    FactorsView,
    PasskeyList,
    PasskeyLogInRequest,
    RecoveryCodesView,
    RegisterPasskeyRequest,
    StepUpRequest,
    TotpView,
    VerifyRequest,
    added_passkey_view,
    factors_view,
    passkey_list,
    totp_view,
)
from atelier.identity.manage_factors import FactorOwner
from atelier.identity.model import SignInResult
from atelier.identity.schemas import SignInView, sign_in_view
from atelier.wiring import identity, second_factors
from atelier.wiring.auth import gate, limiter

api = Api("factors", gate=gate, limiter=limiter)
handler = api.handler
# Whoever adds or removes a factor has proven one within ten minutes, or the password where there is none yet.
manage = partial(api.route, permission="account.manage", step_up="always")


@api.route("GET", "/api/auth/mfa", permission="account.read", answer=FactorsView)
def get_factors(request: Request[Empty]) -> Response:
    """The account's second factors."""
    return Response(factors_view(second_factors.factors_of(request.caller.user_id)))


@api.route("POST", "/api/auth/mfa/verify", body=VerifyRequest, answer=SignInView, errors=(401, 403))
def verify(request: Request[VerifyRequest]) -> Response:
    """Prove the second factor of a log-in, which then opens its session."""
    _require_own_origin(request)
    body = request.body
    result = second_factors.verify(body.mfa_ticket, body.proof, request.origin, request.now)
    return _answer(result, body.token_delivery)


@api.route("POST", "/api/auth/step-up", permission="account.manage", body=StepUpRequest, statuses=(204,), errors=(401,))
def step_up(request: Request[StepUpRequest]) -> Response:
    """Prove a factor once more: for ten minutes the session may do what asks for that."""
    second_factors.step_up(_owner(request), request.body.proof, request.now)
    return Response(status=204)


@manage("POST", "/api/auth/mfa/totp", answer=TotpView, statuses=(201,), errors=(409,))
def begin_totp(request: Request[Empty]) -> Response:
    """Begin to set up an authenticator app. An earlier set-up that was not confirmed ends."""
    return created(None, totp_view(second_factors.begin_totp(_owner(request), request.now)), replayed=False)


@manage("POST", "/api/auth/mfa/totp/confirm", body=CodeRequest, answer=RecoveryCodesView, errors=(401, 404, 409))
def confirm_totp(request: Request[CodeRequest]) -> Response:
    """Confirm an authenticator app by a code of it: from now on a log-in asks for one. Answers with recovery codes."""
    codes = second_factors.confirm_totp(_owner(request), request.body.code, request.now)
    return Response(RecoveryCodesView(recovery_codes=list(codes)))


@manage("DELETE", "/api/auth/mfa/totp", statuses=(204,), errors=(404, 409))
def remove_totp(request: Request[Empty]) -> Response:
    """Remove the authenticator app. The recovery codes go with the last second factor."""
    second_factors.remove_totp(_owner(request), request.now)
    return Response(status=204)


@manage("POST", "/api/auth/mfa/recovery-codes", answer=RecoveryCodesView, errors=(404, 409))
def new_recovery_codes(request: Request[Empty]) -> Response:
    """Make new recovery codes; the old ones are not accepted any more."""
    return Response(
        RecoveryCodesView(recovery_codes=list(second_factors.new_recovery_codes(_owner(request), request.now)))
    )


@manage("POST", "/api/auth/passkeys/register/options", answer=dict[str, Any])
def passkey_options(request: Request[Empty]) -> Response:
    """The options with which a browser makes a passkey (`PublicKeyCredential.parseCreationOptionsFromJSON`)."""
    return Response(second_factors.passkey_options(_owner(request), request.now))


@manage(
    "POST",
    "/api/auth/passkeys/register/verify",
    body=RegisterPasskeyRequest,
    answer=AddedPasskeyView,
    statuses=(201,),
    errors=(401, 409),
)
def register_passkey(request: Request[RegisterPasskeyRequest]) -> Response:
    """Add the passkey that the browser has made. The account's first second factor brings recovery codes."""
    body = request.body
    added = second_factors.add_passkey(_owner(request), body.credential, body.name, request.now)
    return created(f"/api/auth/passkeys/{added.passkey.id}", added_passkey_view(added), replayed=False)


@api.route("GET", "/api/auth/passkeys", permission="account.read", answer=PasskeyList)
def list_passkeys(request: Request[Empty]) -> Response:
    """List the account's passkeys, oldest first."""
    return Response(passkey_list(second_factors.factors_of(request.caller.user_id)))


@manage("DELETE", "/api/auth/passkeys/<passkey_id>", statuses=(204,), errors=(404, 409))
def remove_passkey(request: Request[Empty]) -> Response:
    """Remove a passkey, unless it is the last way to sign in."""
    second_factors.remove_passkey(_owner(request), request.path_id("passkey_id", "pky"), request.now)
    return Response(status=204)


@api.route("POST", "/api/auth/passkeys/login/options", answer=dict[str, Any], errors=(403,))
def passkey_log_in_options(request: Request[Empty]) -> Response:
    """The options with which a browser asks for a passkey (`PublicKeyCredential.parseRequestOptionsFromJSON`)."""
    _require_own_origin(request)
    return Response(second_factors.passkey_log_in_options(request.source_address, request.now))


@api.route("POST", "/api/auth/passkeys/login/verify", body=PasskeyLogInRequest, answer=SignInView, errors=(401, 403))
def log_in_by_passkey(request: Request[PasskeyLogInRequest]) -> Response:
    """Open a session by a passkey's answer: alone, or as the second factor of a log-in by password."""
    _require_own_origin(request)
    body = request.body
    result = second_factors.log_in_by_passkey(body.credential, body.mfa_ticket, request.origin, request.now)
    return _answer(result, body.token_delivery)


def _answer(result: SignInResult, delivery: str) -> Response:
    return Response(sign_in_view(result, delivery), cookies=refresh_cookie.cookies_of(result, delivery))


def _owner(request: Request[Any]) -> FactorOwner:
    claims = request.claims
    return FactorOwner(request.caller.user_id, str(claims["session_id"]), str(claims["workspace_id"]), request.origin)


def _require_own_origin(request: Request[Any]) -> None:
    refresh_cookie.require_own_origin(request.headers.get("origin"), identity.allows_origin)
