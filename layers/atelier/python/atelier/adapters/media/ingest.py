"""Uploads: bytes from a user become a file of the library, checked and cleaned like all others, never watermarked."""

from __future__ import annotations

from atelier.adapters.media.delivery import ObjectStore, OutputInspector
from atelier.adapters.media.keys import THUMBNAIL_CONTENT_TYPE, media_key, thumbnail_key
from atelier.adapters.media.process import process
from atelier.adapters.media.processed import MediaInvalid, MediaLimitExceeded
from atelier.library.ports import FileInvalid, FileLimitExceeded, FileRefused, StoredFile
from atelier.moderation.model import CATEGORY_NAMES, OutputWithheld, Thumbnail

# API Gateway waits 30 s for the response.
SECONDS_MAX = 22


class MediaIngest:
    """Implements the library's port `Intake` with an object store. look: checks the file's content before it is stored;
    raises OutputWithheld."""

    def __init__(
        self, store: ObjectStore, *, inspect_output: OutputInspector = lambda type, data, thumbnail: None
    ) -> None:
        self._store = store
        self._look = inspect_output

    def store(self, workspace_id: str, file_type: str, data: bytes) -> StoredFile:
        try:
            processed = process(file_type, data, watermark=False, seconds_max=SECONDS_MAX)
        except MediaLimitExceeded as error:
            raise FileLimitExceeded(str(error)) from error
        except MediaInvalid as error:
            # The part of the message after a colon is for the log only.
            raise FileInvalid(str(error).partition(":")[0]) from error
        try:
            self._look(
                processed.type,
                processed.data,
                Thumbnail(processed.thumbnail, THUMBNAIL_CONTENT_TYPE) if processed.thumbnail else None,
            )
        except OutputWithheld as withheld:
            raise FileRefused(withheld.category, CATEGORY_NAMES[withheld.category]) from withheld

        # The thumbnail is stored first, so that a reader who finds the file also finds its thumbnail.
        if processed.thumbnail:
            self._store.put(thumbnail_key(workspace_id, processed.sha256), processed.thumbnail, THUMBNAIL_CONTENT_TYPE)
        self._store.put(
            media_key(workspace_id, processed.sha256, processed.format), processed.data, processed.content_type
        )

        return StoredFile(
            processed.type,
            processed.format,
            processed.sha256,
            len(processed.data),
            processed.width,
            processed.height,
            processed.duration_ms,
            has_thumbnail=bool(processed.thumbnail),
            notes=processed.notes,
        )
