"""A sample of a backup's media files: which ones, and whether each is what the inventory says, and opens."""

from __future__ import annotations

import hashlib
import heapq
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from atelier.backups.drill_ports import MediaMissing
from atelier.backups.verify import MALFORMED, split_lines

SAMPLE_MAX = 50
# What a file of each extension begins with, as (offset, bytes); several = one of them. The bytes of a stored file were
# decoded when it was stored, and its SHA-256 says that they are the same.
_BEGINNINGS: Mapping[str, tuple[tuple[int, bytes], ...]] = {
    "png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "jpg": ((0, b"\xff\xd8\xff"),),
    "webp": ((8, b"WEBP"),),
    "mp4": ((4, b"ftyp"),),
    "m4a": ((4, b"ftyp"),),
    "webm": ((0, b"\x1a\x45\xdf\xa3"),),
    "mp3": ((0, b"ID3"), (0, b"\xff\xfb"), (0, b"\xff\xf3"), (0, b"\xff\xf2"), (0, b"\xff\xfa")),
    "wav": ((8, b"WAVE"),),
    "flac": ((0, b"fLaC"),),
    "ogg": ((0, b"OggS"),),
    "aac": ((0, b"\xff\xf1"), (0, b"\xff\xf9")),
}
_TEXTS = ("txt", "html")
_HEAD_BYTES = 16

# A line of the inventory: key, version, bytes, etag, sha256 (or null).
MediaEntry = Mapping[str, Any]


def choose_sample(files: Iterable[Iterator[bytes]], seed: str, count: int = SAMPLE_MAX) -> list[MediaEntry]:
    """Entries of the inventory's files, the same for the same seed. Lines that cannot be read are left out: their file
    is named by its own check."""

    def lines() -> Iterator[tuple[str, str]]:
        for chunks in files:
            try:
                for line in split_lines(chunks):
                    yield hashlib.sha256(seed.encode() + line).hexdigest(), line.decode()
            except (zlib.error, UnicodeDecodeError):
                continue

    found = list[MediaEntry]()
    for _, line in heapq.nsmallest(count, lines()):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def check_media(entry: MediaEntry, chunks: Iterator[bytes]) -> str | None:
    """What is wrong with one file; None if nothing is."""
    try:
        key, expected = str(entry["key"]), (int(entry["bytes"]), entry["sha256"])
    except MALFORMED as error:
        return f"the inventory: a line is malformed ({error!r})"
    digest, size, head, is_text = hashlib.sha256(), 0, b"", True
    decoder = _Utf8()
    try:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            head = (head + chunk)[:_HEAD_BYTES]
            is_text = is_text and decoder.accepts(chunk)
    except MediaMissing:
        return f"{key}: the version {entry.get('version')} is not in the media bucket"
    if size != expected[0]:
        return f"{key}: it has {size} bytes, and the inventory says {expected[0]}"
    if expected[1] and digest.hexdigest() != expected[1]:
        return f"{key}: its bytes are not those that its name says (SHA-256)"
    extension = key.rpartition(".")[2]
    if extension in _TEXTS:
        return None if is_text and decoder.is_whole else f"{key}: it is no text"
    beginnings = _BEGINNINGS.get(extension)
    if beginnings and not any(head[at : at + len(word)] == word for at, word in beginnings):
        return f"{key}: it does not open as {extension}"
    return None


def owner_of(entry: MediaEntry) -> str:
    """The workspace of a file, "" if its key names none: `media/<workspace>/<file>`."""
    parts = str(entry.get("key")).split("/")
    return parts[1] if len(parts) == 3 else ""


class _Utf8:
    """Whether chunks are UTF-8 together."""

    def __init__(self) -> None:
        import codecs

        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def accepts(self, chunk: bytes) -> bool:
        try:
            self._decoder.decode(chunk)
        except UnicodeDecodeError:
            return False
        return True

    @property
    def is_whole(self) -> bool:
        """Whether no character is cut off at the end."""
        return not self._decoder.getstate()[0]
