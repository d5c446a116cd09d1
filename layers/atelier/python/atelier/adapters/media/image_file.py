"""Parse a PNG, JPEG or WebP file and keep only what the image needs: its pixels, orientation and colour profiles.

Everything else (camera data, texts, previews, further images, bytes after the end) is removed before a decoder reads
the file, so that it cannot decide whether the image is valid. Only the containers (chunks and segments) are parsed
here, in Python, because the bytes are untrusted.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from atelier.adapters.media import colour
from atelier.adapters.media.processed import MediaInvalid, MediaLimitExceeded
from atelier.dataclass import dataclass

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
# Profiles of printing presses have up to 4 MiB; larger profiles are ignored.
PROFILE_BYTES_MAX = 8 * 1024 * 1024
EXIF_PREFIX = b"Exif\0\0"
ORIENTATION, EXIF_FOLDER, INTEROPERABILITY_FOLDER = 0x0112, 0x8769, 0xA005
COLOUR_SPACE, INTEROPERABILITY_INDEX = 0xA001, 0x0001
UNCALIBRATED = 0xFFFF

# JPEG markers (ITU-T T.81, table B.1). The frame headers are C0 to CF except three.
START_OF_SCAN, END_OF_IMAGE, APP0, APP1, APP2, APP14 = 0xDA, 0xD9, 0xE0, 0xE1, 0xE2, 0xEE
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Tables for Huffman and arithmetic codes and for quantization, the number of lines, the restart interval.
TABLE_MARKERS = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD})
BASELINE = frozenset({0xC0, 0xC1})
MARKER = re.compile(rb"\xff+([\x01-\xfe])")
# In coded pixels, FF 00 means the byte FF, and D0 to D7 are restart markers; any other marker ends them.
END_OF_CODED = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")

# Other formats by their first bytes, to name them in the refusal.
OTHER_FORMATS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"%PDF": "PDF",
    b"8BPS": "Photoshop",
}
# Other formats in MP4 boxes, by their brand.
OTHER_BRANDS = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"heic": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"heix": "HEIC",
    b"hevc": "HEIC",
    b"mif1": "HEIC",
}


class ImageInvalid(MediaInvalid):
    """The bytes are no valid image of an accepted format."""


class ImageLimitExceeded(ImageInvalid, MediaLimitExceeded):
    """The image exceeds one of our limits or has another format; the text is for the file's owner."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The essential parts of an image file. kind: PNG, JPEG or WEBP; data: a file of this kind with only the pixels, of
    an animation the first frame.

    width and height are as stored, before orientation (EXIF's 1 to 8). profiles: ICC profiles in order of precedence,
    of which the first readable one counts; none = sRGB. scans: how often a decoder passes over the pixels. corner: the
    position of the pixels on the canvas of width × height. whole: the file has an end marker."""

    kind: str
    data: bytes
    width: int
    height: int
    orientation: int = 1
    profiles: tuple[bytes, ...] = ()
    frames: int = 1
    scans: int = 1
    corner: tuple[int, int] = (0, 0)
    whole: bool = True


def parse(data: bytes) -> ImageFile:
    """Parse an image file. Raises PictureInvalid when it is no PNG, JPEG or WebP (SVG and HTML are not), is cut off, or
    has no pixels; PictureLimitExceeded when it has another known format."""
    kind = detect_format(data)
    try:
        return READERS[kind](data)
    except (struct.error, IndexError) as error:
        raise ImageInvalid(f"not readable as {kind}: it ends too early") from error


def detect_format(data: bytes) -> str:
    """PNG, JPEG or WEBP, by the first bytes; the content type that was declared does not count. Raises
    PictureInvalid."""
    if data.startswith(PNG_MAGIC):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    other = OTHER_BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None
    other = other or next((name for magic, name in OTHER_FORMATS.items() if data.startswith(magic)), None)
    if other:
        raise ImageLimitExceeded(f"The file is {other}; images are accepted as PNG, JPEG and WebP.")
    raise ImageInvalid("the bytes are neither PNG, JPEG nor WebP")


# ---- PNG (W3C Portable Network Graphics, third edition) --------------------------------------------------------------


class Chunk(NamedTuple):
    kind: bytes
    data: bytes
    intact: bool


def _png(data: bytes) -> ImageFile:
    """Parse a PNG. A wrong checksum of the header or the palette is an error, because nothing else protects them. The
    pixels contain a checksum of their own. An ancillary chunk with a wrong checksum is ignored, as browsers do."""
    header = palette = transparency = b""
    pixels: list[bytes] = []
    ancillary: dict[bytes, bytes] = {}
    frames = 0
    for kind, content, intact in _png_chunks(data):
        if kind == b"IDAT":
            pixels.append(content)
        elif kind in (b"IHDR", b"PLTE"):
            if not intact:
                raise ImageInvalid(f"the checksum of {kind.decode()} is wrong")
            header, palette = (header or content, palette) if kind == b"IHDR" else (header, palette or content)
        elif kind == b"fcTL":
            frames += 1
        elif intact and kind == b"tRNS":
            transparency = transparency or content
        elif intact:
            ancillary.setdefault(kind, content)

    if not header or not pixels:
        raise ImageInvalid("a PNG without a header or without pixels")
    width, height, depth, colours = struct.unpack(">IIBB", header[:10])
    see_through = _transparency_in_eight_bits(transparency, depth, colours)
    written = [(b"IHDR", header), (b"PLTE", palette), (b"tRNS", see_through), (b"IDAT", b"".join(pixels))]
    parts = [_png_chunk(kind, content) for kind, content in written if content]

    return ImageFile(
        "PNG",
        PNG_MAGIC + b"".join(parts) + _png_chunk(b"IEND", b""),
        width,
        height,
        Exif.read(ancillary.get(b"eXIf", b"")).orientation,
        tuple(_png_profiles(ancillary)),
        frames=max(frames, 1),
    )


PNG_PALETTE = 3


def _png_chunks(data: bytes) -> Iterator[Chunk]:
    at = len(PNG_MAGIC)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        checksum = data[at + 8 + length : at + 12 + length]
        if kind == b"IEND":
            return
        # A text chunk may be very long, so the checksum is computed only for the chunks that are used.
        wanted = kind in PNG_WANTED
        yield Chunk(kind, content, wanted and checksum == struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))))
        at += 12 + length


PNG_WANTED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"eXIf"})


def _transparency_in_eight_bits(transparency: bytes, depth: int, colours: int) -> bytes:
    """The transparent colour of tRNS scaled to eight bits, because Pillow compares it with eight-bit samples whatever
    the depth of the file."""
    if colours == PNG_PALETTE or depth in (1, 8):
        return transparency
    scale = {2: 85, 4: 17, 16: 1 / 256}.get(depth, 1)
    samples = struct.unpack(f">{len(transparency) // 2}H", transparency[: len(transparency) // 2 * 2])
    return b"".join(struct.pack(">H", min(int(sample * scale), 255)) for sample in samples)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _png_profiles(ancillary: dict[bytes, bytes]) -> Iterator[bytes]:
    """The profiles in order of precedence (PNG specification 4.3, "Colour spaces"): cICP, iCCP, sRGB, then gAMA and
    cHRM."""
    coded = ancillary.get(b"cICP", b"")
    # For images only RGB in full range makes sense: matrix coefficients 0, full range flag 1.
    if coded[2:] == b"\0\1" and (profile := colour.profile_from_code_points(coded[0], coded[1])):
        yield profile
    name, _, packed = ancillary.get(b"iCCP", b"").partition(b"\0")
    if name and packed[:1] == b"\0" and (profile := _inflate(packed[1:])):
        yield profile
    if b"sRGB" in ancillary:
        return
    gamma, corners = ancillary.get(b"gAMA", b""), ancillary.get(b"cHRM", b"")
    exponent = struct.unpack(">I", gamma)[0] / 100_000 if len(gamma) == 4 else None
    points = [value / 100_000 for value in struct.unpack(">8I", corners)] if len(corners) == 32 else None
    if profile := colour.profile_from_gamma(exponent, points):
        yield profile


def _inflate(packed: bytes) -> bytes | None:
    inflate = zlib.decompressobj()
    try:
        profile = inflate.decompress(packed, PROFILE_BYTES_MAX)
    except zlib.error:
        return None
    return profile if inflate.eof else None


# ---- JPEG (ITU-T T.81; ICC.1, annex B.4) -----------------------------------------------------------------------------


def _jpeg(data: bytes) -> ImageFile:
    kept = [b"\xff\xd8"]
    profiles: dict[int, bytes] = {}
    exif, width, height, scans, frame, at, whole = Exif(), 0, 0, 0, 0, 2, False
    while found := MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        if marker == END_OF_IMAGE:
            whole = True
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        length = int.from_bytes(data[at : at + 2])
        segment, end = data[at + 2 : at + length], at + max(length, 2)
        if marker == START_OF_SCAN:
            scans += 1
            coded = END_OF_CODED.search(data, end)
            end = coded.start() if coded else len(data)
            kept.append(b"\xff\xda" + data[at:end])
        elif marker in FRAME_MARKERS or marker in TABLE_MARKERS or (marker == APP0 and segment.startswith(b"JFIF\0")):
            kept.append(bytes((0xFF, marker)) + data[at:end])
            if marker in FRAME_MARKERS and not frame:
                frame = marker
                height, width = struct.unpack(">HH", segment[1:5])
        elif marker == APP14 and segment.startswith(b"Adobe"):
            kept.append(bytes((0xFF, marker)) + data[at:end])
        elif marker == APP1 and segment.startswith(EXIF_PREFIX):
            exif = exif if exif.found else Exif.read(segment)
        elif marker == APP2 and segment.startswith(b"ICC_PROFILE\0") and len(segment) > 14:
            profiles.setdefault(segment[12], segment[14:])
        at = end

    if not scans or not frame:
        raise ImageInvalid("a JPEG without a header or without pixels")
    if not whole and frame not in BASELINE:
        raise ImageInvalid("a progressive JPEG without an end")

    profile = b"".join(profiles[number] for number in sorted(profiles))
    found_profiles = (profile,) if profile and len(profile) <= PROFILE_BYTES_MAX else ()
    if not found_profiles and exif.is_adobe_rgb:
        found_profiles = (colour.adobe_rgb(),)

    written = b"".join(kept)
    written = written + b"\xff\xd9" if whole else written.rstrip(b"\xff")
    return ImageFile("JPEG", written, width, height, exif.orientation, found_profiles, scans=scans, whole=whole)


# ---- WebP (RFC 9649) -------------------------------------------------------------------------------------------------


def _webp(data: bytes) -> ImageFile:
    canvas: tuple[int, int] | None = None
    pixels: dict[bytes, bytes] = {}
    ancillary: dict[bytes, bytes] = {}
    frames, corner = 0, (0, 0)
    for kind, content in _webp_chunks(data, 12):
        if kind == b"VP8X":
            canvas = (_uint24(content, 4) + 1, _uint24(content, 7) + 1)
        elif kind == b"ANMF":
            frames += 1
            if not pixels:
                corner = (2 * _uint24(content, 0), 2 * _uint24(content, 3))
                pixels = _webp_pixels(_webp_chunks(content, 16))
        elif kind in (b"ALPH", b"VP8 ", b"VP8L") and not frames:
            pixels.setdefault(kind, content)
        else:
            ancillary.setdefault(kind, content)

    size = _webp_size(pixels)
    if not frames or canvas is None:
        # Without frames the image fills the canvas, whatever size VP8X states.
        canvas, corner = size, (0, 0)
    profile = ancillary.get(b"ICCP", b"")

    return ImageFile(
        "WEBP",
        _webp_file(pixels, size),
        *canvas,
        orientation=Exif.read(ancillary.get(b"EXIF", b"")).orientation,
        profiles=(profile,) if 0 < len(profile) <= PROFILE_BYTES_MAX else (),
        frames=max(frames, 1),
        corner=corner,
    )


def _webp_chunks(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        content = data[at + 8 : at + 8 + length]
        if len(content) == length or kind in (b"EXIF", b"XMP "):
            yield kind, content
        at += 8 + length + length % 2


def _webp_pixels(chunks: Iterator[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    return {kind: content for kind, content in chunks if kind in (b"ALPH", b"VP8 ", b"VP8L")}


def _webp_size(pixels: dict[bytes, bytes]) -> tuple[int, int]:
    lossless, lossy = pixels.get(b"VP8L"), pixels.get(b"VP8 ")
    if lossless and lossless[0] == 0x2F:
        bits = int.from_bytes(lossless[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if lossy and lossy[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", lossy, 6)
        return width & 0x3FFF, height & 0x3FFF
    raise ImageInvalid("a WebP without pixels")


def _webp_file(pixels: dict[bytes, bytes], size: tuple[int, int]) -> bytes:
    if b"VP8L" in pixels:
        chunks = [(b"VP8L", pixels[b"VP8L"])]
    elif b"ALPH" in pixels:
        has_alpha = b"\x10\0\0\0" + b"".join((side - 1).to_bytes(3, "little") for side in size)
        chunks = [(b"VP8X", has_alpha), (b"ALPH", pixels[b"ALPH"]), (b"VP8 ", pixels[b"VP8 "])]
    else:
        chunks = [(b"VP8 ", pixels[b"VP8 "])]
    body = b"WEBP"
    for kind, content in chunks:
        body += struct.pack("<4sI", kind, len(content)) + content + bytes(len(content) % 2)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def _uint24(data: bytes, at: int) -> int:
    if at + 3 > len(data):
        raise IndexError
    return int.from_bytes(data[at : at + 3], "little")


READERS = {"PNG": _png, "JPEG": _jpeg, "WEBP": _webp}


# ---- EXIF (CIPA DC-008) ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exif:
    """The two EXIF values that affect how an image looks: its orientation, and whether it is Adobe RGB, which cameras
    state only here (CIPA DC-010, "Design rule for Camera File system")."""

    orientation: int = 1
    is_adobe_rgb: bool = False
    found: bool = False

    @staticmethod
    def read(data: bytes) -> Exif:
        """Parse EXIF data; values that are missing or broken keep their defaults."""
        tiff = data.removeprefix(EXIF_PREFIX)
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
        if order is None:
            return Exif()
        main = _exif_entries(tiff, order, struct.unpack_from(f"{order}I", tiff, 4)[0] if len(tiff) >= 8 else 0)
        details = _exif_entries(tiff, order, _exif_integer(main, EXIF_FOLDER, order))
        compatible = _exif_entries(tiff, order, _exif_integer(details, INTEROPERABILITY_FOLDER, order))
        is_adobe_rgb = (
            _exif_integer(details, COLOUR_SPACE, order) == UNCALIBRATED
            and compatible.get(INTEROPERABILITY_INDEX, b"")[8:11] == b"R03"
        )
        orientation = _exif_integer(main, ORIENTATION, order)
        return Exif(orientation if 1 <= orientation <= 8 else 1, is_adobe_rgb, found=True)


def _exif_entries(tiff: bytes, order: str, at: int) -> dict[int, bytes]:
    """The entries (twelve bytes each) of the EXIF directory at an offset, by tag; empty when there is no directory."""
    entries: dict[int, bytes] = {}
    if not 8 <= at <= len(tiff) - 2:
        return entries
    (count,) = struct.unpack_from(f"{order}H", tiff, at)
    for number in range(count):
        entry = tiff[at + 2 + 12 * number : at + 14 + 12 * number]
        if len(entry) < 12:
            break
        entries.setdefault(struct.unpack_from(f"{order}H", entry)[0], entry)
    return entries


def _exif_integer(entries: dict[int, bytes], tag: int, order: str) -> int:
    """An integer (SHORT or LONG) that is stored in its entry; 0 when there is none."""
    entry = entries.get(tag, bytes(12))
    form = {3: "H", 4: "I"}.get(struct.unpack_from(f"{order}H", entry, 2)[0])
    return struct.unpack_from(f"{order}{form}", entry, 8)[0] if form else 0
