"""Edit masks in one normal form: a PNG of the image's size, transparent where the image is to change.

Two forms of masks are usual. A mask with an alpha channel is transparent where the image is to change (OpenAI's form);
a mask without alpha is white there, and black where the image stays (the form of painting tools and most other models).
Mask and image both come from the library, so they have already been checked and encoded again.
"""

# Pillow's annotations name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io

from PIL import Image, ImageChops, ImageOps

from atelier.adapters.media import png

# Pixels with an alpha below this are to change; a mask needs at least one such pixel.
ALPHA_HALF = 128
# How much two colour channels of a black-and-white mask may differ: JPEG compression adds some colour.
COLOUR_MAX = 48
# Aspect ratios that differ by no more than this share count as equal (rounding).
SHAPE_DIFFERENCE_MAX = 0.02


class MaskUnusable(Exception):
    """The mask changes nothing, is not black and white, or does not fit the image. The text is shown to its owner."""


def fit_mask(mask: bytes, image: bytes) -> bytes:
    """The mask as a PNG in our normal form, at the image's size. Raises MaskUnusable."""
    with Image.open(io.BytesIO(image)) as opened:
        size = opened.size
    with Image.open(io.BytesIO(mask)) as opened:
        stays = _keep_alpha(opened)
    if stays.getextrema()[0] >= ALPHA_HALF:  # pyright: ignore[reportOperatorIssue]
        raise MaskUnusable("The mask changes nothing: no part of it is transparent or white.")
    across, along = stays.width * size[1], stays.height * size[0]
    if abs(across - along) > SHAPE_DIFFERENCE_MAX * max(across, along):
        sizes = f"{stays.width} × {stays.height} pixels, the image {size[0]} × {size[1]}"
        raise MaskUnusable(f"The mask must have the shape of the image: it has {sizes}.")
    if stays.size != size:
        stays = stays.resize(size, Image.Resampling.BILINEAR)
    black = Image.new("L", size)
    return png.encode(Image.merge("RGBA", (black, black, black, stays)))


def _keep_alpha(mask: Image.Image) -> Image.Image:
    """The mask as an alpha channel: how much of the image stays at each pixel, 255 = unchanged."""
    if mask.has_transparency_data:
        alpha = mask.convert("RGBA").getchannel("A")
        if alpha.getextrema()[0] < ALPHA_HALF:  # pyright: ignore[reportOperatorIssue]
            return alpha
    red, green, blue = mask.convert("RGB").split()
    for one, other in ((red, green), (green, blue)):
        if ImageChops.difference(one, other).getextrema()[1] > COLOUR_MAX:  # pyright: ignore[reportOperatorIssue]
            raise MaskUnusable("The mask is not black and white, and has no transparent part.")
    return ImageOps.invert(mask.convert("L"))
