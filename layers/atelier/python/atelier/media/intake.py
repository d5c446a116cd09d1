"""From bytes that somebody brought to a file of the library: looked into and cleaned as all others, never marked."""

from __future__ import annotations

from atelier.library.ports import FileInvalid, FileLimitExceeded, Kept
from atelier.media.delivery import ObjectStore
from atelier.media.keys import THUMBNAIL_CONTENT_TYPE, media_key, thumbnail_key
from atelier.media.process import process
from atelier.media.processed import MediaInvalid, MediaLimitExceeded

# The gateway waits for 30 s.
SECONDS_MAX = 22


class MediaIntake:
    """The library's Intake over an object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def keep(self, workspace_id: str, file_type: str, data: bytes) -> Kept:
        try:
            made = process(file_type, data, watermark=False, seconds_max=SECONDS_MAX)
        except MediaLimitExceeded as error:
            raise FileLimitExceeded(str(error)) from error
        except MediaInvalid as error:
            # What follows a colon is for the log.
            raise FileInvalid(str(error).partition(":")[0]) from error
        # Thumbnail first: whoever sees the file's key finds its thumbnail.
        if made.thumbnail:
            self._store.put(thumbnail_key(workspace_id, made.sha256), made.thumbnail, THUMBNAIL_CONTENT_TYPE)
        self._store.put(media_key(workspace_id, made.sha256, made.format), made.data, made.content_type)
        return Kept(
            made.type,
            made.format,
            made.sha256,
            len(made.data),
            made.width,
            made.height,
            made.duration_ms,
            has_thumbnail=bool(made.thumbnail),
            notes=made.notes,
        )
