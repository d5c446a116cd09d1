"""Signing up, in and out, and the language of the pages."""

from __future__ import annotations

from starlette.responses import Response

from studio.api_client import ApiError
from studio.endpoints import route
from studio.external_logins import offered_providers
from studio.paths import own_path
from studio.sign_in_steps import entered, kept_fields, next_step
from studio.strings import LANGUAGES
from studio.visit import LANGUAGE_COOKIE, THEME_COOKIE, Visit

CHOICE_SECONDS = 400 * 86400
THEMES = ("auto", "light", "dark")
# Refusals that the form itself shows, beside what was written.
SHOWN_IN_FORM = (400, 401, 403, 409, 422, 429)


def welcome(visit: Visit) -> Response:
    """What this is, for people without a session."""
    return visit.page("welcome.html")


def show_sign_in(visit: Visit) -> Response:
    """The sign-in form."""
    target, providers = own_path(visit.query.get("next", "/")), offered_providers(visit)
    return visit.page("sign_in.html", next=target, kept=[], error=None, email="", providers=providers)


def sign_in(visit: Visit) -> Response:
    """Opens a session. Fields of a form that met an ended session go along, to be sent again after it."""
    email = str(visit.form.get("email", ""))
    account = {"email": email, "password": str(visit.form.get("password", ""))}
    target = own_path(str(visit.form.get("next", "/")))
    kept = kept_fields(visit)
    try:
        data = visit.session.open("/api/auth/login", account)
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return visit.page("sign_in.html", status=error.status, next=target, kept=kept, error=error, email=email)
    return next_step(visit, data, target, kept) or entered(visit, target, kept)


def show_sign_up(visit: Visit) -> Response:
    """The sign-up form."""
    return visit.page("sign_up.html", error=None, email="", name="", providers=offered_providers(visit))


def sign_up(visit: Visit) -> Response:
    """Makes an account, with a workspace, and opens its first session."""
    names = ("email", "password", "name")
    account = {name: str(visit.form.get(name, "")) for name in names}
    try:
        data = visit.session.open("/api/auth/signup", account)
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        shown = {name: account[name] for name in ("email", "name")}
        return visit.page("sign_up.html", status=error.status, error=error, **shown)
    return next_step(visit, data, "/create", []) or visit.go("/create")


def sign_out(visit: Visit) -> Response:
    """Ends the session."""
    visit.session.end()
    return visit.go("/welcome")


def choose_language(visit: Visit) -> Response:
    """Keeps the language that the person chose, in a cookie."""
    language = str(visit.form.get("language", ""))
    if language in LANGUAGES:
        visit.set_cookies.append(
            f"{LANGUAGE_COOKIE}={language}; Path=/; Max-Age={CHOICE_SECONDS}; Secure; HttpOnly; SameSite=Lax"
        )
    return visit.go(own_path(str(visit.form.get("next", "/"))))


def choose_theme(visit: Visit) -> Response:
    """Keeps the colours that the person chose, in a cookie; a script does it without a request."""
    theme = str(visit.form.get("theme", ""))
    if theme in THEMES:
        visit.set_cookies.append(f"{THEME_COOKIE}={theme}; Path=/; Max-Age={CHOICE_SECONDS}; Secure; SameSite=Lax")
    return visit.go(own_path(str(visit.form.get("next", "/"))))


routes = [
    route("/welcome", welcome, public=True),
    route("/sign-in", show_sign_in, public=True),
    route("/sign-in", sign_in, "POST", public=True),
    route("/sign-up", show_sign_up, public=True),
    route("/sign-up", sign_up, "POST", public=True),
    route("/sign-out", sign_out, "POST", public=True),
    route("/theme", choose_theme, "POST", public=True),
    route("/language", choose_language, "POST", public=True),
]
