"""Films: opened within bounds, cleaned by moving their streams into a new file, marked by encoding them once more.

What a player does with a file is what is done here: the first film and the first sound that can be read are taken,
turned or mirrored and scaled as the file says, whenever they begin and end. What is left out is said in notes.
What a browser plays is copied bit by bit: quick, and nothing is lost. A mark lies in the picture itself, so a film that
carries one is encoded afresh, as is one that browsers do not play; its sound is copied all the same where it can be.
Imported only in a process of its own (`apart.py`).
"""

# PyAV's annotations are generic over types that are not installed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import av
from av.bitstream import BitStreamFilterContext
from av.filter import Graph
from av.sidedata.sidedata import Type as SideData
from av.video.frame import PictureType, VideoFrame
from PIL import Image

from atelier.media.picture import thumbnail
from atelier.media.processed import MediaInvalid, MediaLimitExceeded, Processed
from atelier.media.reading import (
    EBML,
    WRITING,
    DecodeOrder,
    Pace,
    TrackBroken,
    carried,
    codec_of,
    is_attached,
    is_mov,
    opened,
    packets,
    tracks_left_out,
)
from atelier.media.watermark import mark, tile

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.filter.context import FilterContext
    from av.video.stream import VideoStream

    from atelier.media.reading import AnyPacket

SECONDS_MAX = 600
FRAME_PIXELS_MAX = 4096 * 2304
SIDE_MIN = 16
# What encoding afresh may read and write, in pixels of all frames: about a minute each of a processor. A longer film
# is marked at a smaller size.
READ_PIXELS_MAX = 12_000_000_000
WRITTEN_PIXELS_MAX = 2_500_000_000
# The same per second of the time that there is, with room to spare.
READ_PIXELS_A_SECOND, WRITTEN_PIXELS_A_SECOND = 100_000_000, 20_000_000
# A slower machine than these were measured on notices it after so much of the time; the rest is for keeping the film.
ENCODING_SHARE = 0.6
# The poster is what is seen after this time, or at the end of a shorter film.
POSTER_SECONDS = 1.0

