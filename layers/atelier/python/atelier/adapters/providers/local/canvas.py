"""How `local/canvas` paints: a scene and a palette that suit the prompt, drawn with layered noise. Pillow only.

All random numbers come from one generator seeded with the prompt and the seed, so the same request gives the same
image: the same bytes in every process with the same Pillow. On another kind of processor single pixels may differ by
one step, because sines are rounded differently there.
"""

# Pillow's annotations name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import hashlib
import math
import re
from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from random import Random
from typing import cast

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageMath

from atelier.dataclass import dataclass

Colour = tuple[int, int, int]

# Words that select a scene: the scene that shares most words with the prompt. Without a match, or with a tie, the seed
# decides.
SCENE_WORDS = {
    "ridges": "mountain hill valley landscape sunset sunrise dawn dusk horizon desert dune forest alp peak canyon "
    "winter island lake sea ocean beach coast sky cloud fog mist village castle house tree pine",
    "nebula": "space galaxy nebula star cosmos universe aurora northern light planet dream magic smoke astronaut comet "
    "milky way cosmic astral soul ghost",
    "currents": "wind flow hair music dance dancing abstract wave fur feather bird portrait woman man face cat dog fox "
    "lion horse animal dragon motion river silk painting fish",
    "agate": "marble ink stone agate crystal gem map topographic gold water liquid paper pattern texture wallpaper "
    "lava glass oil wood logo",
    "blooms": "flower garden rose tulip spring meadow blossom poppy leaf plant jungle fruit bouquet botanical cherry "
    "sunflower butterfly mandala",
}
NIGHT_WORDS = frozenset(["night", "moon", "midnight", "star", "aurora", "dark"])
WATER_WORDS = frozenset(["lake", "sea", "ocean", "river", "water", "island", "coast", "beach", "reflection"])
TREE_WORDS = frozenset(["forest", "tree", "pine", "fir", "wood", "jungle", "winter"])
# Five colours each, from the darkest to the lightest, and the words they suit.
PALETTES: dict[str, tuple[str, str]] = {
    "ember": ("#160b26 #5a1846 #c9365b #f5894a #ffe3a6", "sunset fire red orange warm lava dusk desert autumn dragon"),
    "tide": ("#041226 #0b3b5c #127a8c #5fc4b5 #eef7dc", "sea ocean blue teal water wave lake fish cool river island"),
    "moss": ("#0b1a14 #1f4032 #4f7a3f #a9bd5b #f6efc2", "forest green jungle leaf meadow nature plant tea frog"),
    "dusk": (
        "#0d0b2b #3a2a72 #8a4fa3 #e58fb0 #fde6d4",
        "purple violet magic dream dawn lavender evening twilight soul",
    ),
    "frost": ("#0c1524 #2c4a6b #6f9bbd #bcd9e6 #fbfdff", "winter snow ice white fog mist cloud frost alp silver pale"),
    "saffron": ("#1d120a #5b2f12 #b4651d #eab04a #fff0cf", "gold golden yellow sand desert dune honey sun lion autumn"),
    "neon": (
        "#07051c #2a0f6b #8a12b8 #f02d8a #7ef2ff",
        "neon cyber city robot future electric music party synth dance",
    ),
    "polar": ("#030d18 #0a3a4a #0f8a72 #7ce38b #f2d5ff", "aurora northern light polar emerald alien nebula"),
    "poppy": ("#1a1420 #6b1a2b #d8402f #f39a6b #fbeede", "poppy rose tulip love heart fruit strawberry garden"),
    "cherry": ("#1c1420 #56304f #c2688f #f3b0c0 #fff3ee", "cherry blossom pink spring flower bouquet butterfly candy"),
    "indigo": ("#06081f #15246b #3355c9 #8fa6f2 #f4f1ff", "space cosmos universe blue ink star planet night galaxy"),
}


@dataclass(frozen=True, slots=True)
class Canvas:
    """The input of a scene: its size in pixels, five colours from dark to light, the random generator, and the prompt's
    words."""

    width: int
    height: int
    colours: tuple[Colour, ...]
    rng: Random
    words: frozenset[str] = frozenset()

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height

    @property
    def unit(self) -> float:
        """A thousandth of the shorter side in pixels, so that line widths and radii scale with the image."""
        return min(self.size) / 1000


