"""Coming back from Google or GitHub: a session, or the question whose account it is."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError
from studio.endpoints import route
from studio.external_logins import binding, offered_providers
from studio.paths import own_path
from studio.sign_in_steps import next_step
from studio.visit import Visit

# What the API adds to the address when nobody was signed in, and what went wrong.
ERRORS = ("access_denied", "expired", "temporarily_unavailable", "invalid_response")
SHOWN_HERE = (401, 403, 409, 422, 429)


def callback(visit: Visit) -> Response:
    """Exchanges the code for a session."""
    target = own_path(visit.query.get("next", "/"))
    if "code" not in visit.query:
        error = visit.query.get("error", "")
        return _sign_in(visit, target, visit.t(f"oauth.{error}" if error in ERRORS else "oauth.invalid_response"))
    try:
        data = visit.session.open("/api/auth/oauth/exchange", {"code": visit.query["code"]}, binding(visit))
    except ApiError as error:
        if error.status not in SHOWN_HERE:
            raise
        return _sign_in(visit, target, error.message, error.status)
    return _entered(visit, data, target)


def link_by_password(visit: Visit) -> Response:
    """Links the login to the account with its address, by the account's password."""
    ticket, target = str(visit.form.get("secret_ticket", "")), own_path(str(visit.form.get("next", "/")))
    body = {"link_ticket": ticket, "password": str(visit.form.get("secret_password", ""))}
    try:
        data = visit.session.open("/api/auth/oauth/link", body, binding(visit))
    except ApiError as error:
        if error.status not in SHOWN_HERE:
            raise
        return _link_page(visit, target, error=error)
    # The API has linked it, unless the account has a second factor or is being deleted.
    return _entered(visit, data, target, {"link_ticket": ticket})


def send_link(visit: Visit) -> Response:
    """Has a link sent to the account's address."""
    ticket = str(visit.form.get("secret_ticket", ""))
    try:
        visit.api.call("POST", "/api/auth/oauth/link/mail", {"link_ticket": ticket})
    except ApiError as error:
        if error.status not in SHOWN_HERE:
            raise
        return _link_page(visit, own_path(str(visit.form.get("next", "/"))), error=error)
    return visit.page("oauth_sent.html", email=str(visit.form.get("email", "")))


def show_confirm(visit: Visit) -> Response:
    """The page behind the link of the mail. Opening it does nothing: programs that read mails open links too."""
    return visit.page("oauth_confirm.html", token=visit.query.get("token", ""), error=None)


def confirm(visit: Visit) -> Response:
    """Links the login by the link of the mail."""
    token = str(visit.form.get("secret_token", ""))
    try:
        data = visit.session.open("/api/auth/oauth/link/confirm", {"token": token}, binding(visit))
    except ApiError as error:
        if error.status not in SHOWN_HERE:
            raise
        return visit.page("oauth_confirm.html", status=error.status, token=token, error=error)
    return _entered(visit, data, "/identities", {"token": token})


def _entered(visit: Visit, data: dict[str, Any], target: str, login: dict[str, str] | None = None) -> Response:
    if "link_ticket" in data:
        return _link_page(visit, target, data=data)
    unfinished = None if "access_token" in data else next_step(visit, data, target, [], login)
    if unfinished is not None:
        return unfinished
    # The browser comes from another site, and leaves the new cookies out until it comes from our own page.
    return visit.page("arrive.html", here=target)


def _link_page(visit: Visit, target: str, *, data: dict[str, Any] | None = None, error: Any = None) -> Response:
    form = visit.form
    shown = data or {
        "link_ticket": form.get("secret_ticket", ""),
        "provider": form.get("provider", ""),
        "email": form.get("email", ""),
        "has_password": bool(form.get("has_password")),
        "by_mail": bool(form.get("by_mail")),
    }
    return visit.page("oauth_link.html", status=error.status if error else 200, next=target, error=error, **shown)


def _sign_in(visit: Visit, target: str, text: str, status: int = 400) -> Response:
    """The sign-in page, with what went wrong."""
    return visit.page(
        "sign_in.html",
        status=status,
        next=target,
        kept=[],
        error=None,
        problem=text,
        email="",
        providers=offered_providers(visit),
    )


routes = [
    route("/oauth/callback", callback, public=True),
    route("/oauth/link", link_by_password, "POST", public=True),
    route("/oauth/link-mail", send_link, "POST", public=True),
    route("/oauth/confirm", show_confirm, public=True),
    route("/oauth/confirm", confirm, "POST", public=True),
]
