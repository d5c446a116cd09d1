"""Object keys in the media bucket. A key is also the public path: `media/…` is served as `/media/…`."""

from __future__ import annotations

CONTENT_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    # The charset here overrides the one that a page declares. The edge serves pages in a sandbox.
    "txt": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
}
EXTENSIONS = {format: format for format in CONTENT_TYPES} | {"jpeg": "jpg"}
THUMBNAIL_CONTENT_TYPE = "image/webp"


def staging_key(generation_id: str, attempt_id: str, number: int) -> str:
    """A provider's unprocessed bytes; the bucket deletes them after a day."""
    return f"staging/{generation_id}/{attempt_id}/{number}"


def upload_key(workspace_id: str, asset_id: str) -> str:
    """A user's unprocessed upload; the bucket deletes it after a day."""
    return f"uploads/{workspace_id}/{asset_id}"


def media_key(workspace_id: str, sha256: str, format: str) -> str:
    """A delivered file, keyed by its content: equal files of a workspace are stored once."""
    return f"media/{workspace_id}/{sha256}.{EXTENSIONS[format]}"


def thumbnail_key(workspace_id: str, sha256: str) -> str:
    """The thumbnail of the file with this hash."""
    return f"media/{workspace_id}/{sha256}.thumb.webp"
