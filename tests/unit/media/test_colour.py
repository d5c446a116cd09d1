"""An image's colours are converted to sRGB, however its file declares them; an invalid declaration is ignored."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageCms

from atelier.adapters.media import colour
from atelier.adapters.media.image import process
from tests.unit.media.test_image import opened, saved

DISPLAY_P3 = colour.build_profile(colour.CORNERS[12], colour.CURVES[13])
# sRGB's pure red in the numbers of other colour spaces.
RED, RED_IN_P3, RED_IN_ADOBE_RGB = (255, 0, 0), (234, 51, 35), (219, 0, 0)
# The same grey as a linear value, and in sRGB.
LINEAR, MIDDLE = 55, 128


def filled(colours: Any, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (16, 16), colours)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(picture: Image.Image, *chunks: tuple[bytes, bytes]) -> bytes:
    plain = saved(picture, "PNG")
    return plain[:33] + b"".join(chunk(*each) for each in chunks) + plain[33:]


def profile_chunk(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"x\0\0" + zlib.compress(profile)


def corners_chunk(number: int) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in colour.CORNERS[number]))


def gamma_chunk(exponent: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(exponent * 100_000))


def shown(data: bytes) -> Any:
    made = opened(process(data, watermark=False).data)
    assert "icc_profile" not in made.info
    return made.getpixel((5, 5))


def same(one: Any, other: Any, difference: int = 2) -> bool:
    pairs = zip(one, other, strict=True)
    return all(abs(ours - theirs) <= difference for ours, theirs in pairs)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(
    ("profile", "there"),
    [(DISPLAY_P3, RED_IN_P3), (colour.adobe_rgb(), RED_IN_ADOBE_RGB)],
    ids=["display-p3", "adobe-rgb"],
)
def test_colours_are_converted_from_their_icc_profile_to_srgb(kind: str, profile: bytes, there: Any) -> None:
    options: dict[str, Any] = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    # Even a lossless WebP is re-encoded with loss.
    assert same(shown(saved(filled(there), kind, icc_profile=profile, **options)), RED, 4)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_srgb_profile_changes_no_pixel(kind: str) -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise = Image.merge("RGB", [Image.effect_noise((64, 64), 90) for _ in range(3)])
    with_profile, without = saved(noise, kind, icc_profile=own), saved(noise, kind)
    assert process(with_profile, watermark=False) == process(without, watermark=False)


def test_transparency_grey_and_palettes_survive_colour_conversion() -> None:
    clear = shown(saved(filled((*RED_IN_P3, 77), "RGBA"), "PNG", icc_profile=DISPLAY_P3))
    assert same(clear[:3], RED)
    assert clear[3] == 77
    # The profile of an RGB space applies to grey, too.
    linear = colour.build_profile(colour.SRGB_CORNERS, colour.CURVES[8])
    assert abs(shown(saved(filled(LINEAR, "L"), "PNG", icc_profile=linear)) - MIDDLE) <= 2
    grey = grey_profile(1.0)
    assert abs(shown(saved(filled(LINEAR, "L"), "PNG", icc_profile=grey)) - MIDDLE) <= 2
    both = shown(saved(filled((LINEAR, 77), "LA"), "PNG", icc_profile=grey))
    assert same(both, (MIDDLE, MIDDLE, MIDDLE, 77))
    palette = filled(RED_IN_P3).quantize(2)
    assert same(shown(saved(palette, "PNG", icc_profile=DISPLAY_P3)), RED)


def test_sixteen_bit_grey_is_converted() -> None:
    deep = filled(LINEAR * 257, "I;16")
    assert abs(shown(png(deep, gamma_chunk(1.0))) - MIDDLE) <= 2


def grey_profile(exponent: float) -> bytes:
    """A grey space (ICC.1, "Monochrome input profiles")."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(exponent * 256)) + bytes(2)
    tags = struct.pack(">I4sII4sII", 2, b"kTRC", 156, 14, b"wtpt", 172, 20)
    white = b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(value * 65536)) for value in colour.D50)
    header = struct.pack(">I4sI4s4s4s12s4s", 192, b"", 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"", b"acsp")
    header = header.ljust(68, b"\0") + white[8:]
    return header.ljust(128, b"\0") + tags + curve + white


