"""A request: the caller, the validated body and query, and the facts that come in headers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import sys
import zlib
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from atelier.audit_log.model import USER_AGENT_CHARACTERS_MAX, Origin
from atelier.dataclass import dataclass
from atelier.errors import (
    BadRequest,
    NotFound,
    PayloadTooLarge,
    Unauthenticated,
    UnsupportedEncoding,
    UnsupportedMediaType,
    ValidationFailed,
)
from atelier.ids import is_id
from atelier.settings import EdgeKey

# A third of the cold start of a function without models is pydantic's import, so a request imports it only to parse a
# body or a query.
if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

    from atelier.caller import Caller

IDEMPOTENCY_KEY_PATTERN = r"[!-~](?:[ -~]{0,253}[!-~])?"
# Pydantic's types of errors of a field that a boolean does not fit, and of one that a number does not fit.
NO_BOOLEAN_TYPES = frozenset({"int_type", "float_type", "decimal_type", "datetime_type", "date_type"})
NO_NUMBER_TYPES = frozenset({"bool_type", "datetime_type", "date_type"})
NUMBER = re.compile(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?")
BodyT = TypeVar("BodyT")
ModelT = TypeVar("ModelT", bound="BaseModel | Empty")
Event = dict[str, Any]


class Empty:
    """The body of a route that takes none, and likewise the query; whatever is sent is ignored."""


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

    @property
    def origin(self) -> Origin:
        """Where the request came from, for the audit log."""
        return Origin(
            user_id=self._caller.user_id if self._caller else None,
            token_id=self._caller.token_id if self._caller else None,
            address=self.source_address,
            user_agent=self.headers.get("user-agent", "")[:USER_AGENT_CHARACTERS_MAX],
            request_id=self.request_id,
        )

    def path_id(self, name: str, prefix: str) -> str:
        """The path parameter `name`. Raises NotFound when it is no id with this prefix, as for an id of another
        workspace."""
        if not is_id(self.path[name], prefix):
            raise NotFound
        return self.path[name]

    @property
    def language(self) -> str | None:
        """The first language of the header `Accept-Language` (RFC 9110), such as `de-CH`; None without one."""
        first = re.match(
            r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,3})\s*(?:[,;]|$)", self.headers.get("accept-language", "")
        )
        return first[1] if first else None

    @property
    def wait_seconds(self) -> int | None:
        """n of the header `Prefer: wait=n` (RFC 7240), None without it."""
        wait = re.search(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])", self.headers.get("prefer", ""))
        return int(wait[1]) if wait else None


def source_address(event: Event, headers: Mapping[str, str]) -> str:
    """The client's IP address. The edge (CloudFront) sends it in the header `Atelier-Viewer-Address`. The header is
    used only when the edge's key comes with it, since clients can reach the gateway directly; otherwise the address is
    the gateway's peer. X-Forwarded-For is not read, because the client can write its first entries."""
    digest = EdgeKey.read().digest
    if not digest or hmac.compare_digest(_sha256(headers.get("atelier-edge-key", "")), digest):
        viewer_address = headers.get("atelier-viewer-address")
        if viewer_address:
            return viewer_address
    context: dict[str, dict[str, str]] = event["requestContext"]
    # The second is of an event of a WebSocket API.
    return str((context.get("http") or context.get("identity", {})).get("sourceIp", ""))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def lower_names(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers by their names in lower case, as the HTTP API's events have them."""
    return {name.lower(): value for name, value in headers.items()}


def query_parameter(event: Event, name: str) -> str:
    """A parameter of the query; empty when there is none."""
    query: dict[str, str] = event.get("queryStringParameters") or {}
    return query.get(name, "")


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    key = headers.get("idempotency-key")
    if key is not None and not re.fullmatch(IDEMPOTENCY_KEY_PATTERN, key):
        fields = [{"path": "header.Idempotency-Key", "message": "must be 1 to 255 printable ASCII characters"}]
        raise ValidationFailed(fields)
    return key


def read_cookies(event: Event, headers: Mapping[str, str]) -> dict[str, str]:
    # The gateway moves cookies into a list of the event; the local emulator leaves them in the header.
    parts: list[str] = event.get("cookies") or headers.get("cookie", "").split(";")
    pairs = (part.strip().partition("=") for part in parts)
    return {name: value for name, _, value in pairs if name}


def read_body(event: Event, headers: Mapping[str, str], bytes_max: int) -> bytes:
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
    return parse_body(model, request.raw_body, request.headers)


def parse_body(model: type[ModelT], raw: bytes, headers: Mapping[str, str]) -> ModelT:
    if issubclass(model, Empty):
        return model()
    if raw and not _is_json(headers.get("content-type", "")):
        raise UnsupportedMediaType("Send the body as JSON, with the header Content-Type: application/json.")
    from pydantic import ValidationError

    text = raw or b"{}"
    _check_json(text)
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        if _confuses_types(error):
            raise ValidationFailed.of_model(error) from error
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise ValidationFailed.of_model(error) from error


def _confuses_types(error: ValidationError) -> bool:
    """Whether a strict reading has found a boolean for a number, or a number for a boolean or a time. Pydantic would
    take these, and a budget of `false` would be one of zero."""
    found = error.errors(include_url=False, include_context=False)
    return any(
        each["type"] in NO_BOOLEAN_TYPES
        if isinstance(each["input"], bool)
        else isinstance(each["input"], int | float) and each["type"] in NO_NUMBER_TYPES
        for each in found
    )


def _check_json(text: bytes) -> None:
    """Raises BadRequest for invalid JSON, and for numbers that JSON parsers cannot read: NaN, Infinity, and numbers too
    large for a double, at any depth. Such a number, once stored, would make every later response invalid JSON."""
    from pydantic_core import from_json

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


def validate_query(model: type[ModelT], values: Mapping[str, Any]) -> ModelT:
    """The query parameters as the route's model. Raises ValidationFailed."""
    if issubclass(model, Empty):
        return model()
    return cast("ModelT", _query(model, values) if values else _query_of_defaults(model))


@cache
def _query_of_defaults(model: type[BaseModel]) -> BaseModel:
    # Most requests have no query, and nothing writes to one.
    return _query(model, {})


def _query(model: type[BaseModel], values: Mapping[str, Any]) -> BaseModel:
    from pydantic import ValidationError

    try:
        query = model.model_validate(values)
    except ValidationError as error:
        raise ValidationFailed.of_model(error, "query") from error
    for name, field in model.model_fields.items():
        sent = values.get(field.alias or name)
        # Pydantic would take a number for seconds since 1970.
        if isinstance(sent, str) and isinstance(getattr(query, name), date) and NUMBER.fullmatch(sent):
            raise ValidationFailed([{"path": f"query.{field.alias or name}", "message": "A number is no time."}])
    return query
