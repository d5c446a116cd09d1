"""What a model may be told, as requests say it; apart from the rest of the contract, because templates say it too."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from atelier.generations.model import Source, Sources
from atelier.pricing.parameters import (
    DURATION_SECONDS,
    HEIGHT,
    MAX_TOKENS,
    PROMPT_CHARACTERS_MAX,
    SEED,
    VOICE_CHARACTERS_MAX,
    WIDTH,
    N,
)

__all__ = ["PROMPT_CHARACTERS_MAX", "AssetId", "Deferred", "KindName", "Parameters", "Text"]

KindName = Literal["text", "image", "video", "audio", "avatar", "page", "upscale"]
AssetId = Annotated[str, Field(pattern=r"^ast_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
Text = Annotated[str, Field(max_length=200)]


class Deferred(BaseModel):
    """Base of the models here: built when first used, since a function meets a few of those that it imports."""

    model_config = ConfigDict(defer_build=True)


class Parameters(Deferred):
    """What a model may be told and the files that it starts from. Which ones a model takes, and within which limits, is
    its own: see GET /api/models. Any other parameter that it names there may be given too."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{"width": 1024, "height": 1024}]})

    width: int | None = Field(default=None, ge=WIDTH[0], le=WIDTH[1], description="Pixels.")
    height: int | None = Field(default=None, ge=HEIGHT[0], le=HEIGHT[1], description="Pixels.")
    n: int | None = Field(default=None, ge=N[0], le=N[1], description="How many pictures.")
    seed: int | None = Field(default=None, ge=SEED[0], le=SEED[1], description="The same seed makes the same again.")
    duration_seconds: int | None = Field(default=None, ge=DURATION_SECONDS[0], le=DURATION_SECONDS[1])
    voice: str | None = Field(default=None, max_length=VOICE_CHARACTERS_MAX, description="Who speaks.")
    max_tokens: int | None = Field(default=None, ge=MAX_TOKENS[0], le=MAX_TOKENS[1], description="The longest text.")
    image_asset_id: AssetId | None = Field(default=None, description="The picture to start from.")
    mask_asset_id: AssetId | None = Field(default=None, description="See-through where the picture is to change.")
    audio_asset_id: AssetId | None = Field(default=None, description="What an avatar says.")
    reference_asset_ids: list[AssetId] | None = Field(
        default=None, min_length=1, max_length=8, description="Pictures of whom or what is to be shown."
    )

    def told(self) -> dict[str, Any]:
        """What is no file."""
        return self.model_dump(exclude_none=True, exclude=_FILES)

    def inputs(self) -> Sources:
        """The files by role."""
        single = {"image": self.image_asset_id, "mask": self.mask_asset_id, "audio": self.audio_asset_id}
        files: Sources = {role: (Source(asset_id),) for role, asset_id in single.items() if asset_id}
        if self.reference_asset_ids:
            files["reference"] = tuple(map(Source, self.reference_asset_ids))
        return files


_FILES = {"image_asset_id", "mask_asset_id", "audio_asset_id", "reference_asset_ids"}