# ---- a PNG's own chunks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "chunks", "here"),
    [
        (RED_IN_P3, [(b"cICP", bytes([12, 13, 0, 1]))], RED),
        (RED_IN_P3, [corners_chunk(12)], RED),
        ((LINEAR,) * 3, [gamma_chunk(1.0)], (MIDDLE,) * 3),
        ((LINEAR,) * 3, [(b"cICP", bytes([1, 8, 0, 1]))], (MIDDLE,) * 3),
        # 203 nits, the white of a screen, as PQ and as HLG, in the colours of BT.2020.
        ((148,) * 3, [(b"cICP", bytes([9, 16, 0, 1]))], (255,) * 3),
        ((191,) * 3, [(b"cICP", bytes([9, 18, 0, 1]))], (255,) * 3),
    ],
    ids=["cicp", "chrm", "gama", "cicp-linear", "cicp-pq", "cicp-hlg"],
)
def test_a_pngs_colour_chunks_are_applied(there: Any, chunks: Any, here: Any) -> None:
    assert same(shown(png(filled(there), *chunks)), here)


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"cICP", bytes([1, 13, 0, 1])), profile_chunk(DISPLAY_P3)],
        [(b"sRGB", b"\0"), gamma_chunk(1.0), corners_chunk(12)],
        [gamma_chunk(0.45455)],
        [gamma_chunk(0.45455), corners_chunk(1)],
        [profile_chunk(b"no profile"), (b"sRGB", b"\0"), corners_chunk(12)],
        [profile_chunk(grey_profile(1.0))],
        [(b"iCCP", b"x\0\0broken")],
        [(b"cICP", bytes([250, 250, 0, 1]))],
        [(b"cICP", bytes([12, 13, 9, 0]))],
        [gamma_chunk(0)],
        [(b"cHRM", bytes(32))],
        [(b"gAMA", b""), (b"cHRM", b"short"), (b"cICP", b"")],
    ],
)
def test_srgb_or_invalid_colour_chunks_change_no_pixel(chunks: Any) -> None:
    assert shown(png(filled(RED_IN_P3), *chunks)) == RED_IN_P3


def test_an_icc_profile_takes_precedence_over_gamma_and_chromaticities() -> None:
    assert same(shown(png(filled(RED_IN_P3), profile_chunk(DISPLAY_P3), gamma_chunk(1.0))), RED)


# ---- cameras and presses ---------------------------------------------------------------------------------------------


def test_adobe_rgb_declared_only_in_exif_is_converted() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 0xFFFF
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    data = saved(filled(RED_IN_ADOBE_RGB), "JPEG", exif=exif, quality=100, subsampling=0)
    assert same(shown(data), RED, 4)


def test_cmyk_without_a_profile_becomes_rgb() -> None:
    inks = {(0, 0, 0, 0): (255, 255, 255), (0, 0, 0, 255): (0, 0, 0), (0, 255, 255, 0): (255, 0, 0)}
    for ink, light in inks.items():
        assert same(shown(saved(filled(ink, "CMYK"), "JPEG", quality=100)), light, 6)


def test_cmyk_with_a_profile_is_converted_by_the_profile() -> None:
    data = saved(filled((255, 0, 0, 0), "CMYK"), "JPEG", icc_profile=ink_profile(), quality=100)
    assert same(shown(data), RED, 12)


def ink_profile() -> bytes:
    """A press whose first ink is red (ICC.1, "lut8Type"): L*, a* and b* for all inks or none."""
    white, red, black = bytes([255, 128, 128]), bytes([136, 208, 195]), bytes([0, 128, 128])
    inks = [white, *[black] * 7, red, *[black] * 7]
    plain = struct.pack(">9i", *(65536 * (at % 4 == 0) for at in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + plain + bytes(range(256)) * 4 + b"".join(inks)
    table += bytes(range(256)) * 3
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    header = struct.pack(">I4sI4s4s4s12s4s", 144 + len(table), b"", 0x02400000, b"prtr", b"CMYK", b"Lab ", b"", b"acsp")
    header = header.ljust(68, b"\0") + b"".join(struct.pack(">i", round(value * 65536)) for value in colour.D50)
    return header.ljust(128, b"\0") + tags + table


@pytest.mark.parametrize("profile", [b"no profile", DISPLAY_P3[:200], DISPLAY_P3[:-2000], grey_profile(1.0)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_invalid_icc_profile_is_ignored(kind: str, profile: bytes) -> None:
    assert process(saved(filled(RED_IN_P3), kind, icc_profile=profile), watermark=False) == process(
        saved(filled(RED_IN_P3), kind), watermark=False
    )
