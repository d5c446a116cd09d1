"""How `local/film` makes a video: a camera that moves slowly over an image, with small particles drifting in front."""

# Pillow's annotations name numpy, which is not installed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from PIL import Image

from atelier.adapters.providers.local.audio import ambience
from atelier.adapters.providers.local.canvas import Colour, palette_for, prompt_words, rng_for, scene
from atelier.adapters.providers.local.mp4 import encode_mp4
from atelier.adapters.providers.local.parameters import (
    choice_parameter,
    cover,
    input_image,
    integer_parameter,
    video_size,
)
from atelier.dataclass import dataclass
from atelier.provider_port import Job

# The still image is this many times as large as the frame, so that the camera has room to move.
STILL_SCALE = 1.25
MOVES = ("zoom in", "zoom out", "pan left", "pan right", "pan up", "pan down")
SNOW_WORDS = frozenset(["snow", "snowy", "winter", "blizzard", "frost"])
RAIN_WORDS = frozenset(["rain", "rainy", "storm", "monsoon"])
SPARK_WORDS = frozenset(["fire", "spark", "ember", "lava", "firefly", "candle", "dragon", "campfire"])


def make_video(job: Job) -> tuple[bytes, int]:
    """An MP4 and its length in milliseconds, made from the job's input image or from an image painted for the prompt.
    Raises Refused."""
    seed = integer_parameter(job, "seed", 0, 0, 2**32 - 1)
    fps = integer_parameter(job, "fps", 24, 8, 30)
    seconds = integer_parameter(job, "duration_seconds", 5, 1, 30)
    size = video_size(job, 1280, 720)
    audio_choice = choice_parameter(job, "sound", ("ambient", "none"))
    motion = choice_parameter(job, "motion", ("by_prompt", *(name.replace(" ", "_") for name in MOVES)))
    larger = round(size[0] * STILL_SCALE), round(size[1] * STILL_SCALE)
    source_image = input_image(job)
    rng = rng_for(job.prompt, seed)
    still = cover(source_image, larger) if source_image else scene(job.prompt, seed, *larger)
    # In front of a caller's own image, particles are added only if the prompt asks for them.
    drift = _particles_for(
        prompt_words(job.prompt), palette_for(job.prompt, seed), size, rng, always=source_image is None
    )
    camera = Camera.choose(job.prompt if motion == "by_prompt" else motion.replace("_", " "), rng)
    count = seconds * fps
    audio = ambience(rng, seconds) if audio_choice == "ambient" else None
    frames = _frames(still, size, camera, drift, count, fps)
    return encode_mp4(frames, size, fps, audio, "Atelier local/film"), seconds * 1000


@dataclass(frozen=True, slots=True)
class Camera:
    """The camera's view at the beginning and at the end, each as (share of the still image that is visible, horizontal
    and vertical position of the view from −1 to 1)."""

    begin: tuple[float, float, float]
    end: tuple[float, float, float]

    @classmethod
    def choose(cls, words: str, rng: Random) -> Camera:
        """The camera move that the prompt names, or a random one."""
        wide, near = 1.0, 1 / STILL_SCALE
        aside = rng.uniform(-0.6, 0.6), rng.uniform(-0.6, 0.6)
        moves = (
            cls((wide, 0, 0), (near, *aside)),
            cls((near, *aside), (wide, 0, 0)),
            cls((0.86, 1, aside[1]), (0.86, -1, aside[1])),
            cls((0.86, -1, aside[1]), (0.86, 1, aside[1])),
            cls((0.86, aside[0], 1), (0.86, aside[0], -1)),
            cls((0.86, aside[0], -1), (0.86, aside[0], 1)),
        )
        random_move = moves[rng.randrange(4)]
        lower = words.lower()
        return next((move for name, move in zip(MOVES, moves, strict=True) if name in lower), random_move)

    def crop_box(self, share: float, still: tuple[int, int]) -> tuple[float, float, float, float]:
        """The visible box (left, top, right, bottom) of the still image after this share (0 to 1) of the video. The
        movement starts and stops gently."""
        eased = share * share * (3 - 2 * share)
        part, x, y = (a + (b - a) * eased for a, b in zip(self.begin, self.end, strict=True))
        width, height = still[0] * part, still[1] * part
        left, top = (still[0] - width) * (1 + x) / 2, (still[1] - height) * (1 + y) / 2
        return max(left, 0), max(top, 0), min(left + width, still[0]), min(top + height, still[1])


