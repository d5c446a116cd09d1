"""Write the OpenAPI 3.1 document from the routes that the functions declare and from the catalogue of events, so that
they cannot differ."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, cast, get_args, get_type_hints

from pydantic import BaseModel, TypeAdapter
from typing_extensions import is_typeddict

from atelier.events.catalogue import EVENTS
from atelier.events.event import Event, field_names
from atelier.http.api import Route
from atelier.http.request import IDEMPOTENCY_KEY_PATTERN, Empty
from atelier.identity.permissions import PLATFORM_PERMISSIONS
from atelier.lazy_model import build_models

Json = dict[str, Any]
SCHEMA_REF = "#/components/schemas/{model}"
STATUS_DESCRIPTIONS = {
    200: "Success.",
    201: "Created.",
    202: "Accepted; the Location header says where it can be followed.",
    204: "Done; there is nothing to say.",
    301: "Moved: the Location header says where it is.",
    302: "Found.",
    304: "Not modified: what has the ETag of `If-None-Match` is still right.",
    400: "BAD_REQUEST: the request cannot be read.",
    401: "UNAUTHENTICATED: the token is missing, wrong, expired or revoked.",
    402: "INSUFFICIENT_CREDITS, BUDGET_EXCEEDED or PAYMENT_REQUIRED; `details` says which limit refused.",
    403: "FORBIDDEN: the caller's role, or the API token's scopes, do not allow this; QUOTA_EXCEEDED; or "
    "STEP_UP_REQUIRED (`details.factor`).",
    404: "NOT_FOUND; also for what belongs to another workspace.",
    409: "CONFLICT, VERSION_CONFLICT, QUOTE_EXPIRED or IDEMPOTENCY_IN_FLIGHT.",
    410: "GONE: it was public, and was deleted for good.",
    413: "PAYLOAD_TOO_LARGE.",
    415: "UNSUPPORTED_MEDIA_TYPE.",
    422: "VALIDATION_FAILED with `details.fields`, or IDEMPOTENCY_MISMATCH.",
    429: "RATE_LIMITED; `Retry-After` says when to come back.",
    500: "INTERNAL: our fault; quote the `request_id`.",
    502: "PROVIDER_FAILED: the provider could not be reached.",
    503: "UNAVAILABLE: nothing was changed, try again.",
}
ERROR_SCHEMA: Json = {
    "type": "object",
    "description": "Every failure, whatever caused it.",
    "required": ["success", "error", "message", "details", "request_id", "retryable"],
    "properties": {
        "success": {"const": False},
        "error": {"type": "string"},
        "message": {"type": "string"},
        "details": {"type": "object"},
        "request_id": {"type": "string"},
        "retryable": {"type": "boolean"},
    },
}
# The fields that every event has.
ENVELOPE = {
    "id": "one id for each fact: a repeated event has the same",
    "version": "of this payload; it counts incompatible changes",
    "occurred_at": "RFC 3339, UTC",
}
JSON_TYPES: dict[Any, Json] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    str | None: {"anyOf": [{"type": "string"}, {"type": "null"}]},
}
BEARER_DESCRIPTION = (
    "The access token of a session, or an API token (`atl_…`), which is good in its own workspace alone."
)
WORKSPACE_HEADER: Json = {
    "name": "Atelier-Workspace",
    "in": "header",
    "description": "The workspace to act in; the personal one when absent.",
    "schema": {"type": "string", "pattern": "^wsp_[0-7][0-9A-HJKMNP-TV-Z]{25}$"},
}
IDEMPOTENCY_HEADER: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes repeating this call safe: the same key and body answer as the first time.",
    "schema": {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY_PATTERN}$"},
}
PREFER_HEADER: Json = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=n` waits up to n ≤ 25 seconds for the end. Other preferences are ignored (RFC 7240).",
    "schema": {"type": "string", "examples": ["wait=20"]},
}


def document(routes: Iterable[Route]) -> Json:
    """The whole document as plain JSON values, in the order of the routes."""
    build_models()
    schemas: Json = {"Error": ERROR_SCHEMA}
    paths: Json = {}
    for route in routes:
        path = re.sub(r"<(\w+)>", r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, path, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Atelier",
            "version": "1",
            "description": "The serverless backend for AI media products.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "webhooks": webhooks(schemas),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": BEARER_DESCRIPTION}},
        },
    }


def webhooks(schemas: Json) -> Json:
    """The section `webhooks`: each event by its type; adds the payloads to `schemas`."""
    section: Json = {}
    for event in EVENTS:
        schemas[event.__name__] = event_schema(event)
        content = {"application/json": {"schema": {"$ref": SCHEMA_REF.format(model=event.__name__)}}}
        for name in event.types:
            section[name] = {
                "post": {
                    "operationId": f"on_{name.replace('.', '_')}",
                    "summary": f"The event {name}, as the `detail` of an entry on the event bus.",
                    "tags": ["events"],
                    "requestBody": {"required": True, "content": content},
                    "responses": {"200": {"description": "The event was received."}},
                }
            }
    return section


def event_schema(event: type[Event]) -> Json:
    """The JSON schema of an event's payload, with the descriptions of its fields."""
    hints: dict[str, Any] = get_type_hints(event, include_extras=True)
    properties: Json = {name: {"type": "string", "description": text} for name, text in ENVELOPE.items()}
    properties["version"]["type"] = "integer"
    for name in field_names(event):
        kind, description = get_args(hints[name])
        properties[name] = {**JSON_TYPES[kind], "description": description}
    return {
        "type": "object",
        "description": " ".join((event.__doc__ or "").split()),
        "required": list(properties),
        "properties": properties,
    }


