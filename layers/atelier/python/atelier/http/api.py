"""Routes and their dispatch: a function's `app.py` declares routes on an `Api`, whose `handler` is the Lambda handler.

Each route names the permission that it needs and the models of its body, query and response. `openapi.py` writes the
served document from the same declarations, so the two cannot differ.
"""

from __future__ import annotations

import re
import time
from bisect import insort
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, cast

from atelier.clock import Clock, system_clock
from atelier.dataclass import dataclass
from atelier.errors import AtelierError, ErrorResponse, MethodNotAllowed, NotFound, Unauthenticated
from atelier.http.errors import error_envelope, respond_to_error
from atelier.http.request import (
    Empty,
    Event,
    Request,
    idempotency_key,
    parse_body,
    read_body,
    read_cookies,
    source_address,
    validate_query,
)
from atelier.http.response import GatewayResponse, Response, render
from atelier.ids import is_id
from atelier.telemetry import log_request

# Named in annotations alone: a function without callers, or without models, imports neither.
if TYPE_CHECKING:
    from pydantic import BaseModel

    from atelier.caller import Caller
    from atelier.identity.step_up import StepUp

BODY_BYTES_MAX = 256 * 1024
# Kinds of a path's segments, in the order in which paths are compared: a literal goes before a pattern.
LITERAL, ONE_SEGMENT, MANY_SEGMENTS = range(3)


class Gate(Protocol):
    """Builds the caller from the authorizer's claims and the `Atelier-Workspace` header, if it has `permission`.

    fresh: read session and membership from the store now, as every request that changes something does. Raises
    Unauthenticated, Forbidden, StepUpRequired, or NotFound for a workspace of which the user is no member."""

    def __call__(
        self,
        claims: Mapping[str, Any],
        workspace_id: str | None,
        permission: str,
        *,
        fresh: bool,
        step_up: StepUp,
        now: datetime,
    ) -> Caller: ...


