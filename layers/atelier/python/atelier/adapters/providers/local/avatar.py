"""How `local/talker` makes a face speak: a drawn face or the input image, whose mouth opens with the loudness of the
voice.

There is no lip synchronisation by sounds: the face is a puppet and looks like one.
"""

# Pillow's annotations name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import Protocol

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageStat

from atelier.adapters.providers.local.audio import Audio, AudioLevel, audio_levels, decode_audio
from atelier.adapters.providers.local.canvas import Colour, palette_for, rng_for
from atelier.adapters.providers.local.mp4 import encode_mp4
from atelier.adapters.providers.local.parameters import JobRefused, cover, input_image, integer_parameter, video_size
from atelier.adapters.providers.local.voice import synthesize
from atelier.dataclass import dataclass
from atelier.provider_port import Job

SECONDS_MAX = 75
# Silence before the first word and after the last.
LEAD_SECONDS, TAIL_SECONDS = 0.25, 0.45


def make_avatar_video(job: Job) -> tuple[bytes, int]:
    """An MP4 and its length in milliseconds: the job's input audio or the spoken prompt, with the face in the input
    image or a drawn one. Raises Refused."""
    seed = integer_parameter(job, "seed", 0, 0, 2**32 - 1)
    fps = integer_parameter(job, "fps", 25, 8, 30)
    size = video_size(job, 512, 512)
    files = job.inputs.get("audio")
    speech_audio = decode_audio(files[0].data, SECONDS_MAX) if files else synthesize(job)
    if speech_audio.milliseconds > SECONDS_MAX * 1000:
        raise JobRefused(f"That is more than {SECONDS_MAX} seconds of speech.")
    count = math.ceil((speech_audio.milliseconds / 1000 + LEAD_SECONDS + TAIL_SECONDS) * fps)
    audio = speech_audio.with_leading_silence(LEAD_SECONDS).with_duration(count / fps)
    source_image = input_image(job)
    rng = rng_for("face", seed)
    if source_image:
        face: Face = PhotoFace.detect(cover(source_image, size))
    else:
        face = DrawnFace.create(size, seed, rng)
    return encode_mp4(_frames(face, audio, count, fps, rng), size, fps, audio, "Atelier local/talker"), (
        count * 1000 // fps
    )


class Face(Protocol):
    """A face that can be rendered at any moment of speech."""

    def render(self, mouth: AudioLevel, lids: float, turn: float, nod: float) -> Image.Image:
        """Render one frame. mouth: the audio's level; lids: 0 (open) to 1; turn and nod: −1 to 1, how far the head is
        turned and lowered."""
        ...


def _frames(face: Face, audio: Audio, count: int, fps: int, rng: Random) -> Iterator[Image.Image]:
    blinks = _blinks(count / fps, rng)
    phase = rng.random() * math.tau
    loud = bright = nod = 0.0
    for frame_number, moment in enumerate(audio_levels(audio, fps, count)):
        # A mouth opens quickly and closes slowly; the exponent lets quiet sounds move it visibly.
        wanted = moment.loudness**0.7
        loud += (wanted - loud) * (0.75 if wanted > loud else 0.45)
        bright += (moment.brightness - bright) * 0.5
        nod += (loud - nod) * 0.12
        seconds = frame_number / fps
        lids = max((max(1 - abs(seconds - at) / 0.09, 0) for at in blinks), default=0)
        turn = math.sin(seconds * 0.9 + phase) * 0.6 + math.sin(seconds * 2.3) * 0.25
        yield face.render(AudioLevel(loud if loud > 0.06 else 0, bright), lids, turn, nod * 0.9)


def _blinks(seconds: float, rng: Random) -> list[float]:
    at, blinks = rng.uniform(0.8, 2), list[float]()
    while at < seconds:
        blinks.append(at)
        at += rng.uniform(1.8, 4.2)
    return blinks


