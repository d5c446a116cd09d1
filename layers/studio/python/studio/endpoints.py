"""What every page has in common: sign-in, the check of forms, errors, cookies, security headers, compression.

A page is a function from a visit to a response. It may raise ApiError (the person sees what to do and the request id)
and SignInNeeded (they sign in, and go on where they were)."""

from __future__ import annotations

import gzip
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from studio import settings
from studio.api_client import ApiError
from studio.csrf import FIELD, ForeignForm
from studio.session import SignInNeeded
from studio.telemetry import log_line
from studio.visit import Visit

Page = Callable[[Visit], Response]

# Fields whose names begin so are never repeated on a page.
SECRET_PREFIX = "secret_"
COMPRESSED_BYTES_MIN = 1000
BODY_BYTES_MAX = 1_000_000
# Has htmx put an answer above the page, and not where its result would have been.
IN_NOTICES = {"HX-Retarget": "#notices", "HX-Reswap": "innerHTML"}


def route(path: str, page: Page, *methods: str, public: bool = False, checked: bool = True) -> Route:
    """A route of Studio. methods: GET if none is named. public: without a session. checked: whether a request that
    changes something must come from a form of ours."""
    return Route(path, _endpoint(page, public, checked), methods=list(methods or ("GET",)))


def _endpoint(page: Page, public: bool, checked: bool) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        # A page may block: Lambda gives this process one request at a time, and a thread would only cost its start.
        return _answer(page, request, await request.body(), public, checked)

    return answer


def _answer(page: Page, request: Request, body: bytes, public: bool, checked: bool) -> Response:
    started = time.perf_counter()
    if len(body) > BODY_BYTES_MAX:
        return Response("The form is too large.", 413, media_type="text/plain")
    try:
        visit = Visit(request, body)
    except ValueError:
        return Response("The form has too many fields.", 400, media_type="text/plain")
    return _finish(visit, _page_or_error(page, visit, public, checked), started)


def _page_or_error(page: Page, visit: Visit, public: bool, checked: bool) -> Response:
    try:
        if checked and visit.request.method not in ("GET", "HEAD"):
            visit.check_form()
        if not public:
            visit.session.require()
        try:
            return page(visit)
        except ApiError as error:
            # The access token has ended early. One refresh, and the page is made again; what it changed by then it does
            # not change twice, because its calls carry the form's key.
            if public or error.status != 401:
                raise
            visit.session.renew()
            return page(visit)
    except SignInNeeded:
        return sign_in_needed(visit)
    except ForeignForm:
        return visit.page("error.html", status=403, title=visit.t("error.form_title"), text=visit.t("error.form_text"))
    except ApiError as error:
        return step_up_needed(visit, error) if error.code == "STEP_UP_REQUIRED" else error_page(visit, error)
    except Exception as error:
        # Answered here, so that a session that was just renewed reaches the browser: its old token is used up.
        failure = "".join(traceback.format_exception(error))
        log_line("ERROR", "a page failed", request_id=visit.request_id, path=visit.path, exception=failure)
        envelope = {"error": "INTERNAL", "message": str(visit.t("error.broken")), "request_id": visit.request_id}
        return error_page(visit, ApiError(500, envelope))


def sign_in_needed(visit: Visit) -> Response:
    """Sends a reader to the sign-in page, and asks somebody who was sending a form to sign in on the spot: their fields
    go along, so that nothing they wrote is lost. Secrets do not: the page that follows shows what is sent again. For
    htmx, a notice above the page, which stays as it is."""
    if visit.is_partial:
        response = visit.page("session_ended.html", status=401, next=_page_path(visit))
        response.headers.update(IN_NOTICES)
        return response
    if visit.request.method in ("GET", "HEAD"):
        if visit.request.headers.get("sec-fetch-site") == "cross-site":
            # The cookies are SameSite=Strict: a link on another site brings none. A reload from our own page does.
            return visit.page("arrive.html", here=visit.target)
        return visit.go("/welcome" if visit.path == "/start" else f"/sign-in?{urlencode({'next': visit.target})}")
    sent = visit.form.multi_items()
    kept = [(name, value) for name, value in sent if name != FIELD and not name.startswith(SECRET_PREFIX)]
    return visit.page("sign_in.html", status=401, next=visit.path, kept=kept, error=None, email="")


