"""Translate a size into a model's own terms: width and height in pixels, or an aspect ratio and a resolution. The size
is the one requested, or that of the input image.

The parameter `size` (`1536x1024`, or `auto`: as the input image) stays in a request's parameters beside its
translation, because each candidate model, attempt and retry translates it anew.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from atelier.dataclass import dataclass

if TYPE_CHECKING:
    from atelier.catalogue.model import Model
    from atelier.catalogue.parameters import ChoiceRule, IntegerRule

SIZE, AUTO = "size", "auto"
SIZE_PATTERN = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
SHAPE_PARAMETERS = ("width", "height", "aspect_ratio", "resolution")
SHAPED_KINDS = ("image", "video", "avatar")
# A size is refused when the nearest size that the model makes differs by more than these factors: in the ratio of its
# sides, or in its number of pixels.
RATIO_OFF_MAX, PIXELS_OFF_MAX = 1.25, 4
# A model that follows its input image's ratio is sent a ratio only when it is the image's own, within this factor.
RATIO_SAME_MAX = 1.02
RESOLUTION_PATTERN = re.compile(r"(\d+)([pk])")


@dataclass(frozen=True, slots=True)
class InputFacts:
    """Facts that decide a price, besides the number of input files: the size of the first input image in pixels, and
    the length of the input audio; None = not known. pending: roles of files that an earlier stage is still to make; for
    such audio the length is an upper bound. negative_prompt: sent to image and video models beside the prompt."""

    width: int | None = None
    height: int | None = None
    audio_milliseconds: int | None = None
    pending: frozenset[str] = frozenset()
    negative_prompt: str = ""


NO_FACTS = InputFacts()


def takes_size(model: Model) -> bool:
    """Whether the model makes a kind of media that has a size."""
    return any(kind in SHAPED_KINDS for kind in (model.kind, *model.also))


def takes_ratio_or_resolution(model: Model) -> bool:
    """Whether a model without width and height can take a ratio or a resolution in their place."""
    return "width" not in model.parameters and bool({"aspect_ratio", "resolution"} & model.parameters.keys())


def to_model_shape(model: Model, given: Mapping[str, Any], facts: InputFacts) -> tuple[dict[str, Any], str | None]:
    """The parameters with the shape in the model's own terms, and the reason when the model cannot make that shape.
    `size` overrides the other terms; without any of them, the input image decides. `auto` stays as it is while the
    image is pending."""
    parameters, requested_size = dict(given), given.get(SIZE)
    width, height = given.get("width"), given.get("height")
    if requested_size not in (None, AUTO):
        size = size_in_pixels(requested_size)
        if size is None:
            return parameters, "must be auto, or a size like 1024x1024"
    elif (
        requested_size is None
        and takes_ratio_or_resolution(model)
        and isinstance(width, int)
        and isinstance(height, int)
    ):
        size = width, height
    else:
        return _shape_of_image(model, parameters, facts), None
    shape, reason = _nearest_shape(model, *size, facts)
    if "aspect_ratio" not in shape:
        parameters.pop("aspect_ratio", None)
    return parameters | shape, reason


def size_in_pixels(size: object) -> tuple[int, int] | None:
    """Parse `1024x1536` into width and height; None for anything else."""
    match = SIZE_PATTERN.fullmatch(size) if isinstance(size, str) else None
    return (int(match[1]), int(match[2])) if match else None


def pixels_most(model: Model) -> int:
    """The most pixels that an image of this model can have while its size is not known yet."""
    width, height = _integer_rule(model, "width"), _integer_rule(model, "height")
    most = width["maximum"] * height["maximum"] if width and height else 0
    return min(most, model.pixels_max or most, model.pixels_auto or most)


def _shape_of_image(model: Model, parameters: dict[str, Any], facts: InputFacts) -> dict[str, Any]:
    """The parameters with the input image's shape, when the caller names none."""
    automatic = parameters.pop(SIZE, None) == AUTO
    if "image" not in model.inputs or (
        not automatic and any(parameters.get(name) is not None for name in SHAPE_PARAMETERS[:3])
    ):
        return parameters
    width, ratio = _integer_rule(model, "width"), _choice_rule(model, "aspect_ratio")
    by_pixels = width is not None and "default" in width
    if not by_pixels and ratio is None:
        return parameters
    if facts.width is None and "image" not in facts.pending:
        return parameters

    parameters = {name: value for name, value in parameters.items() if name not in SHAPE_PARAMETERS[:3]} | {SIZE: AUTO}
    if facts.width is None or facts.height is None:
        return parameters
    if by_pixels:
        parameters["width"], parameters["height"] = nearest_size(model, facts.width, facts.height, model.pixels_auto)
    elif ratio is not None:
        image_ratio = facts.width / facts.height
        nearest = min(ratio["choices"], key=lambda name: _ratio_factor(image_ratio, name))
        follows = ratio.get("follows_image")
        if follows is None or (follows == "unless_said" and _ratio_factor(image_ratio, nearest) <= RATIO_SAME_MAX):
            parameters["aspect_ratio"] = nearest
    return parameters


