"""One request of a person's browser, and all that a page needs to answer it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from markupsafe import Markup
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from studio import csrf, settings
from studio.api_client import ApiClient, Json
from studio.rendering import render, style
from studio.session import Session
from studio.strings import Translator, chosen_language

LANGUAGE_COOKIE = "studio-language"
# The page's script changes this one too, so that a choice of colours is seen at once.
THEME_COOKIE = "studio-theme"
# The hidden field with the key under which the API takes a form once.
KEY_FIELD = "form_key"
FIELDS_MAX = 500


class Visit:
    """A request: `api` and `session` of the person, `form` and `query` fields, `t` for texts in their language."""

    def __init__(self, request: Request, body: bytes) -> None:
        self.request = request
        self.path = request.url.path
        gateway: Mapping[str, Any] = request.scope.get("aws.event", {}).get("requestContext", {})
        self.request_id = str(gateway.get("requestId", ""))
        self.api = ApiClient(settings.api_url(gateway), request.headers)
        self.session = Session(self.api, request.cookies)
        self.query = request.query_params
        self.body = body
        self.form = _form(request, body)
        self.t = Translator(
            chosen_language(request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("accept-language", ""))
        )
        theme = request.cookies.get(THEME_COOKIE, "")
        # Empty = the colours of the person's system.
        self.theme = theme if theme in ("light", "dark") else ""
        self._form_token, new_cookie = csrf.token_of(request.cookies)
        # A part of a page brings no new token: it may arrive after the next page, whose form carries that page's token.
        # Where the page's picture comes from, when that is another origin.
        self.media_origin = ""
        # Where this page sends a file to, beside the media bucket.
        self.file_origin = ""
        # What allows the stylesheets that are in this page.
        self.style_sources: list[str] = []
        self.set_cookies: list[str] = [new_cookie] if new_cookie and not self.is_partial else []

    @property
    def is_partial(self) -> bool:
        """Whether htmx asks for a part of a page, and not the browser for a page."""
        return self.request.headers.get("hx-request-type") == "partial"

    @property
    def target(self) -> str:
        """The path and query of this page, to come back to."""
        query = self.request.url.query
        return self.path + (f"?{query}" if query else "")

    def check_form(self) -> None:
        """Raises ForeignForm unless our own page sent this request."""
        sent = str(self.form.get(csrf.FIELD) or self.request.headers.get(csrf.HEADER, ""))
        csrf.check(self.request.headers, self.request.cookies, sent, settings.public_origin())

    def page(self, template: str, /, *, status: int = 200, **values: Any) -> Response:
        """A whole page, or a part of one: what the template makes of these values."""
        return HTMLResponse(render(template, self._context(values)), status)

    def go(self, path: str) -> Response:
        """Sends the browser to another page of Studio, with GET."""
        if self.is_partial:
            return Response(status_code=200, headers={"HX-Redirect": path})
        return Response(status_code=303, headers={"Location": path, "Content-Type": "text/html; charset=utf-8"})

    def part(self, name: str) -> str:
        """A part of this page's path, ready to be a part of a path of the API."""
        return quote(str(self.request.path_params[name]), safe="")

    def get(self, path: str, **query: Any) -> Json:
        """The data of a GET of the API. Raises ApiError."""
        return self.api.get(path, **query)

    @property
    def form_key(self) -> str:
        """The Idempotency-Key of the form that was sent: sending it again changes nothing a second time."""
        return str(self.form.get(KEY_FIELD, "")) or secrets.token_urlsafe(16)

    def _style(self, name: str) -> Markup:
        """A stylesheet for the head of this page."""
        found = style(name)
        self.style_sources.append(found.source)
        return found.element

    def _context(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "visit": self,
            "t": self.t,
            "style": self._style,
            "form_token": csrf.masked(self._form_token),
            "form_key": secrets.token_urlsafe(16),
            "signed_in": bool(self.api.access_token),
            "person": self.session.name,
            **values,
        }


def _form(request: Request, body: bytes) -> ImmutableMultiDict[str, str]:
    """The fields of a form; empty for other bodies. More than FIELDS_MAX fields are no form of ours: ValueError."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return ImmutableMultiDict()
    text = body.decode("utf-8", "replace")
    return ImmutableMultiDict(parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX))
