"""Custom resources: the response that CloudFormation waits for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from atelier.telemetry import logger

RESPONSE_TIMEOUT_SECONDS = 10


def answer(event: Mapping[str, Any], resource_id: str, create: Callable[[], Mapping[str, str]]) -> None:
    """Answer one request: `create` makes the resource, or finds it made, and returns its attributes. A deletion deletes
    nothing. Raises OSError when CloudFormation's URL cannot be reached."""
    logger.info("custom resource", resource=resource_id, request=event["RequestType"])
    try:
        data: Mapping[str, str] = {} if event["RequestType"] == "Delete" else create()
    except Exception as error:
        # Without an answer the deployment would wait until its time-out. The text holds only the name of the error's
        # class, because its message may contain secrets.
        logger.exception("custom resource failed", resource=resource_id)
        respond(event, resource_id, {}, failure=f"{type(error).__name__}: see the function's log")
        return
    respond(event, resource_id, data)


def respond(event: Mapping[str, Any], resource_id: str, data: Mapping[str, str], failure: str | None = None) -> None:
    """Report to CloudFormation that the request of `event` succeeded, or why it failed (`failure`). data: the
    attributes that `!GetAtt` can read. Raises OSError when CloudFormation's URL cannot be reached."""
    import urllib.request

    body = {
        "Status": "FAILED" if failure else "SUCCESS",
        "Reason": failure or "done",
        "PhysicalResourceId": event.get("PhysicalResourceId") or resource_id,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": dict(data),
    }
    # The URL is CloudFormation's own presigned one. Its signature covers an empty content type.
    request = urllib.request.Request(
        event["ResponseURL"], json.dumps(body).encode(), {"Content-Type": ""}, method="PUT"
    )
    with urllib.request.urlopen(request, timeout=RESPONSE_TIMEOUT_SECONDS):  # nosec B310
        pass
