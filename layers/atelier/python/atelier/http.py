"""HTTP requests and responses: routes, the API's JSON envelope, and the one place where errors become responses.

A function's `app.py` declares routes on an `Api`. Each route names the permission that it needs and the models of its
body, query and response. `openapi.py` writes the served document from the same declarations, so the two cannot differ.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
import re
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from atelier.clock import Clock, system_clock
from atelier.dataclass import dataclass
from atelier.errors import (
    AtelierError,
    BadRequest,
    Internal,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    Unauthenticated,
    UnsupportedEncoding,
    UnsupportedMediaType,
    ValidationFailed,
)
from atelier.ids import is_id
from atelier.settings import EdgeKey
from atelier.telemetry import log_request, logger

if TYPE_CHECKING:
    from atelier.ledger.model import Wallet

BODY_BYTES_MAX = 256 * 1024
NAME_CHARACTERS_MAX = 200
IDEMPOTENCY_KEY_PATTERN = r"[!-~](?:[ -~]{0,253}[!-~])?"
BodyT = TypeVar("BodyT")
ModelT = TypeVar("ModelT", bound=BaseModel)
Event = dict[str, Any]
GatewayResponse = dict[str, Any]


class Empty(BaseModel):
    """The model of a route that takes no body, or no query."""

    model_config = {"extra": "ignore"}


@dataclass(frozen=True, slots=True)
class Caller:
    """The verified sender of a request. The gate builds it from the authorizer's context, never from the request
    alone."""

    user_id: str
    workspace_id: str
    role: str
    session_id: str | None = None
    # Only of a program: the id of its API token, and the scopes that restrict the role.
    token_id: str | None = None
    scopes: tuple[str, ...] | None = None
    # On routes that spend credits: the workspace's wallet, which the gate reads in the same request as the membership.
    wallet: Wallet | None = None


@dataclass(frozen=True, slots=True)
class Request(Generic[BodyT]):
    """One parsed request. Header names are lower-case; `query` is an instance of the route's query model; `claims` is
    what the authorizer verified."""

    now: datetime
    body: BodyT
    query: Any
    path: dict[str, str]
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    source_address: str
    request_id: str
    claims: Mapping[str, Any]
    idempotency_key: str | None = None
    raw_body: bytes = b""
    _caller: Caller | None = None  # None on a public route

    @property
    def caller(self) -> Caller:
        """The verified caller. Raises Unauthenticated on a route without a permission, which has none."""
        if self._caller is None:
            raise Unauthenticated("This call needs an access token.")
        return self._caller

    def path_id(self, name: str, prefix: str) -> str:
        """The path parameter `name`. Raises NotFound when it is no id with this prefix, as for an id of another
        workspace."""
        if not is_id(self.path[name], prefix):
            raise NotFound
        return self.path[name]

    @property
    def wait_seconds(self) -> int | None:
        """n of the header `Prefer: wait=n` (RFC 7240), None without it."""
        wait = re.search(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])", self.headers.get("prefer", ""))
        return int(wait[1]) if wait else None


@dataclass(frozen=True, slots=True)
class Response:
    """The response of a route. `data` (a pydantic model or plain JSON values) goes into the envelope. Bytes are the
    whole body, and `headers` then contain their Content-Type. `cookies` are values of Set-Cookie headers."""

    data: Any = None
    status: int = 200
    message: str = "OK"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cookies: tuple[str, ...] = ()


def created(
    location: str, data: Any, *, replayed: bool, status: int = 201, waited_seconds: int | None = None
) -> Response:
    """The response to a request that creates something.

    location: the path of what was created. replayed: an earlier request with the same idempotency key had created it.
    waited_seconds: the n of `Prefer: wait=n`, when the wait brought the final result."""
    headers = {"Location": location}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    if waited_seconds is not None:
        headers["Preference-Applied"] = f"wait={waited_seconds}"
    return Response(data, status=status, headers=headers)


def progress_status(*, is_final: bool) -> int:
    """The status of a response about work that outlives a request: 200 when the work has ended, 202 while it goes
    on."""
    return 200 if is_final else 202


class Gate(Protocol):
    """Builds the caller from the authorizer's claims and the `Atelier-Workspace` header, if it has `permission`.

    fresh: read session and membership from the store now, as every request that changes something does. Raises
    Unauthenticated, Forbidden, or NotFound for a workspace of which the user is no member."""

    def __call__(
        self, claims: Mapping[str, Any], workspace_id: str | None, permission: str, *, fresh: bool, now: datetime
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
    body: type[BaseModel]
    query: type[BaseModel]
    answer: Any
    statuses: tuple[int, ...]
    errors: tuple[int, ...]
    summary: str
    tag: str
    raw: bool
    raw_body: bool
    body_bytes_max: int = BODY_BYTES_MAX


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The response to a failed request; `status` None means the status of the error's class."""

    body: Any
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    status: int | None = None


