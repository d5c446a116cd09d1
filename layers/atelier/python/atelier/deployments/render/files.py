"""What rendering takes from the library, and the files that it makes."""

from __future__ import annotations

import hashlib

from atelier.dataclass import dataclass

# Where files are that are named by their content, and so never change.
HASHED_FOLDER = "/_assets/"
EXTENSIONS = {
    "image/webp": "webp",
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/svg+xml": "svg",
    "image/avif": "avif",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "text/css; charset=utf-8": "css",
    "text/javascript; charset=utf-8": "js",
}


@dataclass(frozen=True, slots=True)
class FileDigest:
    """What identifies a file's bytes. sha256: hex, our own name for it. sha1, git: hex, as hosts name it."""

    sha256: str
    sha1: str
    git: str
    size: int


def digest(body: bytes) -> FileDigest:
    """The digests of some bytes. SHA-1 is what the hosts' protocols ask for; nothing of ours trusts it."""
    sha1 = hashlib.sha1(body, usedforsecurity=False).hexdigest()
    git = hashlib.sha1(b"blob %d\0" % len(body) + body, usedforsecurity=False).hexdigest()
    return FileDigest(hashlib.sha256(body).hexdigest(), sha1, git, len(body))


@dataclass(frozen=True, slots=True)
class ImageVariant:
    """One size of an image, in pixels, whose bytes are stored already."""

    width: int
    height: int
    digest: FileDigest
    content_type: str

    @property
    def path(self) -> str:
        """The path of its file."""
        return hashed_path(self.digest.sha256, self.content_type)


@dataclass(frozen=True, slots=True)
class SiteAsset:
    """A file of the library that pages show. variants: the smallest first, the last one is the file as it is; width and
    height of what is no image are 0."""

    asset_id: str
    variants: tuple[ImageVariant, ...]

    @property
    def whole(self) -> ImageVariant:
        """The file as it is."""
        return self.variants[-1]


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A file of the site. path: begins with `/`. body: its bytes; None for a stored file, which `stored` names."""

    path: str
    content_type: str
    body: bytes | None
    stored: FileDigest | None = None


def hashed_path(sha256: str, content_type: str) -> str:
    """The path of a file that is named by its content."""
    return f"{HASHED_FOLDER}{sha256[:32]}.{EXTENSIONS.get(content_type, 'bin')}"


def hashed_file(text: str, content_type: str) -> RenderedFile:
    """A text as a file that is named by its content."""
    body = text.encode()
    return RenderedFile(hashed_path(hashlib.sha256(body).hexdigest(), content_type), content_type, body)
