"""Uploads: a file is announced, sent to the bucket, checked, and only then becomes an asset.

Every step can be repeated: the asset has the upload's id, its bytes are stored under their hash, and the first request
that records the asset wins. An upload that is not completed within a day is deleted and never becomes an asset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from atelier.dataclass import dataclass
from atelier.errors import Conflict, NotFound, PayloadTooLarge, PromptRefused, ValidationFailed
from atelier.idempotency import IdempotencyKeys, fingerprint
from atelier.ids import new_id
from atelier.library.file_types import kind_of
from atelier.library.model import Asset, DeletedAsset
from atelier.library.ports import (
    Assets,
    FileIngest,
    FileInvalid,
    FileLimitExceeded,
    FileRefused,
    UploadedFiles,
    UploadExists,
    UploadForm,
    Uploads,
)

BYTES_MAX = 50 * 1024 * 1024
NAME_CHARACTERS_MAX = 120
LIFETIME = timedelta(days=1)
# require_room(workspace_id, size_bytes, now): raises QuotaExceeded when that is more than the workspace may store.
RequireRoom = Callable[[str, int, datetime], None]


@dataclass(frozen=True, slots=True)
class Upload:
    """An announced file. `id` will be the asset's id."""

    id: str
    workspace_id: str
    user_id: str
    name: str
    content_type: str
    size_bytes: int
    created_at: datetime

    @property
    def type(self) -> str:
        """The kind of file: image, video or audio. Raises TypeRefused, which the request's schema has excluded."""
        return kind_of(self.content_type, self.name)

    @property
    def expires_at(self) -> datetime:
        """When the upload is deleted unless it has been completed."""
        return self.created_at + LIFETIME

    def fingerprint(self) -> str:
        """A digest of the request (32 hex digits), to which the caller's idempotency key is bound."""
        return fingerprint(f"{self.content_type}#{self.size_bytes}#{self.name}")


def begin_upload(
    upload: Upload,
    *,
    idempotency_key: str | None,
    uploads: Uploads[Upload],
    files: UploadedFiles[Upload],
    keys: IdempotencyKeys,
    require_room: RequireRoom,
    now: datetime,
) -> tuple[Upload, UploadForm, bool]:
    """Announce an upload. Returns it, the form for sending its file, and whether the same request announced it before.
    `idempotency_key`: the caller's own, if any. Raises IdempotencyMismatch when the key was used for another
    request, QuotaExceeded when the workspace has no room for the file."""
    require_room(upload.workspace_id, upload.size_bytes, now)
    replayed = False
    if idempotency_key is not None:
        key = f"uploads {idempotency_key}"
        upload = replace(upload, id=keys.reserve(upload.workspace_id, key, upload.fingerprint(), upload.id))
    try:
        uploads.create(upload)
    except UploadExists:
        upload, replayed = uploads.get(upload.workspace_id, upload.id), True
    return upload, files.form(upload, now), replayed


def complete_upload(
    workspace_id: str,
    asset_id: str,
    *,
    assets: Assets,
    uploads: Uploads[Upload],
    files: UploadedFiles[Upload],
    intake: FileIngest,
    require_room: RequireRoom,
    now: datetime,
) -> Asset:
    """Turn an upload into an asset, and return it; an asset that exists already is returned as it is.

    Raises NotFound without such an upload or after its asset was deleted, Conflict while its file has not been sent,
    QuotaExceeded when the workspace has no room for it any more, PromptRefused when moderation rejects the file, and
    ValidationFailed for a file that is not as announced: then another file may be sent."""
    for existing in assets.find_with_deleted(workspace_id, [asset_id]):
        if isinstance(existing, DeletedAsset):
            raise NotFound
        return existing

    upload = uploads.get(workspace_id, asset_id)
    if upload.expires_at <= now:
        raise NotFound
    require_room(workspace_id, upload.size_bytes, now)

    try:
        data = files.read(upload, upload.size_bytes)
    except NotFound:
        raise Conflict("The file has not been sent yet.", asset_id=asset_id) from None
    except ValueError:
        raise _invalid_file("The file is larger than was said.") from None
    if len(data) != upload.size_bytes:
        raise _invalid_file("The file is smaller than was said.")
    return _store_asset(upload, data, assets=assets, intake=intake)


def store_bytes(
    workspace_id: str,
    user_id: str,
    data: bytes,
    name: str,
    *,
    content_type: str = "image/png",
    assets: Assets,
    intake: FileIngest,
    keys: IdempotencyKeys,
    require_room: RequireRoom,
    now: datetime,
) -> Asset:
    """Store the bytes of a request as an asset; equal bytes give the same asset, until it is deleted. content_type:
    stands for the expected kind of file; the bytes decide the format. Raises PayloadTooLarge, QuotaExceeded,
    ValidationFailed, PromptRefused."""
    if len(data) > BYTES_MAX:
        raise PayloadTooLarge(f"The file is larger than {BYTES_MAX} bytes.", bytes_max=BYTES_MAX)
    digest = hashlib.sha256(data).hexdigest()
    key = f"keep {kind_of(content_type)} {digest}"
    asset_id = keys.reserve(workspace_id, key, digest, new_id("ast", now))
    while existing := assets.find_with_deleted(workspace_id, [asset_id]):
        if isinstance(existing[0], Asset):
            return existing[0]
        # A deleted asset does not come back: the key of the next one is derived from its id.
        asset_id = keys.reserve(workspace_id, f"{key} after {asset_id}", digest, new_id("ast", now))
    require_room(workspace_id, len(data), now)
    upload = Upload(asset_id, workspace_id, user_id, name[:NAME_CHARACTERS_MAX], content_type, len(data), now)
    return _store_asset(upload, data, assets=assets, intake=intake)


def store_recording(
    recording: Upload, livestream_id: str, data: bytes, *, assets: Assets, intake: FileIngest, require_room: RequireRoom
) -> None:
    """Store the recording of a livestream under the id that was derived for it; one that is stored already, or was
    deleted, stays as it is. Raises QuotaExceeded, ValidationFailed, PromptRefused."""
    if not assets.find_with_deleted(recording.workspace_id, [recording.id]):
        require_room(recording.workspace_id, len(data), recording.created_at)
        _store_asset(recording, data, assets=assets, intake=intake, livestream_id=livestream_id)


def _store_asset(
    upload: Upload, data: bytes, *, assets: Assets, intake: FileIngest, livestream_id: str | None = None
) -> Asset:
    try:
        stored = intake.store(upload.workspace_id, upload.type, data)
    except FileRefused as error:
        raise PromptRefused("file", (error.category,), error.words) from None
    except FileLimitExceeded as error:
        raise _invalid_file(str(error)) from None
    except FileInvalid as error:
        reason = f": {error}" if str(error) else ""
        raise _invalid_file(f"The file is no {upload.type} that can be used{reason}.") from None

    return assets.record_upload(
        Asset(
            id=upload.id,
            workspace_id=upload.workspace_id,
            user_id=upload.user_id,
            type=stored.type,
            name=upload.name,
            format=stored.format,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            width=stored.width,
            height=stored.height,
            generation_id=None,
            created_at=upload.created_at,
            duration_ms=stored.duration_ms,
            has_thumbnail=stored.has_thumbnail,
            notes=stored.notes,
            livestream_id=livestream_id,
        )
    )


def _invalid_file(message: str) -> ValidationFailed:
    return ValidationFailed([{"path": "file", "message": message}])
