"""What becomes of a provider's bytes: recognised, bounded, cleaned, marked, and nothing but pixels carried over."""

from __future__ import annotations

import hashlib
import io
import random
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngInfo

from atelier.media import png
from atelier.media.picture import FRAMES_MAX, PIXELS_MAX, PictureInvalid, process

SECRET = "canary 51.4778 N"


def gradient(width: int = 320, height: int = 200, mode: str = "RGB") -> Image.Image:
    bands = [Image.linear_gradient("L").rotate(turn).resize((width, height)) for turn in (0, 90, 180, 270)[: len(mode)]]
    return Image.merge(mode, bands)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def described() -> dict[str, Any]:
    """Metadata of every sort that a file can hold, with a canary in each."""
    exif = Image.Exif()
    exif[0x010E] = SECRET
    exif.get_ifd(0x8825)[0x001D] = SECRET
    text = PngInfo()
    text.add_text("prompt", SECRET)
    text.add_text("parameters", SECRET * 50, zip=True)
    text.add_itxt("XML:com.adobe.xmp", f"<x>{SECRET}</x>")
    return {
        "PNG": {"exif": exif, "pnginfo": text, "icc_profile": SECRET.encode()},
        "JPEG": {"exif": exif, "comment": SECRET.encode(), "icc_profile": SECRET.encode(), "xmp": SECRET.encode()},
        "WEBP": {"exif": exif.tobytes(), "icc_profile": SECRET.encode(), "xmp": SECRET.encode()},
    }


# ---- formats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_keeps_its_format_and_size_and_says_what_it_is(kind: str) -> None:
    made = process(saved(gradient(), kind), watermark=True)
    again = opened(made.data)
    assert (again.format, again.size) == (kind, (320, 200))
    assert (made.format, made.width, made.height) == (kind.lower(), 320, 200)
    assert made.content_type == f"image/{kind.lower()}"
    assert made.sha256 == hashlib.sha256(made.data).hexdigest()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_png_without_a_mark_is_delivered_pixel_for_pixel(mode: str) -> None:
    original = gradient(mode=mode)
    assert opened(process(saved(original, "PNG"), watermark=False).data).tobytes() == original.tobytes()


def test_the_same_bytes_give_the_same_hash() -> None:
    data = saved(gradient(), "PNG")
    assert process(data, watermark=True) == process(data, watermark=True)


def test_other_modes_become_plain_ones() -> None:
    cases = {
        "P": gradient().convert("P"),
        "1": gradient().convert("1"),
        "LA": gradient(mode="RGBA").convert("LA"),
        "I;16": Image.linear_gradient("L").convert("I").point(lambda value: value * 257).convert("I;16"),
    }
    expected = {"P": "RGB", "1": "RGB", "LA": "RGBA", "I;16": "L"}
    for mode, picture in cases.items():
        assert opened(process(saved(picture, "PNG"), watermark=True).data).mode == expected[mode], mode


def test_sixteen_bits_keep_their_upper_eight() -> None:
    deep = Image.linear_gradient("L").convert("I").point(lambda value: value * 257).convert("I;16")
    made = opened(process(saved(deep, "PNG"), watermark=False).data)
    assert made.getextrema() == (0, 255)


