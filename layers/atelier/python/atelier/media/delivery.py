"""From a provider's output to what the creator sees: fetched through the guarded fetcher, checked, cleaned, kept."""

from __future__ import annotations

from typing import Protocol

from atelier.generations.model import Generation, Picture, asset_id
from atelier.generations.ports import StoredOutput, UndeliverableMedia
from atelier.media.fetch import Fetcher, FetchError
from atelier.media.keys import media_key, staging_key, thumbnail_key

OUTPUT_BYTES_MAX = 50 * 1024 * 1024


class ObjectStore(Protocol):
    """Bytes by key."""

    def put(self, key: str, data: bytes, content_type: str) -> None: ...

    def get(self, key: str, bytes_max: int) -> bytes: ...


class Delivery:
    """The generations' Media port over an object store."""

    def __init__(self, store: ObjectStore, fetcher: Fetcher) -> None:
        self._store = store
        self._fetcher = fetcher

    def stage(self, generation_id: str, attempt_id: str, number: int, data: bytes) -> str:
        key = staging_key(generation_id, attempt_id, number)
        self._store.put(key, data, "application/octet-stream")
        return key

    def deliver(self, generation: Generation, number: int, output: StoredOutput, hosts: tuple[str, ...]) -> Picture:
        # Only the end of a generation decodes: an attempt, a poll and a webhook start without Pillow.
        from atelier.media.picture import PictureInvalid, process

        try:
            picture = process(self._bytes(output, hosts), watermark=generation.watermark)
        except FetchError as error:
            raise UndeliverableMedia("The provider's result could not be fetched.") from error
        except PictureInvalid as error:
            raise UndeliverableMedia("The provider's result is not a picture that can be used.") from error
        workspace_id = generation.workspace_id
        # Thumbnail first: whoever sees the picture's key finds its thumbnail.
        self._store.put(thumbnail_key(workspace_id, picture.sha256), picture.thumbnail, picture.thumbnail_content_type)
        self._store.put(media_key(workspace_id, picture.sha256, picture.format), picture.data, picture.content_type)
        return Picture(
            asset_id(generation.id, number),
            picture.sha256,
            picture.format,
            picture.width,
            picture.height,
            len(picture.data),
        )

    def _bytes(self, output: StoredOutput, hosts: tuple[str, ...]) -> bytes:
        if output.key is not None:
            return self._store.get(output.key, OUTPUT_BYTES_MAX)
        if output.url is None:
            raise UndeliverableMedia("The provider delivered nothing.")
        return self._fetcher.fetch(output.url, hosts=hosts, bytes_max=OUTPUT_BYTES_MAX)
