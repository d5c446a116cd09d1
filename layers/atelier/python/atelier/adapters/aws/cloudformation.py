"""Custom resources: the response that CloudFormation waits for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

RESPONSE_TIMEOUT_SECONDS = 10


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
