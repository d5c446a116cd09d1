"""Convert colours to sRGB, which browsers and models assume when a file states no colour space.

Files state their colour space by an ICC profile, or by a few numbers from which a profile is built here (ICC.1:2001,
"matrix/TRC" profiles). Little CMS converts the colours. A profile that is unreadable, or does not fit the image's mode,
is ignored: the image then counts as sRGB, as in browsers.
"""

# Pillow's annotations name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from functools import cache

from PIL import Image, ImageCms

Curve = Callable[[float], float]
Vector = tuple[float, float, float]

# Colour spaces as named in a profile's header.
RGB, GREY, CMYK = "RGB", "GRAY", "CMYK"
# A conversion that changes no colour value by more than this is skipped.
DIFFERENCE_MAX = 2
# White, red, green and blue as x and y, by the code points of ITU-T H.273, table 2.
D65, CIE_C, DCI_WHITE = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
SRGB_CORNERS = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
CORNERS: dict[int, Sequence[float]] = {
    1: SRGB_CORNERS,
    4: (*CIE_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (*DCI_WHITE, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
# The luminance of white, in nits, in HDR images, which have brighter light than white (ITU-R BT.2408).
WHITE_NITS = 203
# Exponents within this share of each other look equal (libpng's threshold).
EXPONENT_DIFFERENCE_MAX = 0.05
SRGB_EXPONENT = 1 / 2.2
CORNER_DIFFERENCE_MAX = 0.001
# The white point of ICC profiles, and the matrix of chromatic adaptation (Bradford; ICC.1, annex E).
D50: Vector = (0.9642, 1.0, 0.8249)
BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
CURVE_POINTS = 1024


def to_srgb(image: Image.Image, profiles: Sequence[bytes]) -> Image.Image:
    """The image (mode L, LA, RGB, RGBA or CMYK) converted to sRGB by the first usable profile; unchanged if it is sRGB
    already or no profile is usable."""
    for profile in profiles:
        try:
            opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return _convert(image, opened, profile[16:20].decode("latin-1").strip())
        except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
            continue
    return image


def _convert(image: Image.Image, profile: ImageCms.ImageCmsProfile, space: str) -> Image.Image:
    if image.mode == "LA":
        return Image.merge("LA", (_convert(image.getchannel("L"), profile, space), image.getchannel("A")))
    if space == RGB and image.mode == "L":
        return _convert(image.convert("RGB"), profile, space).convert("L")
    if (space, image.mode) not in ((GREY, "L"), (RGB, "RGB"), (RGB, "RGBA"), (CMYK, "CMYK")):
        raise ValueError("a profile of another kind of image")
    target = "RGB" if image.mode == "CMYK" else image.mode
    # Little CMS has no grey sRGB profile, so grey is converted to RGB and back.
    through = "RGB" if image.mode == "L" else target
    transform = ImageCms.buildTransform(profile, _srgb_profile(), image.mode, through, ImageCms.Intent.PERCEPTUAL)
    if image.mode != "CMYK" and _changes_nothing(transform, image.mode, through):
        return image
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None, "only in place there is none"
    return converted.convert(target) if through != target else converted


@cache
def _srgb_profile() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))  # pyright: ignore[reportUnknownArgumentType]


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str, through: str) -> bool:
    """Whether the transform leaves a sample of all colours unchanged (within DIFFERENCE_MAX)."""
    if mode == "L":
        probe = Image.frombytes("L", (256, 1), bytes(range(256)))
    else:
        levels = range(0, 256, 36)
        samples = bytes(value for red in levels for green in levels for blue in levels for value in (red, green, blue))
        probe = Image.frombytes("RGB", (len(samples) // 3, 1), samples).convert(mode)
    after = ImageCms.applyTransform(probe, transform)
    assert after is not None, "only in place there is none"
    before = probe.convert(through).tobytes()
    return all(abs(was - now) <= DIFFERENCE_MAX for was, now in zip(before, after.tobytes(), strict=True))


# ---- profiles from numbers -------------------------------------------------------------------------------------------


def profile_from_code_points(primaries: int, transfer: int) -> bytes | None:
    """The ICC profile for cICP's code points (ITU-T H.273); None for code points without a colour space or curve."""
    corners, curve = CORNERS.get(primaries), CURVES.get(transfer)
    return build_profile(corners, curve) if corners and curve else None


def profile_from_gamma(exponent: float | None, corners: Sequence[float] | None) -> bytes | None:
    """The ICC profile for gAMA's exponent and cHRM's white, red, green and blue. None when they are sRGB's or make no
    sense."""
    if exponent is not None and abs(exponent / SRGB_EXPONENT - 1) <= EXPONENT_DIFFERENCE_MAX:
        exponent = None
    pairs = zip(corners or SRGB_CORNERS, SRGB_CORNERS, strict=True)
    if all(abs(ours - theirs) <= CORNER_DIFFERENCE_MAX for ours, theirs in pairs):
        corners = None
    if (exponent is None and corners is None) or (exponent is not None and not 0.1 <= exponent <= 10):
        return None
    curve = _power_curve(1 / exponent) if exponent else _srgb
    try:
        return build_profile(corners or SRGB_CORNERS, curve)
    except (ZeroDivisionError, struct.error):
        return None


def build_profile(corners: Sequence[float], curve: Curve) -> bytes:
    """Build the ICC profile of an RGB space. corners: white, red, green and blue as x and y; curve: light by signal,
    both 0 to 1. Raises ZeroDivisionError or struct.error when the corners span no area."""
    white = _xyz(*corners[:2])
    columns = [_xyz(*corners[at : at + 2]) for at in (2, 4, 6)]
    # Scale red, green and blue so that their sum is white, then adapt them to the white point D50.
    weights = _multiply(_inverse(_transpose(columns)), white)
    adapted = [
        _adapt_to_d50([value * share for value in column], white)
        for column, share in zip(columns, weights, strict=True)
    ]
    points = [round(min(max(curve(step / (CURVE_POINTS - 1)), 0), 1) * 65535) for step in range(CURVE_POINTS)]
    curve_tag = b"curv" + bytes(4) + struct.pack(f">I{CURVE_POINTS}H", CURVE_POINTS, *points)
    tags = {b"wtpt": _xyz_tag(D50)} | dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz_tag, adapted), strict=True))
    tags |= {b"rTRC": curve_tag, b"gTRC": curve_tag, b"bTRC": curve_tag}
    offset, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        if content != curve_tag or curve_tag not in body:
            body += content
        where = offset + body.index(content)
        table += name + struct.pack(">II", where, len(content))
    size = offset + len(body)
    header = struct.pack(">I4sI4s4s4s12s4s", size, b"", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"", b"acsp")
    header = header.ljust(68, b"\0") + b"".join(map(_fixed_point, D50))
    return header.ljust(128, b"\0") + table + body


