"""Responses with an ETag: a client that has the same one already gets 304 without a body (RFC 9110)."""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import BaseModel

from atelier.http.request import Request
from atelier.http.response import Response

# What everybody may read: caches keep it for a minute, and show it while they ask again.
PUBLIC = "public, max-age=60, stale-while-revalidate=300"
# What is one caller's: kept by the browser alone, which asks each time.
OWN = "private, no-cache"


def tagged(
    request: Request[Any],
    data: BaseModel | bytes,
    cache_control: str,
    *,
    content_type: str | None = None,
    vary: str = "",
) -> Response:
    """The response, or 304 when the request names its tag. content_type: of bytes."""
    body = data if isinstance(data, bytes) else data.model_dump_json().encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": cache_control, **({"Vary": vary} if vary else {})}
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or tag in known:
        return Response(b"", 304, headers=headers)
    return Response(data, headers=headers | ({"Content-Type": content_type} if content_type else {}))
