"""HTTP schemas of the library: queries and responses of assets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from atelier.lazy_model import LazyModel
from atelier.library.model import Asset


class AssetView(LazyModel):
    """One stored file. Its URLs are signed and valid for some minutes."""

    id: str
    type: str
    name: str
    format: str
    sha256: str
    size_bytes: int
    width: int | None
    height: int | None
    duration_ms: int | None
    generation_id: str | None = Field(description="What made it; null = it was uploaded, bought or recorded.")
    listing_id: str | None = Field(default=None, description="The listing of the showcase that it was bought as.")
    livestream_id: str | None = Field(default=None, description="The livestream of which it is the recording.")
    made_from: list[str] = Field(description="The assets that it was made from.")
    notes: list[str] = Field(default=[], description="What was left out of the file or changed when it was stored.")
    project_id: str | None
    description: str | None = None
    tags: list[str] = []
    favorite: bool = False
    url: str
    thumbnail_url: str | None
    created_at: datetime
    archived_at: datetime | None


class AssetEnvelope(LazyModel):
    asset: AssetView


class AssetList(LazyModel):
    items: list[AssetView]
    next_cursor: str | None


class AssetQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    type: Literal["image", "video", "audio", "text", "page"] | None = None
    project_id: Annotated[str, Field(max_length=40)] | None = None
    tag: Annotated[str, StringConstraints(max_length=40, to_lower=True)] | None = None
    favorite: bool | None = None
    archived: bool | None = Field(default=None, description="Without it, archived assets are listed with the others.")
    q: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="A part of the name, the description or a tag."
    )
    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None


class OriginView(LazyModel):
    """An asset that another one was made of. Of one that was deleted since, only this is known."""

    id: str
    type: str
    made_from: list[str] = Field(description="The assets that it was made from itself.")
    deleted_at: datetime | None
    asset: AssetView | None = Field(description="null = it was deleted.")


class LineageStepView(LazyModel):
    """Who made an asset, and what that cost. credits: null = it was not made by a generation. listing_id: of one that
    was bought; livestream_id: of a recording."""

    asset_id: str
    user_id: str
    name: str = Field(description="Empty when the account is gone.")
    generation_id: str | None
    credits: int | None
    listing_id: str | None
    livestream_id: str | None
    at: datetime


class RecordedFromView(LazyModel):
    """A livestream of the workspace whose recording is in the lineage."""

    livestream_id: str
    title: str | None = Field(description="null = the livestream is not there any more.")
    live_at: datetime | None = Field(description="When the picture came; null = that is not known.")


class BoughtFromView(LazyModel):
    """A listing of the showcase in the lineage: what others have made, as far as everybody may know."""

    listing_id: str
    title: str
    user_id: str
    name: str = Field(description="Of its creator; empty when the account is gone.")
    distance: int = Field(description="1 = it was bought here; 2 = that was made from it, and so on.")


class LineageView(LazyModel):
    """The lineage of an asset, within its workspace, and the listings of others that it was made from."""

    steps: list[LineageStepView] = Field(description="The asset and those of its origins that are not deleted.")
    credits: int = Field(description="What all steps in this workspace cost together.")
    bought_from: list[BoughtFromView] = Field(description="The listings in it, the nearest first.")
    recorded_from: list[RecordedFromView] = Field(description="The livestreams in it, the nearest first.")
    origins: list[OriginView] = Field(description="What it was made of, also through others, the nearest first.")
    origins_complete: bool = Field(description="False = there are more origins, further away.")
    items: list[AssetView] = Field(description="What was made from it, newest first.")
    next_cursor: str | None


class LineageQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None


def asset_view(asset: Asset, url: str, thumbnail_url: str | None) -> AssetView:
    """The response for an asset, with its signed URLs."""
    return AssetView(
        id=asset.id,
        type=asset.type,
        name=asset.name,
        format=asset.format,
        sha256=asset.sha256,
        size_bytes=asset.size_bytes,
        width=asset.width,
        height=asset.height,
        duration_ms=asset.duration_ms,
        generation_id=asset.generation_id,
        listing_id=asset.listing_id,
        livestream_id=asset.livestream_id,
        made_from=list(asset.made_from),
        notes=list(asset.notes),
        project_id=asset.project_id,
        description=asset.description,
        tags=list(asset.tags),
        favorite=asset.favorite,
        url=url,
        thumbnail_url=thumbnail_url,
        created_at=asset.created_at,
        archived_at=asset.archived_at,
    )
