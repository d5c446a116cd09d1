"""A mask marks the area of an image that changes, in any of the formats that tools write."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PIL import Image

from atelier.adapters.media.image import process
from atelier.adapters.media.mask import MaskUnusable, fit_mask
from tests.unit.media.test_image import opened, saved

SIZE = (120, 80)
PICTURE = saved(Image.new("RGB", SIZE, "teal"), "PNG")
# The left half changes.
LEFT = (0, 0, 60, 80)


def white_on_black(size: tuple[int, int] = SIZE) -> Image.Image:
    mask = Image.new("L", size, 0)
    mask.paste(255, (0, 0, size[0] // 2, size[1]))
    return mask


def see_through() -> Image.Image:
    mask = Image.new("RGBA", SIZE, (9, 99, 199, 255))
    mask.paste((9, 99, 199, 0), LEFT)
    return mask


def palette() -> Image.Image:
    mask = Image.new("P", SIZE, 0)
    mask.putpalette([0, 0, 0, 255, 255, 255])
    mask.paste(1, LEFT)
    return mask


def changes(mask: bytes) -> tuple[int, int, int, int] | None:
    """The area that changes, by the mask as a provider gets it."""
    made = opened(fit_mask(process(mask, watermark=False).data, PICTURE))
    assert (made.format, made.mode, made.size) == ("PNG", "RGBA", SIZE)
    return made.getchannel("A").point(lambda alpha: 255 * (alpha < 128)).getbbox()


@pytest.mark.parametrize(
    "mask",
    [
        saved(see_through(), "PNG"),
        saved(see_through(), "WEBP", lossless=True),
        saved(white_on_black(), "PNG"),
        saved(white_on_black().convert("1"), "PNG"),
        saved(white_on_black().convert("I;16").point(lambda value: value * 257), "PNG"),
        saved(white_on_black().convert("RGB"), "PNG"),
        saved(white_on_black().convert("RGBA"), "PNG"),
        saved(palette(), "PNG"),
        saved(white_on_black(), "JPEG"),
        saved(white_on_black().convert("RGB"), "JPEG", quality=70),
        saved(white_on_black().convert("RGB"), "WEBP"),
        saved(white_on_black((60, 40)), "PNG"),
        saved(white_on_black((361, 241)), "PNG"),
    ],
)
def test_every_common_mask_format_marks_the_same_area(mask: bytes) -> None:
    left, top, right, bottom = changes(mask) or (0, 0, 0, 0)
    assert (left, top, bottom) == (0, 0, 80)
    assert 56 <= right <= 64


def test_a_gradient_mask_keeps_its_levels() -> None:
    made = opened(fit_mask(saved(Image.linear_gradient("L").resize(SIZE), "PNG"), PICTURE))
    assert len(set(made.getchannel("A").tobytes())) > 50


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (lambda: Image.new("L", SIZE, 0), "changes nothing"),
        (lambda: Image.new("RGBA", SIZE, (0, 0, 0, 255)), "changes nothing"),
        (lambda: Image.new("RGBA", SIZE, (0, 0, 0, 200)), "changes nothing"),
        (lambda: Image.new("RGB", SIZE, "red"), "not black and white, and has no transparent part"),
        (lambda: white_on_black((80, 80)), "shape of the image: it has 80 × 80 pixels, the image 120 × 80"),
    ],
)
def test_a_mask_that_changes_nothing_or_is_of_another_shape_is_refused(
    mask: Callable[[], Image.Image], words: str
) -> None:
    with pytest.raises(MaskUnusable, match=words):
        fit_mask(saved(mask(), "PNG"), PICTURE)
