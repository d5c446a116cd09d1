"""Images: the files of an edit, and what a response delivers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from atelier.adapters.providers._http import failure_of
from atelier.adapters.providers._openai_compatible.job import images_of
from atelier.adapters.providers._openai_compatible.values import (
    JsonObject,
    as_count,
    as_object,
    as_objects,
    known_counts,
)
from atelier.provider_port import Done, ErrorClass, Job, Output, SubmitOutcome

OUTPUTS_MAX = 16
EDIT_IMAGES_MAX = 16
# A field's name, and its file: name, bytes, content type.
FormFile = tuple[str, tuple[str, bytes, str]]


def edit_files(job: Job) -> list[FormFile]:
    """The files of an edit: the job's images, and the mask if there is one. Empty when there is nothing to edit."""
    images = images_of(job)[:EDIT_IMAGES_MAX]
    if not images:
        return []
    files = [
        ("image[]", (f"image-{number}.{_suffix(image.content_type)}", image.data, image.content_type))
        for number, image in enumerate(images)
    ]
    return files + [("mask", ("mask.png", mask.data, mask.content_type)) for mask in job.inputs.get("mask", ())[:1]]


def read_images(
    answer: JsonObject, cost: int | None, output_of: Callable[[JsonObject, str | None], Output | None]
) -> SubmitOutcome:
    """The outcome that a response reports. cost: in micro-USD, as the provider reports it; output_of: the file of one
    entry with this content type, None when it was withheld or cannot be read."""
    usage = image_usage(as_object(answer.get("usage")))
    images = as_objects(answer.get("data"))[:OUTPUTS_MAX]
    kind = answer.get("output_format")
    content_type = f"image/{kind}" if kind in ("png", "jpeg", "webp") else None
    outputs = tuple(output for image in images if (output := output_of(image, content_type)))
    if outputs:
        return Done(outputs, usage | {"images": len(outputs)}, cost)
    if any(image.get("respect_moderation") is False for image in images):
        return failure_of(ErrorClass.MODERATED_BILLED, usage=usage, cost_microusd=cost)
    return failure_of(ErrorClass.TRANSIENT, usage=usage, cost_microusd=cost)


def image_output(image: JsonObject, content_type: str | None) -> Output | None:
    """The file of one entry of a response; None when it was withheld or cannot be read."""
    if image.get("respect_moderation") is False:
        return None
    data, url = image.get("b64_json"), image.get("url")
    if isinstance(data, str) and data:
        try:
            return Output(base64.b64decode(data, validate=True), content_type=content_type)
        except binascii.Error:
            return None
    return Output(url=url) if isinstance(url, str) and url else None


def image_usage(usage: JsonObject) -> dict[str, int]:
    """Token counts of an image response. Image input tokens are counted apart, since their price differs."""
    details = as_object(usage.get("input_tokens_details"))
    return known_counts(
        tokens_input=as_count(usage.get("input_tokens")),
        tokens_image=as_count(details.get("image_tokens")),
        tokens_cached=as_count(details.get("cached_tokens")),
        tokens_output=as_count(usage.get("output_tokens")),
    )


def _suffix(content_type: str) -> str:
    return {"image/jpeg": "jpg", "image/webp": "webp"}.get(content_type, "png")
