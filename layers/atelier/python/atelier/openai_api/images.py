"""`/v1/images/generations` and `/v1/images/edits`: images from a prompt, or from images and a prompt."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from atelier.catalogue.parameters import PROMPT_CHARACTERS_MAX, N
from atelier.errors import ValidationFailed
from atelier.generations.model import Kind
from atelier.openai_api import sse
from atelier.openai_api.multipart import FormPart, collect_values, validate_fields
from atelier.openai_api.request import (
    InputFile,
    MappedRequest,
    ModelName,
    OpenAIRequest,
    check_files,
    parse_size,
    set_fields,
)
from atelier.openai_api.result import Result

FIELD_NAMES = {"width": "size", "height": "size", "reference": "image"}
# Quality names of OpenAI's older models, as the catalogue calls them; None = the model chooses.
QUALITIES = {"auto": None, "standard": None, "hd": "high"}


class ImageRequest(OpenAIRequest):
    """The request body of a generation from a prompt."""

    REFUSED = {"complexity": (), "frame_count": (1, "1"), "frame_duration_ms": (), "svg": (), "markup": ()}

    prompt: Annotated[str, Field(min_length=1, max_length=PROMPT_CHARACTERS_MAX)]
    model: ModelName | None = None
    n: Annotated[int, Field(ge=N[0], le=N[1])] | None = None
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    response_format: Literal["b64_json", "url"] | None = None
    stream: bool | None = None

    @property
    def wants_bytes(self) -> bool:
        """Whether the response contains the bytes of the images, not their URLs."""
        return self.response_format != "url" or bool(self.stream)

    def to_mapped_request(self) -> MappedRequest:
        """The request in our terms. Raises UnsupportedParameter, ValidationFailed."""
        ignored = self.ignored_fields()
        parameters = parse_size(self.size) | set_fields(
            n=self.n,
            quality=QUALITIES.get(self.quality or "", self.quality),
            background=None if self.background == "auto" else self.background,
            output_format=self.output_format,
        )
        return MappedRequest(Kind.IMAGE, self.prompt, self.model or "auto", parameters, {}, FIELD_NAMES, ignored)


class EditRequest(ImageRequest):
    """The form of an edit: the first image is changed where the mask is transparent, or everywhere without a mask."""

    image: list[bytes] = Field(min_length=1)
    mask: list[bytes] = Field(default_factory=list[bytes], max_length=1)

    def to_mapped_request(self) -> MappedRequest:
        mapped = super().to_mapped_request()
        images = check_files([InputFile("image", data) for data in self.image])
        masks = check_files([InputFile("mask", data) for data in self.mask])
        files = {"image": images, **({"mask": masks} if masks else {})}
        return replace(mapped, files=files)


def parse_edit_form(parts: list[FormPart]) -> EditRequest:
    """Parse the form of an edit. Raises ValidationFailed."""
    values = collect_values(parts, files=("image", "mask"))
    if not values.get("image"):
        raise ValidationFailed([{"path": "image", "message": "Field required"}], types=["missing"])
    return validate_fields(EditRequest, values)


def images_body(request: ImageRequest, result: Result) -> dict[str, Any]:
    """The response body: the images in base64, or their signed URLs if the request wants `url`."""
    if request.response_format == "url":
        data: list[dict[str, Any]] = [{"url": url} for url in result.urls]
    else:
        data = [{"b64_json": base64.b64encode(file).decode()} for file in result.files]
    return {"created": result.created, "data": data, **_image_properties(result), "usage": _usage(result)}


def stream(request: ImageRequest, result: Result) -> bytes:
    """The response body of a streaming request: one `completed` event for each image. There are no partial images."""
    return sse.named_event_stream(
        _events("image_edit" if isinstance(request, EditRequest) else "image_generation", result)
    )


def _events(event_prefix: str, result: Result) -> Iterator[dict[str, Any]]:
    for file in result.files:
        encoded = base64.b64encode(file).decode()
        yield {
            "type": f"{event_prefix}.completed",
            "b64_json": encoded,
            "created_at": result.created,
            **_image_properties(result),
            "usage": _usage(result),
        }


def _image_properties(result: Result) -> dict[str, Any]:
    first = result.generation.assets[0]
    quality = result.parameters.get("quality")
    background = result.parameters.get("background", "opaque")
    return {
        "background": background if background in ("opaque", "transparent") else "opaque",
        "output_format": first.format,
        "size": f"{first.width}x{first.height}",
        "quality": quality if quality in ("low", "medium", "high", "xhigh", "max") else "medium",
    }


def _usage(result: Result) -> dict[str, Any]:
    usage = result.usage
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"image_tokens": usage.image, "text_tokens": max(usage.input - usage.image, 0)},
        "output_tokens": usage.output,
        "output_tokens_details": {"image_tokens": usage.output, "text_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }
