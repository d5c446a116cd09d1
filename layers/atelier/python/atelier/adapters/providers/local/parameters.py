"""Parameters and input files of the embedded provider, validated. What is out of bounds is refused with a message for
the caller.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from atelier.provider_port import Job

if TYPE_CHECKING:
    from PIL import Image

PIXELS_MAX = 40_000_000
SIDE_MAX = 32_768
FORMATS = ("PNG", "JPEG", "WEBP")


class JobRefused(Exception):
    """The job cannot be done; the text is shown to the caller."""


def integer_parameter(job: Job, name: str, default: int, minimum: int, maximum: int) -> int:
    """An integer parameter from `least` to `most`. Raises Refused."""
    value = job.parameters.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise JobRefused(f"{name} must be a whole number from {minimum} to {maximum}.")
    return value


def number_parameter(job: Job, name: str, default: float, minimum: float, maximum: float) -> float:
    """A number parameter, integer or fractional, from `least` to `most`. Raises Refused."""
    value = job.parameters.get(name)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise JobRefused(f"{name} must be a number from {minimum:g} to {maximum:g}.")
    return float(value)


def choice_parameter(job: Job, name: str, choices: tuple[str, ...]) -> str:
    """A parameter that is one of `choices`; the first is the default. Raises Refused."""
    value = job.parameters.get(name)
    if value is None:
        return choices[0]
    if value not in choices:
        raise JobRefused(f"{name} must be one of {', '.join(choices)}.")
    return value


def video_size(job: Job, width: int, height: int) -> tuple[int, int]:
    """Width and height of a video: even numbers, as its colour subsampling needs, of at most 1280 × 720 pixels in all.
    Raises Refused."""
    size = integer_parameter(job, "width", width, 128, 1280), integer_parameter(job, "height", height, 128, 1280)
    if size[0] % 2 or size[1] % 2:
        raise JobRefused("width and height must be even.")
    if size[0] * size[1] > 1280 * 720:
        raise JobRefused("A video has at most as many pixels as 1280 × 720.")
    return size


def input_image(job: Job, role: str = "image") -> Image.Image | None:
    """The first input image of a role, upright: RGB, or RGBA if it has transparency. None when the job has none. Raises
    Refused for a file that is no readable image or has too many pixels."""
    from PIL import Image, ImageOps

    files = job.inputs.get(role)
    if not files:
        return None
    try:
        with warnings.catch_warnings():
            # Pillow's warning is not needed: the size is checked below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(io.BytesIO(files[0].data), formats=FORMATS)
        if opened.width * opened.height > PIXELS_MAX or max(opened.size) > SIDE_MAX:
            raise JobRefused(f"The {role} has too many pixels.")
        upright = ImageOps.exif_transpose(opened)
        return upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    except Image.DecompressionBombError as error:
        raise JobRefused(f"The {role} has too many pixels.") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise JobRefused(f"The {role} is no image that can be read.") from error


def cover(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image cropped and scaled to fill `size`, with white behind transparent parts."""
    from PIL import Image, ImageOps

    if image.mode == "RGBA":
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, image)
    return ImageOps.fit(image.convert("RGB"), size, Image.Resampling.LANCZOS)


def cover_mask(mask: Image.Image, image_size: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """The mask's alpha (255 = keep), scaled to the image's size, then cropped and scaled as `covering` does with the
    image."""
    from PIL import Image, ImageOps

    alpha = mask.convert("RGBA").getchannel("A")
    alpha = alpha.resize(image_size, Image.Resampling.BILINEAR)  # pyright: ignore[reportUnknownMemberType]
    return ImageOps.fit(alpha, size, Image.Resampling.BILINEAR)