class Api:
    """The routes of one function and its Lambda handler.

    gate, limiter: factories. They are called on the first request that needs them, so that importing a function calls
    no AWS. refusal: builds the response to an error, given the error and the request id; by default it is the API's
    envelope.
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
        self._refusal = error_response or _error_envelope
        self._paths: list[tuple[re.Pattern[str], dict[str, Route]]] = []

    def route(
        self,
        method: str,
        *paths: str,
        permission: str | None = None,
        body: type[BaseModel] = Empty,
        query: type[BaseModel] = Empty,
        answer: Any = None,
        statuses: tuple[int, ...] = (200,),
        errors: tuple[int, ...] = (),
        raw: bool = False,
        raw_body: bool = False,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> Callable[[Callable[[Request[Any]], Response]], Callable[[Request[Any]], Response]]:
        """Declare an operation at each of `paths` (`/api/things/<thing_id>`; `<name+>` takes slashes too).

        permission: what the caller's role must allow; None = public. answer: the type of `data` on success.
        statuses: the statuses of success, the usual one first. errors: error statuses beside those of every route.
        raw: `data` is the whole body (health, JWKS, OpenAPI), without the envelope.
        raw_body: the handler parses `request.raw_body` itself (signed webhooks), whatever its content type.
        body_bytes_max: a larger body is refused, also when it is larger only after decompression."""

        def declare(handler: Callable[[Request[Any]], Response]) -> Callable[[Request[Any]], Response]:
            summary = (handler.__doc__ or handler.__name__.replace("_", " ")).strip().splitlines()[0]
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
                    summary,
                    self.tag,
                    raw,
                    raw_body,
                    body_bytes_max,
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
            response = _render(route.handler(request), raw=route.raw)
            if "Location" in response["headers"]:
                ids["made"] = response["headers"]["Location"].rpartition("/")[2]
        except Exception as error:
            response = _respond_to_error(error, request_id, self._refusal)

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
        pattern = re.compile(re.sub(r"<(\w+)(\+?)>", _path_group, path) + "/?")
        for known, routes in self._paths:
            if known.pattern == pattern.pattern:
                return routes
        self._paths.append((pattern, {}))
        return self._paths[-1][1]

    def _find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        for pattern, routes in self._paths:
            match = pattern.fullmatch(path)
            if match is None:
                continue
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
            caller = self._gate()(
                claims, headers.get("atelier-workspace"), route.permission, fresh=route.method != "GET", now=now
            )

        has_body = route.method in ("POST", "PUT", "PATCH")
        raw_body = _raw_body(event, headers, route.body_bytes_max) if has_body else b""
        body = Empty() if route.body is Empty else _parse_body(route.body, raw_body, headers)
        query = _validate(route.query, event.get("queryStringParameters") or {}, "query")

        return Request(
            now=now,
            body=body,
            query=query,
            path=path,
            headers=headers,
            cookies=_cookies(event, headers),
            source_address=address,
            request_id=request_id,
            claims=claims,
            # Optional on every POST. An invalid key is refused also by routes that do not use it.
            idempotency_key=_idempotency_key(headers) if route.method == "POST" else None,
            raw_body=raw_body,
            _caller=caller,
        )


def _path_group(found: re.Match[str]) -> str:
    return f"(?P<{found[1]}>{'.+?' if found[2] else '[^/]+'})"


def _respond_to_error(
    error: Exception, request_id: str, error_response: Callable[[AtelierError, str], ErrorResponse]
) -> GatewayResponse:
    if not isinstance(error, AtelierError):
        # The details go to the log only, so that the caller learns nothing about our internals.
        logger.error("unhandled", exc_info=error, request_id=request_id)
        error = Internal("Something went wrong on our side.")
    headers: dict[str, str] = {}
    if "retry_after_seconds" in error.facts:
        headers["Retry-After"] = str(error.facts["retry_after_seconds"])
    if isinstance(error, RateLimited):
        headers["RateLimit"] = f'"default";r=0;t={error.retry_after_seconds}'
        headers["RateLimit-Policy"] = f'"default";q={error.limit}'
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.facts["allowed"])
    if isinstance(error, UnsupportedEncoding):
        headers["Accept-Encoding"] = "gzip"
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    built = error_response(error, request_id)
    status = built.status or error.status
    return _gateway_response(status, json.dumps(built.body, separators=(",", ":")), {**headers, **built.headers})


def _error_envelope(error: AtelierError, request_id: str) -> ErrorResponse:
    return ErrorResponse(
        {
            "success": False,
            "error": error.code,
            "message": error.message,
            "details": error.facts,
            "request_id": request_id,
            "retryable": error.retryable,
        }
    )


def source_address(event: Event, headers: Mapping[str, str]) -> str:
    """The client's IP address. The edge (CloudFront) sends it in the header `Atelier-Viewer-Address`. The header is
    used only when the edge's key comes with it, since clients can reach the gateway directly; otherwise the address is
    the gateway's peer. X-Forwarded-For is not read, because the client can write its first entries."""
    digest = EdgeKey.read().digest
    key_digest = hashlib.sha256(headers.get("atelier-edge-key", "").encode()).hexdigest()
    if not digest or hmac.compare_digest(key_digest, digest):
        viewer_address = headers.get("atelier-viewer-address")
        if viewer_address:
            return viewer_address
    return str(event["requestContext"].get("http", {}).get("sourceIp", ""))


