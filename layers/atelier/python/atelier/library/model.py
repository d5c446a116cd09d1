"""Assets as values."""

from __future__ import annotations

from datetime import datetime

from atelier.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Asset:
    """One stored file. `sha256` and `format` give its key in the media bucket; sizes are in bytes and pixels.

    Without a `generation_id` it was uploaded, or with a `listing_id` bought in the showcase; with a `livestream_id` it
    is the recording of that livestream. `made_from`: ids of the assets that were inputs of its generation.
    `origin_listing_ids`: the listings of the showcase in what it was made of, the nearest first, written when it left
    the workspace that has those assets. `notes`:
    sentences for the owner about what was removed or changed when the file was stored. The owner may change `name`,
    `description`, `tags`, `favorite`, `archived_at` and `project_id`."""

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
    listing_id: str | None = None
    livestream_id: str | None = None
    origin_listing_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeletedAsset:
    """What remains of a deleted asset, so that its id is never used again and the assets made from it keep their
    lineage: nothing that a person wrote. `sha256` and `format` give the key that its file had. `is_file_pending`: its
    file may still have to be removed."""

    id: str
    workspace_id: str
    type: str
    format: str
    sha256: str
    created_at: datetime
    deleted_at: datetime
    made_from: tuple[str, ...] = ()
    is_file_pending: bool = False
    listing_id: str | None = None
    livestream_id: str | None = None
    origin_listing_ids: tuple[str, ...] = ()