def paint(prompt: str, seed: int, width: int, height: int) -> Image.Image:
    """An RGB image of exactly width × height pixels, with the word “procedural” in a corner."""
    return add_mark(scene(prompt, seed, width, height))


def scene(prompt: str, seed: int, width: int, height: int) -> Image.Image:
    """The same image without the mark, for results that are made from it and marked later."""
    rng = rng_for(prompt, seed)
    words = prompt_words(prompt)
    chosen = _best_match(words, SCENE_WORDS, rng)
    canvas = Canvas(width, height, _palette(words, rng), rng, words)
    return _add_grain(SCENES[chosen](canvas), rng)


def restyle(image: Image.Image, keep_mask: Image.Image | None, prompt: str, seed: int) -> Image.Image:
    """The image in colours that suit the prompt, blended with a scene of the prompt. kept: a mask of the same size,
    white where the image stays unchanged."""
    rng = rng_for(prompt, seed)
    toned = Image.blend(image, _colourise(image.convert("L").convert("F"), _palette(prompt_words(prompt), rng)), 0.5)
    laid = ImageChops.soft_light(toned, scene(prompt, seed, *image.size))
    edited = Image.blend(toned, laid, 0.55 + 0.3 * rng.random())
    if keep_mask is not None:
        edited = Image.composite(image, edited, keep_mask)
    return add_mark(edited)


def enlarge(image: Image.Image, factor: int) -> Image.Image:
    """The image enlarged `factor` times in width and height by interpolation, with sharper edges and no invented
    detail. It gets no mark, because the content stays its owner's."""
    larger = image.resize((image.width * factor, image.height * factor), Image.Resampling.LANCZOS)
    return larger.filter(ImageFilter.UnsharpMask(factor, 60, 2))


def rng_for(prompt: str, seed: int) -> Random:
    """The random generator for a prompt and a seed."""
    digest = hashlib.sha256(f"{seed}\n{prompt}".encode(errors="replace")).digest()
    # No cryptographic randomness is needed for painting.
    return Random(int.from_bytes(digest))  # nosec B311


def prompt_words(prompt: str) -> frozenset[str]:
    """The prompt's English words in lower case and singular."""
    return frozenset(_singular(word) for word in re.findall(r"[a-z]+", prompt.lower()))


def palette_for(prompt: str, seed: int) -> tuple[Colour, ...]:
    """Five colours that suit the prompt, from the darkest to the lightest."""
    return _palette(prompt_words(prompt), rng_for(prompt, seed))


def _palette(words: frozenset[str], rng: Random) -> tuple[Colour, ...]:
    chosen = _best_match(words, {name: suits for name, (_, suits) in PALETTES.items()}, rng)
    return tuple(_colour(code) for code in PALETTES[chosen][0].split())


def _singular(word: str) -> str:
    return word[:-3] + "y" if word.endswith("ies") else word.removesuffix("s")


def _best_match(words: frozenset[str], choices: dict[str, str], rng: Random) -> str:
    scores = {name: len(words & {_singular(word) for word in suits.split()}) for name, suits in choices.items()}
    best = max(scores.values())
    candidates = [name for name, score in scores.items() if score == best]
    return candidates[int(rng.random() * len(candidates))]


def _colour(code: str) -> Colour:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


# ---- drawing tools ---------------------------------------------------------------------------------------------------


def _noise(canvas: Canvas, cells: float, roughness: float = 0.5, octaves: int = 6) -> Image.Image:
    """Smooth noise as an image of mode F, about −1 to 1: random grids, each finer and weaker than the one before,
    scaled up smoothly. `cells` is the number of cells of the coarsest grid along the shorter side."""
    width, height = canvas.size
    across, down = (max(cells * side / min(canvas.size), 2) for side in canvas.size)
    field: Image.Image | None = None
    strength = 1.0
    for _ in range(octaves):
        grid = (min(math.ceil(across) + 1, width), min(math.ceil(down) + 1, height))
        layer = Image.frombytes("L", grid, canvas.rng.randbytes(grid[0] * grid[1])).convert("F")
        layer = layer.point(lambda value, scale=strength / 127.5, base=-strength: value * scale + base)
        if field is None:
            field = layer
        else:
            grown = field.resize(grid, Image.Resampling.BICUBIC)
            field = ImageMath.lambda_eval(lambda of: of["a"] + of["b"], a=grown, b=layer)
        strength *= roughness
        across, down = across * 2, down * 2
        if grid == canvas.size:
            break
    assert field is not None
    return field.resize(canvas.size, Image.Resampling.BICUBIC)


