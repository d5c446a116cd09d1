"""Delivery: a provider's output is fetched through the guarded fetcher, checked, cleaned and stored for the creator."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from atelier.adapters.media.fetch import Fetcher, FetchError, FetchFailed
from atelier.adapters.media.keys import CONTENT_TYPES, THUMBNAIL_CONTENT_TYPE, media_key, staging_key, thumbnail_key
from atelier.adapters.media.process import BYTES_MAX, process
from atelier.adapters.media.processed import MediaInvalid, MediaLimitExceeded
from atelier.errors import NotFound
from atelier.generations.model import DeliveredFile, Generation, InputAsset, Kind, asset_id
from atelier.generations.ports import InputUnusable, InvalidMedia, OutputLocation, UndeliverableMedia
from atelier.moderation.model import Thumbnail
from atelier.provider_port import Input

OUTPUT_TYPES = {
    Kind.TEXT: "text",
    Kind.IMAGE: "image",
    Kind.VIDEO: "video",
    Kind.AUDIO: "audio",
    Kind.AVATAR: "video",
    Kind.PAGE: "page",
    Kind.UPSCALE: "image",
}
# Larger than any input that a provider accepts.
INPUT_BYTES_MAX = 100 * 1024 * 1024
# Fetching four images, or one video that is encoded afterwards, fits the Lambda function's time-out even if each file
# is fetched twice.
FETCH_SECONDS_MAX, FETCH_VIDEO_SECONDS_MAX = 12.0, 30.0
FETCHES_MAX = 2
PAUSE_SECONDS = 0.5


class ObjectStore(Protocol):
    """Bytes by key."""

    def put(self, key: str, data: bytes, content_type: str) -> None: ...

    def get(self, key: str, bytes_max: int) -> bytes: ...

    def get_deleted(self, key: str, bytes_max: int) -> bytes: ...


class OutputInspector(Protocol):
    """Checks the content of a processed file before it is stored; `thumbnail` is its image, or None. Raises
    OutputWithheld when the file may not be delivered."""

    def __call__(self, type: str, data: bytes, thumbnail: Thumbnail | None) -> None: ...


class Delivery:
    """Implements the generations' port `Media` with an object store."""

    def __init__(
        self,
        store: ObjectStore,
        fetcher: Fetcher,
        pause: Callable[[float], None] = time.sleep,
        *,
        inspect_output: OutputInspector = lambda type, data, thumbnail: None,
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._pause = pause
        self._look = inspect_output

    def stage(self, generation_id: str, attempt_id: str, number: int, data: bytes) -> str:
        key = staging_key(generation_id, attempt_id, number)
        self._store.put(key, data, "application/octet-stream")
        return key

    def deliver(
        self, generation: Generation, number: int, output: OutputLocation, hosts: tuple[str, ...]
    ) -> DeliveredFile:
        expected = _output_type(generation)
        data = self._read_output(output, hosts, expected)
        try:
            processed = process(expected, data, watermark=generation.watermark)
        except MediaLimitExceeded as error:
            raise UndeliverableMedia(f"The provider's result exceeds a limit here. {error}") from error
        except MediaInvalid as error:
            raise InvalidMedia(f"The provider's result is no {expected} that can be used.") from error
        self._look(
            "page" if expected == "answer" else processed.type,
            processed.data,
            Thumbnail(processed.thumbnail, THUMBNAIL_CONTENT_TYPE) if processed.thumbnail else None,
        )
        workspace_id = generation.workspace_id

        # The thumbnail is stored first, so that a reader who finds the file also finds its thumbnail.
        if processed.thumbnail:
            self._store.put(thumbnail_key(workspace_id, processed.sha256), processed.thumbnail, THUMBNAIL_CONTENT_TYPE)
        self._store.put(
            media_key(workspace_id, processed.sha256, processed.format), processed.data, processed.content_type
        )

        return DeliveredFile(
            asset_id(generation.id, number),
            processed.type,
            processed.sha256,
            processed.format,
            len(processed.data),
            processed.width,
            processed.height,
            processed.duration_ms,
            has_thumbnail=processed.thumbnail is not None,
            notes=processed.notes,
        )

    def read_input(self, workspace_id: str, source: InputAsset) -> Input:
        key = media_key(workspace_id, source.sha256, source.format)
        try:
            try:
                data = self._store.get(key, INPUT_BYTES_MAX)
            except NotFound:
                # The generation was accepted before its input was deleted, so it still gets the file.
                data = self._store.get_deleted(key, INPUT_BYTES_MAX)
        except ValueError as error:
            # No provider accepts a file of this size, so it is treated as missing.
            raise NotFound from error
        return Input(data, CONTENT_TYPES[source.format])

    def prepare_mask(self, mask: Input, image: Input) -> Input:
        from atelier.adapters.media.mask import MaskUnusable, fit_mask

        try:
            return Input(fit_mask(mask.data, image.data), CONTENT_TYPES["png"])
        except MaskUnusable as error:
            raise InputUnusable(str(error)) from error

    def _read_output(self, output: OutputLocation, hosts: tuple[str, ...], expected: str) -> bytes:
        if output.data is not None:
            if len(output.data) > BYTES_MAX[expected]:
                raise UndeliverableMedia("The provider's result is too large.")
            return output.data
        try:
            if output.key is not None:
                return self._store.get(output.key, BYTES_MAX[expected])
            if output.url is not None:
                return self._fetch(output.url, hosts, expected)
        except (FetchError, NotFound) as error:
            raise UndeliverableMedia("The provider's result could not be fetched.") from error
        except ValueError as error:
            raise UndeliverableMedia("The provider's result is too large.") from error
        raise UndeliverableMedia("The provider delivered nothing.")

    def _fetch(self, url: str, hosts: tuple[str, ...], expected: str) -> bytes:
        bytes_max = BYTES_MAX[expected]
        seconds_max = FETCH_VIDEO_SECONDS_MAX if expected == "video" else FETCH_SECONDS_MAX
        for fetches in range(1, FETCHES_MAX + 1):
            try:
                return self._fetcher.fetch(url, hosts=hosts, bytes_max=bytes_max, seconds_max=seconds_max)
            except FetchFailed:
                # A failed fetch is retried, because the result has been paid for; refused or missing files are not.
                if fetches == FETCHES_MAX:
                    raise
            self._pause(PAUSE_SECONDS)
        raise AssertionError("the last try returns or raises")


def _output_type(generation: Generation) -> str:
    """What a generation's output is processed as. A page for a site is kept as the model wrote it: its blocks are read
    when they are saved, and no reader is shown this file as a page."""
    is_for_site = generation.recipe.kind is Kind.PAGE and generation.purpose is not None
    return "answer" if is_for_site else OUTPUT_TYPES[generation.recipe.kind]
