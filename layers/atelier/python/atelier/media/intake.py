"""From bytes that somebody brought to a file of the library: looked into and cleaned as all others, never marked."""

from __future__ import annotations

from atelier.library.ports import FileInvalid, FileLimitExceeded, FileRefused, Kept
from atelier.media.delivery import Look, ObjectStore
from atelier.media.keys import THUMBNAIL_CONTENT_TYPE, media_key, thumbnail_key
from atelier.media.process import process
from atelier.media.processed import MediaInvalid, MediaLimitExceeded
from atelier.moderation.model import WORDS, OutputWithheld, Picture

# The gateway waits for 30 s.
SECONDS_MAX = 22


class MediaIntake:
    """The library's Intake over an object store."""

    def __init__(self, store: ObjectStore, *, look: Look = lambda type, data, thumbnail: None) -> None:
        self._store = store
        self._look = look

    def keep(self, workspace_id: str, file_type: str, data: bytes) -> Kept:
        try:
            made = process(file_type, data, watermark=False, seconds_max=SECONDS_MAX)
        except MediaLimitExceeded as error:
            raise FileLimitExceeded(str(error)) from error
        except MediaInvalid as error:
            # What follows a colon is for the log.
            raise FileInvalid(str(error).partition(":")[0]) from error
        try:
            self._look(
                made.type, made.data, Picture(made.thumbnail, THUMBNAIL_CONTENT_TYPE) if made.thumbnail else None
            )
        except OutputWithheld as withheld:
            raise FileRefused(withheld.category, WORDS[withheld.category]) from withheld
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
