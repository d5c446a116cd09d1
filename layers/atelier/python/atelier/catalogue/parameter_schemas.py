"""The request schema of model parameters: generations, templates and characters use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Annotated, Any, Literal, LiteralString, cast

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from atelier.catalogue.parameters import (
    DURATION_SECONDS,
    HEIGHT,
    MAX_TOKENS,
    PROMPT_CHARACTERS_MAX,
    SEED,
    VOICE_CHARACTERS_MAX,
    WIDTH,
    N,
)
from atelier.lazy_model import LazyModel

__all__ = ["PROMPT_CHARACTERS_MAX", "AssetId", "DeferredModel", "KindName", "Parameters", "ShortText"]

KindName = Literal["text", "image", "video", "audio", "avatar", "page", "upscale"]
AssetId = Annotated[str, Field(pattern=r"^ast_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
ShortText = Annotated[str, Field(max_length=200)]
StopText = Annotated[str, Field(min_length=1, max_length=200)]
# Bounds for parameters without a field below: the longest text in characters, and how many a request may have.
TEXT_CHARACTERS_MAX, OTHERS_MAX = 32_000, 40


class DeferredModel(LazyModel):
    """Base of the schemas here. Each is built when it is first used, because a function uses few of those it
    imports."""

    model_config = ConfigDict(defer_build=True)


class TextPart(DeferredModel):
    """A text within a message."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: str


class ImagePart(DeferredModel):
    """An image within a message: a file of the workspace."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["image"]
    image_asset_id: AssetId


PART_FORM_HINT: LiteralString = (
    'A part is {"type": "text", "text": "…"} or {"type": "image", "image_asset_id": "ast_…"}: an image is a file of'
    " the workspace; POST /api/assets/uploads makes one."
)


def _check_part_type(part: object) -> object:
    """Refuse a part in the form of another API (an `image_url`), and say how to send it here."""
    kind = cast("dict[str, object]", part).get("type") if isinstance(part, dict) else getattr(part, "type", None)
    if kind not in ("text", "image"):
        raise PydanticCustomError("part", PART_FORM_HINT)
    return cast("object", part)


ContentPart = Annotated[TextPart | ImagePart, Field(discriminator="type"), BeforeValidator(_check_part_type)]


def _as_parts(content: object) -> object:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class Message(DeferredModel):
    """One message: a text, or texts and images in their order. Only the role user may have images."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "assistant", "system"]
    content: Annotated[
        list[ContentPart],
        Field(min_length=1, max_length=100),
        BeforeValidator(_as_parts, json_schema_input_type=str | list[ContentPart]),
    ]

    @model_validator(mode="after")
    def _check_images(self) -> Message:
        if self.role != "user" and any(isinstance(part, ImagePart) for part in self.content):
            raise ValueError("only messages with the role user can hold images")
        return self

    def plain(self) -> dict[str, Any]:
        """The message in the form of a request."""
        match self.content:
            case [TextPart(text=text)]:
                return {"role": self.role, "content": text}
            case parts:
                return {"role": self.role, "content": [part.model_dump() for part in parts]}

    @property
    def image_ids(self) -> list[str]:
        """The asset ids of the images in the message."""
        return [part.image_asset_id for part in self.content if isinstance(part, ImagePart)]


def _check_scalar(value: object) -> object:
    """Check a parameter that has no field here: it must be a single value. The catalogue says which ones a model
    takes."""
    if isinstance(value, str) and len(value) > TEXT_CHARACTERS_MAX:
        raise ValueError(f"must not be longer than {TEXT_CHARACTERS_MAX} characters")
    if value is not None and not isinstance(value, str | int | float):
        raise ValueError("must be a text, a number, or true or false")
    return value


