"""`/v1/videos`: start a video, follow its progress, list videos and fetch the file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from atelier.compatible.asked import Asked, File, Given, ModelName, bounded, measures, pictured
from atelier.compatible.form import Part, checked, fields
from atelier.compatible.made import served
from atelier.errors import AtelierError, NotFound, ValidationFailed
from atelier.generations.model import Delivered, Generation, Kind, Status
from atelier.ids import is_id
from atelier.pricing.parameters import DURATION_SECONDS, PROMPT_CHARACTERS_MAX
from atelier.pricing.shapes import SIZE, parsed

PREFIX = "video_"
NAMES = {"width": "size", "height": "size", "duration_seconds": "seconds", "image": "input_reference"}
STATES = {Status.QUEUED: "queued", Status.RUNNING: "in_progress", Status.SUCCEEDED: "completed"}


class NotReady(AtelierError):
    """The file was requested before the video was finished."""

    code, status = "VIDEO_NOT_READY", 400


class Reference(BaseModel):
    """The first frame of a video, as the URL of an image."""

    model_config = ConfigDict(extra="forbid")

    image_url: str


class VideoRequest(Given):
    """The request body: a video from a prompt, or from an image and a prompt."""

    prompt: Annotated[str, Field(min_length=1, max_length=PROMPT_CHARACTERS_MAX)]
    model: ModelName | None = None
    seconds: Annotated[int, Field(ge=DURATION_SECONDS[0], le=DURATION_SECONDS[1])] | None = None
    size: str | None = None
    input_reference: list[bytes] | Reference | None = None

    def asked(self) -> Asked:
        """The request in our terms. Raises ValidationFailed."""
        reference = self.input_reference
        if isinstance(reference, Reference):
            files = [pictured(reference.image_url, "input_reference")]
        else:
            files = [File("input_reference", data) for data in reference or ()]
        length = {} if self.seconds is None else {"duration_seconds": self.seconds}
        images = {"image": bounded(files)} if files else {}
        parameters = measures(self.size) | length
        return Asked(Kind.VIDEO, self.prompt, self.model or "auto", parameters, images, NAMES, self.wishes())


class VideoQuery(BaseModel):
    model_config = ConfigDict(extra="ignore")

    after: Annotated[str, Field(max_length=60)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["desc"] = "desc"


class ContentQuery(BaseModel):
    model_config = ConfigDict(extra="ignore")

    variant: Literal["video", "thumbnail"] = "video"


def ordered(parts: list[Part]) -> VideoRequest:
    """Parse the form of a video request. Raises ValidationFailed."""
    return checked(VideoRequest, fields(parts, files=("input_reference",)))


def generation_id(video_id: str) -> str:
    """The generation's id for a video's id; a generation's id is accepted too. Raises NotFound for any other text."""
    found = f"gen_{video_id.removeprefix(PREFIX)}" if video_id.startswith(PREFIX) else video_id
    if not is_id(found, "gen"):
        raise NotFound(f"There is no video {video_id[:60]!r}.")
    return found


def film(generation: Generation) -> Delivered:
    """The file of a finished video. Raises VideoNotReady."""
    if generation.status is not Status.SUCCEEDED:
        raise NotReady(f"The video is not ready: it is {_openai_status(generation)}.", generation_id=generation.id)
    return generation.assets[0]


def video(generation: Generation) -> dict[str, Any]:
    """A video in OpenAI's form, in its present state."""
    parameters, failure = generation.recipe.parameters, generation.failure
    asset = next(iter(generation.assets), None)
    width, height = (asset.width, asset.height) if asset else (parameters.get("width"), parameters.get("height"))
    if not asset and width is None:
        # A model that takes a ratio decides the size in pixels itself; until then the requested size is shown.
        width, height = parsed(parameters.get(SIZE)) or (None, None)
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
        "model": served(generation),
        "prompt": generation.recipe.prompt,
        "seconds": str(seconds),
        "size": f"{width}x{height}" if width and height else "auto",
        "remixed_from_video_id": None,
        "error": error,
    }


def listing(generations: tuple[Generation, ...], *, more: bool) -> dict[str, Any]:
    """The response body of a page of videos, newest first. more: whether another page follows."""
    items = [video(generation) for generation in generations]
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {"first_id": None, "last_id": None}
    return {"object": "list", "data": items, "has_more": more, **ends}


def after(query: VideoQuery) -> str | None:
    """The id of the generation after which a page starts; None for the first page. Raises ValidationFailed."""
    try:
        return generation_id(query.after) if query.after else None
    except NotFound as error:
        raise ValidationFailed([{"path": "after", "message": error.message}]) from None


def _openai_status(generation: Generation) -> str:
    return STATES.get(generation.status, "failed")