def _operation(route: Route, path: str, schemas: Json) -> Json:
    errors = {400, 404, 422, 429, 500, 503, *route.errors}
    if route.permission is not None:
        errors |= {401, 403}
    operation: Json = {
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{path}").strip("_"),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": _parameters(route, path, schemas),
        "responses": {str(status): _success(route, status, schemas) for status in route.statuses},
    }
    if route.permission is not None:
        operation["security"] = [{"bearer": []}]
    if not issubclass(route.body, Empty):
        errors |= {413, 415}
        operation["requestBody"] = {
            "required": any(field.is_required() for field in route.body.model_fields.values()),
            "content": {"application/json": {"schema": _schema(route.body, "validation", schemas)}},
        }
    for status in sorted(errors):
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        operation["responses"][str(status)] = {"description": STATUS_DESCRIPTIONS[status], "content": content}
    return operation


def _parameters(route: Route, path: str, schemas: Json) -> list[Json]:
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    if not issubclass(route.query, Empty):
        query = route.query.model_json_schema(ref_template=SCHEMA_REF)
        schemas.update(query.pop("$defs", {}))
        required = query.get("required", [])
        for name, schema in query.get("properties", {}).items():
            # A query parameter cannot be null, only absent: the null type that pydantic adds is removed.
            kinds = [kind for kind in schema.pop("anyOf", [schema]) if kind.get("type") != "null"]
            described = {"description": schema["description"]} if "description" in schema else {}
            chosen = {**kinds[0], **described}
            parameters.append({"name": name, "in": "query", "required": name in required, "schema": chosen})
    # A workspace that the path names goes before the header. The platform's administrators act in no workspace.
    of_workspace = route.permission is not None and route.permission not in PLATFORM_PERMISSIONS
    if of_workspace and "{workspace_id}" not in path:
        parameters.append(WORKSPACE_HEADER)
    if route.method == "POST":
        parameters.append(IDEMPOTENCY_HEADER)
    if route.waits:
        parameters.append(PREFER_HEADER)
    return parameters


def _success(route: Route, status: int, schemas: Json) -> Json:
    response: Json = {"description": STATUS_DESCRIPTIONS[status]}
    if status in (204, 301, 302, 304):
        return response
    if route.answer is None and route.files:
        response["content"] = _files(route)
        return response
    data = _schema(route.answer, "serialization", schemas)
    envelope: Json = {
        "type": "object",
        "required": ["success", "data", "message"],
        "properties": {"success": {"const": True}, "data": data, "message": {"type": "string"}},
    }
    # Simplified once more, since `data` itself is null where there is nothing to say.
    schema = data if route.raw else simplified_schema(envelope)
    response["content"] = {"application/json": {"schema": schema}}
    response["content"] |= _files(route)
    return response


def _files(route: Route) -> Json:
    """The files that a route answers with, by media type; of those in JSON each has a format of its own."""
    return {each: {"schema": {"type": "object" if each.endswith("+json") else "string"}} for each in route.files}


def _schema(kind: Any, mode: Any, schemas: Json) -> Json:
    schema = simplified_schema(TypeAdapter(kind).json_schema(mode=mode, ref_template=SCHEMA_REF))
    schemas.update(schema.pop("$defs", {}))
    if is_typeddict(kind) or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        schemas[kind.__name__] = schema
        return {"$ref": SCHEMA_REF.format(model=kind.__name__)}
    return schema


def simplified_schema(schema: Any) -> Any:
    """A JSON schema rewritten for client generators, with the same meaning.

    A field that is always null so far gets the type "string or null", since generators do not know a null type alone. A
    default moves into the description, because one generator takes every field with a default as always present. A
    default of null is dropped: it says only that the field may be left out."""
    if isinstance(schema, list):
        return [simplified_schema(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    given = cast("Json", schema)
    found = {name: simplified_schema(value) for name, value in given.items() if name != "properties"}
    if "properties" not in given:
        return found
    # By their names, of which one may be "properties" again.
    fields = cast("Json", given["properties"]).items()
    simplified = {name: _simplified_property(simplified_schema(value)) for name, value in fields}
    return {name: simplified if name == "properties" else found[name] for name in given}


def _simplified_property(schema: Json) -> Json:
    found = dict(schema)
    if found.get("type") == "null":
        del found["type"]
        found = {"anyOf": [{"type": "string"}, {"type": "null"}], **found}
    default = found.pop("default", None)
    if isinstance(default, str | int) and default != "":
        sentence = f"Default: {json.dumps(default)}."
        found["description"] = f"{found['description']} {sentence}" if "description" in found else sentence
    return found
