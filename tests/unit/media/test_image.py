"""The processing of a provider's image: recognised, bounded, cleaned and watermarked; only its pixels are kept."""

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

from atelier.adapters.media import image as media_picture
from atelier.adapters.media import png
from atelier.adapters.media.image import (
    FRAMES_MAX,
    PIXELS_MAX,
    SIDE_MAX,
    ImageInvalid,
    ImageLimitExceeded,
    process,
)

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
def test_an_image_keeps_its_format_and_size(kind: str) -> None:
    made = process(saved(gradient(), kind), watermark=True)
    again = opened(made.data)
    assert (again.format, again.size) == (kind, (320, 200))
    assert (made.format, made.width, made.height) == (kind.lower(), 320, 200)
    assert made.content_type == f"image/{kind.lower()}"
    assert made.sha256 == hashlib.sha256(made.data).hexdigest()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_png_without_a_watermark_keeps_every_pixel(mode: str) -> None:
    original = gradient(mode=mode)
    assert opened(process(saved(original, "PNG"), watermark=False).data).tobytes() == original.tobytes()


def test_the_same_bytes_give_the_same_hash() -> None:
    data = saved(gradient(), "PNG")
    assert process(data, watermark=True) == process(data, watermark=True)


def test_other_image_modes_become_grey_rgb_or_rgba() -> None:
    cases = {
        "P": gradient().convert("P"),
        "1": gradient().convert("1"),
        "LA": gradient(mode="RGBA").convert("LA"),
        "I;16": Image.linear_gradient("L").convert("I").point(lambda value: value * 257).convert("I;16"),
    }
    expected = {"P": "RGB", "1": "RGB", "LA": "RGBA", "I;16": "L"}
    for mode, picture in cases.items():
        assert opened(process(saved(picture, "PNG"), watermark=True).data).mode == expected[mode], mode


def test_sixteen_bit_grey_keeps_its_range_in_eight_bits() -> None:
    deep = Image.linear_gradient("L").convert("I").point(lambda value: value * 257).convert("I;16")
    made = opened(process(saved(deep, "PNG"), watermark=False).data)
    assert made.getextrema() == (0, 255)


def test_a_palettes_transparent_colour_stays_transparent() -> None:
    palette = gradient().convert("P")
    made = opened(process(saved(palette, "PNG", transparency=palette.getpixel((0, 0))), watermark=False).data)
    assert made.mode == "RGBA"
    assert made.getpixel((0, 0))[3] == 0


