"""A request of the gateway to our own edge, and the answer in the gateway's form."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from atelier.deployments.serve import HostedAnswer, HostingDeps, serve
from atelier.telemetry import logger

# What the gateway has before the path of a site's page, and the header in which the edge names the site.
PREFIX, SITE_HEADER = "/hosted", "atelier-site"
METHODS = ("GET", "HEAD")


def respond(event: Mapping[str, Any], *, deps: HostingDeps) -> dict[str, Any]:
    """The answer to a request (payload format 2.0)."""
    http: Mapping[str, str] = event["requestContext"]["http"]
    headers: Mapping[str, str] = event.get("headers") or {}
    if http["method"] not in METHODS:
        return _form(HostedAnswer(405, {"allow": ", ".join(METHODS), "cache-control": "no-store"}), is_head=False)
    path = unquote(str(event["rawPath"]).removeprefix(PREFIX)) or "/"
    label = headers.get(SITE_HEADER, "")
    answer = serve(label, path, headers.get("if-none-match", ""), deps=deps)
    logger.info("page shown", request_id=event["requestContext"]["requestId"], site=label, status=answer.status)
    return _form(answer, is_head=http["method"] == "HEAD")


def _form(answer: HostedAnswer, *, is_head: bool) -> dict[str, Any]:
    body = b"" if is_head else answer.body
    return {
        "statusCode": answer.status,
        "headers": dict(answer.headers),
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
