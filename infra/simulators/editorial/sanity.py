"""A simulator of Sanity's HTTP API for queries (sanity.io/docs/http-reference/query) and of its signed webhooks.

It does not evaluate GROQ: it answers one query, that of the adapter, by the query's parameters. `documents`: what the
dataset has, drafts too. Beside the faults of HostSimulator: slow, html (an answer that is not JSON), odd (JSON of
another shape), huge. `python -m infra.simulators.editorial.sanity` serves it alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.server import Route, main
from infra.simulators.site_hosts.host import HostSimulator

HUGE_BYTES = 11_000_000


class SanitySimulator(HostSimulator):
    """Sanity, on loopback, with one dataset."""

    def __init__(self, port: int = 0, **options: Any) -> None:
        self.dataset = "production"
        self.documents: dict[str, dict[str, Any]] = {}
        super().__init__(port, **options)

    def routes(self) -> list[Route]:
        return [("GET", r"/v\d{4}-\d\d-\d\d/data/query/([^/]+)", self._query)]

    def is_upload(self, method: str, path: str) -> bool:
        return False

    def unauthorized(self) -> Response:
        return Response(401, {"statusCode": 401, "error": "Unauthorized", "message": "Session not found"})

    def publish(self, id: str, **fields: Any) -> dict[str, Any]:
        """Publish a document, or its next revision."""
        with self.lock:
            number = int(self.documents.get(id, {}).get("_rev", "r0")[1:]) + 1
            document = {
                "_id": id,
                "_type": "post",
                "_rev": f"r{number}",
                "_createdAt": "2026-01-05T09:00:00Z",
                "publishedAt": "2026-01-06T09:00:00Z",
                "title": f"Title of {id}",
                "slug": {"_type": "slug", "current": id},
                "body": [paragraph("What light does.")],
                **fields,
            }
            self.documents[id] = document
            return document

    def remove(self, id: str) -> None:
        """Take a document back."""
        with self.lock:
            del self.documents[id]

    def _query(self, request: Request, dataset: str) -> Response:
        if dataset != self.dataset:
            return Response(404, {"statusCode": 404, "error": "Not Found", "message": "Dataset not found"})
        query, perspective = request.query.get("query", ""), request.query.get("perspective", "published")
        kind, after, end = (json.loads(request.query.get(f"${name}", "null")) for name in ("type", "after", "end"))
        if not query.startswith("*[") or not isinstance(end, int):
            return Response(400, {"error": {"type": "queryParseError", "description": "expected a query"}})
        with self.lock:
            found = [self.documents[id] for id in sorted(self.documents) if id > after]
        shown = [
            each
            for each in found
            if each["_type"] == kind
            and (each.get("slug") or {}).get("current")
            and not (perspective == "published" and each["_id"].startswith("drafts."))
        ]
        return Response(200, {"ms": 3, "query": query, "result": [_projected(each) for each in shown[:end]]})

    def _failure(self, kind: str) -> Response:
        match kind:
            case "slow":
                self.stopping.wait(1)
                return Response(504, {"statusCode": 504, "error": "Gateway Time-out"})
            case "html":
                return Response(200, b"<html>Oops</html>", {"content-type": "text/html"})
            case "odd":
                return Response(200, {"ms": 1, "result": {"title": "no list"}})
            case "huge":
                return Response(
                    200, b'{"result": ["' + b"x" * HUGE_BYTES + b'"]}', {"content-type": "application/json"}
                )
            case _:
                return super()._failure(kind)


def signature(body: bytes, secret: str, milliseconds: int) -> str:
    """The header `sanity-webhook-signature` of a webhook."""
    signed = hmac.new(secret.encode(), f"{milliseconds}.".encode() + body, hashlib.sha256).digest()
    return f"t={milliseconds},v1={base64.urlsafe_b64encode(signed).rstrip(b'=').decode()}"


def paragraph(text: str, *marks: str, **fields: Any) -> dict[str, Any]:
    """A block of Portable Text with one span."""
    child = {"_type": "span", "_key": "s", "text": text, "marks": list(marks)}
    return {"_type": "block", "_key": "b", "style": "normal", "markDefs": [], "children": [child], **fields}


def _projected(document: dict[str, Any]) -> dict[str, Any]:
    names = ("_id", "_rev", "_createdAt", "title", "publishedAt", "tags", "body")
    return {name: document.get(name) for name in names} | {
        "slug": document["slug"]["current"],
        "summary": document.get("excerpt") or document.get("summary"),
        "locale": document.get("language") or document.get("locale"),
        "author": (document.get("author") or {}).get("name"),
        "image": document.get("mainImage"),
    }


if __name__ == "__main__":
    main(SanitySimulator)