def _nearest_shape(model: Model, width: int, height: int, facts: InputFacts) -> tuple[dict[str, Any], str | None]:
    """The nearest size that a model makes, in its own terms; or the reason why it is too far off."""
    if _integer_rule(model, "width") and _integer_rule(model, "height"):
        size = nearest_size(model, width, height)
        is_far = _ratio_factor(width / height, f"{size[0]}:{size[1]}") > RATIO_OFF_MAX
        if is_far or width * height > PIXELS_OFF_MAX * size[0] * size[1]:
            return {}, _too_far_message(model, width, height)
        return dict(zip(("width", "height"), size, strict=True)), None

    shape: dict[str, Any] = {}
    ratio, ratios = width / height, _choice_rule(model, "aspect_ratio")
    has_picture = "image" in model.inputs and (facts.width is not None or "image" in facts.pending)
    if ratios is not None and has_picture and ratios.get("follows_image") == "always":
        ratios = None
    if ratios is not None:
        name = shape["aspect_ratio"] = min(ratios["choices"], key=lambda name: _ratio_factor(ratio, name))
        if _ratio_factor(ratio, name) > RATIO_OFF_MAX:
            return {}, _too_far_message(model, width, height)
        ratio = _ratio(name)

    resolutions = _choice_rule(model, "resolution")
    pixels = 1024 * 1024 if ratios else None
    if resolutions is not None:
        sizes = {name: _pixels(name, ratio) for name in resolutions["choices"]}
        shape["resolution"] = min(sizes, key=lambda name: abs(math.log(sizes[name] / (width * height))))
        pixels = sizes[shape["resolution"]]
    if pixels is not None and width * height > PIXELS_OFF_MAX * pixels:
        return {}, _too_far_message(model, width, height)
    return shape, None


def nearest_size(model: Model, width: int, height: int, pixels_max: int | None = None) -> tuple[int, int]:
    """The size nearest to width × height that the model makes: nearest in shape first, then in pixels. The model has
    both parameters, width and height."""
    width_rule, height_rule = _integer_rule(model, "width"), _integer_rule(model, "height")
    assert width_rule is not None, "only asked of models with both"
    assert height_rule is not None, "only asked of models with both"
    least = width_rule["minimum"], height_rule["minimum"]
    most = width_rule["maximum"], height_rule["maximum"]
    pixels = min(bound for bound in (model.pixels_max, pixels_max, most[0] * most[1]) if bound)
    ratio_max = model.ratio_max or math.inf
    ratio = min(max(width / height, least[0] / most[1], 1 / ratio_max), most[0] / least[1], ratio_max)
    area = width * height
    ideal = math.sqrt(area * ratio), math.sqrt(area / ratio)
    upscale = max(1.0, least[0] / ideal[0], least[1] / ideal[1])
    scale = min(upscale, most[0] / ideal[0], most[1] / ideal[1], math.sqrt(pixels / area))
    sides = [_allowed_sides(side * scale, rule) for side, rule in ((ideal[0], width_rule), (ideal[1], height_rule))]

    def distance(size: tuple[int, int]) -> tuple[bool, float]:
        beyond = size[0] * size[1] > pixels or max(size) > ratio_max * min(size)
        off = abs(math.log(size[0] / size[1] / ratio)), abs(math.log(size[0] * size[1] / (area * scale**2)))
        return beyond, off[0] * 2 + off[1]

    return min(((w, h) for w in sides[0] for h in sides[1]), key=distance)


def _allowed_sides(side: float, rule: IntegerRule) -> list[int]:
    """The lengths just below and just above `side` that a rule allows."""
    step = rule.get("multiple_of", 1)
    least, most = -(-rule["minimum"] // step) * step, rule["maximum"] // step * step
    below = int(side + 1e-6) // step * step
    return sorted({min(max(each, least), most) for each in (below - step, below, below + step)})


def _ratio_factor(ratio: float, name: str) -> float:
    """The factor between two ratios: the larger divided by the smaller. `name`: a ratio such as `16:9`."""
    quotient = ratio / _ratio(name)
    return max(quotient, 1 / quotient)


def _ratio(name: str) -> float:
    across, _, down = name.partition(":")
    return float(across) / float(down)


def _pixels(resolution: str, ratio: float) -> float:
    """The number of pixels of `720p` with this ratio, or of `2k`."""
    match = RESOLUTION_PATTERN.fullmatch(resolution)
    assert match is not None, "the catalogue's check knows no other"
    number = int(match[1])
    return number**2 * max(ratio, 1 / ratio) if match[2] == "p" else (number * 1024) ** 2


def _too_far_message(model: Model, width: int, height: int) -> str:
    across, down = _integer_rule(model, "width"), _integer_rule(model, "height")
    if across and down:
        offered = (
            f"{across['minimum']} to {across['maximum']} pixels wide and {down['minimum']} to {down['maximum']} high, "
            f"at most {model.pixels_max or across['maximum'] * down['maximum']} in all"
        )
        offered += f", no side more than {model.ratio_max} times the other" if model.ratio_max else ""
    else:
        terms = [rule["choices"] for name in ("aspect_ratio", "resolution") if (rule := _choice_rule(model, name))]
        offered = " in ".join(", ".join(choices) for choices in terms)
    return f"{width}x{height} is too far from what {model.id} makes: {offered}"


def _integer_rule(model: Model, name: str) -> IntegerRule | None:
    rule = model.parameters.get(name)
    return rule if rule is not None and "minimum" in rule else None


def _choice_rule(model: Model, name: str) -> ChoiceRule | None:
    rule = model.parameters.get(name)
    return rule if rule is not None and "choices" in rule else None
