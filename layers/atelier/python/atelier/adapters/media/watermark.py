"""The watermark of the free tier: three small, light words with a soft shadow in the lower right corner."""

# Pillow's annotations name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFilter, ImageFont

WORDS = ("made with Atelier", "Atelier")


def mark(image: Image.Image) -> None:
    """Draw the watermark on an image of mode L, RGB or RGBA, in place; only its corner is changed. Its height is a
    fiftieth of the shorter side, but at least 9 pixels; images too narrow for the words get the name alone."""
    light, shadow = _fitting_tiles(image.size)
    corner = (image.width - light.width, image.height - light.height)
    image.paste(Image.new(image.mode, light.size, "black"), corner, shadow)
    image.paste(Image.new(image.mode, light.size, "white"), corner, light)


def tile(size: tuple[int, int]) -> Image.Image:
    """The same watermark as an RGBA image, to be placed in the lower right corner of video frames of this size."""
    light, shadow = _fitting_tiles(size)
    marked = Image.new("RGBA", light.size)
    marked.alpha_composite(Image.merge("RGBA", (*[Image.new("L", light.size, 0)] * 3, shadow)))
    marked.alpha_composite(Image.merge("RGBA", (*[Image.new("L", light.size, 255)] * 3, light)))
    return marked


def _fitting_tiles(size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    height = max(round(min(size) / 50), 9)
    fitting = (words for words in WORDS if _tiles(words, height)[0].width <= size[0] * 0.8)
    return _tiles(next(fitting, WORDS[-1]), height)


@lru_cache(maxsize=16)
def _tiles(words: str, size: int) -> tuple[Image.Image, Image.Image]:
    """Two masks of equal size, with a margin around the words: the strength of the light text and of its shadow."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = (round(side) for side in font.getbbox(words))
    margin = size
    text_mask = Image.new("L", (right - left + 2 * margin, bottom - top + 2 * margin))
    ImageDraw.Draw(text_mask).text((margin - left, margin - top), words, fill=255, font=font)
    shadow = text_mask.filter(ImageFilter.GaussianBlur(size / 6)).point([min(value, 110) for value in range(256)])
    return text_mask.point([value * 200 // 255 for value in range(256)]), shadow