@pytest.mark.parametrize(
    ("depth", "colours", "samples"),
    [(2, 0, (2,)), (4, 0, (10,)), (16, 0, (0x8001,)), (16, 2, (0x8001, 0x4002, 0xFFFF)), (8, 2, (9, 99, 199))],
)
def test_a_pngs_transparent_colour_works_at_any_bit_depth(depth: int, colours: int, samples: tuple[int, ...]) -> None:
    see_through = b"".join(sample.to_bytes(2) for sample in samples)
    pixel = see_through if depth == 16 else bytes(samples) if depth == 8 else bytes([samples[0] << 8 - depth])
    row = b"\0" + pixel + bytes(len(pixel)) * (depth >= 8)
    header = struct.pack(">IIBBBBB", 2, 1, depth, colours, 0, 0, 0)
    pieces = (b"IHDR", header), (b"tRNS", see_through), (b"IDAT", zlib.compress(row)), (b"IEND", b"")
    made = opened(process(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*piece) for piece in pieces), watermark=False).data)
    assert [made.getpixel((x, 0))[3] for x in (0, 1)] == [0, 255]


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    made = opened(process(saved(gradient().convert("CMYK"), "JPEG"), watermark=False).data)
    assert (made.mode, made.format) == ("RGB", "JPEG")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_is_rotated_by_its_exif_orientation(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    made = process(saved(gradient(320, 200), kind, exif=exif), watermark=False)
    assert (made.width, made.height) == (200, 320)
    assert opened(made.data).size == (200, 320)


# ---- cleaning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("watermark", [True, False])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_images_metadata_is_removed(kind: str, watermark: bool) -> None:
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
def test_a_file_that_is_not_a_whole_png_jpeg_or_webp_is_refused(data: bytes) -> None:
    with pytest.raises(ImageInvalid):
        process(data, watermark=True)


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png_claiming(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def jpeg_claiming(width: int, height: int) -> bytes:
    data = saved(gradient(16, 16), "JPEG")
    return data.replace(struct.pack(">HH", 16, 16), struct.pack(">HH", height, width))


def webp_claiming(width: int, height: int) -> bytes:
    data = saved(gradient(16, 16), "WEBP", lossless=True)
    at = data.index(b"VP8L") + 9
    return data[:at] + (width - 1 | height - 1 << 14).to_bytes(4, "little") + data[at + 4 :]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png_claiming(PIXELS_MAX // 1000 + 1, 1000), r"40\.0 megapixels \(40001 × 1000\); a PNG may have 40"),
        (png_claiming(30_000, 30_000), r"900\.0 megapixels"),
        (png_claiming(2**31 - 1, 2**31 - 1), r"megapixels \(2147483647 × 2147483647\)"),
        (png_claiming(SIDE_MAX + 1, 1), r"32769 × 1 pixels; a side may have 32,768"),
        (png_claiming(1, SIDE_MAX + 1), r"1 × 32769 pixels; a side may have 32,768"),
        (webp_claiming(16_383, 16_383), r"268\.4 megapixels \(16383 × 16383\); a WebP may have 40"),
        (jpeg_claiming(65_000, 60_000), r"3900\.0 megapixels \(65000 × 60000\); a JPEG may have 210"),
        (jpeg_claiming(40_000, 16), r"40000 × 16 pixels; a side may have 32,768"),
    ],
)
def test_an_image_beyond_a_limit_is_refused_with_the_limit_and_its_value(data: bytes, words: str) -> None:
    with pytest.raises(ImageLimitExceeded, match=words):
        process(data, watermark=True)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_an_image_of_another_format_is_refused_with_the_accepted_formats(kind: str) -> None:
    with pytest.raises(ImageLimitExceeded, match=f"The file is {kind}; images are accepted as PNG, JPEG and WebP"):
        process(saved(gradient(), kind), watermark=True)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_keeps_its_first_frame_and_too_many_are_refused(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), (number % 256, number // 256 * 90, 7)) for number in range(FRAMES_MAX + 1)]
    with pytest.raises(ImageLimitExceeded, match="301 frames; it may have 300"):
        process(saved(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True), watermark=False)
    few = saved(frames[0], kind, save_all=True, append_images=frames[1:5], lossless=True)
    made = opened(process(few, watermark=False).data)
    assert getattr(made, "n_frames", 1) == 1
    assert ImageChops.difference(made, frames[0]).getextrema() <= ((0, 3),) * 3


def test_a_first_frame_smaller_than_its_canvas_keeps_its_position() -> None:
    picture = Image.new("RGBA", (64, 48))
    picture.paste((200, 30, 30, 255), (20, 10, 40, 30))
    data = saved(picture, "WEBP", save_all=True, append_images=[Image.new("RGBA", (64, 48))], lossless=True)
    made = opened(process(data, watermark=False).data)
    assert made.size == (64, 48)
    assert made.getchannel("A").getbbox() == (20, 10, 40, 30)


def test_a_jpeg_beyond_the_scan_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    progressive = saved(gradient(), "JPEG", progressive=True)
    assert process(progressive, watermark=False).width == 320
    monkeypatch.setattr(media_picture, "SCANS_MAX", 9)
    with pytest.raises(ImageLimitExceeded, match="10 scans; it may have 9"):
        process(progressive, watermark=False)


@pytest.mark.parametrize(("pixels_max", "size"), [(64_000, (320, 200)), (63_999, (160, 100)), (1_000, (40, 25))])
@pytest.mark.parametrize("progressive", [True, False])
def test_a_jpeg_beyond_the_stored_pixels_is_scaled_down(
    monkeypatch: pytest.MonkeyPatch, progressive: bool, pixels_max: int, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(media_picture, "PIXELS_MAX", pixels_max)
    exif = Image.Exif()
    exif[0x0112] = 6
    made = process(saved(gradient(320, 200), "JPEG", progressive=progressive, exif=exif), watermark=False)
    assert (made.height, made.width) == size
    assert opened(made.data).size == (made.width, made.height)


def test_the_thinnest_allowed_images_are_processed() -> None:
    for size in ((1, SIDE_MAX), (SIDE_MAX, 1)):
        made = process(saved(Image.new("L", size, 90), "PNG"), watermark=True)
        assert (made.width, made.height) == size


# ---- metadata --------------------------------------------------------------------------------------------------------


def with_chunk(*chunks: bytes) -> bytes:
    data = saved(gradient(), "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def with_segment(marker: int, segment: bytes) -> bytes:
    data = saved(gradient(), "JPEG")
    return data[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def with_webp_chunk(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    data = saved(gradient(), "WEBP", exif=RATIONAL)
    at = data.index(b"EXIF")
    length = len(content) if length is None else length
    return data[:at] + kind + struct.pack("<I", length) + content + bytes(len(content) % 2)


def tiff(kind: int, count: int, value: bytes, order: str = "<") -> bytes:
    """EXIF with the orientation 6 and one more entry."""
    more = struct.pack(order + "HHI", 0x829A, kind, count) + struct.pack(order + "I", 38)
    orientation = struct.pack(order + "HHIHH", 0x0112, 3, 1, 6, 0)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + struct.pack(order + "H", 2) + orientation + more + struct.pack(order + "I", 0) + value


RATIONAL = tiff(10, 1, struct.pack("<ii", -1, 0))
BESIDE: dict[str, tuple[bytes, bool]] = {
    "a rational of minus one by nothing in a PNG": (with_chunk(chunk(b"eXIf", RATIONAL)), True),
    "a rational of minus one by nothing in a JPEG": (with_segment(0xE1, b"Exif\0\0" + RATIONAL), True),
    "a rational of minus one by nothing in a WebP": (with_webp_chunk(b"EXIF", RATIONAL), True),
    "an entry of gigabytes": (with_chunk(chunk(b"eXIf", tiff(5, 2**32 - 1, b"", ">"))), True),
    "an EXIF chunk with JPEG's prefix": (with_chunk(chunk(b"eXIf", b"Exif\0\0" + RATIONAL)), True),
    "an EXIF chunk that is no TIFF": (with_chunk(chunk(b"eXIf", b"no tiff at all")), False),
    "an EXIF chunk that is empty": (with_chunk(chunk(b"eXIf", b"")), False),
    "an EXIF segment that is cut off": (with_segment(0xE1, b"Exif\0\0" + RATIONAL[:12]), False),
    "an orientation out of its range": (with_segment(0xE1, b"Exif\0\0" + RATIONAL.replace(b"\6\0", b"\x63\0")), False),
    "a text of megabytes": (
        with_chunk(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80 * 1024 * 1024), 9))),
        False,
    ),
    "a text that cannot be unpacked": (with_chunk(chunk(b"zTXt", b"Comment\0\0nothing packed")), False),
    "an international text of nonsense": (with_chunk(chunk(b"iTXt", b"\xff" * 40)), False),
    "a wrong checksum in a text": (with_chunk(chunk(b"tEXt", b"Comment\0words", 7)), False),
    "a wrong checksum in an EXIF chunk": (with_chunk(chunk(b"eXIf", RATIONAL, 7)), False),
    "a wrong checksum in a transparent colour": (with_chunk(chunk(b"tRNS", bytes(6), 7)), False),
    "a physical size of the wrong length": (with_chunk(chunk(b"pHYs", b"12")), False),
    "frames that are claimed and not there": (with_chunk(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))), False),
    "a chunk that nobody knows": (with_chunk(chunk(b"abCd", b"words")), False),
    "an index of further pictures that is cut off": (with_segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff"), False),
    "an XMP packet of nonsense": (with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:" + b"\xff" * 99), False),
    "a Photoshop segment that is cut off": (with_segment(0xED, b"Photoshop 3.0\x008BIM\x04"), False),
    "a JFIF preview of no size": (with_segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\xff\xff"), False),
    "a comment": (with_segment(0xFE, b"\xff\xd8\xff\xd9"), False),
    "an XMP chunk of gigabytes": (with_webp_chunk(b"XMP ", b"words", 2**32 - 2), False),
    "a WebP chunk that nobody knows": (with_webp_chunk(b"abcd", b"words!"), False),
}


@pytest.mark.parametrize("beside", BESIDE)
def test_broken_metadata_does_not_change_the_image(beside: str) -> None:
    data, lies_on_its_side = BESIDE[beside]
    kind = "WEBP" if data.startswith(b"RIFF") else "JPEG" if data.startswith(b"\xff") else "PNG"
    made = opened(process(data, watermark=False).data)
    plain = opened(process(saved(gradient(), kind), watermark=False).data)
    assert made.tobytes() == (plain.transpose(Image.Transpose.ROTATE_270) if lies_on_its_side else plain).tobytes() or (
        # A lossy format is encoded after the rotation, so only its size is compared.
        lies_on_its_side and kind != "PNG" and made.size == (200, 320)
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_bytes_after_the_images_end_are_ignored(kind: str) -> None:
    data = saved(gradient(), kind)
    plain = process(data, watermark=False)
    for more in (b"\0" * 4096, b"words", data, saved(gradient(8, 8), "JPEG")[:-40], b"\xff\xd8\xff"):
        assert process(data + more, watermark=False) == plain


def test_a_jpeg_missing_only_its_end_marker_is_accepted() -> None:
    data = saved(gradient(), "JPEG")
    assert process(data[:-2], watermark=False) == process(data, watermark=False)
    for missing in (40, 400, 2000):
        with pytest.raises(ImageInvalid):
            process(data[:-missing], watermark=False)


def test_a_png_missing_only_its_end_chunk_is_accepted() -> None:
    data = saved(gradient(), "PNG")
    assert process(data[:-12], watermark=False) == process(data, watermark=False)


def test_a_wrong_chunk_checksum_is_fatal_only_in_header_and_palette() -> None:
    data = saved(gradient().convert("P"), "PNG")
    plain = process(data, watermark=False)
    for kind, counts in ((b"IHDR", True), (b"PLTE", True), (b"IDAT", False), (b"IEND", False)):
        at = data.index(kind)
        end = at + 4 + int.from_bytes(data[at - 4 : at])
        broken = data[:end] + bytes(4) + data[end + 4 :]
        if counts:
            with pytest.raises(ImageInvalid, match="checksum"):
                process(broken, watermark=False)
        else:
            assert process(broken, watermark=False) == plain


SEEDS = [saved(gradient(48, 40), kind) for kind in ("PNG", "JPEG", "WEBP")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=4)), max_size=6))
def test_corrupt_bytes_give_an_image_or_a_refusal(data: bytes, edits: list[tuple[int, bytes]]) -> None:
    broken = bytearray(data)
    for place, piece in edits:
        broken[place % len(broken) : place % len(broken) + len(piece)] = piece
    try:
        made = process(bytes(broken), watermark=True)
    except ImageInvalid:
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
def test_the_watermark_is_visible_and_stays_in_its_corner(mode: str, size: tuple[int, int]) -> None:
    original = Image.new(mode, size, 90 if mode == "L" else (90, 110, 130, 255)[: len(mode)])
    marked = opened(process(saved(original, "PNG"), watermark=True).data)
    change = ImageChops.difference(original.convert("RGB"), marked.convert("RGB")).convert("L")
    left, top, right, bottom = change.getbbox() or (0, 0, 0, 0)
    assert change.getextrema()[1] > 60
    assert right > size[0] * 0.6
    assert bottom > size[1] * 0.6
    assert (right - left) * (bottom - top) <= max(size[0] * size[1] * 0.02, 60 * 20)


@pytest.mark.parametrize("colour", ["white", "black", (128, 128, 128), (255, 220, 0)])
def test_the_watermark_is_visible_on_any_background(colour: Any) -> None:
    original = Image.new("RGB", (800, 600), colour)
    marked = opened(process(saved(original, "PNG"), watermark=True).data)
    assert ImageChops.difference(original, marked).convert("L").getextrema()[1] > 50


# ---- the PNG writer --------------------------------------------------------------------------------------------------


@given(st.sampled_from(["L", "RGB", "RGBA"]), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_the_png_writer_is_lossless(mode: str, width: int, height: int, seed: int) -> None:
    data = random.Random(seed).randbytes(width * height * len(mode))
    picture = Image.frombytes(mode, (width, height), data)
    again = opened(png.encode(picture))
    assert (again.mode, again.size, again.tobytes()) == (mode, (width, height), data)
