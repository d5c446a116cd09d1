"""Builds requests to API functions and takes their responses apart."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

from atelier.http.api import Api
from tests.invoke import event

Reply = dict[str, Any]


def invoke_app(app: ModuleType | Api, request: Reply) -> Reply:
    """Invokes an API function with a gateway event; returns its response."""
    response: Reply = app.handler(request, None)
    return response


def success_data(response: Reply) -> Any:
    """The `data` of a successful response."""
    envelope = json.loads(response["body"])
    assert envelope["success"], envelope
    return envelope["data"]


def error_of(response: Reply) -> tuple[int, str]:
    """Status and error code of an error response."""
    envelope = json.loads(response["body"])
    assert set(envelope) == {"success", "error", "message", "details", "request_id", "retryable"}
    assert not envelope["success"]
    return response["statusCode"], envelope["error"]


def authorized_event(name: str, claims: dict[str, Any], **changes: Any) -> Reply:
    """An example event with these claims of the authorizer."""
    request = event(name, **changes)
    request["requestContext"]["authorizer"] = {"lambda": claims}
    return request


def foreign_event(name: str) -> Reply:
    """An example event, sent by a caller with another workspace."""
    request = event(name)
    request["requestContext"]["authorizer"]["lambda"]["workspace_id"] = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"
    return request
