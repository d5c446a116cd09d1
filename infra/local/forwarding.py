"""Pages of simulators at the edge's address: requests below a path go to a server on this machine."""

from __future__ import annotations

import aiohttp
from aiohttp import web
from yarl import URL

_NOT_FORWARDED = frozenset(
    {"connection", "content-length", "date", "host", "keep-alive", "server", "transfer-encoding"}
)


async def forward(request: web.BaseRequest, path: str, url: str) -> web.Response:
    """The answer of the server at `url` to a request at or below `path`, which is left out there. A page of another
    origin cannot send forms."""
    if request.method not in ("GET", "HEAD") and request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return web.Response(status=403, text="A page of another origin cannot press buttons here.\n")
    target = request.raw_path.removeprefix(path)
    target = target if target.startswith("/") else f"/{target}"
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_FORWARDED}
    # A session for each request: these pages are few, and the edge's own session belongs to its own origins.
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(
            request.method,
            URL(url + target, encoded=True),
            headers=headers,
            data=await request.read(),
            allow_redirects=False,
        ) as answer,
    ):
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _NOT_FORWARDED}
        return web.Response(status=answer.status, body=await answer.read(), headers=kept)
