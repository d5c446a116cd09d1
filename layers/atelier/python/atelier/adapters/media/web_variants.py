"""Smaller variants of an image, for screens that need no more. The same image makes the same bytes."""

# Pillow's annotations name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image

# In pixels: a telephone, a tablet or a telephone's dense screen, and a large screen.
WIDTHS = (480, 960, 1600)
# A variant is worth a file when it has at most this part of the image's width.
SHRUNK_PERCENT_MAX = 80
QUALITY = 80
CONTENT_TYPE = "image/webp"


def smaller_variants(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(width, height, WebP file) of an image's smaller variants, the smallest first. data: a file of the library, which
    was checked when it came in."""
    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGBA" if "A" in opened.getbands() or "transparency" in opened.info else "RGB")
    for width in WIDTHS:
        if width * 100 <= image.width * SHRUNK_PERCENT_MAX:
            height = max(round(image.height * width / image.width), 1)
            small = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
            small.info.clear()
            file = io.BytesIO()
            small.save(file, "WEBP", quality=QUALITY, method=4)
            yield width, height, file.getvalue()
