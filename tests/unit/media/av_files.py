"""Video and audio files for these tests, made with PyAV, and functions that decode and inspect the results."""

from __future__ import annotations

import io
import struct
from array import array
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from PIL import Image, ImageChops, ImageStat

from infra.simulators.kit.samples import sample_wav

SECRET = "canary 51.4778 N"
TAGS = {"title": SECRET, "comment": SECRET * 40, "artist": SECRET, "location": SECRET, "creation_time": "2026-01-01"}


def make_video(
    codec: str = "libx264",
    container_format: str = "mp4",
    *,
    size: tuple[int, int] = (64, 48),
    frames: int = 24,
    fps: int = 12,
    audio_codec: str | None = "aac",
    pixels: str = "yuv420p",
    tags: dict[str, str] | None = None,
    times: list[int] | None = None,
    options: dict[str, str] | None = None,
    encoding: dict[str, str] | None = None,
    aspect: Fraction | None = None,
) -> bytes:
    """A video of a box that moves over a darkening background, with a tone. form: the container format. sound: the
    audio codec, None for no audio. times: when each frame is shown, in units of a frame's duration."""
    file = io.BytesIO()
    with av.open(file, "w", format=container_format, options=options or {}) as output:
        output.metadata.update(tags or {})
        video_stream = output.add_stream(codec, rate=fps, options=encoding or {})
        video_stream.width, video_stream.height, video_stream.pix_fmt = *size, pixels
        if aspect:
            video_stream.codec_context.sample_aspect_ratio = aspect
        audio_stream = output.add_stream(audio_codec, rate=48_000, layout="stereo") if audio_codec else None
        for number in range(frames):
            picture = Image.new("RGB", size, (200 - number * 100 // frames, 100, 60))
            picture.paste((250, 250, 250), (number % (size[0] // 2), 4, number % (size[0] // 2) + 8, 12))
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = times[number] if times else number, Fraction(1, fps)
            output.mux(video_stream.encode(frame))
        output.mux(video_stream.encode())
        if audio_stream:
            with av.open(io.BytesIO(sample_wav(frames / fps))) as plain:
                for part in plain.decode(audio=0):
                    output.mux(audio_stream.encode(part))
            output.mux(audio_stream.encode())
    return file.getvalue()


def make_audio(
    codec: str, container_format: str, *, seconds: float = 2, rate: int = 48_000, options: dict[str, str] | None = None
) -> bytes:
    """A mono tone in a container of the format `form`."""
    file = io.BytesIO()
    with av.open(file, "w", format=container_format, options=options or {}) as output:
        tone = output.add_stream(codec, rate=rate, layout="mono")
        with av.open(io.BytesIO(sample_wav(seconds))) as plain:
            for part in plain.decode(audio=0):
                output.mux(tone.encode(part))
        output.mux(tone.encode())
    return file.getvalue()


def combine_tracks(files: list[bytes], container_format: str, begins: dict[int, float] | None = None) -> bytes:
    """The tracks of several files in one file. begins: number of a file → the second at which its tracks begin."""
    file = io.BytesIO()
    with ExitStack() as stack, av.open(file, "w", format=container_format) as output:
        sources = [stack.enter_context(av.open(io.BytesIO(data))) for data in files]
        output_streams = [[output.add_stream_from_template(stream) for stream in source.streams] for source in sources]
        for number, source in enumerate(sources):
            for packet in source.demux():
                if packet.size:
                    shift = round((begins or {}).get(number, 0) / packet.time_base)
                    packet.pts, packet.dts = (packet.pts or 0) + shift, (packet.dts or 0) + shift
                    packet.stream = output_streams[number][packet.stream_index]
                    output.mux(packet)
    return file.getvalue()


def track_times(data: bytes) -> list[tuple[float, float]]:
    """For each track, the second at which it begins, and the seconds of audio in it, as a player would play it."""
    found: list[tuple[float, float]] = []
    with av.open(io.BytesIO(data)) as container:
        numbers = range(len(container.streams))
    for number in numbers:
        with av.open(io.BytesIO(data)) as container:
            frames = list(container.decode(container.streams[number]))
            durations = [frame.samples / frame.sample_rate for frame in frames if isinstance(frame, av.AudioFrame)]
            found.append((float(frames[0].pts * frames[0].time_base), sum(durations)))
    return found


def with_tags(data: bytes, container_format: str, tags: dict[str, str] = TAGS, **options: str) -> bytes:
    """The same audio or video file with metadata tags."""
    file = io.BytesIO()
    with av.open(io.BytesIO(data)) as plain, av.open(file, "w", format=container_format, options=options) as output:
        output.metadata.update(tags)
        output_streams = {stream.index: output.add_stream_from_template(stream) for stream in plain.streams}
        for packet in plain.demux():
            if packet.size:
                packet.stream = output_streams[packet.stream_index]
                output.mux(packet)
    return file.getvalue()


@dataclass(frozen=True)
class DecodedFile:
    """A completely decoded file. seconds: the duration in its header; lasting: the seconds of audio that were
    decoded."""

    container_format: str
    seconds: float
    codecs: tuple[str, ...]
    images: list[Image.Image]
    samples: array[int]
    audio_seconds: float
    tags: dict[str, str]

    @property
    def is_silent(self) -> bool:
        return not self.samples or max(map(abs, self.samples)) < 100


def decode_file(data: bytes) -> DecodedFile:
    pictures: list[Image.Image] = []
    samples, lasting = array("h"), 0.0
    with av.open(io.BytesIO(data)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=8000)
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                pictures.append(frame.to_image())
            elif isinstance(frame, av.AudioFrame):
                lasting += frame.samples / frame.sample_rate
                for part in resampler.resample(frame):
                    samples.frombytes(bytes(part.planes[0])[: part.samples * 2])
        tags = dict(container.metadata)
        for stream in container.streams:
            tags |= stream.metadata
        return DecodedFile(
            container.format.name,
            (container.duration or 0) / av.time_base,
            tuple(stream.codec_context.codec.canonical_name for stream in container.streams),
            pictures,
            samples,
            lasting,
            tags,
        )


def image_difference(first: Image.Image, second: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(first, second)).mean)


def list_boxes(data: bytes, start: int = 0, end: int | None = None) -> list[tuple[str, int, int]]:
    """The boxes of an MP4 file between two offsets, each as (name, start, end)."""
    found: list[tuple[str, int, int]] = []
    while start + 8 <= (len(data) if end is None else end):
        size, name = struct.unpack_from(">I4s", data, start)
        found.append((name.decode("latin-1"), start, start + size))
        start += max(size, 8)
    return found


def find_box(data: bytes, path: str) -> tuple[int, int]:
    """Start and end of the content of the first box with this path, for example `moov/trak/tkhd`."""
    start, end = 0, len(data)
    for name in path.split("/"):
        start, end = next((at + 8, to) for found, at, to in list_boxes(data, start, end) if found == name)
    return start, end


def patch_box(data: bytes, path: str, offset: int, form: str, *values: Any) -> bytes:
    """The file with these values packed into a box, `offset` bytes after the box's header. form: of `struct`."""
    edited = bytearray(data)
    struct.pack_into(form, edited, find_box(data, path)[0] + offset, *values)
    return bytes(edited)
