"""Films: opened within bounds, cleaned by moving their streams into a new file, marked by encoding them once more.

What a browser plays is copied bit by bit: quick, and nothing is lost. A mark lies in the picture itself, so a film that
carries one is encoded afresh, as is one that browsers do not play; its sound is copied all the same where it can be.
Imported only in a process of its own (`apart.py`).
"""

# PyAV's annotations are generic over types that are not installed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import av
from av.bitstream import BitStreamFilterContext
from av.filter import Graph
from av.stream import Disposition
from av.video.frame import PictureType, VideoFrame

from atelier.media.picture import thumbnail
from atelier.media.processed import MediaInvalid, Processed
from atelier.media.reading import WRITING, Pace, carried, codec_of, opened, packets
from atelier.media.watermark import mark, tile

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.filter.context import FilterContext
    from av.video.stream import VideoStream
    from PIL import Image

    from atelier.media.reading import AnyPacket

SECONDS_MAX = 600
FRAME_PIXELS_MAX = 4096 * 2304
SIDE_MIN = 16
# What encoding afresh may read and write, in pixels of all frames: about a minute each of a processor. A longer film
# is marked at a smaller size.
READ_PIXELS_MAX = 12_000_000_000
WRITTEN_PIXELS_MAX = 2_500_000_000
# The poster is what is seen after this time, or at the end of a shorter film.
POSTER_SECONDS = 1.0

DEMUXERS = {"mp4": "mov", "webm": "matroska"}
# Pictures and sounds of these brands are in the same boxes as films.
STILL_BRANDS = frozenset([b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"M4A ", b"M4B "])
EBML = b"\x1a\x45\xdf\xa3"
# What browsers play in which file; what else we can read.
COPIED_FILMS = {"mp4": frozenset(["h264", "av1", "vp9"]), "webm": frozenset(["vp8", "vp9", "av1"])}
COPIED_SOUNDS = {"mp4": frozenset(["aac", "mp3"]), "webm": frozenset(["opus", "vorbis"])}
READ_FILMS = COPIED_FILMS["mp4"] | COPIED_FILMS["webm"] | {"hevc", "mpeg4", "mjpeg", "prores"}
READ_SOUNDS = COPIED_SOUNDS["mp4"] | COPIED_SOUNDS["webm"] | {"ac3", "alac", "eac3", "flac", "pcm_s16be", "pcm_s16le"}
# The index stands first, so that a film plays while it loads.
INDEX_FIRST = {"mp4": {"movflags": "+faststart"}, "webm": {"cues_to_front": "1"}}

# The bytes depend on the number of threads, so it is fixed. And where the processor has AVX-512, x264's macroblock tree
# reads memory that nobody has written: then they differ from run to run.
ENCODING = {"preset": "superfast", "crf": "23", "threads": "2", "x264-params": "mbtree=0"}
# Counterclockwise, as a chain of quarter turns.
TURNS = {0: [], 90: ["cclock"], 180: ["clock", "clock"], 270: ["clock"]}
SOUND_RATE, SOUND_BITS_A_SECOND = 48_000, 128_000


def process(data: bytes, *, watermark: bool) -> Processed:
    """A provider's file as a deliverable film; equal input gives equal output. Raises MediaInvalid."""
    kind = sniffed(data)
    with opened(data, DEMUXERS[kind]) as source:
        seen = _looked_through(source)
    poster = _upright(seen.frame)
    with tempfile.TemporaryDirectory(prefix="atelier-film-") as folder:
        # The index can only be moved to the front of a file that can be read again.
        file = Path(folder) / "film"
        with opened(data, DEMUXERS[kind]) as source:
            kind, poster = _moved(source, file, kind, seen, poster, watermark=watermark)
        cleaned = file.read_bytes()
    with opened(cleaned, DEMUXERS[kind]) as again:
        # As players will show it.
        duration_ms = round((again.duration or 0) / 1000)
    return Processed("video", kind, cleaned, poster.width, poster.height, duration_ms, thumbnail(poster))


