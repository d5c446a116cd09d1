"""The kind of file (image, video or audio) that a declared content type stands for.

The declaration only selects the decoder; the file's bytes decide what it is. So audio and video are accepted under any
content type that a device, browser or program declares; images only in the formats that can be decoded.
"""

from __future__ import annotations

IMAGE_SUBTYPES = frozenset(["png", "x-png", "jpeg", "jpg", "pjpeg", "jfif", "webp"])
# These types do not tell the kind, or may be audio or video: the ending of the file's name decides.
GENERIC_TYPES = frozenset(["application/octet-stream", "binary/octet-stream", "application/ogg", "application/mp4"])
KIND_BY_ENDING = {
    **dict.fromkeys(["png", "jpg", "jpeg", "jfif", "webp", "heic", "heif", "avif", "gif"], "image"),
    **dict.fromkeys(["mp4", "m4v", "mov", "qt", "webm", "mkv", "3gp", "3g2", "avi", "ts", "mts", "m2ts"], "video"),
    **dict.fromkeys(["mp3", "m4a", "m4b", "wav", "flac", "ogg", "oga", "opus", "aac", "amr", "aif", "aiff"], "audio"),
    **dict.fromkeys(["caf", "weba"], "audio"),
}
IMAGE_SUBTYPE_BY_ENDING = {"heic": "heic", "heif": "heif", "avif": "avif", "gif": "gif"}


class UnsupportedFileType(ValueError):
    """Files of this type are not accepted. The text, for the uploader, says which are."""


def kind_of(content_type: str, name: str = "") -> str:
    """The kind of a file: image, video or audio. `name`: the file's name, whose ending counts for generic types. Raises
    TypeRefused."""
    declared = content_type.partition(";")[0].strip().lower()
    main, _, sub = declared.partition("/")
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if declared in GENERIC_TYPES:
        main, sub = KIND_BY_ENDING.get(ending, ""), IMAGE_SUBTYPE_BY_ENDING.get(ending, "png")
    if main in ("video", "audio") and sub:
        return main
    if main == "image" and sub in IMAGE_SUBTYPES:
        return main
    if main == "image" and sub:
        raise UnsupportedFileType(f"Images as {sub.upper()} are not taken: send this one as JPEG, PNG or WebP.")
    raise UnsupportedFileType(
        "Images (JPEG, PNG, WebP), videos and audio are accepted: say which this is, as in video/mp4."
    )
