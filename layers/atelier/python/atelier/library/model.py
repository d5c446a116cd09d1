"""Assets as values."""

from __future__ import annotations

from datetime import datetime

from atelier.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Asset:
    """One stored file. `sha256` and `format` give its key in the media bucket; sizes are in bytes and pixels.

    Without a `generation_id` it was uploaded. `made_from`: ids of the assets that were inputs of its generation.
    `notes`: sentences for the owner about what was removed or changed when the file was stored. The
    owner may change `name`, `description`, `tags`, `favorite` and `archived_at`."""

    id: str
    workspace_id: str
    user_id: str
    type: str
    name: str
    format: str
    sha256: str
    size_bytes: int
    width: int | None
    height: int | None
    generation_id: str | None
    created_at: datetime
    archived_at: datetime | None = None
    project_id: str | None = None
    duration_ms: int | None = None
    has_thumbnail: bool = True
    made_from: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    description: str | None = None
    tags: tuple[str, ...] = ()
    favorite: bool = False
