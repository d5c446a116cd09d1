"""From a provider's bytes to what is delivered: recognised, decoded within bounds, cleaned, marked, encoded afresh.

A picture keeps its format: a PNG's pixels are delivered as they are, losslessly, but for the tier's watermark. All else
in the file is left behind, whatever it calls itself, because only pixels are carried over: camera data, places,
comments, prompts, and whatever follows a file's end.
"""

# Pillow's annotations name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps

from atelier.media import png
from atelier.media.processed import MediaInvalid, Processed
from atelier.media.watermark import mark

PIXELS_MAX = 40_000_000
FRAMES_MAX = 300
THUMBNAIL_SIDE_MAX = 512
THUMBNAIL_QUALITY = 80
QUALITY = 92

# What a file is, by its first bytes; what a provider or a header calls it does not count.
MAGIC = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff", "WEBP": b"RIFF"}

# Pillow warns of a bomb at this many pixels; nobody reads a warning.
Image.MAX_IMAGE_PIXELS = PIXELS_MAX
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


class PictureInvalid(MediaInvalid):
    """The bytes are no picture that we take."""


def process(data: bytes, *, watermark: bool) -> Processed:
    """A provider's file as a deliverable picture; equal input gives equal output. Raises PictureInvalid."""
    kind = sniffed(data)
    pixels = _decoded(data, kind)
    if watermark:
        mark(pixels)
    return Processed(
        type="image",
        format=kind.lower(),
        data=_encoded(pixels, kind),
        width=pixels.width,
        height=pixels.height,
        thumbnail=thumbnail(pixels),
    )


def sniffed(data: bytes) -> str:
    """PNG, JPEG or WEBP; raises PictureInvalid for anything else, SVG and HTML among it."""
    for kind, magic in MAGIC.items():
        if data.startswith(magic) and (kind != "WEBP" or data[8:12] == b"WEBP"):
            return kind
    raise PictureInvalid("the bytes are neither PNG, JPEG nor WebP")


def _decoded(data: bytes, kind: str) -> Image.Image:
    """The first frame, upright, as L, RGB or RGBA with eight bits a channel."""
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as opened:
            # Both are known from headers: nothing has been decoded yet.
            if opened.width * opened.height > PIXELS_MAX:
                raise PictureInvalid(f"{opened.width} × {opened.height} pixels are more than {PIXELS_MAX}")
            if getattr(opened, "n_frames", 1) > FRAMES_MAX:
                raise PictureInvalid(f"more than {FRAMES_MAX} frames")
            opened.load()
            return _plain(ImageOps.exif_transpose(opened))
    except PictureInvalid:
        raise
    except Exception as error:
        # On broken bytes a decoder raises whatever comes: OSError, SyntaxError, struct.error, a bomb's warning …
        raise PictureInvalid(f"not decodable as {kind}: {type(error).__name__}") from error


def _plain(picture: Image.Image) -> Image.Image:
    if picture.mode in ("I;16", "I"):
        # Sixteen bits: keep the upper eight, where converting would cut off everything brighter than 255.
        return picture.convert("I").point(lambda value: value / 256).convert("L")
    if picture.mode in ("L", "RGB", "RGBA") and "transparency" not in picture.info:
        return picture
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _encoded(picture: Image.Image, kind: str) -> bytes:
    if kind == "PNG":
        return png.encode(picture)
    # Pillow would carry some of what is in here into the new file.
    picture.info.clear()
    file = io.BytesIO()
    if kind == "JPEG":
        picture.save(file, "JPEG", quality=QUALITY)
    else:
        picture.save(file, "WEBP", quality=QUALITY, method=2)
    return file.getvalue()


def thumbnail(picture: Image.Image) -> bytes:
    """A WebP of at most 512 pixels a side."""
    shrink = max(max(picture.size) / THUMBNAIL_SIDE_MAX, 1)
    width, height = (max(round(side / shrink), 1) for side in picture.size)
    # Halving and the like is done by averaging, which is quick; method 0 is a fifth of the default's time.
    small = picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=1.0)
    small.info.clear()
    file = io.BytesIO()
    small.save(file, "WEBP", quality=THUMBNAIL_QUALITY, method=0)
    return file.getvalue()
