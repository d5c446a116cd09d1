"""Parse multipart/form-data (RFC 7578), as SDKs and browsers send it, into fields and files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from atelier.errors import BadRequest, UnsupportedMediaType, ValidationFailed

ModelT = TypeVar("ModelT", bound=BaseModel)

PARTS_MAX = 64
HEAD_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class FormPart:
    """One part of a form. `is_file`: it has a file name."""

    name: str
    data: bytes
    is_file: bool


def parse_multipart(body: bytes, content_type: str) -> list[FormPart]:
    """The parts of a body, in order. Raises UnsupportedMediaType for another content type, BadRequest for an invalid
    form."""
    kind, _, rest = content_type.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        raise UnsupportedMediaType("Send the body as multipart/form-data.")
    boundary = re.search(r'boundary=(?:"([^"]{1,200})"|([^\s;,]{1,200}))', rest, re.IGNORECASE)
    if boundary is None:
        raise BadRequest("The form names no boundary.")
    pieces = (b"\r\n" + body).split(b"\r\n--" + (boundary[1] or boundary[2]).encode(errors="replace"))
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise BadRequest("The form does not end with its boundary.")
    if len(pieces) > PARTS_MAX + 2:
        raise BadRequest(f"The form has more than {PARTS_MAX} parts.")
    return [_parse_part(piece) for piece in pieces[1:-1]]


def _parse_part(piece: bytes) -> FormPart:
    head, separator, data = piece.partition(b"\r\n\r\n")
    if not separator or len(head) > HEAD_BYTES_MAX:
        raise BadRequest("A part of the form has no headers.")
    disposition = re.search(rb"content-disposition:([^\r\n]*)", head, re.IGNORECASE)
    name = re.search(rb'[;\s]name="([^"]*)"', disposition[1]) if disposition else None
    if disposition is None or name is None:
        raise BadRequest("A part of the form has no name.")
    return FormPart(
        name[1].decode(errors="replace"), data, re.search(rb"[;\s]filename\*?=", disposition[1]) is not None
    )


def collect_values(form_parts: Iterable[FormPart], *, files: Collection[str]) -> dict[str, Any]:
    """The values of a form by name. `image[]` is the field `image`; `reference[url]` is the value `url` in the object
    `reference`. A part with a file name whose name is in `files` is added to a list of bytes; all others are texts.
    Raises ValidationFailed."""
    values: dict[str, Any] = {}
    for part in form_parts:
        name, _, inner = part.name.partition("[")
        if name in files and part.is_file:
            if not isinstance(values.setdefault(name, []), list):
                raise ValidationFailed([{"path": name, "message": "is given as a file and as a value"}])
            values[name].append(part.data)
            continue

        try:
            text = part.data.decode()
        except UnicodeDecodeError:
            raise ValidationFailed([{"path": name, "message": "must be text in UTF-8"}]) from None

        if name in values and not inner:
            raise ValidationFailed([{"path": name, "message": "is given twice"}])
        if inner.rstrip("]"):
            inner_values = values.setdefault(name, {})
            if isinstance(inner_values, dict):
                inner_values[inner.rstrip("]")] = text
        else:
            values[name] = text
    return values


def validate_fields(model: type[ModelT], values: dict[str, Any]) -> ModelT:
    """Validate the values of a form with a model. Raises ValidationFailed."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ValidationFailed.of_model(error) from None