@dataclass(frozen=True, slots=True)
class Particle:
    """A particle in front of the camera: its image, its position at the start (shares of the frame), its movement per
    second (`right` and `down`, in shares of the frame's height), and its sideways swing."""

    sprite: Image.Image
    x: float
    y: float
    right: float
    down: float
    sway: float
    phase: float


def _particles_for(
    words: frozenset[str], colours: tuple[Colour, ...], size: tuple[int, int], rng: Random, *, always: bool
) -> list[Particle]:
    unit = min(size) / 720
    if words & SNOW_WORDS:
        return _particles(90, rng, size, colour=(255, 255, 255), radii=(2, 6), down=(0.08, 0.2), sway=0.02)
    if words & RAIN_WORDS:
        streak = Image.new("L", (max(round(2 * unit), 1), round(34 * unit)), 70)
        drop = Image.merge("RGBA", (*[Image.new("L", streak.size, 225)] * 3, streak))
        return [Particle(drop, rng.random(), rng.random(), -0.04, rng.uniform(1.3, 2.0), 0, 0) for _ in range(110)]
    if words & SPARK_WORDS:
        return _particles(45, rng, size, colour=(255, 190, 90), radii=(2, 5), down=(-0.16, -0.05), sway=0.03)
    if not always:
        return []
    return _particles(26, rng, size, colour=colours[-1], radii=(2, 7), down=(-0.03, 0.02), sway=0.015)


def _particles(
    count: int,
    rng: Random,
    size: tuple[int, int],
    *,
    colour: Colour,
    radii: tuple[float, float],
    down: tuple[float, float],
    sway: float,
) -> list[Particle]:
    unit = min(size) / 720
    motes: list[Particle] = []
    for _ in range(count):
        near = rng.random()
        side = max(round((radii[0] + (radii[1] - radii[0]) * near) * 2 * unit), 3)
        soft = Image.radial_gradient("L").point([round(max(1 - v / 180, 0) ** 1.5 * 150) for v in range(256)])
        alpha = soft.resize((side, side), Image.Resampling.BILINEAR)
        sprite = Image.merge("RGBA", (*(Image.new("L", (side, side), band) for band in colour), alpha))
        speed = down[0] + (down[1] - down[0]) * (0.3 + 0.7 * near) * rng.uniform(0.8, 1.2)
        place = rng.random(), rng.random()
        motes.append(Particle(sprite, *place, rng.uniform(-0.01, 0.01), speed, sway * near, rng.random() * math.tau))
    return motes


def _frames(
    still: Image.Image, size: tuple[int, int], camera: Camera, drift: list[Particle], count: int, fps: int
) -> Iterator[Image.Image]:
    width, height = size
    for number in range(count):
        image = still.resize(
            size, Image.Resampling.BILINEAR, box=camera.crop_box(number / max(count - 1, 1), still.size)
        )
        seconds = number / fps
        for mote in drift:
            # A particle that leaves on one side comes in on the other; the margin hides the jump.
            swaying = mote.sway * math.sin(seconds * 1.3 + mote.phase)
            x = (mote.x + (mote.right * seconds + swaying) * height / width) % 1 * (width + 80) - 40
            y = (mote.y + mote.down * seconds) % 1 * (height + 80) - 40
            image.paste(mote.sprite, (round(x), round(y)), mote.sprite)
        yield image
