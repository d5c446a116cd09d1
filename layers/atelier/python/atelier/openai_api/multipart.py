"""Parse multipart/form-data (RFC 7578), as SDKs and browsers send it, into fields and files."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from atelier.dataclass import dataclass
from atelier.errors import BadRequest, UnsupportedMediaType, ValidationFailed

ModelT = TypeVar("ModelT", bound=BaseModel)

PARTS_MAX = 64
HEADER_BYTES_MAX = 4096
BOUNDARY_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class FormPart:
    """One part of a form. `is_file`: it has a file name."""

    name: str
    data: bytes
    is_file: bool


def parse_multipart(body: bytes, content_type: str) -> list[FormPart]:
    """The parts of a body, in order. Raises UnsupportedMediaType for another content type, BadRequest for an invalid
    form."""
    # Imported here, because few requests are forms.
    from multipart import (  # pyright: ignore[reportMissingTypeStubs]
        MultipartError,
        MultipartSegment,
        ParserLimitReached,
        PushMultipartParser,
        parse_options_header,  # pyright: ignore[reportUnknownVariableType]
    )

    parts: list[FormPart] = []
    try:
        kind, options = cast("tuple[str, dict[str, str]]", parse_options_header(content_type))
        if kind != "multipart/form-data":
            raise UnsupportedMediaType("Send the body as multipart/form-data.")
        boundary = options.get("boundary", "")
        if not 0 < len(boundary) <= BOUNDARY_CHARACTERS_MAX:
            raise BadRequest("The form names no boundary.")
        with PushMultipartParser(boundary, max_header_size=HEADER_BYTES_MAX, max_segment_count=PARTS_MAX) as parser:
            name, is_file, chunks = "", False, list[bytes]()
            # For each part the parser yields its headers, the pieces of its content, and None at its end.
            for event in parser.parse(body):
                if isinstance(event, MultipartSegment):
                    name, is_file, chunks = event.name or "", event.filename is not None, []
                elif event is not None:
                    chunks.append(bytes(event))
                elif not name:
                    raise BadRequest("A part of the form has no name.")
                else:
                    parts.append(FormPart(name, b"".join(chunks), is_file))
    except ParserLimitReached:
        raise BadRequest(f"The form has more than {PARTS_MAX} parts, or a part with too long a header.") from None
    except MultipartError:
        raise BadRequest("The form is not valid multipart/form-data.") from None
    return parts


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
