"""Masks in one form, whichever form they came in: a PNG of the picture's size, transparent where it is to change.

Two forms are usual. A mask with an alpha channel is transparent where the picture is to change (OpenAI's way); one
without is white there, and black where the picture stays (what painting tools and most other models write). Mask and
picture both come from the library, so they have been checked and encoded afresh.
"""

# Pillow's annotations name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io

from PIL import Image, ImageChops, ImageOps

from atelier.media import png

# Below this alpha a point is to change; a mask needs at least one such point.
HALF = 128
# A black-and-white mask as JPEG has some colour.
COLOUR_MAX = 48
# Shapes count as equal when their ratios differ by rounding only.
SHAPE_DIFFERENCE_MAX = 0.02


class MaskUnusable(Exception):
    """The mask changes nothing, or does not fit the picture. The text is shown to its owner."""


def fitted(mask: bytes, picture: bytes) -> bytes:
    """The mask in our form, at the picture's size. Raises MaskUnusable."""
    with Image.open(io.BytesIO(picture)) as opened:
        size = opened.size
    with Image.open(io.BytesIO(mask)) as opened:
        stays = _stays(opened)
    if stays.getextrema()[0] >= HALF:  # pyright: ignore[reportOperatorIssue]
        raise MaskUnusable("The mask changes nothing: no part of it is transparent or white.")
    across, along = stays.width * size[1], stays.height * size[0]
    if abs(across - along) > SHAPE_DIFFERENCE_MAX * max(across, along):
        sizes = f"{stays.width} × {stays.height} pixels, the picture {size[0]} × {size[1]}"
        raise MaskUnusable(f"The mask must have the shape of the picture: it has {sizes}.")
    if stays.size != size:
        stays = stays.resize(size, Image.Resampling.BILINEAR)
    black = Image.new("L", size)
    return png.encode(Image.merge("RGBA", (black, black, black, stays)))


def _stays(mask: Image.Image) -> Image.Image:
    """The mask as alpha, how much of the picture stays at each point: 255 = all of it."""
    if mask.has_transparency_data:
        alpha = mask.convert("RGBA").getchannel("A")
        if alpha.getextrema()[0] < HALF:  # pyright: ignore[reportOperatorIssue]
            return alpha
    red, green, blue = mask.convert("RGB").split()
    for one, other in ((red, green), (green, blue)):
        if ImageChops.difference(one, other).getextrema()[1] > COLOUR_MAX:  # pyright: ignore[reportOperatorIssue]
            raise MaskUnusable("The mask is not black and white, and has no transparent part.")
    return ImageOps.invert(mask.convert("L"))
