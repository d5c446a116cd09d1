"""The result of processing a media file (a file that may be stored, with its properties), and the possible errors."""

from __future__ import annotations

import hashlib

from atelier.adapters.media.keys import CONTENT_TYPES
from atelier.dataclass import dataclass


class MediaInvalid(Exception):
    """The bytes are no valid file of an accepted format; the text says why and is for the log."""


class MediaLimitExceeded(MediaInvalid):
    """The file seems valid but exceeds one of our limits. The text is a sentence for the file's owner that names the
    limit and the file's own figure."""


class MediaToolMissing(Exception):
    """A library for this type of file is not installed here, so it is unknown whether the file is valid."""


@dataclass(frozen=True, slots=True)
class Processed:
    """A file that may be stored. type: image, video, audio, text or page; format: a key of CONTENT_TYPES; thumbnail: a
    WebP file; notes: sentences for the owner about what was left out or changed; sha256: computed from the data."""

    type: str
    format: str
    data: bytes
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    thumbnail: bytes | None = None
    notes: tuple[str, ...] = ()
    sha256: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", hashlib.sha256(self.data).hexdigest())

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[self.format]