def _fixed_point(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz_tag(xyz: Sequence[float]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed_point, xyz))


def _xyz(x: float, y: float) -> list[float]:
    return [x / y, 1.0, (1 - x - y) / y]


def _multiply(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> list[float]:
    return [sum(each * value for each, value in zip(row, vector, strict=True)) for row in matrix]


def _transpose(matrix: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
    return list(zip(*matrix, strict=True))


def _inverse(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    cofactors = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return [[value / determinant for value in row] for row in cofactors]


def _adapt_to_d50(xyz: Sequence[float], white: Sequence[float]) -> list[float]:
    ratios = [to / seen for to, seen in zip(_multiply(BRADFORD, D50), _multiply(BRADFORD, white), strict=True)]
    cones = [value * ratio for value, ratio in zip(_multiply(BRADFORD, xyz), ratios, strict=True)]
    return _multiply(_inverse(BRADFORD), cones)


def _power_curve(exponent: float) -> Curve:
    return lambda signal: signal**exponent


def _srgb(signal: float) -> float:
    return signal / 12.92 if signal <= 0.04045 else ((signal + 0.055) / 1.055) ** 2.4


def _bt709(signal: float) -> float:
    return signal / 4.5 if signal < 0.081 else ((signal + 0.099) / 1.099) ** (1 / 0.45)


def _pq(signal: float) -> float:
    """SMPTE ST 2084 (PQ): light relative to WHITE_NITS; brighter light is clipped later."""
    bent = signal ** (1 / 78.84375)
    return 10_000 / WHITE_NITS * (max(bent - 0.8359375, 0) / (18.8515625 - 18.6875 * bent)) ** (1 / 0.1593017578125)


def _hlg(signal: float) -> float:
    """ITU-R BT.2100, "HLG": light as shown by a screen of 1,000 nits, where white is at three quarters of the
    signal."""
    scene = (
        signal**2 / 3
        if signal <= 0.5
        else (2.718281828459045 ** ((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
    )
    return 1000 / WHITE_NITS * scene**1.2


# The curves (light by signal) by the code points of ITU-T H.273, table 3.
CURVES: dict[int, Curve] = {
    1: _bt709,
    4: _power_curve(2.2),
    5: _power_curve(2.8),
    6: _bt709,
    8: _power_curve(1),
    13: _srgb,
    14: _bt709,
    15: _bt709,
    16: _pq,
    17: _power_curve(2.6),
    18: _hlg,
}


@cache
def adobe_rgb() -> bytes:
    """The profile of Adobe RGB (1998), for files that name this space without containing a profile."""
    return build_profile((*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), _power_curve(563 / 256))
