"""Where bytes are in the media bucket. A key is also the public path: `media/…` is served as `/media/…`."""

from __future__ import annotations

EXTENSIONS = {"png": "png", "jpeg": "jpg", "webp": "webp", "txt": "txt", "html": "html"}
CONTENT_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


def staging_key(generation_id: str, attempt_id: str, number: int) -> str:
    """Raw bytes of a provider, as they came; the bucket forgets them after a day."""
    return f"staging/{generation_id}/{attempt_id}/{number}"


def media_key(workspace_id: str, sha256: str, format: str) -> str:
    """A delivered picture, by its content: equal bytes of a workspace are stored once."""
    return f"media/{workspace_id}/{sha256}.{EXTENSIONS[format]}"


def thumbnail_key(workspace_id: str, sha256: str) -> str:
    """The thumbnail of the picture with this hash."""
    return f"media/{workspace_id}/{sha256}.thumb.webp"
