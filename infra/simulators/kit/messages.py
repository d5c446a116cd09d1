"""Requests as the simulators receive them, and their responses."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header


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
        """A multipart body as (field, part); a plain field is a part without a file name. Empty for an invalid body."""
        kind, options = parse_options_header(self.headers.get("content-type", ""))
        if kind != "multipart/form-data" or not options.get("boundary"):
            return []
        found: list[tuple[str, UploadedFile]] = []
        try:
            with PushMultipartParser(options["boundary"]) as parser:
                for event in parser.parse(self.body):
                    if isinstance(event, MultipartSegment):
                        upload = UploadedFile(event.filename or "", event.content_type or "", b"")
                        found.append((event.name or "", upload))
                    elif event is not None:
                        field_name, upload = found.pop()
                        found.append((field_name, replace(upload, data=upload.data + event)))
        except MultipartError:
            return []
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