# ---- a face from an input image --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PhotoFace:
    """An input image with a face `breadth` pixels wide whose mouth is assumed at `mouth` (x and y in pixels)."""

    still: Image.Image
    mouth: tuple[float, float]
    breadth: float

    @classmethod
    def detect(cls, still: Image.Image) -> PhotoFace:
        """Find the face by skin colours; without any, assume it where portraits usually have it."""
        side = 96
        light, blue, red = still.resize((side, side), Image.Resampling.BOX).convert("YCbCr").split()
        skin = ImageChops.multiply(
            red.point([255 if 136 <= value <= 178 else 0 for value in range(256)]),
            blue.point([255 if 80 <= value <= 118 else 0 for value in range(256)]),
        )
        # The border is ignored: the face is seldom there.
        skin.paste(0, (0, 0, side // 8, side))
        skin.paste(0, (side - side // 8, 0, side, side))
        # Brown hair has the hue of skin but is darker, so dark pixels are removed.
        bright = ImageStat.Stat(light, skin).mean[0] if skin.getbbox() else 0
        skin = ImageChops.multiply(skin, light.point([255 if value > bright * 0.8 else 0 for value in range(256)]))
        values = skin.tobytes()
        rows = [sum(values[y * side : (y + 1) * side]) for y in range(side)]
        columns = [sum(values[x::side]) for x in range(side)]
        total = sum(rows)
        if not 0.03 <= total / (255 * side * side) <= 0.6:
            return cls(still, (still.width * 0.5, still.height * 0.6), min(still.size) * 0.4)
        left, right, top = _quantile_index(columns, 0.06), _quantile_index(columns, 0.94), _quantile_index(rows, 0.03)
        breadth = min(max((right - left) / side, 0.15), 0.5) * still.width
        across = (left + right) / 2 / side * still.width
        down = min(top / side * still.height + breadth * 0.92, still.height * 0.85)
        return cls(still, (across, down), breadth)

    def render(self, mouth: AudioLevel, lids: float, turn: float, nod: float) -> Image.Image:
        """The image, swaying a little, with the jaw moved down."""
        width, height = self.still.size
        image = self.still.copy()
        opening = round(self.breadth * 0.16 * mouth.loudness)
        if opening > 0:
            breadth = round(self.breadth * (0.4 + 0.1 * mouth.brightness))
            jaw = round(self.breadth * 0.42)
            left, top = round(self.mouth[0] - breadth * 0.75), round(self.mouth[1])
            below = self.still.crop((left, top, left + round(breadth * 1.5), top + jaw))
            image.paste(below, (left, top + opening), _soft_mask(below.size, flat_top=True))
            inside = _mouth_interior((breadth, opening * 2))
            image.paste(inside, (round(self.mouth[0] - breadth / 2), top - opening // 3), inside)
        spare = 0.012
        x, y = width * spare * (1 + turn), height * spare * (1 - nod)
        box = (x, y, x + width * (1 - 2 * spare), y + height * (1 - 2 * spare))
        return image.resize(self.still.size, Image.Resampling.BILINEAR, box=box)


def _quantile_index(profile: list[int], share: float) -> int:
    total, so_far = sum(profile), 0
    for index, value in enumerate(profile):
        so_far += value
        if so_far >= total * share:
            return index
    return len(profile) - 1


def _soft_mask(size: tuple[int, int], *, flat_top: bool) -> Image.Image:
    """An elliptic mask that fades towards its edge; with `flat_top` only its lower half, with a hard upper edge at the
    lip."""
    width, height = size
    mask = Image.new("L", (width, height * 2 if flat_top else height))
    ImageDraw.Draw(mask).ellipse((width * 0.12, mask.height * 0.12, width * 0.88, mask.height * 0.88), fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(max(width * 0.06, 1)))
    return mask.crop((0, height, width, height * 2)) if flat_top else mask


def _mouth_interior(size: tuple[int, int]) -> Image.Image:
    """The inside of an open mouth: dark, with a hint of teeth and tongue."""
    big = size[0] * 3, max(size[1] * 3, 3)
    colours = Image.new("RGB", big, (52, 14, 20))
    draw = ImageDraw.Draw(colours)
    draw.ellipse((big[0] * 0.2, big[1] * 0.62, big[0] * 0.8, big[1] * 1.3), fill=(150, 62, 66))
    draw.rounded_rectangle(
        (big[0] * 0.2, -big[1] * 0.2, big[0] * 0.8, big[1] * 0.22), big[1] * 0.1, fill=(236, 230, 222)
    )
    shape = Image.new("L", big)
    ImageDraw.Draw(shape).ellipse((0, 0, big[0] - 1, big[1] - 1), fill=255)
    mouth = Image.merge("RGBA", (*colours.split(), shape))
    return mouth.resize((max(size[0], 1), max(size[1], 1)), Image.Resampling.BOX)


# ---- a drawn face ----------------------------------------------------------------------------------------------------

SKINS: tuple[Colour, ...] = ((250, 218, 190), (236, 188, 150), (206, 150, 110), (160, 106, 74), (112, 72, 50))
HAIRS: tuple[Colour, ...] = ((38, 28, 26), (86, 54, 34), (150, 98, 52), (214, 172, 104), (150, 60, 36), (196, 196, 200))
# The drawing is this much higher than the frame, so that a turn of the head does not show the end of the shoulders.
HEAD_HEIGHT_RATIO = 1.05
IRISES: tuple[Colour, ...] = ((70, 46, 30), (84, 120, 82), (72, 110, 158), (96, 96, 104))


@dataclass(frozen=True, slots=True)
class DrawnFace:
    """A drawn face in flat colours: the background, the head without eyes and mouth, and the colours of its parts."""

    ground: Image.Image
    head: Image.Image
    skin: Colour
    iris: Colour
    hair: Colour

    @classmethod
    def create(cls, size: tuple[int, int], seed: int, rng: Random) -> DrawnFace:
        """Draw the face of a seed: one seed gives the same person for every text."""
        skin, hair, iris = rng.choice(SKINS), rng.choice(HAIRS), rng.choice(IRISES)
        palette, long_hair = palette_for("face", seed), rng.random() < 0.5
        side = min(size)
        ground = Image.linear_gradient("L").resize(size)
        ground = Image.composite(Image.new("RGB", size, palette[2]), Image.new("RGB", size, palette[3]), ground)
        halo = Image.radial_gradient("L").point([round(max(1 - v / 200, 0) * 90) for v in range(256)])
        light = halo.resize(size)
        ground = Image.composite(Image.new("RGB", size, palette[4]), ground, light)
        head = _head(side * 2, skin, hair, palette[1], rng, long_hair=long_hair)
        head = head.resize((side, round(side * HEAD_HEIGHT_RATIO)), Image.Resampling.BOX)
        whole_frame = Image.new("RGBA", (size[0], size[1] - side + head.height))
        whole_frame.paste(head, ((size[0] - side) // 2, size[1] - side))
        return cls(ground, whole_frame, skin, iris, hair)

    def render(self, mouth: AudioLevel, lids: float, turn: float, nod: float) -> Image.Image:
        """The head on the background, turned by up to one and a half degrees."""
        width, height = self.ground.size
        side = min(width, height)
        left, top = (width - side) // 2, height - side
        head = self.head.copy()
        eyes = self._eyes(side, lids, turn)
        head.alpha_composite(
            eyes, (left + round(side * 0.5 - eyes.width / 2), top + round(side * 0.425 - eyes.height / 2))
        )
        lips = self._mouth(side, mouth)
        head.alpha_composite(
            lips, (left + round(side * 0.5 - lips.width / 2), top + round(side * 0.592 - lips.height / 2))
        )
        angle = math.radians(turn * 1.5)
        cosine, sine = math.cos(angle), math.sin(angle)
        # The centre of the rotation is the foot of the neck.
        x, y = width / 2, top + side * 0.85
        shift = (x - cosine * x - sine * y, y + sine * x - cosine * y - nod * side * 0.012)
        turned = (cosine, sine, shift[0], -sine, cosine, shift[1])
        head = head.transform((width, height), Image.Transform.AFFINE, turned, Image.Resampling.BILINEAR)
        image = self.ground.copy()
        image.paste(head, (0, 0), head)
        return image

    def _eyes(self, side: int, lids: float, turn: float) -> Image.Image:
        scale = 3
        width, height = round(side * 0.30) * scale, round(side * 0.13) * scale
        patch = Image.new("RGBA", (width, height))
        draw = ImageDraw.Draw(patch)
        middle = height * 0.62
        for x in (width * 0.22, width * 0.78):
            broad, high = width * 0.13, height * 0.25 * (1 - lids)
            if high < height * 0.03:
                draw.arc(
                    (x - broad, middle - height * 0.12, x + broad, middle + height * 0.12),
                    20,
                    160,
                    _darken(self.skin, 0.45),
                    scale * 3,
                )
                continue
            draw.ellipse((x - broad, middle - high, x + broad, middle + high), fill=(252, 252, 250))
            ball = height * 0.19
            looking = x + turn * width * 0.012
            eye = Image.new("L", patch.size)
            ImageDraw.Draw(eye).ellipse((x - broad, middle - high, x + broad, middle + high), fill=255)
            iris = Image.new("RGBA", patch.size)
            pen = ImageDraw.Draw(iris)
            for share, colour in ((1.0, self.iris), (0.5, (18, 16, 18))):
                pen.ellipse(
                    (looking - ball * share, middle - ball * share, looking + ball * share, middle + ball * share),
                    fill=colour,
                )
            spot = ball * 0.28
            pen.ellipse(
                (looking + spot * 0.4, middle - ball * 0.65, looking + spot * 2.4, middle - ball * 0.65 + 2 * spot),
                fill=(255, 255, 255),
            )
            patch.paste(iris, (0, 0), ImageChops.multiply(eye, iris.getchannel("A")))
            draw.arc(
                (x - broad, middle - high, x + broad, middle + high), 185, 355, _darken(self.skin, 0.35), scale * 3
            )
            draw.arc(
                (x - broad * 1.25, height * 0.02, x + broad * 1.25, height * 0.6),
                205,
                335,
                _darken(self.hair, 0.8),
                scale * 5,
            )

        return patch.resize((width // scale, height // scale), Image.Resampling.BOX)

    def _mouth(self, side: int, mouth: AudioLevel) -> Image.Image:
        scale = 3
        width, height = round(side * 0.22) * scale, round(side * 0.16) * scale
        patch = Image.new("RGBA", (width, height))
        draw = ImageDraw.Draw(patch)
        broad = width * (0.27 + 0.07 * mouth.brightness - 0.04 * mouth.loudness)
        high = height * 0.40 * mouth.loudness
        x, y = width / 2, height * 0.42
        lip = _mix(self.skin, (176, 50, 62), 0.55)
        if high < scale * 1.5:
            draw.arc((x - broad, y - height * 0.22, x + broad, y + height * 0.1), 25, 155, _darken(lip, 0.8), scale * 4)
            return patch.resize((width // scale, height // scale), Image.Resampling.BOX)
        rim = scale * 4
        draw.ellipse((x - broad - rim, y - high * 0.45 - rim, x + broad + rim, y + high + rim * 1.6), fill=lip)
        inside = _mouth_interior((round(broad * 2), round(high * 1.45)))
        patch.alpha_composite(inside, (round(x - broad), round(y - high * 0.45)))
        return patch.resize((width // scale, height // scale), Image.Resampling.BOX)


def _head(side: int, skin: Colour, hair: Colour, cloth: Colour, rng: Random, *, long_hair: bool) -> Image.Image:
    """The head and shoulders without eyes and mouth, `side` pixels wide and a little higher."""
    head = Image.new("RGBA", (side, round(side * HEAD_HEIGHT_RATIO)))
    draw = ImageDraw.Draw(head)

    def oval(x: float, y: float, across: float, down: float, colour: Colour) -> None:
        draw.ellipse(((x - across) * side, (y - down) * side, (x + across) * side, (y + down) * side), fill=colour)

    if long_hair:
        oval(0.5, 0.44, 0.27, 0.31, hair)
        draw.rounded_rectangle((0.24 * side, 0.42 * side, 0.76 * side, 0.80 * side), 0.09 * side, fill=hair)
    shadow = _darken(skin, 0.82)
    draw.rounded_rectangle((0.425 * side, 0.58 * side, 0.575 * side, 0.86 * side), 0.06 * side, fill=shadow)
    draw.rounded_rectangle((0.17 * side, 0.79 * side, 0.83 * side, 1.3 * side), 0.16 * side, fill=cloth)
    draw.polygon([(0.41 * side, 0.785 * side), (0.59 * side, 0.785 * side), (0.5 * side, 0.90 * side)], fill=shadow)
    for x in (0.295, 0.705):
        oval(x, 0.455, 0.032, 0.055, shadow)
    oval(0.5, 0.45, 0.205, 0.265, skin)
    for x in (0.38, 0.62):
        oval(x, 0.53, 0.045, 0.028, _mix(skin, (226, 96, 90), 0.16))
    # The nose: one shaded line and its shadow.
    draw.arc(
        (0.465 * side, 0.47 * side, 0.535 * side, 0.535 * side),
        30,
        150,
        _darken(skin, 0.7),
        max(round(side * 0.006), 1),
    )
    _fringe(draw, side, hair, rng, long_hair=long_hair)
    return head


def _fringe(draw: ImageDraw.ImageDraw, side: int, hair: Colour, rng: Random, *, long_hair: bool) -> None:
    """Hair over the forehead: a cap cut off below a parting."""
    parting = rng.uniform(0.4, 0.6)
    reach = 0.245 if long_hair else 0.225
    crown = [
        (0.5 + reach * math.cos(angle), 0.41 + (reach + 0.045) * math.sin(angle))
        for angle in (math.pi + step * math.pi / 24 for step in range(25))
    ]
    low = 0.47 if long_hair else 0.40
    line = [(0.5 + reach * 0.97, low), (0.68, 0.36), (parting + 0.08, 0.285), (parting, 0.262), (parting - 0.08, 0.285)]
    line += [(0.32, 0.36), (0.5 - reach * 0.97, low)]
    draw.polygon([(x * side, y * side) for x, y in [*crown, *line]], fill=hair)


def _darken(colour: Colour, share: float) -> Colour:
    red, green, blue = (round(part * share) for part in colour)
    return red, green, blue


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
