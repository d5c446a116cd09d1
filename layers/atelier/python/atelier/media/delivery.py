"""From a provider's output to what the creator sees: fetched through the guarded fetcher, checked, cleaned, kept."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Protocol

from atelier.errors import NotFound
from atelier.generations.model import Delivered, Generation, Kind, Source, asset_id
from atelier.generations.ports import StoredOutput, UndeliverableMedia
from atelier.media.fetch import Fetcher, FetchError, FetchFailed
from atelier.media.keys import CONTENT_TYPES, media_key, staging_key, thumbnail_key
from atelier.providers._contract import Input

OUTPUT_BYTES_MAX = 50 * 1024 * 1024
# Four pictures fit a function's time even if each needs its second try.
FETCH_SECONDS_MAX = 12.0
FETCHES_MAX = 2
PAUSE_SECONDS = 0.5


class ObjectStore(Protocol):
    """Bytes by key."""

    def put(self, key: str, data: bytes, content_type: str) -> None: ...

    def get(self, key: str, bytes_max: int) -> bytes: ...


class Delivery:
    """The generations' Media port over an object store."""

    def __init__(self, store: ObjectStore, fetcher: Fetcher, pause: Callable[[float], None] = time.sleep) -> None:
        self._store = store
        self._fetcher = fetcher
        self._pause = pause

    def stage(self, generation_id: str, attempt_id: str, number: int, data: bytes) -> str:
        key = staging_key(generation_id, attempt_id, number)
        self._store.put(key, data, "application/octet-stream")
        return key

    def deliver(self, generation: Generation, number: int, output: StoredOutput, hosts: tuple[str, ...]) -> Delivered:
        if generation.recipe.kind in (Kind.TEXT, Kind.PAGE):
            return self._text(generation, number, self._bytes(output, hosts))
        if generation.recipe.kind not in (Kind.IMAGE, Kind.UPSCALE):
            raise UndeliverableMedia("This kind cannot be delivered yet.")
        # Only the end of a generation decodes: an attempt, a poll and a webhook start without Pillow.
        from atelier.media.picture import PictureInvalid, process

        try:
            picture = process(self._bytes(output, hosts), watermark=generation.watermark)
        except (FetchError, NotFound) as error:
            raise UndeliverableMedia("The provider's result could not be fetched.") from error
        except PictureInvalid as error:
            raise UndeliverableMedia("The provider's result is not a picture that can be used.") from error
        workspace_id = generation.workspace_id
        # Thumbnail first: whoever sees the picture's key finds its thumbnail.
        self._store.put(thumbnail_key(workspace_id, picture.sha256), picture.thumbnail, picture.thumbnail_content_type)
        self._store.put(media_key(workspace_id, picture.sha256, picture.format), picture.data, picture.content_type)
        return Delivered(
            asset_id(generation.id, number),
            "image",
            picture.sha256,
            picture.format,
            len(picture.data),
            picture.width,
            picture.height,
            has_thumbnail=True,
        )

    def input(self, workspace_id: str, source: Source) -> Input:
        data = self._store.get(media_key(workspace_id, source.sha256, source.format), OUTPUT_BYTES_MAX)
        return Input(data, CONTENT_TYPES[source.format])

    def _text(self, generation: Generation, number: int, data: bytes) -> Delivered:
        try:
            written = data.decode().encode()
        except UnicodeDecodeError as error:
            raise UndeliverableMedia("The provider's result is not a text that can be used.") from error
        sha256 = hashlib.sha256(written).hexdigest()
        type_, form = ("page", "html") if generation.recipe.kind is Kind.PAGE else ("text", "txt")
        self._store.put(media_key(generation.workspace_id, sha256, form), written, "text/plain; charset=utf-8")
        return Delivered(asset_id(generation.id, number), type_, sha256, form, len(written))

    def _bytes(self, output: StoredOutput, hosts: tuple[str, ...]) -> bytes:
        if output.key is not None:
            return self._store.get(output.key, OUTPUT_BYTES_MAX)
        if output.url is None:
            raise UndeliverableMedia("The provider delivered nothing.")
        return self._fetched(output.url, hosts)

    def _fetched(self, url: str, hosts: tuple[str, ...]) -> bytes:
        for fetches in range(1, FETCHES_MAX + 1):
            try:
                return self._fetcher.fetch(url, hosts=hosts, bytes_max=OUTPUT_BYTES_MAX, seconds_max=FETCH_SECONDS_MAX)
            except FetchFailed:
                # What was paid for is worth a second look; what was refused or is gone stays so.
                if fetches == FETCHES_MAX:
                    raise
            self._pause(PAUSE_SECONDS)
        raise AssertionError("the last try returns or raises")