# Pictures and sounds of these brands are in the same boxes as films.
STILL_BRANDS = frozenset([b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"M4A ", b"M4B "])
# What browsers play in which file; what else we can read.
COPIED_FILMS = {"mp4": frozenset(["h264", "av1", "vp9"]), "webm": frozenset(["vp8", "vp9", "av1"])}
COPIED_SOUNDS = {"mp4": frozenset(["aac", "mp3"]), "webm": frozenset(["opus", "vorbis"])}
READ_FILMS = (
    COPIED_FILMS["mp4"]
    | COPIED_FILMS["webm"]
    | {"hevc", "mpeg4", "mjpeg", "prores", "h263", "mpeg1video", "mpeg2video", "dnxhd", "dvvideo"}
)
READ_SOUNDS = (
    COPIED_SOUNDS["mp4"]
    | COPIED_SOUNDS["webm"]
    | {"ac3", "eac3", "alac", "flac", "mp2", "amr_nb", "amr_wb", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt"}
    | {"pcm_u8", "pcm_s8", "pcm_alaw", "pcm_mulaw"}
    | {f"pcm_{sort}{order}" for sort in ("s16", "s24", "s32", "f32", "f64") for order in ("le", "be")}
)
# Of H.264, browsers play eight bits with halved colours; cameras write more.
PLAYED_PIXELS = frozenset(["yuv420p", "yuvj420p", None])
# Played by newer players only: encoded afresh, or kept where there is no time for that.
KEPT_FILMS = frozenset(["hevc", "h264"])
# The readers whose packets can be written as they are.
COPYING = frozenset(["mov", "matroska"])
# PQ and HLG, the two curves of high dynamic range.
HDR_CURVES = frozenset([16, 18])
# The index stands first, so that a film plays while it loads.
INDEX_FIRST = {"mp4": {"movflags": "+faststart"}, "webm": {"cues_to_front": "1"}}

# The bytes depend on the number of threads, so it is fixed. And where the processor has AVX-512, x264's macroblock tree
# reads memory that nobody has written: then they differ from run to run.
ENCODING = {"preset": "superfast", "crf": "23", "threads": "2", "x264-params": "mbtree=0"}
# How a frame is to be turned and mirrored, by the signs in its display matrix: for Pillow, and as a chain of filters.
# A matrix of the rows (a, b) and (c, d) shows the point (x, y) at (ax + cy, bx + dy); y grows downwards.
ORIENTATIONS: dict[tuple[int, int, int, int], tuple[Image.Transpose | None, tuple[tuple[str, str | None], ...]]] = {
    (1, 0, 0, 1): (None, ()),
    (-1, 0, 0, 1): (Image.Transpose.FLIP_LEFT_RIGHT, (("hflip", None),)),
    (1, 0, 0, -1): (Image.Transpose.FLIP_TOP_BOTTOM, (("vflip", None),)),
    (-1, 0, 0, -1): (Image.Transpose.ROTATE_180, (("hflip", None), ("vflip", None))),
    (0, 1, -1, 0): (Image.Transpose.ROTATE_270, (("transpose", "clock"),)),
    (0, -1, 1, 0): (Image.Transpose.ROTATE_90, (("transpose", "cclock"),)),
    (0, 1, 1, 0): (Image.Transpose.TRANSPOSE, (("transpose", "cclock_flip"),)),
    (0, -1, -1, 0): (Image.Transpose.TRANSVERSE, (("transpose", "clock_flip"),)),
}
UPRIGHT = (1, 0, 0, 1)
# A pixel may be this many times as broad as it is high, or as high as it is broad; a greater ratio is ignored.
PIXEL_ASPECT_MAX = 8
# Recorded calls change their size with the connection.
CHANGES_MAX = 200
SOUND_RATE, SOUND_BITS_A_SECOND = 48_000, 128_000
# A sound that goes on that much later than where it was has a pause.
GAP_SECONDS_MIN = 0.1


def process(data: bytes, *, watermark: bool, seconds_max: float = 150.0) -> Processed:
    """Somebody's file as a deliverable film; equal input gives equal output, but for one that could be kept as it is:
    that depends on whether this machine encodes it in time. seconds_max: what there is time for. Raises
    MediaInvalid."""
    pressed = _Pressed(seconds_max, time.monotonic() + seconds_max * ENCODING_SHARE)
    demuxer = sniffed(data)
    if demuxer == "matroska" and _matroska_end(data) > len(data):
        raise MediaInvalid("the file is cut off")
    with opened(data, demuxer) as source:
        seen = _looked_through(source)
    poster = seen.poster()
    with tempfile.TemporaryDirectory(prefix="atelier-film-") as folder:
        # The index can only be moved to the front of a file that can be read again.
        file = Path(folder) / "film"
        try:
            with opened(data, demuxer) as source:
                kind, poster, notes = _moved(source, file, demuxer, seen, poster, pressed, watermark=watermark)
        except _OutOfTime:
            pressed = replace(pressed, encode_until=None)
            with opened(data, demuxer) as source:
                kind, poster, notes = _moved(source, file, demuxer, seen, poster, pressed, watermark=watermark)
        # Apple's players take HEVC under the name hvc1 alone, and FFmpeg writes hev1 (findings/). The index, which has
        # the name, is in front, so the first occurrence is the right one.
        cleaned = file.read_bytes().replace(b"hev1", b"hvc1", 1)
    with opened(cleaned, {"mp4": "mov", "webm": "matroska"}[kind]) as again:
        # As players will show it.
        duration_ms = round((again.duration or 0) / 1000)
    return Processed(
        "video", kind, cleaned, poster.width, poster.height, duration_ms, thumbnail(poster), notes=seen.notes + notes
    )


def sniffed(data: bytes) -> str:
    """FFmpeg's name for the reader of such a file, by its first bytes. Raises MediaInvalid."""
    if is_mov(data):
        if data[4:8] == b"ftyp" and data[8:12] in STILL_BRANDS:
            raise MediaInvalid("it is a picture or a sound and no film")
        return "mov"
    if data.startswith(EBML):
        return "matroska"
    if data.startswith(b"RIFF") and data[8:12] == b"AVI ":
        return "avi"
    # A transport stream is packets of 188 bytes; camcorders put four bytes of time before each.
    for first, step in ((0, 188), (4, 192)):
        if len(data) > first + 2 * step and data[first] == data[first + step] == data[first + 2 * step] == 0x47:
            return "mpegts"
    raise MediaInvalid("the bytes are neither MP4, QuickTime, WebM, Matroska, MPEG-TS nor AVI")


def _matroska_end(data: bytes) -> int:
    """Where the file ends by its own account; 0 where it does not say, as in what was recorded in one go."""
    at = 4
    head_length, at = _ebml_number(data, at)
    at += (head_length or 0) + 4
    length, at = _ebml_number(data, at)
    return 0 if length is None else at + length


def _ebml_number(data: bytes, at: int) -> tuple[int | None, int]:
    """A length as EBML writes it, None where it is left open, and where it ends."""
    if at >= len(data) or not data[at]:
        return None, at + 1
    size = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + size], "big") & (1 << 7 * size) - 1
    return (None if value == (1 << 7 * size) - 1 else value), at + size


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a film that was looked through: a frame of its beginning, how many there are, how broad a pixel
    is beside its height, which sound belongs to it, and what the owner is told."""

    frame: VideoFrame
    frames: int
    pixel_aspect: Fraction
    sound_index: int | None
    notes: tuple[str, ...]

    @property
    def orientation(self) -> tuple[Image.Transpose | None, tuple[tuple[str, str | None], ...]]:
        """How its frames are turned and mirrored to be shown."""
        side_data: Any = self.frame.side_data
        matrix = side_data.get(SideData.DISPLAYMATRIX)
        if matrix is None or len(bytes(matrix)) != 36:
            return ORIENTATIONS[UPRIGHT]
        a, b, _, c, d, *_ = (int(value) for value in struct.unpack("=9i", bytes(matrix)))
        is_lying = abs(a) + abs(d) < abs(b) + abs(c)
        signs = (0, _sign(b), _sign(c), 0) if is_lying else (_sign(a), 0, 0, _sign(d))
        return ORIENTATIONS.get(signs, ORIENTATIONS[UPRIGHT])

    def poster(self) -> Image.Image:
        """The frame as it is to be seen."""
        picture, aspect = self.frame.to_image(), self.pixel_aspect
        # The side that is too short for its pixels is stretched, so that nothing is lost.
        if aspect > 1:
            picture = picture.resize((round(picture.width * aspect), picture.height))
        elif aspect < 1:
            picture = picture.resize((picture.width, round(picture.height / aspect)))
        transposed = self.orientation[0]
        return picture if transposed is None else picture.transpose(transposed)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _film(source: InputContainer) -> VideoStream:
    """The first film in the file that can be read. Raises MediaInvalid."""
    films = [film for film in source.streams.video if not is_attached(film)]
    if not films:
        raise MediaInvalid("there is no film in it, only sound" if source.streams.audio else "there is no film in it")
    film = next((film for film in films if codec_of(film) in READ_FILMS), None)
    if film is None:
        raise MediaInvalid(f"encoded as {codec_of(films[0])}")
    context = film.codec_context
    if not 0 < context.width * context.height <= FRAME_PIXELS_MAX or min(context.width, context.height) < SIDE_MIN:
        allowed = f"each side needs at least {SIDE_MIN}, and a frame may have {FRAME_PIXELS_MAX} in all"
        raise MediaLimitExceeded(f"The film has {context.width} × {context.height} pixels; {allowed}.")
    # A frame may be larger than its file says.
    context.options = {"max_pixels": str(FRAME_PIXELS_MAX)}
    context.thread_count = 2
    return film


def _sound(source: InputContainer) -> AudioStream | None:
    """The first sound in the file that can be read."""
    return next((sound for sound in source.streams.audio if _is_readable(sound)), None)


def _is_readable(sound: AudioStream) -> bool:
    return codec_of(sound) in READ_SOUNDS and sound.codec_context.sample_rate > 0 and sound.codec_context.channels > 0


def _looked_through(source: InputContainer) -> Seen:
    """From end to end, of which the sound and the beginning are decoded: all pictures would take minutes."""
    film, sound = _film(source), _sound(source)
    paces = [Pace(stream, SECONDS_MAX) for stream in (film, sound) if stream]
    found: VideoFrame | None = None
    for pace, packet in packets(source, *paces):
        if pace.stream is film:
            if found is None or (found.time or 0) < POSTER_SECONDS:
                found = next((frame for frame in reversed(pace.decoded(packet)) if _is_next(frame, found)), found)
        elif sound:
            try:
                pace.decoded(packet)
            except TrackBroken:
                sound = None
    if found is None:
        raise MediaInvalid("not one frame can be decoded")
    notes = tracks_left_out("Film", [each for each in source.streams.video if not is_attached(each)], film)
    notes += tracks_left_out("Sound", source.streams.audio, sound)
    if film.codec_context.color_trc in HDR_CURVES:
        notes += ("The film has a high dynamic range; screens without one may show other colours.",)
    return Seen(found, paces[0].packets, _pixel_aspect(film), sound.index if sound else None, notes)


def _is_next(frame: VideoFrame, found: VideoFrame | None) -> bool:
    """Whether it is whole, and of the size with which the film began."""
    return not frame.is_corrupt and (found is None or (frame.width, frame.height) == (found.width, found.height))


def _pixel_aspect(film: VideoStream) -> Fraction:
    aspect = film.sample_aspect_ratio
    width, height = film.codec_context.width, film.codec_context.height
    if not aspect or not 1 / PIXEL_ASPECT_MAX <= aspect <= PIXEL_ASPECT_MAX:
        return Fraction(1)
    return aspect if width * height * max(aspect, 1 / aspect) <= FRAME_PIXELS_MAX else Fraction(1)


class _OutOfTime(Exception):
    """The film is not encoded in time here, and can be kept as it is."""


@dataclass(frozen=True, slots=True)
class _Pressed:
    """How long all of it may take, and until when (of time.monotonic) a film that can be kept as it is may be encoded:
    None = not at all."""

    seconds_max: float
    encode_until: float | None


def _moved(
    source: InputContainer,
    file: Path,
    demuxer: str,
    seen: Seen,
    poster: Image.Image,
    pressed: _Pressed,
    *,
    watermark: bool,
) -> tuple[str, Image.Image, tuple[str, ...]]:
    """Write the new file; returns its kind, the poster at its size and with its mark, and what the owner is told."""
    film = _film(source)
    sound = next((sound for sound in source.streams.audio if sound.index == seen.sound_index), None)
    kind, is_copied = _kind(film, sound, demuxer, seen)
    notes: tuple[str, ...] = ()
    pixels = poster.width * poster.height * seen.frames
    seconds_max, until = pressed.seconds_max, pressed.encode_until
    can_be_kept = not (is_copied or watermark) and codec_of(film) in KEPT_FILMS and demuxer in COPYING
    if can_be_kept:
        # Better as it is than smaller, or not at all.
        is_copied = until is None or pixels > min(WRITTEN_PIXELS_MAX, WRITTEN_PIXELS_A_SECOND * seconds_max)
        if is_copied:
            notes = (f"The film is kept as it is encoded ({codec_of(film)}), which not every browser plays.",)
    is_copied = is_copied and not watermark
    if not is_copied:
        kind = "mp4"
    with av.open(str(file), "w", format=kind, options=WRITING | INDEX_FIRST[kind]) as made:
        if is_copied:
            lane = Copied(made, film)
            lane.show_pixels(seen.pixel_aspect)
        else:
            size = _encoded_size(poster.size, seen.frames, seconds_max)
            if size[0] < poster.width - 1:
                notes = (f"The film was made smaller: {size[0]} × {size[1]} pixels.",)
            poster = poster.resize(size)
            lane = Encoded(made, film, seen, size, watermark=watermark)
            if watermark:
                mark(poster)
        lanes: dict[int, Lane] = {film.index: lane}
        if sound:
            lanes[sound.index] = (Copied if _is_sound_copied(sound, kind, demuxer) else Voiced)(made, sound)
        paces = [Pace(stream, SECONDS_MAX) for stream in (film, sound) if stream]
        for pace, packet in packets(source, *paces):
            if can_be_kept and not is_copied and until is not None and time.monotonic() > until:
                raise _OutOfTime
            made.mux(lanes[packet.stream_index].taken(packet, pace))
        for each in lanes.values():
            made.mux(each.rest())
    return kind, poster, notes


def _kind(film: VideoStream, sound: AudioStream | None, demuxer: str, seen: Seen) -> tuple[str, bool]:
    """The kind of the new file, and whether the film can be copied into it."""
    codec = codec_of(film)
    is_played = codec != "h264" or film.codec_context.pix_fmt in PLAYED_PIXELS
    if demuxer not in COPYING or not is_played:
        return "mp4", False
    kinds = ["mp4", "webm"] if demuxer == "mov" else ["webm", "mp4"]
    # Of WebM, only square pixels can be written.
    fitting = [kind for kind in kinds if codec in COPIED_FILMS[kind] and (kind == "mp4" or seen.pixel_aspect == 1)]
    with_sound = [kind for kind in fitting if sound is None or codec_of(sound) in COPIED_SOUNDS[kind]]
    if with_sound:
        return with_sound[0], True
    # The sound becomes AAC.
    return "mp4", "mp4" in fitting


def _is_sound_copied(sound: AudioStream, kind: str, demuxer: str) -> bool:
    return demuxer in COPYING and codec_of(sound) in COPIED_SOUNDS[kind]


def _encoded_size(size: tuple[int, int], frames: int, seconds_max: float) -> tuple[int, int]:
    """Even sides, as the encoder wants them, of no more pixels than there is time for."""
    pixels = size[0] * size[1] * frames
    read_max = min(READ_PIXELS_MAX, round(READ_PIXELS_A_SECOND * seconds_max))
    written_max = min(WRITTEN_PIXELS_MAX, WRITTEN_PIXELS_A_SECOND * seconds_max)
    if pixels > read_max:
        raise MediaLimitExceeded(
            f"The film has {frames} frames of {size[0]} × {size[1]} pixels, too many to encode in the time allowed"
            f" (at most {read_max} pixels in all). Make it shorter or smaller, or send it as H.264."
        )
    share = min(math.sqrt(written_max / pixels), 1)
    width, height = (max(int(side * share) // 2 * 2, 2) for side in size)
    return width, height


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
        self._order = DecodeOrder()
        plain = codec_of(stream) == "h264"
        self._filter = BitStreamFilterContext("filter_units=remove_types=6", stream, self._to) if plain else None

    def show_pixels(self, aspect: Fraction) -> None:
        """Say how broad a pixel is: what the file says counts, not what the pictures' own heads do."""
        context: Any = self._to.codec_context
        context.sample_aspect_ratio = aspect

    def taken(self, packet: AnyPacket, pace: Pace) -> list[AnyPacket]:
        if not packet.size:
            return []
        kept = self._filter.filter(packet) if self._filter else [packet]
        for each in kept:
            self._order.keep(each)
            each.stream = self._to
        return kept

    def rest(self) -> list[AnyPacket]:
        return []