def _values(field: Image.Image) -> list[float]:
    return array("f", field.tobytes()).tolist()


def _warp(image: Image.Image, canvas: Canvas, strength: float, cells: float) -> Image.Image:
    """The image distorted by noise, like ink in water. strength: the distance in thousandths of the shorter side."""
    steps = min(40, *canvas.size)
    reach = strength * canvas.unit
    # The image is enlarged by a margin first, so that pixels from outside the edge exist: repeated edge pixels would
    # show as streaks.
    margin = math.ceil(reach * 1.2)
    larger = image.resize((canvas.width + 2 * margin, canvas.height + 2 * margin), Image.Resampling.BICUBIC)
    small = replace(canvas, width=steps + 1, height=steps + 1)
    pulls = [[value * reach for value in _values(_noise(small, cells, 0.45, 3))] for _ in "xy"]

    def source(column: int, row: int) -> tuple[float, float]:
        index = row * (steps + 1) + column
        x = column * canvas.width / steps + pulls[0][index] + margin
        y = row * canvas.height / steps + pulls[1][index] + margin
        return min(max(x, 0), larger.width - 1), min(max(y, 0), larger.height - 1)

    mesh: list[tuple[tuple[int, int, int, int], tuple[float, ...]]] = []
    for row in range(steps):
        for column in range(steps):
            box = (
                column * canvas.width // steps,
                row * canvas.height // steps,
                (column + 1) * canvas.width // steps,
                (row + 1) * canvas.height // steps,
            )
            corners = (
                source(column, row),
                source(column, row + 1),
                source(column + 1, row + 1),
                source(column + 1, row),
            )
            mesh.append((box, tuple(part for corner in corners for part in corner)))
    return larger.transform(canvas.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def _colourise(field: Image.Image, colours: tuple[Colour, ...], low: float = 0.0, high: float = 1.0) -> Image.Image:
    """The field in colours: its lowest value gets the first colour, its highest the last, evenly between. `low` and
    `high` (0 to 1) select the part of the value range that the colours span."""
    least, most = cast("tuple[float, float]", field.getextrema())
    span = (most - least) or 1.0
    bottom, scale = least + low * span, 65535 / (span * (high - low))
    levels = field.point(lambda value: value * scale - bottom * scale).convert("I")
    ramp = Image.new("RGB", (len(colours), 1))
    ramp.putdata(colours)
    steps = 4096
    # Half a pixel at both ends of the ramp would have a constant colour, so it is cropped.
    ramp = ramp.resize((steps, 1), Image.Resampling.BICUBIC, box=(0.5, 0, len(colours) - 0.5, 1))
    bands = [
        levels.point([value for value in band.tobytes() for _ in range(65536 // steps)], "L") for band in ramp.split()
    ]
    return Image.merge("RGB", bands)


def _glow(canvas: Canvas, x: float, y: float, radius: float, strength: float) -> Image.Image:
    """A soft round light as a mask of mode L; x, y and radius in pixels, strength 0 to 1."""
    light = Image.radial_gradient("L").point(
        [round((1 - min(v / 255 * 1.42, 1)) ** 2.2 * 255 * strength) for v in range(256)]
    )
    side = max(round(radius * 2), 2)
    mask = Image.new("L", canvas.size)
    mask.paste(light.resize((side, side), Image.Resampling.BICUBIC), (round(x - radius), round(y - radius)))
    return mask


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _add_light(image: Image.Image, colour: Colour, mask: Image.Image) -> Image.Image:
    """The image with light of this colour added where the mask is bright."""
    light = Image.composite(Image.new("RGB", image.size, colour), Image.new("RGB", image.size), mask)
    return ImageChops.screen(image, light)


def _add_grain(image: Image.Image, rng: Random) -> Image.Image:
    """The image with a little grain, which hides the steps of eight-bit gradients."""
    grain = Image.frombytes("L", image.size, rng.randbytes(image.width * image.height))
    grain = grain.point([value // 52 for value in range(256)])
    return ImageChops.add(image, Image.merge("RGB", (grain, grain, grain)), offset=-2)


def add_mark(image: Image.Image) -> Image.Image:
    """The image with the word “procedural” in the lower left corner; images with a side under 256 pixels get none."""
    mark = mark_for(image.size)
    if mark is None:
        return image
    copy = image.copy()
    copy.paste((255, 255, 255), mark[1], mark[0])
    return copy


@lru_cache(maxsize=4)
def mark_for(size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]] | None:
    """The mark as a mask, and its position on an image of this size; None when the image is too small."""
    if min(size) < 256:
        return None
    height = max(round(min(size) * 0.014), 9)
    mark = Image.new("L", size)
    place = (height * 1.6, size[1] - height * 1.6)
    ImageDraw.Draw(mark).text(place, "procedural", fill=120, font=ImageFont.load_default(height), anchor="ls")
    box = mark.getbbox()
    return (mark.crop(box), box[:2]) if box else None


def _vertical(canvas: Canvas, colours: tuple[Colour, ...]) -> Image.Image:
    return _colourise(Image.linear_gradient("L").convert("F").resize(canvas.size, Image.Resampling.BICUBIC), colours)


# ---- scenes ----------------------------------------------------------------------------------------------------------


def _ridges(canvas: Canvas) -> Image.Image:
    """Ranges of hills, one behind the other, under a low sun or moon; with water or trees if the prompt names them."""
    rng, (width, height) = canvas.rng, canvas.size
    dark, deep, middle, bright, light = canvas.colours
    night = bool(canvas.words & NIGHT_WORDS) or rng.random() < 0.15
    sky = (dark, deep, middle, bright) if night else (deep, middle, bright, light)
    horizon = height * rng.uniform(0.5, 0.62)
    image = _vertical(canvas, (*sky, sky[-1], sky[-1]))
    if night:
        image = _add_stars(image, canvas, 260)

    clouds = _noise(replace(canvas, width=max(width // 4, 1)), 1.6, 0.55, 6).resize(canvas.size)
    wisps = _colourise(_warp(clouds, canvas, 45, 3), ((0, 0, 0), (0, 0, 0), (120, 120, 120)), 0.35, 1).convert("L")
    image = _add_light(image, _mix(sky[-1], light, 0.5), wisps)

    x, y = width * rng.uniform(0.22, 0.78), horizon - height * rng.uniform(0.08, 0.22)
    radius = canvas.unit * rng.uniform(40, 75)
    image = _add_light(image, light, _glow(canvas, x, y, radius * 9, 0.7))
    image = _add_disc(image, x, y, radius, _mix(light, (255, 255, 255), 0.6))

    shore = round(height * rng.uniform(0.7, 0.78)) if canvas.words & WATER_WORDS else height
    haze = _mix(sky[-1], light, 0.35)
    ranges = 7
    for number in range(ranges):
        nearness = (number + 1) / ranges
        if number == ranges - 1 and shore < height:
            image = _add_reflection(image, canvas, shore)
        depth = (shore if number < ranges - 1 else height * 1.06) - horizon
        base = horizon + depth * nearness**1.6 * 0.94 - height * 0.03
        skyline = _skyline(canvas, height * (0.07 + 0.05 * nearness), 2.6 - 0.9 * nearness)
        mask = _mask_below(canvas, [base - rise for rise in skyline])
        if canvas.words & TREE_WORDS and number >= ranges - 4:
            mask = ImageChops.lighter(mask, _firs(canvas, base, skyline, nearness))
        top = _mix(haze, dark, 0.16 + 0.8 * nearness**0.9)
        foot = _mix(top, haze, 0.6 * (1 - nearness) + 0.1)
        # Each range of hills fades at its foot into the mist of the valley in front of it.
        strip = Image.linear_gradient("L").resize((1, max(round(height * 0.3), 1)))
        fade = Image.new("L", (1, height), 255)
        start = max(round(base - height * 0.12), 0)
        fade.paste(0, (0, 0, 1, start))
        fade.paste(strip, (0, start))
        hills = Image.composite(Image.new("RGB", (1, height), foot), Image.new("RGB", (1, height), top), fade)
        image.paste(hills.resize(canvas.size), (0, 0), mask)

    return image


def _add_reflection(image: Image.Image, canvas: Canvas, shore: int) -> Image.Image:
    """The image with still water from the line `shore` down: a reflection of the part above, darker and rippled."""
    depth = canvas.height - shore
    above = image.crop((0, max(shore - depth, 0), canvas.width, shore)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    water = above.resize((canvas.width, depth))
    water = _warp(water, replace(canvas, height=depth), 26, 9)
    depths = Image.linear_gradient("L").resize((canvas.width, depth)).point([40 + value // 3 for value in range(256)])
    water = Image.composite(Image.new("RGB", water.size, canvas.colours[0]), water, depths)
    image.paste(water, (0, shore))
    return image


def _firs(canvas: Canvas, base: float, skyline: list[float], nearness: float) -> Image.Image:
    """A row of firs along a skyline, as a mask."""
    rng = canvas.rng
    mask = Image.new("L", (canvas.width * 2, canvas.height * 2))
    draw = ImageDraw.Draw(mask)
    tall = canvas.unit * (16 + 85 * nearness**3)
    x = -tall * rng.random()
    while x < canvas.width + tall:
        size = tall * rng.uniform(0.55, 1.15)
        foot = base - skyline[min(max(round(x), 0), canvas.width - 1)] + size * 0.15
        for tier in range(5):
            top, bottom = foot - size * (1 - tier * 0.17), foot - size * (0.62 - tier * 0.155)
            half = size * (0.07 + 0.045 * tier)
            draw.polygon([(x * 2, top * 2), ((x - half) * 2, bottom * 2), ((x + half) * 2, bottom * 2)], fill=255)
        x += tall * rng.uniform(0.16, 0.55)
    return mask.reduce(2)


def _skyline(canvas: Canvas, rise: float, cells: float) -> list[float]:
    """The height in pixels of a range of hills at each column."""
    points: list[float] = [0.0] * canvas.width
    strength, count = 1.0, cells
    for _ in range(8):
        size = max(round(count * canvas.width / min(canvas.size)) + 2, 3)
        grid = Image.frombytes("L", (size, 1), canvas.rng.randbytes(size)).convert("F")
        values = _values(grid.resize((canvas.width, 1), Image.Resampling.BICUBIC))
        points = [point + (value / 127.5 - 1) * strength for point, value in zip(points, values, strict=True)]
        strength, count = strength * 0.47, count * 2.1
    return [point * rise for point in points]


def _mask_below(canvas: Canvas, line: list[float]) -> Image.Image:
    """A mask, with soft edges, of the area under a line that is given by one y value for each column."""
    mask = Image.new("L", (canvas.width, canvas.height * 3))
    points = [(x, y * 3) for x, y in enumerate(line)]
    ImageDraw.Draw(mask).polygon([(-1, canvas.height * 3), *points, (canvas.width, canvas.height * 3)], fill=255)
    return mask.resize(canvas.size, Image.Resampling.BOX)


def _add_disc(image: Image.Image, x: float, y: float, radius: float, colour: Colour) -> Image.Image:
    side = max(round(radius * 2), 2)
    disc = Image.new("L", (side * 4, side * 4))
    ImageDraw.Draw(disc).ellipse((0, 0, side * 4 - 1, side * 4 - 1), fill=255)
    disc = disc.resize((side, side), Image.Resampling.BOX)
    image.paste(Image.new("RGB", (side, side), colour), (round(x - radius), round(y - radius)), disc)
    return image


def _add_stars(image: Image.Image, canvas: Canvas, count: int) -> Image.Image:
    """Stars of many sizes, the bright ones with a halo."""
    rng = canvas.rng
    points = Image.new("L", canvas.size)
    draw = ImageDraw.Draw(points)
    for _ in range(count):
        x, y, size = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height), rng.random() ** 6
        radius = canvas.unit * (0.5 + 2.2 * size)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=round(90 + 165 * rng.random()))
    halo = points.filter(ImageFilter.GaussianBlur(canvas.unit * 4)).point([min(v * 3, 255) for v in range(256)])
    return _add_light(_add_light(image, canvas.colours[3], halo), (255, 255, 255), points)


def _nebula(canvas: Canvas) -> Image.Image:
    """Bright clouds on a dark ground, and stars."""
    rng = canvas.rng
    dark, deep, middle, bright, light = canvas.colours
    clouds = _warp(_warp(_noise(canvas, 1.8, 0.56, 9), canvas, 170, 2.5), canvas, 55, 7)
    ramp = (dark, dark, _mix(dark, deep, 0.8), deep, middle, bright, _mix(bright, light, 0.7))
    image = _colourise(clouds, ramp, 0.12, 1.0)
    veil = _warp(_noise(canvas, 1.5, 0.6, 8), canvas, 160, 3)
    shade = _colourise(veil, ((255, 255, 255), (255, 255, 255), (110, 110, 110), (30, 30, 30)), 0.2, 1).convert("L")
    image = Image.composite(image, Image.new("RGB", canvas.size, dark), shade)
    for colour in (middle, bright, middle, deep, bright):
        x, y = rng.uniform(0.1, 0.9) * canvas.width, rng.uniform(0.1, 0.9) * canvas.height
        image = _add_light(
            image, colour, _glow(canvas, x, y, canvas.unit * rng.uniform(220, 520), rng.uniform(0.3, 0.6))
        )
    return _add_stars(image, canvas, 460)


def _currents(canvas: Canvas) -> Image.Image:
    """Brush strokes that follow a field of directions made of noise."""
    rng = canvas.rng
    dark, deep, middle, bright, light = canvas.colours
    scale = 2 if max(canvas.size) <= 1280 else 1
    ground = _colourise(_warp(_noise(canvas, 1.5, 0.45, 4), canvas, 120, 2), (dark, _mix(dark, deep, 0.8), deep))
    sheet = ground.resize((canvas.width * scale, canvas.height * scale))
    draw = ImageDraw.Draw(sheet)

    steps = 48
    field = _values(_noise(replace(canvas, width=steps, height=steps), 1.7, 0.4, 3))
    tint = _values(_noise(replace(canvas, width=steps, height=steps), 1.4, 0.4, 3))
    turn = rng.uniform(0, 2 * math.pi)
    angles = [(math.cos(turn + value * 3.2), math.sin(turn + value * 3.2)) for value in field]
    ramp = [dark, deep, middle, bright, light, _mix(light, (255, 255, 255), 0.5)]

    count = 1500
    stride = canvas.unit * scale * 9
    width, height = sheet.size
    for number in range(count):
        x, y = rng.random() * width, rng.random() * height
        share = number / count
        at = min(int(y / height * steps), steps - 1) * steps + min(int(x / width * steps), steps - 1)
        tone = min(max((tint[at] * 0.9 + 1) / 2 * 0.55 + share * 0.35 + rng.random() * 0.12, 0), 0.999) * (
            len(ramp) - 1
        )
        colour = _mix(ramp[int(tone)], ramp[int(tone) + 1], tone % 1)
        path = [(x, y)]
        for _ in range(int(10 + rng.random() * 42)):
            if not (0 <= x < width and 0 <= y < height):
                break
            across, down = angles[int(y / height * steps) * steps + int(x / width * steps)]
            x, y = x + across * stride, y + down * stride
            path.append((x, y))
        thickness = canvas.unit * scale * (1.2 + 7.5 * rng.random() ** 2.5 * (1.25 - share))
        draw.line(path, fill=colour, width=max(round(thickness), 1), joint="curve")

    return sheet.resize(canvas.size, Image.Resampling.BOX) if scale > 1 else sheet


def _agate(canvas: Canvas) -> Image.Image:
    """Bands of stone around hollow hearts, with veins of light."""
    dark, deep, middle, bright, light = canvas.colours
    field = _warp(_noise(canvas, 1.9, 0.4, 7), canvas, 210, 2.2)
    layers = (dark, deep, middle, bright, light, bright, middle, deep)
    stone = _colourise(field, tuple(layers[number % 8] for number in range(15 + int(canvas.rng.random() * 9))))
    lines = _colourise(field, tuple([(0, 0, 0), (0, 0, 0), (255, 255, 255), (0, 0, 0)] * 12)).convert("L")
    stone = _add_light(stone, _mix(light, (255, 255, 255), 0.3), lines.point([max(v - 150, 0) for v in range(256)]))
    relief = field.point(lambda value: value * 90 + 128).convert("L").filter(ImageFilter.EMBOSS)
    return ImageChops.soft_light(stone, Image.merge("RGB", (relief, relief, relief)))


def _blooms(canvas: Canvas) -> Image.Image:
    """Flowers of translucent petals; those further away are out of focus."""
    rng = canvas.rng
    dark, deep, middle, bright, light = canvas.colours
    ground = (dark, _mix(dark, deep, 0.5), _mix(dark, middle, 0.35), _mix(deep, middle, 0.5))
    image = _colourise(_warp(_noise(canvas, 1.4, 0.42, 5), canvas, 160, 2), ground)
    scale = 2 if max(canvas.size) <= 1280 else 1
    for flowers, size, blur in ((26, 55, 12.0), (16, 85, 4.5), (9, 135, 0.0)):
        sheet = image.resize((canvas.width * scale, canvas.height * scale))
        draw = ImageDraw.Draw(sheet, "RGBA")
        for _ in range(round(flowers * (canvas.width * canvas.height) ** 0.5 / min(canvas.size))):
            x, y = rng.uniform(0, 1) * sheet.width, rng.uniform(0, 1) * sheet.height
            hues = rng.choice(((middle, bright), (bright, light), (deep, middle), (middle, light)))
            _flower(draw, rng, x, y, canvas.unit * scale * size * rng.uniform(0.7, 1.3), hues, light)
        image = sheet.reduce(scale) if scale > 1 else sheet
        image = image.filter(ImageFilter.GaussianBlur(canvas.unit * blur))
    return image


def _flower(
    draw: ImageDraw.ImageDraw,
    rng: Random,
    x: float,
    y: float,
    radius: float,
    hues: tuple[Colour, Colour],
    heart: Colour,
) -> None:
    """One flower: rings of petals from the outside in, each petal lighter towards its root."""
    petals, rings, tilt = 5 + int(rng.random() * 8), 3, rng.uniform(0.7, 1.0)
    start = rng.uniform(0, 2 * math.pi)
    for ring in range(rings):
        length = radius * (1 - 0.26 * ring)
        breadth = length * rng.uniform(1.2, 1.7) / petals
        for number in range(petals):
            angle = start + (number + ring / 2) / petals * 2 * math.pi + rng.uniform(-0.08, 0.08)
            cosine, sine = math.cos(angle), math.sin(angle)
            shade = rng.uniform(-0.12, 0.12)
            for step in range(4):
                share = 1 - step * 0.2
                outline = [
                    (
                        x + cosine * along * share - sine * across * share,
                        y + (sine * along + cosine * across) * share * tilt,
                    )
                    for along, across in ((length * u, breadth * v) for u, v in PETAL)
                ]
                tone = _mix(hues[0], hues[1], min(max(ring / rings * 0.6 + step * 0.17 + shade, 0), 1))
                draw.polygon(outline, fill=(*tone, 150))

    for number in range(24):
        turn, far = number * 2.39996, math.sqrt(number / 24) * radius * 0.15
        dot = radius * 0.028
        at = (x + math.cos(turn) * far, y + math.sin(turn) * far * tilt)
        draw.ellipse((at[0] - dot, at[1] - dot, at[0] + dot, at[1] + dot), fill=(*heart, 235))


# A petal's outline: along its length from root to tip and back, and across in half breadths.
PETAL = [
    (share, side * math.sin(math.pi * share**1.35) ** 0.8)
    for side, shares in ((1, range(13)), (-1, range(12, -1, -1)))
    for share in (number / 12 for number in shares)
]

SCENES: dict[str, Callable[[Canvas], Image.Image]] = {
    "ridges": _ridges,
    "nebula": _nebula,
    "currents": _currents,
    "agate": _agate,
    "blooms": _blooms,
}
