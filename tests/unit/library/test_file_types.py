"""Content types as devices, browsers and programs declare them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from atelier.library.file_types import UnsupportedFileType, kind_of
from atelier.library.upload_schemas import UploadRequest


@pytest.mark.parametrize(
    ("kind", "declared"),
    [
        ("image", ["image/png", "image/jpeg", "image/jpg", "image/pjpeg", "IMAGE/JPEG", "image/x-png", "image/webp"]),
        ("video", ["video/mp4", "video/quicktime", "video/webm;codecs=vp8", 'video/webm; codecs="vp9,opus"']),
        ("video", ["video/3gpp", "video/x-matroska", "Video/MP4", "video/x-m4v", "video/mp2t", "video/avi"]),
        ("audio", ["audio/mpeg", "audio/mp3", "audio/mp4", "audio/x-m4a", "audio/m4a", "audio/webm", "audio/amr"]),
        ("audio", ["audio/webm;codecs=opus", "audio/ogg; codecs=opus", "audio/wave", "audio/x-wav", "audio/vnd.wave"]),
        ("audio", ["audio/aac", "audio/flac", "audio/x-flac", "audio/opus", "audio/3gpp", "audio/x-caf", "audio/aiff"]),
    ],
)
def test_content_types_declared_by_devices_are_accepted(kind: str, declared: list[str]) -> None:
    for content_type in declared:
        assert kind_of(content_type) == kind
        assert UploadRequest(name="x", content_type=content_type, size=1).content_type == content_type


def test_a_generic_content_type_is_resolved_by_the_file_extension() -> None:
    for name, kind in (("memo.M4A", "audio"), ("a.b.mov", "video"), ("x.JPG", "image"), ("x.ogg", "audio")):
        assert kind_of("application/octet-stream", name) == kind
    for name in ("x", "x.exe", "png", ""):
        with pytest.raises(UnsupportedFileType, match="say which this is"):
            kind_of("application/octet-stream", name)


@pytest.mark.parametrize("declared", ["image/heic", "image/HEIF", "image/avif", "image/svg+xml", "image/gif"])
def test_an_unsupported_image_type_is_refused_with_an_alternative(declared: str) -> None:
    with pytest.raises(ValidationError) as refused:
        UploadRequest(name="x", content_type=declared, size=1)
    (error,) = refused.value.errors()
    assert error["loc"] == ("content_type",)
    assert declared.partition("/")[2].upper() in error["msg"]
    assert "JPEG" in error["msg"]
    with pytest.raises(UnsupportedFileType, match="HEIC"):
        kind_of("application/octet-stream", "IMG_0001.HEIC")


@pytest.mark.parametrize("declared", ["text/html", "application/pdf", "image/", "video", ";audio/mp4", "   "])
def test_a_type_that_is_not_image_video_or_audio_is_refused(declared: str) -> None:
    with pytest.raises(UnsupportedFileType):
        kind_of(declared)