class Voiced:
    """A sound, encoded as AAC."""

    def __init__(self, made: OutputContainer, stream: AudioStream) -> None:
        self._to = made.add_stream("aac", rate=SOUND_RATE, layout="stereo", bit_rate=SOUND_BITS_A_SECOND)
        # In samples: where the next frame is, if it follows the one before.
        self._next: int | None = None

    def taken(self, packet: AnyPacket, pace: Pace) -> list[AnyPacket]:
        return [made for frame in pace.decoded(packet) for made in self._to.encode(self._placed(frame))]

    def rest(self) -> list[AnyPacket]:
        return self._to.encode()

    def _placed(self, frame: AudioFrame) -> AudioFrame:
        """At its place in samples. Files say it in their own steps, of 24 ms in an AVI: only a gap is believed."""
        rate = frame.sample_rate
        at = self._next if frame.pts is None else round(frame.pts * (frame.time_base or 0) * rate)
        if self._next is None or (at is not None and at - self._next > GAP_SECONDS_MIN * rate):
            self._next = at or 0
        frame.pts, frame.time_base = self._next, Fraction(1, rate)
        self._next += frame.samples
        return frame


Shape = tuple[int, int, str, int, int]


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
        self._size, self._filters = size, seen.orientation[1]
        self._tile = tile(size) if watermark else None
        self._shape: Shape | None = None
        self._begin: FilterContext | None = None
        self._graph = Graph()
        self._changes = 0
        self._last: int | None = None

    def taken(self, packet: AnyPacket, pace: Pace) -> list[AnyPacket]:
        return [made for frame in pace.decoded(packet) for made in self._frame(frame)]

    def rest(self) -> list[AnyPacket]:
        return [*self._ended(), *self._to.encode()]

    def _frame(self, frame: VideoFrame) -> list[AnyPacket]:
        if frame.pts is None or (self._last is not None and frame.pts <= self._last):
            # Two frames at one time: the first is shown.
            return []
        self._last = frame.pts
        written: list[AnyPacket] = []
        shape = (frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range))
        if self._begin is None or shape != self._shape:
            written += self._ended()
            self._shape, self._changes = shape, self._changes + 1
            if self._changes > CHANGES_MAX:
                raise MediaInvalid(f"it changes its size or its colours more than {CHANGES_MAX} times")
            self._graph, self._begin = _graph(frame, self._filters, self._size, self._tile)
        self._begin.push(frame)
        return [*written, *self._filtered()]

    def _ended(self) -> list[AnyPacket]:
        """What is still in the filters."""
        if self._begin is None:
            return []
        self._begin.push(None)
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


def _graph(
    frame: VideoFrame, filters: tuple[tuple[str, str | None], ...], size: tuple[int, int], mark: Image.Image | None
) -> tuple[Graph, FilterContext]:
    """A graph that gives frames turned, scaled and marked, and where they go in."""
    graph = Graph()
    begin = _entrance(graph, frame)
    way = [begin]
    way += [graph.add(name, value) for name, value in filters]
    way.append(graph.add("scale", f"{size[0]}:{size[1]}"))
    way.append(graph.add("setsar", "1"))
    way.append(graph.add("format", "yuv420p"))
    if mark is None:
        graph.link_nodes(*way, graph.add("buffersink")).configure()
        return graph, begin
    small = VideoFrame.from_bytes(mark.tobytes(), mark.width, mark.height, "rgba")
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
