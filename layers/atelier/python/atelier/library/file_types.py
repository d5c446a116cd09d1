"""Which kind of file a declared content type stands for, as devices, browsers and programs declare them.

The declaration only says who looks into the file; what it is, its bytes decide. So every sound and every film may come
under whatever name its maker has for it; of pictures, only those are taken that can be read.
"""

from __future__ import annotations

PICTURES = frozenset(["png", "x-png", "jpeg", "jpg", "pjpeg", "jfif", "webp"])
# Says nothing of the kind, or may be either: the name's ending decides.
GENERIC = frozenset(["application/octet-stream", "binary/octet-stream", "application/ogg", "application/mp4"])
ENDINGS = {
    **dict.fromkeys(["png", "jpg", "jpeg", "jfif", "webp", "heic", "heif", "avif", "gif"], "image"),
    **dict.fromkeys(["mp4", "m4v", "mov", "qt", "webm", "mkv", "3gp", "3g2", "avi", "ts", "mts", "m2ts"], "video"),
    **dict.fromkeys(["mp3", "m4a", "m4b", "wav", "flac", "ogg", "oga", "opus", "aac", "amr", "aif", "aiff"], "audio"),
    **dict.fromkeys(["caf", "weba"], "audio"),
}
PICTURE_ENDINGS = {"heic": "heic", "heif": "heif", "avif": "avif", "gif": "gif"}


class TypeRefused(ValueError):
    """No file of this type is taken; the text says which are, for whoever brings one."""


def kind_of(content_type: str, name: str = "") -> str:
    """image, video or audio. Raises TypeRefused."""
    declared = content_type.partition(";")[0].strip().lower()
    main, _, sub = declared.partition("/")
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if declared in GENERIC:
        main, sub = ENDINGS.get(ending, ""), PICTURE_ENDINGS.get(ending, "png")
    if main in ("video", "audio") and sub:
        return main
    if main == "image" and sub in PICTURES:
        return main
    if main == "image" and sub:
        raise TypeRefused(f"Pictures as {sub.upper()} are not taken: send this one as JPEG, PNG or WebP.")
    raise TypeRefused("Pictures (JPEG, PNG, WebP), films and sounds are taken: say which this is, as in video/mp4.")
