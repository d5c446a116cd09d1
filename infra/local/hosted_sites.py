"""Deployed sites at `http://<slug>.localhost:<port>`: the local edge's second distribution, which does what
infra/edge.yaml declares. It tells the API which site is wanted, and takes neither cookies nor queries along."""

from __future__ import annotations

import gzip

import aiohttp
from aiohttp import web
from yarl import URL

SUFFIX = ".localhost"
# The origin's path, and the name of the home page, for which the gateway has no route otherwise.
ORIGIN_PATH, HOME = "/hosted", "/index.html"
COMPRESSED_BYTES_MIN = 1000
COMPRESSED_TYPES = ("text/", "application/json", "application/xml", "application/atom+xml", "application/feed+json")
# What of an answer is the site's.
HEADERS = (
    "content-type",
    "cache-control",
    "etag",
    "location",
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "permissions-policy",
    "x-robots-tag",
)


def site_label(host: str) -> str | None:
    """The name of the site that a request's Host header means; None = it means no site."""
    name = host.partition(":")[0].lower()
    return name.removesuffix(SUFFIX) if name.endswith(SUFFIX) and name != SUFFIX else None


async def show_site(request: web.BaseRequest, label: str, api_url: str, client: aiohttp.ClientSession) -> web.Response:
    """The answer to a request for a page of a site."""
    if request.method not in ("GET", "HEAD"):
        return web.Response(status=403, text="The distribution does not take that method here.")
    path = request.raw_path.partition("?")[0]
    headers = {"atelier-site": label, "authorization": "none"}
    if "if-none-match" in request.headers:
        headers["if-none-match"] = request.headers["if-none-match"]
    url = URL(f"{api_url}{ORIGIN_PATH}{HOME if path == '/' else path}", encoded=True)
    try:
        # A HEAD is answered from what the edge has cached for a GET.
        async with client.get(url, headers=headers, allow_redirects=False) as answer:
            body = await answer.read()
            kept = {name: answer.headers[name] for name in HEADERS if name in answer.headers}
            status = answer.status
    except (aiohttp.ClientError, TimeoutError):
        return web.Response(status=503, text="The embedded AWS does not answer.")
    is_text = kept.get("content-type", "").startswith(COMPRESSED_TYPES)
    if (
        status == 200
        and is_text
        and len(body) >= COMPRESSED_BYTES_MIN
        and "gzip" in request.headers.get("accept-encoding", "")
    ):
        body = gzip.compress(body, mtime=0)
        kept |= {"content-encoding": "gzip", "vary": "Accept-Encoding"}
    return web.Response(status=status, body=body, headers=kept)