def sniffed(data: bytes) -> str:
    """mp4 (or QuickTime) or webm by the first bytes; raises MediaInvalid for anything else."""
    if data[4:8] == b"ftyp" and data[8:12] not in STILL_BRANDS:
        return "mp4"
    if data.startswith(EBML) and b"webm" in data[:64]:
        return "webm"
    raise MediaInvalid("the bytes are neither MP4, QuickTime nor WebM")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a film that was looked through: a frame of its beginning, and how many there are."""

    frame: VideoFrame
    frames: int

    @property
    def turned(self) -> int:
        """By how many degrees, counterclockwise, it is to be turned to stand upright: 0, 90, 180 or 270."""
        return round(self.frame.rotation / 90) % 4 * 90


def _streams(source: InputContainer) -> tuple[VideoStream, AudioStream | None]:
    """The first film in the file and the first sound; all else is left behind."""
    film = next((film for film in source.streams.video if not film.disposition & Disposition.attached_pic), None)
    if film is None:
        raise MediaInvalid("there is no film in it")
    if codec_of(film) not in READ_FILMS:
        raise MediaInvalid(f"encoded as {codec_of(film)}")
    context = film.codec_context
    if not 0 < context.width * context.height <= FRAME_PIXELS_MAX or min(context.width, context.height) < SIDE_MIN:
        raise MediaInvalid(f"{context.width} × {context.height} pixels")
    # A frame may be larger than its file says.
    context.options = {"max_pixels": str(FRAME_PIXELS_MAX)}
    context.thread_count = 2
    sound = next(iter(source.streams.audio), None)
    if sound and codec_of(sound) not in READ_SOUNDS:
        raise MediaInvalid(f"its sound is encoded as {codec_of(sound)}")
    return film, sound


def _looked_through(source: InputContainer) -> Seen:
    """From end to end, of which the sound and the beginning are decoded: all pictures would take minutes."""
    film, sound = _streams(source)
    paces = [Pace(stream, SECONDS_MAX, is_exact=True) for stream in (film, sound) if stream]
    found: VideoFrame | None = None
    for pace, packet in packets(source, *paces):
        if pace.stream is sound:
            pace.decoded(packet)
        elif found is None or (found.time or 0) < POSTER_SECONDS:
            found = next((frame for frame in reversed(pace.decoded(packet)) if not frame.is_corrupt), found)
    if found is None:
        raise MediaInvalid("not one frame can be decoded")
    return Seen(found, paces[0].packets)


def _moved(
    source: InputContainer, file: Path, kind: str, seen: Seen, poster: Image.Image, *, watermark: bool
) -> tuple[str, Image.Image]:
    """Write the new file; returns its kind, and the poster at its size and with its mark."""
    film, sound = _streams(source)
    copied = not watermark and codec_of(film) in COPIED_FILMS[kind]
    if not copied or (sound and codec_of(sound) not in COPIED_SOUNDS[kind]):
        kind = "mp4"
    with av.open(str(file), "w", format=kind, options=WRITING | INDEX_FIRST[kind]) as made:
        if copied:
            lane = Copied(made, film)
        else:
            size = _encoded_size(poster.size, seen.frames)
            poster = poster.resize(size)
            lane = Encoded(made, film, seen, size, watermark=watermark)
            if watermark:
                mark(poster)
        lanes: dict[int, Lane] = {film.index: lane}
        if sound:
            lanes[sound.index] = (Copied if codec_of(sound) in COPIED_SOUNDS[kind] else Voiced)(made, sound)
        paces = [Pace(stream, SECONDS_MAX, is_exact=True) for stream in (film, sound) if stream]
        for pace, packet in packets(source, *paces):
            made.mux(lanes[packet.stream_index].taken(packet, pace))
        for each in lanes.values():
            made.mux(each.rest())
    return kind, poster


def _encoded_size(size: tuple[int, int], frames: int) -> tuple[int, int]:
    """Even sides, as the encoder wants them, of no more pixels than there is time for."""
    pixels = size[0] * size[1] * frames
    if pixels > READ_PIXELS_MAX:
        raise MediaInvalid(f"{frames} frames of {size[0]} × {size[1]} pixels take too long to encode")
    share = min(math.sqrt(WRITTEN_PIXELS_MAX / pixels), 1)
    width, height = (max(int(side * share) // 2 * 2, 2) for side in size)
    return width, height


def _upright(frame: VideoFrame) -> Image.Image:
    """A frame as it is to be seen."""
    picture = frame.to_image()
    turned = Seen(frame, 1).turned
    return picture.rotate(turned, expand=True) if turned else picture


class Lane(Protocol):
    """A stream's way into the new file."""

    def taken(self, packet: AnyPacket, pace: Pace) -> list[AnyPacket]:
        """What to write for a packet; an empty one ends the stream."""
        ...

    def rest(self) -> list[AnyPacket]:
        """What is still to be written."""
        ...


