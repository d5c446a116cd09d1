"""Sign in with Google and GitHub (/api/auth/oauth); the caller's external logins (/api/auth/identities)."""

from __future__ import annotations

from typing import Any

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.identity import refresh_cookie
from atelier.identity.oauth.callback import OAuthCallback
from atelier.identity.oauth.cookie import binding_cookie, browser_secret
from atelier.identity.oauth.exchange import Holder
from atelier.identity.oauth.link import Presented
from atelier.identity.oauth.linked_login_schemas import LinkedLoginView, linked_login_view
from atelier.identity.oauth.schemas import (
    CallbackQuery,
    CompleteLinkRequest,
    ConfirmLinkRequest,
    ExchangeRequest,
    IdentityProvidersView,
    LinkByPasswordRequest,
    LinkedLoginList,
    LinkRequiredView,
    MailLinkRequest,
    StartedLinkView,
    StartLinkRequest,
    StartQuery,
    exchanged_view,
    providers_view,
    session_cookies,
)
from atelier.identity.oauth.start import StartOAuth
from atelier.identity.schemas import SignInView
from atelier.wiring import identity, oauth
from atelier.wiring.auth import gate, limiter

# A page behind a redirect learns neither the state nor a code from the browser.
REDIRECT = {"Referrer-Policy": "no-referrer"}

api = Api("auth", gate=gate, limiter=limiter)
handler = api.handler


@api.route("GET", "/api/auth/oauth", answer=IdentityProvidersView)
def list_providers(_request: Request[Empty]) -> Response:
    """List the identity providers with which one can sign in here."""
    return Response(providers_view(oauth.providers()))


@api.route("GET", "/api/auth/oauth/<provider>/start", query=StartQuery, statuses=(302,))
def start(request: Request[Empty]) -> Response:
    """Send the browser to an identity provider to sign in; it comes back to `redirect_to` with `code` or `error`."""
    started = oauth.start(_start(request, request.query, None), request.now)
    return Response(
        status=302, headers=REDIRECT | {"Location": started.url}, cookies=(binding_cookie(started.browser_secret),)
    )


@api.route("GET", "/api/auth/oauth/<provider>/callback", query=CallbackQuery, statuses=(302,))
def callback(request: Request[Empty]) -> Response:
    """Take the browser that comes back from an identity provider, and send it on to `redirect_to`."""
    query: CallbackQuery = request.query
    received = OAuthCallback(
        request.path["provider"], query.state, query.code, query.error, query.iss, browser_secret(request.cookies)
    )
    return Response(status=302, headers=REDIRECT | {"Location": oauth.receive_callback(received, request.now)})


@api.route(
    "POST",
    "/api/auth/oauth/exchange",
    body=ExchangeRequest,
    answer=SignInView | LinkRequiredView,
    errors=(401, 403),
)
def exchange(request: Request[ExchangeRequest]) -> Response:
    """Exchange the code of a callback for a session, once; or learn what has to be proved before."""
    _require_own_origin(request)
    body = request.body
    result = oauth.exchange(body.code, _holder(request, body.verifier), request.now)
    view = exchanged_view(result, body.token_delivery)
    return Response(view, cookies=session_cookies(result, body.token_delivery))


@api.route("POST", "/api/auth/oauth/link", body=LinkByPasswordRequest, answer=SignInView, errors=(401, 403, 409))
def link_by_password(request: Request[LinkByPasswordRequest]) -> Response:
    """Link a login to the account that has its e-mail address, by the account's password, and sign in."""
    _require_own_origin(request)
    body = request.body
    signed_in = oauth.link_by_password(body.link_ticket, body.password, _holder(request, None), request.now)
    view = exchanged_view(signed_in, body.token_delivery)
    return Response(view, cookies=session_cookies(signed_in, body.token_delivery))


@api.route("POST", "/api/auth/oauth/link/mail", body=MailLinkRequest, statuses=(202,), errors=(401, 403))
def send_link(request: Request[MailLinkRequest]) -> Response:
    """Send a mail to the login's address, with a link that links it to the account there."""
    _require_own_origin(request)
    oauth.send_link(request.body.link_ticket, _holder(request, None), request.now)
    return Response(status=202)


@api.route("POST", "/api/auth/oauth/link/confirm", body=ConfirmLinkRequest, answer=SignInView, errors=(401, 403, 409))
def confirm_link(request: Request[ConfirmLinkRequest]) -> Response:
    """Link a login by the token of a mail, and sign in; in the browser that began it."""
    _require_own_origin(request)
    body = request.body
    result = oauth.confirm_link(body.token, body.link_ticket, _holder(request, None), request.now)
    view = exchanged_view(result, body.token_delivery)
    return Response(view, cookies=session_cookies(result, body.token_delivery))


@api.route("GET", "/api/auth/identities", permission="account.read", answer=LinkedLoginList)
def list_identities(request: Request[Empty]) -> Response:
    """List the external logins that open your account."""
    links = oauth.list_logins(request.caller.user_id)
    return Response(LinkedLoginList(items=[linked_login_view(link) for link in links]))


@api.route(
    "POST",
    "/api/auth/identities/<provider>",
    permission="account.manage",
    step_up="always",
    body=StartLinkRequest,
    answer=StartedLinkView,
)
def start_link(request: Request[StartLinkRequest]) -> Response:
    """Begin to link an external login to your account: send this browser to `url`."""
    started = oauth.start(_start(request, request.body, request.caller.user_id), request.now)
    return Response(StartedLinkView(url=started.url), cookies=(binding_cookie(started.browser_secret),))


@api.route(
    "POST",
    "/api/auth/identities",
    permission="account.manage",
    step_up="always",
    body=CompleteLinkRequest,
    answer=LinkedLoginView,
    errors=(409,),
)
def complete_link(request: Request[CompleteLinkRequest]) -> Response:
    """Link an external login to your account."""
    body = request.body
    presented, holder = Presented(body.code, body.link_ticket, body.token), _holder(request, body.verifier)
    # The claims name the personal workspace, whatever workspace the request is about.
    personal = str(request.claims["workspace_id"])
    link = oauth.link_to_account(presented, holder, request.caller.user_id, personal, request.now)
    return Response(linked_login_view(link))


@api.route("DELETE", "/api/auth/identities/<provider>", permission="account.manage", statuses=(204,), errors=(404, 409))
def unlink(request: Request[Empty]) -> Response:
    """Unlink an external login from your account; the last way to sign in stays."""
    oauth.unlink(request.caller.user_id, request.path["provider"], request.origin, request.now)
    return Response(status=204)


def _start(request: Request[Any], wanted: StartQuery | StartLinkRequest, user_id: str | None) -> StartOAuth:
    return StartOAuth(
        request.path["provider"],
        wanted.redirect_to,
        request.source_address,
        browser_secret(request.cookies),
        wanted.challenge,
        user_id,
    )


def _holder(request: Request[Any], verifier: str | None) -> Holder:
    return Holder(browser_secret(request.cookies), verifier, request.origin)


def _require_own_origin(request: Request[Any]) -> None:
    refresh_cookie.require_own_origin(request.headers.get("origin"), identity.allows_origin)
