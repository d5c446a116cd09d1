"""Audio of the embedded provider: one channel of 16-bit samples, written as WAV, as MP3 or into a video."""

# PyAV's annotations are generic over types that are not installed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io
import math
import struct
import sys
from array import array
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

from atelier.adapters.providers.local.parameters import JobRefused
from atelier.dataclass import dataclass

if TYPE_CHECKING:
    import av

RATE = 22050
COMMENT = "Procedural: made by an algorithm, not by a trained model."
# A multiple of the 576 samples that one MP3 frame holds at this rate.
CHUNK_SAMPLES = 576 * 32


@dataclass(frozen=True, slots=True)
class Audio:
    """Mono audio: `samples` from −32768 to 32767, `rate` samples per second."""

    samples: array[int]
    rate: int = RATE

    @property
    def milliseconds(self) -> int:
        return len(self.samples) * 1000 // self.rate

    def with_duration(self, seconds: float) -> Audio:
        """The same audio, cut or extended by silence to exactly this many seconds."""
        wanted = round(seconds * self.rate)
        silence = array("h", bytes(2 * max(wanted - len(self.samples), 0)))
        return Audio(self.samples[:wanted] + silence, self.rate)

    def with_leading_silence(self, seconds: float) -> Audio:
        """The same audio after this many seconds of silence."""
        return Audio(array("h", bytes(2 * round(seconds * self.rate))) + self.samples, self.rate)

    def chunks(self, length: int) -> Iterator[array[int]]:
        """The samples in chunks of `length`; the last may be shorter."""
        for start in range(0, len(self.samples), length):
            yield self.samples[start : start + length]


def encode_wav(audio: Audio, title: str) -> bytes:
    """A WAV file whose metadata say that it is procedural."""
    pcm = audio.samples
    if sys.byteorder == "big":
        pcm = array("h", pcm)
        pcm.byteswap()
    texts = b"INFO" + _chunk(b"ISFT", title.encode() + b"\0") + _chunk(b"ICMT", COMMENT.encode() + b"\0")
    form = struct.pack("<HHIIHH", 1, 1, audio.rate, audio.rate * 2, 2, 16)
    body = b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"LIST", texts) + _chunk(b"data", pcm.tobytes())
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def encode_mp3(audio: Audio, title: str) -> bytes:
    """An MP3 file of 64 kbit/s whose metadata say that it is procedural."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        container.metadata.update({"encoded_by": title, "comment": COMMENT})
        stream = container.add_stream("libmp3lame", rate=audio.rate, layout="mono", bit_rate=64_000)
        at = 0
        for piece in audio.chunks(CHUNK_SAMPLES):
            container.mux(stream.encode(audio_frame(piece, audio.rate, at)))
            at += len(piece)
        container.mux(stream.encode())
    return file.getvalue()


def audio_frame(samples: array[int], rate: int, at: int) -> av.AudioFrame:
    """The samples as a frame for PyAV's encoders; `at` is the number of samples before this frame."""
    from fractions import Fraction

    import av

    frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples))
    frame.planes[0].update(samples.tobytes())
    frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
    return frame


def decode_audio(data: bytes, seconds_max: int) -> Audio:
    """Decode the audio of a file of any usual format. Raises Refused when it is unreadable, empty, or longer than
    `seconds_max`."""
    import av
    from av.error import FFmpegError

    samples = array("h")
    try:
        # No protocol is allowed: a playlist inside the file could name other files or URLs.
        with av.open(io.BytesIO(data), "r", options={"protocol_whitelist": ""}) as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            for frame in container.decode(container.streams.audio[0]):
                for part in resampler.resample(frame):
                    samples.frombytes(bytes(part.planes[0])[: part.samples * 2])
                if len(samples) > seconds_max * RATE:
                    raise JobRefused(f"The audio is longer than {seconds_max} seconds.")
            for part in resampler.resample(None):
                samples.frombytes(bytes(part.planes[0])[: part.samples * 2])
    except (FFmpegError, IndexError, ValueError) as error:
        raise JobRefused("The audio cannot be read.") from error
    if not samples:
        raise JobRefused("The audio is empty.")
    return Audio(samples)


@dataclass(frozen=True, slots=True)
class AudioLevel:
    """The audio during one video frame: loudness 0 to 1, and brightness from 0 (a vowel) to 1 (a hiss)."""

    loudness: float
    brightness: float


def audio_levels(audio: Audio, fps: int, count: int) -> list[AudioLevel]:
    """The audio measured for each of `count` video frames; loudness is relative to the loudest frame."""
    measured: list[tuple[float, float]] = []
    for number in range(count):
        start, end = number * audio.rate // fps, (number + 1) * audio.rate // fps
        part = audio.samples[start:end]
        if not part:
            measured.append((0.0, 0.0))
            continue
        power = math.sqrt(sum(value * value for value in part) / len(part))
        crossings = sum((a < 0) != (b < 0) for a, b in pairwise(part))
        measured.append((power, min(crossings / len(part) * 3, 1.0)))
    loudest = max((power for power, _ in measured), default=0.0) or 1.0
    return [AudioLevel(power / loudest, bright) for power, bright in measured]


def ambience(rng: Random, seconds: float) -> Audio:
    """A quiet chord that swells slowly, faded in and out. It is a loop of four seconds in which every tone has a whole
    number of periods, so that the loop has no audible seam."""
    loop = 4 * RATE
    root = rng.choice([196, 220, 246, 262])
    chord = [(root, 1.0), (root * 3 // 2, 0.6), (root * rng.choice([5, 6]) // (4 if rng.random() < 0.5 else 5), 0.5)]
    chord.append((root * 2, 0.25))

    # One period of a sine in 4096 steps, 16 bits of amplitude.
    sine = [math.sin(2 * math.pi * step / 4096) for step in range(4096)]
    total = [0.0] * loop
    for frequency, strength in chord:
        step = 4096 * frequency / RATE
        swells = rng.randint(1, 2)
        phase = rng.randrange(4096)
        for index in range(loop):
            swell = 0.65 + 0.35 * sine[(index * swells * 4096 // loop + phase) & 4095]
            total[index] += strength * swell * sine[int(index * step) & 4095]

    peak = max(map(abs, total))
    loop_samples = array("h", [round(value / peak * 4200) for value in total])
    length = round(seconds * RATE)
    samples = (loop_samples * (length // loop + 1))[:length]

    fade = min(RATE, length // 2)
    for index in range(fade):
        share = index / fade
        samples[index] = round(samples[index] * share)
        samples[-1 - index] = round(samples[-1 - index] * share)
    return Audio(samples)
