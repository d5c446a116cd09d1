"""Masks in one form, whichever form they came in: a PNG of the picture's size, see-through where it is to change.

Two forms are usual. A mask with alpha says it by being see-through (OpenAI's way); one without is white where the
picture is to change and black where it stays (what painting tools and most other models write). Both files are the
library's own: they have been looked into and encoded afresh.
"""

# Pillow's annotations name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io

from PIL import Image, ImageChops, ImageOps

from atelier.media import png

# Half see-through is see-through, half grey is white.
HALF = 128
# A black-and-white mask as JPEG has some colour.
COLOUR_MAX = 48
# Two shapes are the same whose sides differ by rounding.
SHAPE_DIFFERENCE_MAX = 0.02


class MaskUnusable(Exception):
    """This mask changes nothing, or is none of this picture. The text is for whoever brought it."""


def fitted(mask: bytes, picture: bytes) -> bytes:
    """The mask in our form, at the picture's size. Raises MaskUnusable."""
    with Image.open(io.BytesIO(picture)) as opened:
        size = opened.size
    with Image.open(io.BytesIO(mask)) as opened:
        stays = _stays(opened)
    if stays.getextrema()[0] >= HALF:  # pyright: ignore[reportOperatorIssue]
        raise MaskUnusable("The mask changes nothing: it is nowhere see-through, and nowhere white.")
    across, along = stays.width * size[1], stays.height * size[0]
    if abs(across - along) > SHAPE_DIFFERENCE_MAX * max(across, along):
        sizes = f"{stays.width} × {stays.height} pixels, the picture {size[0]} × {size[1]}"
        raise MaskUnusable(f"The mask must have the shape of the picture: it has {sizes}.")
    if stays.size != size:
        stays = stays.resize(size, Image.Resampling.BILINEAR)
    black = Image.new("L", size)
    return png.encode(Image.merge("RGBA", (black, black, black, stays)))


def _stays(mask: Image.Image) -> Image.Image:
    """How much of the picture stays at each point: 255 = all of it."""
    if mask.has_transparency_data:
        alpha = mask.convert("RGBA").getchannel("A")
        if alpha.getextrema()[0] < HALF:  # pyright: ignore[reportOperatorIssue]
            return alpha
    red, green, blue = mask.convert("RGB").split()
    for one, other in ((red, green), (green, blue)):
        if ImageChops.difference(one, other).getextrema()[1] > COLOUR_MAX:  # pyright: ignore[reportOperatorIssue]
            raise MaskUnusable("The mask is neither see-through anywhere nor black and white.")
    return ImageOps.invert(mask.convert("L"))
