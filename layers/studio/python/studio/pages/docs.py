"""The API's own page: every call, to read and to try out with the person's session."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from starlette.responses import Response

from studio.endpoints import route
from studio.visit import Visit

METHODS = ("get", "post", "put", "patch", "delete")
Call = dict[str, Any]


def show_docs(visit: Visit) -> Response:
    """All calls as a table, which a script replaces by the forms to try them out. The access token is on the page, so
    that the forms can send it: it is the person's own, and ends within minutes."""
    document = visit.get("/api/openapi.json")
    return visit.page("docs.html", groups=_calls_by_tag(document), token=visit.api.access_token)


def _calls_by_tag(document: dict[str, Any]) -> list[tuple[str, list[Call]]]:
    """The document's calls, grouped by their first tag."""
    calls = [
        {"tag": (call.get("tags") or ["other"])[0], "method": method.upper(), "path": path, "about": call["summary"]}
        for path, methods in document["paths"].items()
        for method, call in methods.items()
        if method in METHODS
    ]
    calls.sort(key=lambda call: (call["tag"], call["path"], METHODS.index(call["method"].lower())))
    return [(tag, list(found)) for tag, found in groupby(calls, key=lambda call: call["tag"])]


routes = [route("/docs", show_docs)]
