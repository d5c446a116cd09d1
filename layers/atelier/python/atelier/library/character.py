"""Characters: persons or figures who look the same in every image."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import Any

from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed
from atelier.library.ports import Assets

REFERENCES_MAX = 8


@dataclass(frozen=True, slots=True)
class Character:
    """A description of a character, and the images that show it: assets of the workspace, the most important first.

    `parameters` are defaults for the generations that show the character. `face_embedding` is stored for clients that
    compute one; nothing here reads it. `age` is in years."""

    id: str
    workspace_id: str
    user_id: str
    name: str
    reference_asset_ids: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    gender: str | None = None
    age: int | None = None
    style: str | None = None
    description: str | None = None
    face_embedding: tuple[float, ...] | None = None
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])


def check_references(assets: Assets, before: Character | None, after: Character) -> None:
    """Raises ValidationFailed for each new reference image that is not an image of the workspace."""
    asset_ids = after.reference_asset_ids
    if before is not None and before.reference_asset_ids == asset_ids:
        return
    image_ids = {asset.id for asset in assets.find(after.workspace_id, asset_ids) if asset.type == "image"}
    wrong = [
        {"path": f"reference_asset_ids.{place}", "message": "There is no such image here."}
        for place, asset_id in enumerate(asset_ids)
        if asset_id not in image_ids
    ]
    if wrong:
        raise ValidationFailed(wrong)
