"""Uploads, composed."""

from __future__ import annotations

from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING

from atelier.adapters.aws.dynamodb.uploads import DynamoUploads
from atelier.adapters.aws.uploads import BucketUploads
from atelier.adapters.media.keys import upload_key
from atelier.caller import Caller
from atelier.library import check_room
from atelier.library import upload as uploading
from atelier.library.model import Asset
from atelier.library.upload_schemas import UploadEnvelope, UploadRequest, upload_view
from atelier.settings import AwsEndpoint, LibraryTable, MediaBucket
from atelier.wiring.idempotency import idempotency_keys
from atelier.wiring.ledger import quota_of, wallets
from atelier.wiring.library import assets

if TYPE_CHECKING:
    from atelier.adapters.media.ingest import MediaIngest


@cache
def _uploads() -> DynamoUploads:
    store = DynamoUploads()
    store.bind(LibraryTable.read().name)
    return store


def _upload_bucket() -> BucketUploads:
    place = AwsEndpoint.read()
    return BucketUploads(MediaBucket.read().bucket, upload_key, region=place.region, endpoint_url=place.endpoint_url)


def _ingest() -> MediaIngest:
    # Imported here, because the announcement of a file, which is most often a cold start, opens none.
    from atelier.adapters.aws.s3 import MediaStore as S3MediaStore
    from atelier.adapters.media.ingest import MediaIngest
    from atelier.wiring import moderation

    return MediaIngest(S3MediaStore(MediaBucket.read().bucket), inspect_output=moderation.upload_check())


def _require_room(workspace_id: str, size_bytes: int, now: datetime) -> None:
    quota = partial(quota_of, "storage_bytes", workspace_id, now)
    check_room.require_room(workspace_id, size_bytes, assets=assets(), wallets=wallets(), quota=quota)


def begin(
    caller: Caller, body: UploadRequest, idempotency_key: str | None, now: datetime
) -> tuple[UploadEnvelope, bool]:
    """A new upload of a verified caller's workspace, and whether it had been begun before under the same key."""
    upload, form, replayed = uploading.begin_upload(
        body.new(caller.workspace_id, caller.user_id, now),
        idempotency_key=idempotency_key,
        uploads=_uploads(),
        files=_upload_bucket(),
        keys=idempotency_keys(),
        require_room=_require_room,
        now=now,
    )
    return upload_view(upload, form), replayed


def complete(workspace_id: str, asset_id: str, now: datetime) -> Asset:
    """Complete an upload, and return its asset."""
    return uploading.complete_upload(
        workspace_id,
        asset_id,
        assets=assets(),
        uploads=_uploads(),
        files=_upload_bucket(),
        intake=_ingest(),
        require_room=_require_room,
        now=now,
    )


def keep(
    workspace_id: str, user_id: str, data: bytes, name: str, now: datetime, *, content_type: str = "image/png"
) -> Asset:
    """Store bytes that came with a request as an asset; the same bytes are stored once. content_type: the expected
    type. The calling function needs the media layer, and permission to write to the bucket's `media/`, the library's
    table and the idempotency keys."""
    return uploading.store_bytes(
        workspace_id,
        user_id,
        data,
        name,
        content_type=content_type,
        assets=assets(),
        intake=_ingest(),
        keys=idempotency_keys(),
        require_room=_require_room,
        now=now,
    )


def keep_recording(
    workspace_id: str, user_id: str, livestream_id: str, asset_id: str, data: bytes, name: str, now: datetime
) -> None:
    """Store the recording of a livestream as an asset. The calling function needs the media and video layers, and what
    `keep` needs."""
    shown = name[: uploading.NAME_CHARACTERS_MAX]
    recording = uploading.Upload(asset_id, workspace_id, user_id, shown, "video/mp4", len(data), now)
    uploading.store_recording(
        recording, livestream_id, data, assets=assets(), intake=_ingest(), require_room=_require_room
    )