def _idempotency_key(headers: Mapping[str, str]) -> str | None:
    key = headers.get("idempotency-key")
    if key is not None and not re.fullmatch(IDEMPOTENCY_KEY_PATTERN, key):
        fields = [{"path": "header.Idempotency-Key", "message": "must be 1 to 255 printable ASCII characters"}]
        raise ValidationFailed(fields)
    return key


def _cookies(event: Event, headers: Mapping[str, str]) -> dict[str, str]:
    # The gateway moves cookies into a list of the event; the local emulator leaves them in the header.
    parts: list[str] = event.get("cookies") or headers.get("cookie", "").split(";")
    pairs = (part.strip().partition("=") for part in parts)
    return {name: value for name, _, value in pairs if name}


def _raw_body(event: Event, headers: Mapping[str, str], bytes_max: int) -> bytes:
    raw: str | bytes = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            raw = base64.b64decode(raw, validate=True)
        except binascii.Error as error:
            raise BadRequest("The body is not valid.") from error
    raw = raw.encode() if isinstance(raw, str) else raw
    if len(raw) <= bytes_max:
        raw = _decompress(raw, headers.get("content-encoding", "").strip().lower(), bytes_max)
    if len(raw) > bytes_max:
        raise PayloadTooLarge(f"The body is larger than {bytes_max} bytes.", bytes_max=bytes_max)
    return raw


def _decompress(raw: bytes, encoding: str, bytes_max: int) -> bytes:
    """The decompressed body, at most `bytes_max` + 1 bytes of it, so that a small body cannot expand without bound.
    Raises UnsupportedEncoding, and BadRequest for invalid gzip."""
    if encoding in ("", "identity"):
        return raw
    if encoding not in ("gzip", "x-gzip"):
        raise UnsupportedEncoding("Send the body as it is, or compressed with gzip.")
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = reader.decompress(raw, bytes_max + 1)
    except zlib.error as error:
        raise BadRequest("The body is not valid gzip.") from error
    if len(plain) <= bytes_max and (not reader.eof or reader.unused_data):
        raise BadRequest("The body is not valid gzip.")
    return plain


