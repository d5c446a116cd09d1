"""What becomes of a provider's bytes: a file that is fit to be kept, and what is known of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from atelier.media.keys import CONTENT_TYPES


class MediaInvalid(Exception):
    """The bytes are nothing that we take; the text says why, for the log."""


class MediaLimitExceeded(MediaInvalid):
    """A good file, as far as anybody can say, beyond a limit of ours. The text names the limit and the file's own
    figure, as a sentence for whoever brought it."""


class MediaToolMissing(Exception):
    """This installation lacks what it takes to look into such a file: nobody can say yet whether it is good."""


@dataclass(frozen=True, slots=True)
class Processed:
    """What is stored. type: image, video, audio, text or page; format: a key of CONTENT_TYPES; thumbnail: WebP; notes:
    sentences for the owner on what was left out or changed."""

    type: str
    format: str
    data: bytes
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    thumbnail: bytes | None = None
    notes: tuple[str, ...] = ()
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", hashlib.sha256(self.data).hexdigest())

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[self.format]
