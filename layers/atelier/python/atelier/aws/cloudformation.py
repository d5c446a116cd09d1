"""Custom resources: the answer that CloudFormation waits for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ANSWER_SECONDS_MAX = 10


def answer(event: Mapping[str, Any], resource_id: str, data: Mapping[str, str], failure: str | None = None) -> None:
    """Tell CloudFormation that the request of `event` is done, or why it failed. data: what `!GetAtt` can read."""
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
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS_MAX):  # nosec B310
        pass