class Limiter(Protocol):
    """Counts one request of `subject` (`account#<user id>` or `address#<IP address>`); raises RateLimited above the
    limit."""

    def __call__(self, subject: str, now: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class Route:
    """One declared operation, as the dispatcher and the OpenAPI document need it."""

    method: str
    path: str
    handler: Callable[[Request[Any]], Response]
    permission: str | None
    body: type[BaseModel] | type[Empty]
    query: type[BaseModel] | type[Empty]
    answer: Any
    statuses: tuple[int, ...]
    errors: tuple[int, ...]
    summary: str
    tag: str
    raw: bool
    raw_body: bool
    body_bytes_max: int = BODY_BYTES_MAX
    waits: bool = False
    step_up: StepUp = False
    files: tuple[str, ...] = ()


class _Path:
    """A declared path, with its routes by method.

    precedence: what decides which of several matching paths is taken, the smallest first: segment by segment, a literal
    goes before a pattern, whatever the order of declaration."""

    def __init__(self, path: str) -> None:
        self.routes: dict[str, Route] = {}
        self.expression = re.sub(r"<(\w+)(\+?)>", _path_group, path) + "/?"
        self.precedence = tuple(map(_segment_kind, path.split("/")))
        # What a request's path must begin with, whatever the rest means.
        self._begin = re.split("[<.]", path, maxsplit=1)[0]

    def match(self, path: str) -> re.Match[str] | None:
        return self._pattern.fullmatch(path) if path.startswith(self._begin) else None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Compiled when a request may be meant: a function has up to sixty paths.
        return re.compile(self.expression)


def _segment_kind(segment: str) -> int:
    if "<" not in segment:
        return LITERAL
    return MANY_SEGMENTS if "+>" in segment else ONE_SEGMENT


def _path_group(found: re.Match[str]) -> str:
    return f"(?P<{found[1]}>{'.+?' if found[2] else '[^/]+'})"


class Api:
    """The routes of one function and its Lambda handler.

    gate, limiter: factories. They are called on the first request that needs them, so that importing a function calls
    no AWS. error_response: builds the response to an error, given the error and the request id; by default it is the
    API's envelope.
    """

    def __init__(
        self,
        tag: str,
        *,
        gate: Callable[[], Gate] | None = None,
        limiter: Callable[[], Limiter] | None = None,
        clock: Clock = system_clock,
        error_response: Callable[[AtelierError, str], ErrorResponse] | None = None,
    ) -> None:
        self.tag = tag
        self.routes: list[Route] = []
        self._gate = gate
        self._limiter = limiter
        self._clock = clock
        self._error_response = error_response or error_envelope
        self._paths: list[_Path] = []

    def route(
        self,
        method: str,
        *paths: str,
        permission: str | None = None,
        body: type[BaseModel] | type[Empty] = Empty,
        query: type[BaseModel] | type[Empty] = Empty,
        answer: Any = None,
        statuses: tuple[int, ...] = (200,),
        errors: tuple[int, ...] = (),
        raw: bool = False,
        raw_body: bool = False,
        body_bytes_max: int = BODY_BYTES_MAX,
        waits: bool = False,
        step_up: StepUp = False,
        files: tuple[str, ...] = (),
        summary: str | None = None,
        tag: str | None = None,
    ) -> Callable[[Callable[[Request[Any]], Response]], Callable[[Request[Any]], Response]]:
        """Declare an operation at each of `paths` (`/api/things/<thing_id>`; `<name+>` takes slashes too).

        permission: what the caller's role must allow; None = public. answer: the type of `data` on success.
        statuses: the statuses of success, the usual one first. errors: error statuses beside those of every route.
        raw: `data` is the whole body (health, JWKS, OpenAPI), without the envelope.
        raw_body: the handler parses `request.raw_body` itself (signed webhooks), whatever its content type.
        body_bytes_max: a larger body is refused, also when it is larger only after decompression.
        waits: it takes `Prefer: wait=n`, as every POST does that may answer 202 or, after the wait, 200.
        step_up: the caller must have proven a factor within ten minutes. True: of accounts with a second factor that
        one; "always": of the other accounts a password or a sign-in. No API token passes such a route.
        files: content types of files that it answers with instead of `data`, when the query asks for one; without an
        `answer`, always.
        summary: of the operation; by default the first line of the handler's docstring. tag: by default the Api's."""

        def declare(handler: Callable[[Request[Any]], Response]) -> Callable[[Request[Any]], Response]:
            described = summary or handler.__doc__ or handler.__name__.replace("_", " ")
            for path in paths:
                route = Route(
                    method,
                    path,
                    handler,
                    permission,
                    body,
                    query,
                    answer,
                    statuses,
                    errors,
                    described.strip().splitlines()[0],
                    tag or self.tag,
                    raw,
                    raw_body,
                    body_bytes_max,
                    waits or (method == "POST" and {200, 202} <= set(statuses)),
                    step_up,
                    files,
                )
                self.routes.append(route)
                self._by_method(path)[method] = route
            return handler

        return declare

    def handler(self, event: Event, _context: object) -> GatewayResponse:
        """The Lambda entry point; event and result are in payload format 2.0 of HTTP APIs. Raises nothing: after an
        exception the gateway would send its own response, without the API's envelope."""
        started = time.perf_counter()
        context = event.get("requestContext", {})
        request_id, http = str(context.get("requestId", "")), context.get("http", {})
        ids: dict[str, Any] = {}

        try:
            route, path = self._find(http["method"], http["path"])
            ids = {name: value for name, value in path.items() if is_id(value, value[:3])}
            request = self._parse(route, event, path, request_id)
            if route.permission:
                ids |= {"user_id": request.caller.user_id, "workspace_id": request.caller.workspace_id}
                ids |= {"token_id": request.caller.token_id} if request.caller.token_id else {}
            response = render(route.handler(request), raw=route.raw)
            # The address of a redirect may contain a code.
            if "Location" in response["headers"] and not 300 <= response["statusCode"] < 400:
                ids["made"] = response["headers"]["Location"].rpartition("/")[2]
        except Exception as error:
            response = respond_to_error(error, request_id, self._error_response)

        if http.get("method") == "HEAD":
            response |= {"body": "", "isBase64Encoded": False}
        response["headers"]["x-request-id"] = request_id
        log_request(
            request_id=request_id,
            method=http.get("method"),
            route=event.get("routeKey"),
            status=response["statusCode"],
            **ids,
            duration_ms=round((time.perf_counter() - started) * 1000),
        )
        return response

    def _by_method(self, path: str) -> dict[str, Route]:
        new = _Path(path)
        for known in self._paths:
            if known.expression == new.expression:
                return known.routes
        insort(self._paths, new, key=lambda each: each.precedence)
        return new.routes

    def _find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        for known in self._paths:
            match = known.match(path)
            if match is None:
                continue
            routes = known.routes
            # HEAD is handled as a GET; `handler` removes the body (RFC 9110).
            route = routes.get("GET" if method == "HEAD" else method)
            if route is None:
                allowed = sorted({*routes, *(["HEAD"] if "GET" in routes else [])})
                raise MethodNotAllowed("This route does not take that method.", allowed=allowed)
            return route, match.groupdict()
        raise NotFound("There is no such route.")

    def _parse(self, route: Route, event: Event, path: dict[str, str], request_id: str) -> Request[Any]:
        now = self._clock()
        raw_headers = cast(dict[str, str], event.get("headers") or {})
        headers = {name.lower(): value for name, value in raw_headers.items()}
        address = source_address(event, headers)

        claims = cast(dict[str, Any], event["requestContext"].get("authorizer", {}).get("lambda") or {})
        limiter = self._limiter() if self._limiter else None
        caller = None
        if route.permission is None:
            if limiter:
                limiter(f"address#{address}", now)
        else:
            assert self._gate is not None, "a route with a permission needs a gate"
            if not claims.get("user_id"):
                if limiter:
                    limiter(f"address#{address}", now)
                raise Unauthenticated(str(claims.get("reason") or "This call needs an access token."))
            if limiter:
                limiter(f"account#{claims['user_id']}", now)
            # A workspace that the path names is the one that is asked for, whatever the header says.
            workspace_id = path.get("workspace_id", headers.get("atelier-workspace"))
            caller = self._gate()(
                claims,
                workspace_id,
                route.permission,
                fresh=route.method != "GET",
                step_up=route.step_up,
                now=now,
            )

        has_body = route.method in ("POST", "PUT", "PATCH")
        raw_body = read_body(event, headers, route.body_bytes_max) if has_body else b""
        body = parse_body(route.body, raw_body, headers)
        query = validate_query(route.query, event.get("queryStringParameters") or {})

        return Request(
            now=now,
            body=body,
            query=query,
            path=path,
            headers=headers,
            cookies=read_cookies(event, headers),
            source_address=address,
            request_id=request_id,
            claims=claims,
            # Optional on every POST. An invalid key is refused also by routes that do not use it.
            idempotency_key=idempotency_key(headers) if route.method == "POST" else None,
            raw_body=raw_body,
            _caller=caller,
        )
