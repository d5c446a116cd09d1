"""Images: recognised by their bytes, decoded within limits, cleaned, watermarked, and encoded again.

An image keeps its format; a PNG's pixels are delivered without loss, except for the free tier's watermark. Everything
else in the file is removed (`image_file.py`): camera data, locations, comments, prompts, bytes after the file's end.
Other colour spaces are converted to sRGB (`colour.py`).
"""

# Pillow's annotations name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import warnings

from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from atelier.adapters.media import colour, image_file, png
from atelier.adapters.media.image_file import ImageFile, ImageInvalid, ImageLimitExceeded
from atelier.adapters.media.processed import Processed
from atelier.adapters.media.watermark import mark

__all__ = ["ImageInvalid", "ImageLimitExceeded", "prepare", "process", "thumbnail"]

PIXELS_MAX = 40_000_000
# Cameras make JPEGs of 200 megapixels. A JPEG of more than PIXELS_MAX is decoded at a half, a quarter or an eighth of
# its sides, which its decoder can do while reading.
JPEG_PIXELS_MAX = 210_000_000
REDUCTIONS = (1, 2, 4, 8)
# Each row and column has a cost beside its pixels, here and in later processing. Panoramas have sides of 16,000.
SIDE_MAX = 32_768
FRAMES_MAX = 300
# A decoder passes over all pixels once for each scan. Encoders write about ten scans; the format has no limit.
SCANS_MAX = 100
THUMBNAIL_SIDE_MAX = 512
THUMBNAIL_QUALITY = 80
QUALITY = 92

TRANSPOSE_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Decoders are chosen explicitly, so that Pillow does not try other formats.
DECODERS = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}

# Pillow warns of a decompression bomb at this many pixels; the warning is turned into an error.
Image.MAX_IMAGE_PIXELS = PIXELS_MAX
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


def process(data: bytes, *, watermark: bool) -> Processed:
    """Turn an image file into a deliverable one; equal input gives equal output. Raises PictureInvalid, or
    PictureLimitExceeded when the image is too large."""
    found = image_file.parse(data)
    _check_limits(found)
    pixels = _decode(found)
    if watermark:
        mark(pixels)
    return Processed(
        type="image",
        format=found.kind.lower(),
        data=_encode(pixels, found.kind),
        width=pixels.width,
        height=pixels.height,
        thumbnail=thumbnail(pixels),
        notes=_notes(found, pixels),
    )


def prepare() -> None:
    """Load fonts and encoders once, in the clean process from which the images' processes are forked."""
    usual = Image.new("RGB", (1024, 1024))
    mark(usual)
    thumbnail(usual)


def _notes(found: ImageFile, pixels: Image.Image) -> tuple[str, ...]:
    if pixels.width * pixels.height == found.width * found.height:
        return ()
    before, after = f"{found.width} × {found.height}", f"{pixels.width} × {pixels.height}"
    return (f"The image was scaled down to {after} from {before} as stored: {PIXELS_MAX:,} pixels are kept.",)


def _check_limits(found: ImageFile) -> None:
    """Check the limits on decoding work by the file's headers, before anything is decoded. Raises PictureInvalid or
    PictureLimitExceeded."""
    sides, pixels = f"{found.width} × {found.height}", found.width * found.height
    pixels_max = JPEG_PIXELS_MAX if found.kind == "JPEG" else PIXELS_MAX
    if not pixels:
        raise ImageInvalid("an image without pixels")
    if pixels > pixels_max:
        limit = f"a {NAMES[found.kind]} may have {pixels_max // 1_000_000}"
        raise ImageLimitExceeded(f"The image has {pixels / 1e6:.1f} megapixels ({sides}); {limit}.")
    if max(found.width, found.height) > SIDE_MAX:
        raise ImageLimitExceeded(f"The image has {sides} pixels; a side may have {SIDE_MAX:,}.")
    if found.frames > FRAMES_MAX:
        raise ImageLimitExceeded(f"The image has {found.frames} frames; it may have {FRAMES_MAX}.")
    if found.scans > SCANS_MAX:
        raise ImageLimitExceeded(f"The JPEG is written in {found.scans} scans; it may have {SCANS_MAX}.")


NAMES = {"PNG": "PNG", "JPEG": "JPEG", "WEBP": "WebP"}


def _decode(found: ImageFile) -> Image.Image:
    """The first frame, upright, in sRGB, in mode L, RGB or RGBA with eight bits per channel."""
    try:
        pixels = _open(found.data, found)
        if not found.whole and pixels != _open(found.data + FILLER, found):
            raise ImageInvalid("a JPEG that is cut off")
        plain = _to_plain_mode(colour.to_srgb(_to_eight_bits(pixels), found.profiles))
        if found.orientation in TRANSPOSE_BY_ORIENTATION:
            plain = plain.transpose(TRANSPOSE_BY_ORIENTATION[found.orientation])
        return plain
    except ImageInvalid:
        raise
    except MemoryError:
        raise
    except Exception as error:
        # On broken bytes Pillow's decoders raise many kinds of errors: OSError, SyntaxError, struct.error …
        raise ImageInvalid(f"not decodable as {found.kind}: {type(error).__name__}") from error


# A JPEG without an end is decoded twice, once with these bytes appended. If pixels are missing, the decoder makes them
# from these bytes and the two results differ; if the pixels are complete, the results are equal.
FILLER = b"\x55" * 64


def _open(data: bytes, found: ImageFile) -> Image.Image:
    if not found.whole:
        data += b"\xff\xd9"
    with DECODERS[found.kind](io.BytesIO(data)) as opened:
        if found.kind == "JPEG":
            reduction = next(by for by in REDUCTIONS if found.width * found.height <= PIXELS_MAX * by * by)
            opened.draft(None, (found.width // reduction, found.height // reduction))
        opened.load()
        if found.kind == "WEBP" and opened.size != (found.width, found.height):
            canvas = Image.new("RGBA", (found.width, found.height))
            canvas.paste(opened, found.corner)
            return canvas
        return opened


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """The image with eight bits per channel and direct colours instead of a palette."""
    if image.mode.startswith("I"):
        # Sixteen bits: keep the upper eight, because Pillow's convert() would clip everything above 255.
        grey = image.convert("I").point(lambda value: value / 256).convert("L")
        if "transparency" not in image.info:
            return grey
        grey.info["transparency"] = image.info["transparency"]
        return grey.convert("LA")
    if image.mode in ("P", "1"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in ("L", "RGB") and "transparency" in image.info:
        return image.convert("LA" if image.mode == "L" else "RGBA")
    return image


def _to_plain_mode(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB", "RGBA"):
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _encode(image: Image.Image, kind: str) -> bytes:
    if kind == "PNG":
        return png.encode(image)
    # Pillow would write some of this metadata into the new file.
    image.info.clear()
    file = io.BytesIO()
    if kind == "JPEG":
        image.save(file, "JPEG", quality=QUALITY)
    else:
        image.save(file, "WEBP", quality=QUALITY, method=2)
    return file.getvalue()


def thumbnail(image: Image.Image) -> bytes:
    """A WebP file of the image, with at most 512 pixels per side."""
    shrink = max(max(image.size) / THUMBNAIL_SIDE_MAX, 1)
    width, height = (max(round(side / shrink), 1) for side in image.size)
    # reducing_gap=1.0: shrinking by whole factors averages pixels, which is fast. WebP's method 0 takes a fifth of the
    # default's time.
    small = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=1.0)
    small.info.clear()
    file = io.BytesIO()
    small.save(file, "WEBP", quality=THUMBNAIL_QUALITY, method=0)
    return file.getvalue()