def step_up_needed(visit: Visit, error: ApiError) -> Response:
    """Asks for a factor, because the API wants a fresh proof of who this is. The fields of the form that met this go
    along, but for secrets, to be sent again after it."""
    if visit.is_partial:
        response = visit.page("step_up_notice.html", status=403, next=_page_path(visit))
        response.headers.update(IN_NOTICES)
        return response
    kept: list[tuple[str, str]] = []
    if visit.request.method not in ("GET", "HEAD"):
        sent = visit.form.multi_items()
        kept = [(name, value) for name, value in sent if name != FIELD and not name.startswith(SECRET_PREFIX)]
    factor, target = error.details.get("factor"), visit.target
    return visit.page("step_up.html", status=403, next=target, kept=kept, sent=bool(kept), factor=factor, error=None)


def _page_path(visit: Visit) -> str:
    """The path and query of the page that asks for a part."""
    parts = urlsplit(visit.request.headers.get("hx-current-url", "/"))
    return parts.path + (f"?{parts.query}" if parts.query else "")


def error_page(visit: Visit, error: ApiError) -> Response:
    """The page that says what the API refused and what can be done; for htmx, a notice above the page."""
    key = f"error.{error.code}"
    advice = visit.t(key) if visit.t.has(key) else visit.t("error.other")
    template = "notice.html" if visit.is_partial else "error.html"
    response = visit.page(template, status=error.status, title=advice, text=error.message, error=error)
    if visit.is_partial:
        response.headers.update(IN_NOTICES)
    return response


def content_security_policy(media_origin: str = "", style_sources: Sequence[str] = (), file_origin: str = "") -> str:
    """Only our own files; no inline code; files go to the media bucket's upload address alone. media_origin: where this
    page's video may come from, too. style_sources: the hashes of the stylesheets that are in the page. file_origin:
    where this page may send a file, too."""
    upload = f"{settings.upload_origin()} {file_origin}".strip()
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            " ".join(("style-src 'self'", *style_sources)),
            "img-src 'self' data: blob:",
            f"media-src 'self' blob: {media_origin}".rstrip(),
            "font-src 'self'",
            f"connect-src 'self' {upload}".rstrip(),
            "frame-src 'self'",
            "manifest-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "report-uri /csp-reports",
        )
    )


def _finish(visit: Visit, response: Response, started: float) -> Response:
    for cookie in (*visit.set_cookies, *visit.session.set_cookies):
        response.headers.append("set-cookie", cookie)
    response.headers.setdefault("cache-control", "no-store")
    response.headers["content-security-policy"] = content_security_policy(
        visit.media_origin, visit.style_sources, visit.file_origin
    )
    response.headers["x-content-type-options"] = "nosniff"
    response.headers["x-frame-options"] = "DENY"
    response.headers["referrer-policy"] = "same-origin"
    response.headers["cross-origin-opener-policy"] = "same-origin"
    response.headers["content-language"] = visit.t.language
    response.headers["x-request-id"] = visit.request_id
    response.headers["vary"] = "Accept-Encoding, Accept-Language, Cookie, HX-Request"
    if len(response.body) >= COMPRESSED_BYTES_MIN and "gzip" in visit.request.headers.get("accept-encoding", ""):
        # CloudFront compresses only what it may cache, and a person's page is for nobody else.
        response.body = gzip.compress(bytes(response.body), compresslevel=6, mtime=0)
        response.headers["content-encoding"] = "gzip"
        response.headers["content-length"] = str(len(response.body))
    waited = visit.api.waited_seconds
    own = time.perf_counter() - started - waited
    # How long the page took itself, and how long it waited for how many calls: browsers show it, the bench reads it.
    timing = f'own;dur={1000 * own:.1f}, api;dur={1000 * waited:.1f};desc="{visit.api.calls}"'
    response.headers["server-timing"] = timing
    log_line(
        "INFO",
        "page",
        request_id=visit.request_id,
        method=visit.request.method,
        path=visit.path,
        status=response.status_code,
        own_ms=round(1000 * own),
        api_ms=round(1000 * waited),
        api_calls=visit.api.calls,
    )
    return response