class Copied:
    """As it is, but for what encoders and tools write beside H.264's pictures (supplemental information, NAL type 6):
    settings, prompts, notes."""

    def __init__(self, made: OutputContainer, stream: AudioStream | VideoStream) -> None:
        self._to = carried(made, stream)
        plain = codec_of(stream) == "h264"
        self._filter = BitStreamFilterContext("filter_units=remove_types=6", stream, self._to) if plain else None

    def taken(self, packet: AnyPacket, pace: Pace) -> list[AnyPacket]:
        if not packet.size:
            return []
        kept = self._filter.filter(packet) if self._filter else [packet]
        for each in kept:
            each.stream = self._to
        return kept

    def rest(self) -> list[AnyPacket]:
        return []


class Voiced:
    """A sound, encoded as AAC."""

    def __init__(self, made: OutputContainer, stream: AudioStream) -> None:
        self._to = made.add_stream("aac", rate=SOUND_RATE, layout="stereo", bit_rate=SOUND_BITS_A_SECOND)

    def taken(self, packet: AnyPacket, pace: Pace) -> list[AnyPacket]:
        return [made for frame in pace.decoded(packet) for made in self._to.encode(frame)]

    def rest(self) -> list[AnyPacket]:
        return self._to.encode()


class Encoded:
    """A film, encoded as H.264: upright, at this size, with or without the mark."""

    def __init__(
        self, made: OutputContainer, stream: VideoStream, seen: Seen, size: tuple[int, int], *, watermark: bool
    ) -> None:
        self._to = made.add_stream("libx264", rate=stream.average_rate or 25, options=ENCODING)
        self._to.width, self._to.height = size
        self._to.pix_fmt = "yuv420p"
        context, like = self._to.codec_context, stream.codec_context
        context.time_base = seen.frame.time_base or context.time_base
        context.color_primaries, context.color_trc = like.color_primaries, like.color_trc
        context.colorspace, context.color_range = like.colorspace, like.color_range
        self._graph, self._begin = _filters(seen, size, watermark=watermark)
        self._like = seen.frame
        self._last: int | None = None

    def taken(self, packet: AnyPacket, pace: Pace) -> list[AnyPacket]:
        return [made for frame in pace.decoded(packet) for made in self._frame(frame)]

    def rest(self) -> list[AnyPacket]:
        self._begin.push(None)
        return [*self._filtered(), *self._to.encode()]

    def _frame(self, frame: VideoFrame) -> list[AnyPacket]:
        if (frame.width, frame.height, frame.format.name) != (
            self._like.width,
            self._like.height,
            self._like.format.name,
        ):
            raise MediaInvalid("it changes its size or its colours on the way")
        if frame.pts is None or (self._last is not None and frame.pts <= self._last):
            # Two frames at one time: the first is shown.
            return []
        self._last = frame.pts
        self._begin.push(frame)
        return list(self._filtered())

    def _filtered(self) -> Iterator[AnyPacket]:
        while True:
            try:
                frame = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            # Where its pictures stand whole is for the new encoding to decide.
            frame.pict_type = PictureType.NONE
            yield from self._to.encode(frame)


def _filters(seen: Seen, size: tuple[int, int], *, watermark: bool) -> tuple[Graph, FilterContext]:
    """A graph that gives frames turned, scaled and marked, and where they go in."""
    frame, graph = seen.frame, Graph()
    begin = _entrance(graph, frame)
    way = [begin]
    way += [graph.add("transpose", turn) for turn in TURNS[seen.turned]]
    way.append(graph.add("scale", f"{size[0]}:{size[1]}"))
    way.append(graph.add("format", "yuv420p"))
    if not watermark:
        graph.link_nodes(*way, graph.add("buffersink")).configure()
        return graph, begin
    shown = tile(size)
    small = VideoFrame.from_bytes(shown.tobytes(), shown.width, shown.height, "rgba")
    small.pts, small.time_base = 0, frame.time_base
    beside = _entrance(graph, small)
    laid = graph.add("overlay", "x=W-w:y=H-h:eof_action=repeat")
    beside.link_to(laid, 0, 1)
    graph.link_nodes(*way, laid, graph.add("buffersink")).configure()
    beside.push(small)
    beside.push(None)
    return graph, begin


def _entrance(graph: Graph, frame: VideoFrame) -> FilterContext:
    """For frames like this one. It must say how colours are meant, or they are taken for another standard's."""
    like = {
        "video_size": f"{frame.width}x{frame.height}",
        "pix_fmt": frame.format.name,
        "time_base": str(frame.time_base),
        "colorspace": str(int(frame.colorspace)),
        "range": str(int(frame.color_range)),
    }
    return graph.add("buffer", ":".join(f"{name}={value}" for name, value in like.items()))