def test_a_palette_with_a_transparent_colour_stays_transparent() -> None:
    palette = gradient().convert("P")
    made = opened(process(saved(palette, "PNG", transparency=palette.getpixel((0, 0))), watermark=False).data)
    assert made.mode == "RGBA"
    assert made.getpixel((0, 0))[3] == 0


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    made = opened(process(saved(gradient().convert("CMYK"), "JPEG"), watermark=False).data)
    assert (made.mode, made.format) == ("RGB", "JPEG")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_that_lies_on_its_side_is_put_upright(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    made = process(saved(gradient(320, 200), kind, exif=exif), watermark=False)
    assert (made.width, made.height) == (200, 320)
    assert opened(made.data).size == (200, 320)


# ---- cleaning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("watermark", [True, False])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_nothing_but_pixels_is_carried_over(kind: str, watermark: bool) -> None:
    data = saved(gradient(), kind, **described()[kind]) + b"after the end: " + SECRET.encode()
    assert SECRET.encode() in data
    made = process(data, watermark=watermark)
    for file in (made.data, made.thumbnail):
        assert b"canary" not in file
        assert b"after the end" not in file
        assert not {"icc_profile", "comment", "prompt", "parameters", "xmp", "exif"} & set(opened(file).info)
        assert not opened(file).getexif()


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"<!doctype html><html></html>",
        b"%PDF-1.7",
        saved(gradient(), "GIF"),
        saved(gradient(), "BMP"),
        saved(gradient(), "TIFF"),
        saved(gradient(), "ICO"),
        saved(gradient(), "PNG")[:-2000],
        saved(gradient(), "JPEG")[:40],
        saved(gradient(), "WEBP")[:60],
        b"\xff\xd8\xff" + saved(gradient(), "PNG"),
        b"\x89PNG\r\n\x1a\n" + saved(gradient(), "JPEG"),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_whole_png_jpeg_or_webp_is_refused(data: bytes) -> None:
    with pytest.raises(PictureInvalid):
        process(data, watermark=True)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(PIXELS_MAX // 1000 + 1, 1000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_of_pixels_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(PictureInvalid):
        process(png_claiming(*size), watermark=True)


def test_a_bomb_of_text_is_refused() -> None:
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80 * 1024 * 1024), 9))
    with pytest.raises(PictureInvalid):
        process(png_claiming(100, 100, bomb), watermark=True)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_bomb_of_frames_is_refused_and_of_a_few_the_first_is_kept(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), (number % 256, number // 256 * 90, 7)) for number in range(FRAMES_MAX + 1)]
    with pytest.raises(PictureInvalid):
        process(saved(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True), watermark=False)
    few = saved(frames[0], kind, save_all=True, append_images=frames[1:5], lossless=True)
    assert getattr(opened(process(few, watermark=False).data), "n_frames", 1) == 1


SEEDS = [saved(gradient(48, 40), kind) for kind in ("PNG", "JPEG", "WEBP")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=4)), max_size=6))
def test_broken_bytes_give_a_picture_or_a_refusal_and_nothing_else(data: bytes, edits: list[tuple[int, bytes]]) -> None:
    broken = bytearray(data)
    for place, piece in edits:
        broken[place % len(broken) : place % len(broken) + len(piece)] = piece
    try:
        made = process(bytes(broken), watermark=True)
    except PictureInvalid:
        return
    assert opened(made.data).size == (made.width, made.height)


# ---- thumbnail and watermark -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "small"),
    [((1024, 1024), (512, 512)), ((2048, 512), (512, 128)), ((300, 200), (300, 200)), ((2000, 3), (512, 1))],
)
def test_a_thumbnail_is_webp_of_at_most_512_a_side_in_the_same_shape(
    size: tuple[int, int], small: tuple[int, int]
) -> None:
    thumbnail = opened(process(saved(gradient(*size), "PNG"), watermark=False).thumbnail)
    assert (thumbnail.format, thumbnail.size) == ("WEBP", small)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1024, 1024), (640, 360), (64, 64), (2048, 64), (64, 2048)])
def test_the_mark_is_visible_and_stays_in_its_corner(mode: str, size: tuple[int, int]) -> None:
    original = Image.new(mode, size, 90 if mode == "L" else (90, 110, 130, 255)[: len(mode)])
    marked = opened(process(saved(original, "PNG"), watermark=True).data)
    change = ImageChops.difference(original.convert("RGB"), marked.convert("RGB")).convert("L")
    left, top, right, bottom = change.getbbox() or (0, 0, 0, 0)
    assert change.getextrema()[1] > 60
    assert right > size[0] * 0.6
    assert bottom > size[1] * 0.6
    assert (right - left) * (bottom - top) <= max(size[0] * size[1] * 0.02, 60 * 20)


@pytest.mark.parametrize("colour", ["white", "black", (128, 128, 128), (255, 220, 0)])
def test_the_mark_can_be_seen_on_any_ground(colour: Any) -> None:
    original = Image.new("RGB", (800, 600), colour)
    marked = opened(process(saved(original, "PNG"), watermark=True).data)
    assert ImageChops.difference(original, marked).convert("L").getextrema()[1] > 50


# ---- the PNG writer --------------------------------------------------------------------------------------------------


@given(st.sampled_from(["L", "RGB", "RGBA"]), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_the_png_writer_loses_nothing(mode: str, width: int, height: int, seed: int) -> None:
    data = random.Random(seed).randbytes(width * height * len(mode))
    picture = Image.frombytes(mode, (width, height), data)
    again = opened(png.encode(picture))
    assert (again.mode, again.size, again.tobytes()) == (mode, (width, height), data)