def parse_json_body(model: type[ModelT], request: Request[Any]) -> ModelT:
    """Parse the JSON body of a request of a `raw_body` route, which also takes other content types. Raises
    UnsupportedMediaType, BadRequest or ValidationFailed."""
    return _parse_body(model, request.raw_body, request.headers)


def _parse_body(model: type[ModelT], raw: bytes, headers: Mapping[str, str]) -> ModelT:
    if raw and not _is_json(headers.get("content-type", "")):
        raise UnsupportedMediaType("Send the body as JSON, with the header Content-Type: application/json.")
    text = raw or b"{}"
    _check_json(text)
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise ValidationFailed(_fields(error)) from error


def _check_json(text: bytes) -> None:
    """Raises BadRequest for invalid JSON, and for numbers that JSON parsers cannot read: NaN, Infinity, and numbers too
    large for a double, at any depth. Such a number, once stored, would make every later response invalid JSON."""
    try:
        pending: list[Any] = [from_json(text, allow_inf_nan=False)]
    except ValueError as error:
        raise BadRequest("The body is not valid JSON.") from error
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += cast("dict[str, Any]", value).values()
        elif isinstance(value, list):
            pending += cast("list[Any]", value)
        elif isinstance(value, int | float) and not abs(value) <= sys.float_info.max:
            raise BadRequest("The body is not valid JSON: a number in it is too large.")


def _is_json(content_type: str) -> bool:
    """Whether a Content-Type is JSON, also by its suffix `+json` (RFC 6839). An absent one is not: a page of another
    origin can make a browser send a body without a type, or as a form or plain text, and no CORS preflight prevents
    it."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _validate(model: type[BaseModel], values: Mapping[str, Any], root: str) -> BaseModel:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ValidationFailed(_fields(error, root)) from error


def _fields(error: ValidationError, root: str = "") -> list[dict[str, str]]:
    """A pydantic error as our `fields`, at most 50 of them. Path parts come from the sender, so they are cut to
    NAME_CHARACTERS_MAX to keep the response small."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [
        {
            "path": ".".join([root] * bool(root) + [str(part)[:NAME_CHARACTERS_MAX] for part in item["loc"]]),
            "message": item["msg"],
        }
        for item in found[:50]
    ]


def _render(result: Response, *, raw: bool) -> GatewayResponse:
    if result.status == 204:
        return _gateway_response(204, "", result.headers, result.cookies)
    if isinstance(result.data, bytes):
        response = _gateway_response(result.status, "", result.headers, result.cookies)
        return {**response, "body": base64.b64encode(result.data).decode(), "isBase64Encoded": True}
    data = _json_value(result.data)
    body = data if raw else {"success": True, "data": data, "message": result.message}
    return _gateway_response(result.status, json.dumps(body, separators=(",", ":")), result.headers, result.cookies)


def _json_value(value: Any) -> Any:
    """A value with its models and times turned into plain JSON values.

    Routes may return a TypedDict, which serves the OpenAPI document only and is not validated here: the type checker
    has checked our code, and building a validator takes long. Times must be aware and in UTC. NaN and Infinity, which
    may be stored from before such numbers were refused, become null."""
    if isinstance(value, BaseModel):
        return _json_value(value.model_dump(mode="json"))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _json_value(each) for name, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_json_value(each) for each in cast("list[Any]", value)]
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _gateway_response(
    status: int, body: str, headers: Mapping[str, str], cookies: tuple[str, ...] = ()
) -> GatewayResponse:
    content_type = {"Content-Type": "application/json"} if body else {}
    # A response is for its caller only, so caches must not store it, unless the route sets its own Cache-Control.
    return {
        "statusCode": status,
        "headers": {"Cache-Control": "no-store", **content_type, **headers},
        "cookies": list(cookies),
        "body": body,
        "isBase64Encoded": False,
    }
