"""Requests as the simulators receive them, and their responses."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class UploadedFile:
    """One part of a multipart body; a plain field has no file `name`."""

    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True)
class Request:
    """A received request. Header names are lower-case; `target` is the path with the query, `path` without it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty when the body is something else."""
        try:
            value: Any = json.loads(self.body)
        except ValueError:
            return {}
        return cast("dict[str, Any]", value) if isinstance(value, dict) else {}

    @cached_property
    def _parts(self) -> list[tuple[str, UploadedFile]]:
        """A multipart body as (field, part); a plain field is a part without a file name."""
        boundary = re.search(r'boundary="?([^";]+)"?', self.headers.get("content-type", ""))
        if self.content_type != "multipart/form-data" or boundary is None:
            return []
        found: list[tuple[str, UploadedFile]] = []
        for piece in (b"\r\n" + self.body).split(b"\r\n--" + boundary[1].encode())[1:]:
            head, _, data = piece.partition(b"\r\n\r\n")
            lines = head.decode(errors="replace").lower()
            kind = re.search(r"content-type: *([^\r\n;]+)", lines)
            field_name = re.search(r'[; ]name="([^"]*)"', head.decode(errors="replace"))
            file_name = re.search(r'filename="([^"]*)"', head.decode(errors="replace"))
            if field_name:
                upload = UploadedFile(file_name[1] if file_name else "", kind[1].strip() if kind else "", data)
                found.append((field_name[1], upload))
        return found

    def fields(self) -> dict[str, str]:
        """The plain fields of a multipart body."""
        return {name: part.data.decode(errors="replace") for name, part in self._parts if not part.name}

    def files(self, *names: str) -> list[UploadedFile]:
        """The files of a multipart body in these fields (in all fields when none is named)."""
        return [part for name, part in self._parts if part.name and (not names or name in names)]

    def to_json(self) -> dict[str, Any]:
        """The request as `GET /_simulator/calls` lists it."""
        body: Any = self.body.decode(errors="replace")
        if self._parts:
            files = [
                {"field": name, "name": part.name, "content_type": part.content_type, "bytes": len(part.data)}
                for name, part in self._parts
                if part.name
            ]
            body = {"fields": self.fields(), "files": files}
        else:
            with contextlib.suppress(ValueError):
                body = json.loads(self.body)
        return {"method": self.method, "path": self.target, "headers": self.headers, "body": body}


@dataclass(frozen=True)
class Response:
    """A response: `content` is sent as it is when it is bytes, else as JSON; `pieces` are sent one after the other."""

    status: int = 200
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    pieces: Iterator[bytes] | None = None

    @property
    def data(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode()

    @property
    def content_type(self) -> str:
        return "application/octet-stream" if isinstance(self.content, bytes) or self.pieces else "application/json"
