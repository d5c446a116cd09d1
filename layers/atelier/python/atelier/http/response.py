"""A response, and its form in the gateway's payload format."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, cast

from atelier.dataclass import dataclass

GatewayResponse = dict[str, Any]


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
    location: str | None,
    data: Any,
    *,
    replayed: bool,
    status: int = 201,
    waited_seconds: int | None = None,
    cookies: tuple[str, ...] = (),
) -> Response:
    """The response to a request that creates something.

    location: the path of what was created; None = it has none. replayed: an earlier request with the same idempotency
    key had created it.
    waited_seconds: the n of `Prefer: wait=n`, when the wait brought the final result."""
    headers = {} if location is None else {"Location": location}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    headers |= waited_headers(waited_seconds)
    return Response(data, status=status, headers=headers, cookies=cookies)


def waited_headers(waited_seconds: int | None) -> dict[str, str]:
    """The header that tells that `Prefer: wait=n` brought the final result; none for None."""
    return {} if waited_seconds is None else {"Preference-Applied": f"wait={waited_seconds}"}


def progress_status(*, is_final: bool) -> int:
    """The status of a response about work that outlives a request: 200 when the work has ended, 202 while it goes
    on."""
    return 200 if is_final else 202


def render(result: Response, *, raw: bool) -> GatewayResponse:
    if result.status == 204:
        return gateway_response(204, "", result.headers, result.cookies)
    if isinstance(result.data, bytes):
        response = gateway_response(result.status, "", result.headers, result.cookies)
        return {**response, "body": base64.b64encode(result.data).decode(), "isBase64Encoded": True}
    body = result.data if raw else {"success": True, "data": result.data, "message": result.message}
    return gateway_response(result.status, _json(body), result.headers, result.cookies)


def _json(body: Any) -> str:
    """The body as JSON. Routes may return a TypedDict, which serves the OpenAPI document only and is not validated
    here: the type checker has checked our code, and building a validator takes long. NaN and Infinity, which may be
    stored from before such numbers were refused, become null."""
    try:
        return ENCODER.encode(body)
    except ValueError:
        return ENCODER.encode(_finite(json.loads(UNCHECKED_ENCODER.encode(body))))


def _plain(value: Any) -> Any:
    """What the encoder writes for a value that is none of JSON: for a model its fields, for a time, which must be aware
    and in UTC, its text."""
    # A model of pydantic; naming its class would import it in functions without models.
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} is no JSON value.")


def _finite(value: Any) -> Any:
    """A JSON value with null for each number that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in cast("dict[str, Any]", value).items()}
    return [_finite(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value


ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain)
UNCHECKED_ENCODER = json.JSONEncoder(default=_plain)


def gateway_response(
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