class Parameters(DeferredModel):
    """Parameters of a model, and the files that it starts from. Each model takes some of them, within its own limits:
    see GET /api/models. Any other parameter that a model names there may be given too."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{"width": 1024, "height": 1024}]})
    __pydantic_extra__: dict[str, Annotated[Any, AfterValidator(_check_scalar)]] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    width: int | None = Field(default=None, ge=WIDTH[0], le=WIDTH[1], description="Pixels.")
    height: int | None = Field(default=None, ge=HEIGHT[0], le=HEIGHT[1], description="Pixels.")
    size: str | None = Field(
        default=None,
        max_length=11,
        description="`1536x1024`: the nearest size that the model makes; `auto`: the size of the given image. "
        "Overrides width, height and aspect_ratio.",
    )
    n: int | None = Field(default=None, ge=N[0], le=N[1], description="How many images.")
    seed: int | None = Field(default=None, ge=SEED[0], le=SEED[1], description="The same seed makes the same again.")
    duration_seconds: int | None = Field(default=None, ge=DURATION_SECONDS[0], le=DURATION_SECONDS[1])
    voice: str | None = Field(default=None, max_length=VOICE_CHARACTERS_MAX, description="Who speaks.")
    max_tokens: int | None = Field(default=None, ge=MAX_TOKENS[0], le=MAX_TOKENS[1], description="The longest text.")
    image_asset_id: AssetId | None = Field(default=None, description="The image to start from.")
    mask_asset_id: AssetId | None = Field(
        default=None,
        description="Transparent, or white on black, where the image is to change; in the image's shape.",
    )
    audio_asset_id: AssetId | None = Field(default=None, description="What an avatar says.")
    reference_asset_ids: list[AssetId] | None = Field(
        default=None, min_length=1, max_length=8, description="Images of the person or thing to show."
    )

    messages: list[Message] | None = Field(
        default=None, min_length=1, max_length=1000, description="The conversation so far, in place of the prompt."
    )

    stop: list[StopText] | None = Field(
        default=None, min_length=1, max_length=4, description="Stop sequences: the text ends before the first of them."
    )

    @model_validator(mode="after")
    def _check_extra_count(self) -> Parameters:
        if len(self.model_extra or {}) > OTHERS_MAX:
            raise ValueError("no model has so many parameters")
        return self

    def plain(self) -> dict[str, Any]:
        """The parameters in the form of a request."""
        messages = [message.plain() for message in self.messages or ()]
        return self.model_dump(exclude_none=True, exclude={"messages"}) | ({"messages": messages} if messages else {})

    def recipe_parameters(self) -> dict[str, Any]:
        """The parameters of a recipe: all but the files. An image within a conversation becomes the index of its
        file."""
        parameters = self.model_dump(exclude_none=True, exclude={*_FILE_FIELDS, "messages"})
        if self.messages:
            parameters["messages"] = _with_image_indexes(self.plain()["messages"], 1 if self.image_asset_id else 0)
        return parameters

    def file_ids(self) -> dict[str, tuple[str, ...]]:
        """The asset ids of the files by role; `image_asset_id` comes before the images of a conversation."""
        image_ids = [self.image_asset_id] if self.image_asset_id else []
        image_ids += [each for message in self.messages or () for each in message.image_ids]
        files = {
            "image": tuple(image_ids),
            "mask": (self.mask_asset_id,) if self.mask_asset_id else (),
            "audio": (self.audio_asset_id,) if self.audio_asset_id else (),
            "reference": tuple(self.reference_asset_ids or ()),
        }
        return {role: ids for role, ids in files.items() if ids}


def request_parameters(parameters: dict[str, Any], file_ids: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The parameters and files of a recipe in the form of a request: the inverse of the two methods that split them."""
    image_ids = list(file_ids.get("image", ()))
    request = dict(parameters)
    if parameters.get("messages"):
        images_left = dict(enumerate(image_ids))
        request["messages"] = [_with_image_ids(message, images_left) for message in parameters["messages"]]
        image_ids = list(images_left.values())
    request |= {"image_asset_id": image_ids[0]} if image_ids else {}
    request |= {f"{role}_asset_id": file_ids[role][0] for role in ("mask", "audio") if file_ids.get(role)}
    references = list(file_ids.get("reference", ()))
    return request | ({"reference_asset_ids": references} if references else {})


def _with_image_indexes(messages: list[dict[str, Any]], first: int) -> list[dict[str, Any]]:
    indexes = count(first)

    def plain(content: Any) -> Any:
        if isinstance(content, str):
            return content
        parts = cast("list[dict[str, Any]]", content)
        return [{"type": "image", "image": next(indexes)} if part["type"] == "image" else part for part in parts]

    return [{**message, "content": plain(message["content"])} for message in messages]


def _with_image_ids(message: dict[str, Any], image_ids: dict[int, str]) -> dict[str, Any]:
    """A stored message in the form of a request: the indexes of its images become asset ids, which are removed from the
    mapping."""
    if not isinstance(message.get("content"), list):
        return message
    parts: list[Any] = []
    for part in message["content"]:
        match part:
            case {"type": "image", "image": int(number)} if number in image_ids:
                parts.append({"type": "image", "image_asset_id": image_ids.pop(number)})
            case _:
                parts.append(part)
    return {**message, "content": parts}


_FILE_FIELDS = {"image_asset_id", "mask_asset_id", "audio_asset_id", "reference_asset_ids"}
