"""`/v1/videos`: start a video, follow its progress, list videos and fetch the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from atelier.catalogue.parameters import DURATION_SECONDS, PROMPT_CHARACTERS_MAX
from atelier.catalogue.sizes import SIZE, size_in_pixels
from atelier.errors import AtelierError, NotFound, ValidationFailed
from atelier.generations.model import DeliveredFile, Generation, Kind, Status
from atelier.ids import is_id
from atelier.lazy_model import LazyModel
from atelier.openai_api.multipart import FormPart, collect_values, validate_fields
from atelier.openai_api.request import (
    InputFile,
    MappedRequest,
    ModelName,
    OpenAIRequest,
    check_files,
    image_from_url,
    parse_size,
)
from atelier.openai_api.result import served_model

PREFIX = "video_"
FIELD_NAMES = {"width": "size", "height": "size", "duration_seconds": "seconds", "image": "input_reference"}
OPENAI_STATUSES = {Status.QUEUED: "queued", Status.RUNNING: "in_progress", Status.SUCCEEDED: "completed"}


class VideoNotReady(AtelierError):
    """The file was requested before the video was finished."""

    code, status = "VIDEO_NOT_READY", 400


class VideoDeleted(AtelierError):
    """The file was requested after it was deleted from the library."""

    code, status = "VIDEO_DELETED", 404


class Reference(LazyModel):
    """The first frame of a video, as the URL of an image."""

    model_config = ConfigDict(extra="forbid")

    image_url: str


class VideoRequest(OpenAIRequest):
    """The request body: a video from a prompt, or from an image and a prompt."""

    prompt: Annotated[str, Field(min_length=1, max_length=PROMPT_CHARACTERS_MAX)]
    model: ModelName | None = None
    seconds: Annotated[int, Field(ge=DURATION_SECONDS[0], le=DURATION_SECONDS[1])] | None = None
    size: str | None = None
    input_reference: list[bytes] | Reference | None = None

    def to_mapped_request(self) -> MappedRequest:
        """The request in our terms. Raises ValidationFailed."""
        reference = self.input_reference
        if isinstance(reference, Reference):
            files = [image_from_url(reference.image_url, "input_reference")]
        else:
            files = [InputFile("input_reference", data) for data in reference or ()]
        length = {} if self.seconds is None else {"duration_seconds": self.seconds}
        images = {"image": check_files(files)} if files else {}
        parameters = parse_size(self.size) | length
        return MappedRequest(
            Kind.VIDEO, self.prompt, self.model or "auto", parameters, images, FIELD_NAMES, self.ignored_fields()
        )


class VideoQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    after: Annotated[str, Field(max_length=60)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["desc"] = "desc"


class ContentQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    variant: Literal["video", "thumbnail"] = "video"


def parse_video_request(
    content_type: str, *, form: Callable[[], VideoRequest], json: Callable[[], VideoRequest]
) -> VideoRequest:
    """The request for a video: a multipart form, which SDKs send, or JSON; each with its parser."""
    return form() if content_type.lower().startswith("multipart/") else json()


def parse_video_form(parts: list[FormPart]) -> VideoRequest:
    """Parse the form of a video request. Raises ValidationFailed."""
    return validate_fields(VideoRequest, collect_values(parts, files=("input_reference",)))


def generation_id(video_id: str) -> str:
    """The generation's id for a video's id; a generation's id is accepted too. Raises NotFound for any other text."""
    found = f"gen_{video_id.removeprefix(PREFIX)}" if video_id.startswith(PREFIX) else video_id
    if not is_id(found, "gen"):
        raise NotFound(f"There is no video {video_id[:60]!r}.")
    return found


def video_file(generation: Generation) -> DeliveredFile:
    """The file of a finished video. Raises VideoNotReady."""
    if generation.status is not Status.SUCCEEDED:
        raise VideoNotReady(f"The video is not ready: it is {_openai_status(generation)}.", generation_id=generation.id)
    return generation.assets[0]


def video_body(generation: Generation) -> dict[str, Any]:
    """A video in OpenAI's form, in its present state."""
    parameters, failure = generation.recipe.parameters, generation.failure
    asset = next(iter(generation.assets), None)
    width, height = (asset.width, asset.height) if asset else (parameters.get("width"), parameters.get("height"))
    if not asset and width is None:
        # A model that takes a ratio decides the size in pixels itself; until then the requested size is shown.
        width, height = size_in_pixels(parameters.get(SIZE)) or (None, None)
    seconds = round(asset.duration_ms / 1000) if asset and asset.duration_ms else parameters.get("duration_seconds", 0)

    error = None
    if _openai_status(generation) == "failed":
        message = failure.message if failure else f"It was {generation.status.value}."
        error = {"code": failure.error_class if failure else generation.status.value, "message": message}

    completed = generation.completed_at
    return {
        "id": PREFIX + generation.id.partition("_")[2],
        "object": "video",
        "created_at": int(generation.created_at.timestamp()),
        "completed_at": int(completed.timestamp()) if completed else None,
        "expires_at": None,
        "status": _openai_status(generation),
        "progress": generation.progress,
        "model": served_model(generation),
        "prompt": generation.recipe.prompt,
        "seconds": str(seconds),
        "size": f"{width}x{height}" if width and height else "auto",
        "remixed_from_video_id": None,
        "error": error,
    }


def list_body(generations: tuple[Generation, ...], *, has_more: bool) -> dict[str, Any]:
    """The response body of a page of videos, newest first. more: whether another page follows."""
    items = [video_body(generation) for generation in generations]
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {"first_id": None, "last_id": None}
    return {"object": "list", "data": items, "has_more": has_more, **ends}


def page_start(query: VideoQuery) -> str | None:
    """The id of the generation after which a page starts; None for the first page. Raises ValidationFailed."""
    try:
        return generation_id(query.after) if query.after else None
    except NotFound as error:
        raise ValidationFailed([{"path": "after", "message": error.message}]) from None


def _openai_status(generation: Generation) -> str:
    return OPENAI_STATUSES.get(generation.status, "failed")
