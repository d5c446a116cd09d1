"""Videos: opened within limits, cleaned by copying their streams into a new file, watermarked by encoding them again.

The file is treated as a player treats it: the first readable video track and the first readable audio track are used,
rotated, mirrored and scaled as the file says, whenever they begin and end. Notes to the owner name what is left out.
Streams that browsers play are copied without change, which is fast and lossless. A video that gets a watermark, or that
browsers do not play, is encoded again; its audio is still copied if possible.
Imported only in the sandbox (`sandbox.py`).
"""

# PyAV's annotations are generic over types that are not installed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import av
from av.bitstream import BitStreamFilterContext
from av.filter import Graph
from av.sidedata.sidedata import Type as SideData
from av.video.frame import PictureType, VideoFrame
from PIL import Image

from atelier.adapters.media.demux import (
    BITEXACT,
    EBML_MAGIC,
    DecodeOrder,
    ReadProgress,
    TrackBroken,
    add_copied_stream,
    codec_of,
    demux,
    is_attached,
    is_mov,
    open_container,
    tracks_left_out,
)
from atelier.adapters.media.image import thumbnail
from atelier.adapters.media.processed import MediaInvalid, MediaLimitExceeded, Processed
from atelier.adapters.media.watermark import mark, tile
from atelier.dataclass import dataclass

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.filter.context import FilterContext
    from av.video.stream import VideoStream

    from atelier.adapters.media.demux import AnyPacket

SECONDS_MAX = 600
FRAME_PIXELS_MAX = 4096 * 2304
SIDE_MIN = 16
# How many pixels, in all frames, encoding may read and write: each takes about a minute of CPU time. A longer video is
# encoded at a smaller size.
READ_PIXELS_MAX = 12_000_000_000
WRITTEN_PIXELS_MAX = 2_500_000_000
# The same limits per second of the available time, with a safety margin.
READ_PIXELS_A_SECOND, WRITTEN_PIXELS_A_SECOND = 100_000_000, 20_000_000
# A slow machine stops encoding after this share of the time; the rest is enough to copy the video instead.
ENCODING_SHARE = 0.6
# The poster is the frame at this time, or the last frame of a shorter video.
POSTER_SECONDS = 1.0

# MP4 brands of files that are images or audio, not videos.
NON_VIDEO_BRANDS = frozenset([b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"M4A ", b"M4B "])
# Codecs that browsers play, by container, which are copied; and all codecs that we can read.
COPIED_VIDEO_CODECS = {"mp4": frozenset(["h264", "av1", "vp9"]), "webm": frozenset(["vp8", "vp9", "av1"])}
COPIED_AUDIO_CODECS = {"mp4": frozenset(["aac", "mp3"]), "webm": frozenset(["opus", "vorbis"])}
READABLE_VIDEO_CODECS = (
    COPIED_VIDEO_CODECS["mp4"]
    | COPIED_VIDEO_CODECS["webm"]
    | {"hevc", "mpeg4", "mjpeg", "prores", "h263", "mpeg1video", "mpeg2video", "dnxhd", "dvvideo"}
)
READABLE_AUDIO_CODECS = (
    COPIED_AUDIO_CODECS["mp4"]
    | COPIED_AUDIO_CODECS["webm"]
    | {"ac3", "eac3", "alac", "flac", "mp2", "amr_nb", "amr_wb", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt"}
    | {"pcm_u8", "pcm_s8", "pcm_alaw", "pcm_mulaw"}
    | {f"pcm_{sort}{order}" for sort in ("s16", "s24", "s32", "f32", "f64") for order in ("le", "be")}
)
# The pixel formats of H.264 that browsers play: eight bits with 4:2:0 colour; cameras also write others.
PLAYABLE_PIXEL_FORMATS = frozenset(["yuv420p", "yuvj420p", None])
# Codecs that only newer players play: encoded again, or copied when there is not enough time.
KEPT_VIDEO_CODECS = frozenset(["hevc", "h264"])
# The demuxers whose packets can be written unchanged.
COPYING_DEMUXERS = frozenset(["mov", "matroska"])
# PQ and HLG, the two curves of high dynamic range.
HDR_CURVES = frozenset([16, 18])
# Options that put the index in front, so that a video can play while it is downloaded.
INDEX_FIRST = {"mp4": {"movflags": "+faststart"}, "webm": {"cues_to_front": "1"}}

# The output bytes depend on the number of threads, so it is fixed. `mbtree` is off because on processors with AVX-512
# x264's macroblock tree reads uninitialised memory, and then the bytes differ from run to run.
ENCODER_OPTIONS = {"preset": "superfast", "crf": "23", "threads": "2", "x264-params": "mbtree=0"}
# How to rotate and mirror a frame, by the signs in its display matrix: for Pillow, and as FFmpeg filters. A matrix of
# the rows (a, b) and (c, d) shows the point (x, y) at (ax + cy, bx + dy); y grows downwards.
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
# A pixel's aspect ratio may be up to this or down to its inverse; other ratios are ignored.
PIXEL_ASPECT_MAX = 8
# How often the size or pixel format of frames may change: recorded video calls change it with the connection.
FORMAT_CHANGES_MAX = 200
SOUND_RATE, SOUND_BITS_A_SECOND = 48_000, 128_000
# Audio that continues this much later than expected has a pause, which is kept.
GAP_SECONDS_MIN = 0.1


def process(data: bytes, *, watermark: bool, seconds_max: float = 150.0) -> Processed:
    """Turn a video file into a deliverable one. seconds_max: the available time. Equal input gives equal output, except
    for a video that may be copied when encoding takes too long, which depends on the machine. Raises MediaInvalid or
    MediaLimitExceeded."""
    budget = _TimeBudget(seconds_max, time.monotonic() + seconds_max * ENCODING_SHARE)

    demuxer = detect_demuxer(data)
    if demuxer == "matroska" and _matroska_end(data) > len(data):
        raise MediaInvalid("the file is cut off")
    with open_container(data, demuxer) as source:
        inspection = _inspect(source)
    poster = inspection.poster()

    with tempfile.TemporaryDirectory(prefix="atelier-film-") as folder:
        # A file on disk, because FFmpeg reads it again to move the index to the front.
        file = Path(folder) / "film"
        try:
            with open_container(data, demuxer) as source:
                kind, poster, notes = _write_video(
                    source, file, demuxer, inspection, poster, budget, watermark=watermark
                )
        except _OutOfTime:
            budget = replace(budget, encode_until=None)
            with open_container(data, demuxer) as source:
                kind, poster, notes = _write_video(
                    source, file, demuxer, inspection, poster, budget, watermark=watermark
                )
        # Apple's players accept HEVC only under the name hvc1, and FFmpeg writes hev1 (findings/). The index, which
        # contains the name, is in front, so the first occurrence is the right one.
        cleaned = file.read_bytes().replace(b"hev1", b"hvc1", 1)

    with open_container(cleaned, {"mp4": "mov", "webm": "matroska"}[kind]) as cleaned_container:
        # Read from the new file, so that it is the duration that players show.
        duration_ms = round((cleaned_container.duration or 0) / 1000)

    return Processed(
        "video",
        kind,
        cleaned,
        poster.width,
        poster.height,
        duration_ms,
        thumbnail(poster),
        notes=inspection.notes + notes,
    )


def detect_demuxer(data: bytes) -> str:
    """FFmpeg's name of the demuxer for this file, by its first bytes. Raises MediaInvalid."""
    if is_mov(data):
        if data[4:8] == b"ftyp" and data[8:12] in NON_VIDEO_BRANDS:
            raise MediaInvalid("it is an image or an audio file, not a video")
        return "mov"
    if data.startswith(EBML_MAGIC):
        return "matroska"
    if data.startswith(b"RIFF") and data[8:12] == b"AVI ":
        return "avi"
    # A transport stream consists of packets of 188 bytes; camcorders put a timestamp of four bytes before each.
    for first, step in ((0, 188), (4, 192)):
        if len(data) > first + 2 * step and data[first] == data[first + step] == data[first + 2 * step] == 0x47:
            return "mpegts"
    raise MediaInvalid("the bytes are neither MP4, QuickTime, WebM, Matroska, MPEG-TS nor AVI")


def _matroska_end(data: bytes) -> int:
    """The offset at which a Matroska file ends as stated in it; 0 when it states none, as in a live recording."""
    at = 4
    head_length, at = _ebml_number(data, at)
    at += (head_length or 0) + 4
    length, at = _ebml_number(data, at)
    return 0 if length is None else at + length


def _ebml_number(data: bytes, at: int) -> tuple[int | None, int]:
    """Parse an EBML length at `at`: the length, None when it is unknown, and the offset after it."""
    if at >= len(data) or not data[at]:
        return None, at + 1
    size = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + size], "big") & (1 << 7 * size) - 1
    return (None if value == (1 << 7 * size) - 1 else value), at + size


@dataclass(frozen=True, slots=True)
class VideoInspection:
    """What one pass over a video found: a frame for the poster, the number of video packets, the pixel aspect ratio,
    the index of the audio stream to keep, and notes to the owner."""

    frame: VideoFrame
    frames: int
    pixel_aspect: Fraction
    audio_index: int | None
    notes: tuple[str, ...]

    @property
    def orientation(self) -> tuple[Image.Transpose | None, tuple[tuple[str, str | None], ...]]:
        """How frames are rotated and mirrored for display: an entry of ORIENTATIONS."""
        side_data: Any = self.frame.side_data
        matrix = side_data.get(SideData.DISPLAYMATRIX)
        if matrix is None or len(bytes(matrix)) != 36:
            return ORIENTATIONS[UPRIGHT]
        a, b, _, c, d, *_ = (int(value) for value in struct.unpack("=9i", bytes(matrix)))
        is_lying = abs(a) + abs(d) < abs(b) + abs(c)
        signs = (0, _sign(b), _sign(c), 0) if is_lying else (_sign(a), 0, 0, _sign(d))
        return ORIENTATIONS.get(signs, ORIENTATIONS[UPRIGHT])

    def poster(self) -> Image.Image:
        """The frame as an image with square pixels, upright."""
        image, aspect = self.frame.to_image(), self.pixel_aspect
        # The shorter side is stretched instead of shrinking the longer one, so that no detail is lost.
        if aspect > 1:
            image = image.resize((round(image.width * aspect), image.height))
        elif aspect < 1:
            image = image.resize((image.width, round(image.height / aspect)))
        transposed = self.orientation[0]
        return image if transposed is None else image.transpose(transposed)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _video_stream(source: InputContainer) -> VideoStream:
    """The first readable video stream. Raises MediaInvalid, or MediaLimitExceeded for the size of its frames."""
    videos = [film for film in source.streams.video if not is_attached(film)]
    if not videos:
        raise MediaInvalid("it has no video, only audio" if source.streams.audio else "it has no video")
    video = next((film for film in videos if codec_of(film) in READABLE_VIDEO_CODECS), None)
    if video is None:
        raise MediaInvalid(f"encoded as {codec_of(videos[0])}")
    context = video.codec_context
    if not 0 < context.width * context.height <= FRAME_PIXELS_MAX or min(context.width, context.height) < SIDE_MIN:
        allowed = f"each side needs at least {SIDE_MIN}, and a frame may have {FRAME_PIXELS_MAX} in all"
        raise MediaLimitExceeded(f"The video has {context.width} × {context.height} pixels; {allowed}.")
    # The decoder checks each frame too, because a frame may be larger than the file states.
    context.options = {"max_pixels": str(FRAME_PIXELS_MAX)}
    context.thread_count = 2
    return video


def _audio_stream(source: InputContainer) -> AudioStream | None:
    """The first readable audio stream, or None."""
    return next((sound for sound in source.streams.audio if _is_readable(sound)), None)


def _is_readable(audio: AudioStream) -> bool:
    return (
        codec_of(audio) in READABLE_AUDIO_CODECS
        and audio.codec_context.sample_rate > 0
        and audio.codec_context.channels > 0
    )


def _inspect(source: InputContainer) -> VideoInspection:
    """Read the whole file. Only the audio and the first second of the video are decoded, because decoding all frames
    would take minutes."""
    video, audio = _video_stream(source), _audio_stream(source)
    tracks = [ReadProgress(stream, SECONDS_MAX) for stream in (video, audio) if stream]
    poster_frame: VideoFrame | None = None
    for track, packet in demux(source, *tracks):
        if track.stream is video:
            if poster_frame is None or (poster_frame.time or 0) < POSTER_SECONDS:
                poster_frame = next(
                    (frame for frame in reversed(track.decode(packet)) if _is_poster_candidate(frame, poster_frame)),
                    poster_frame,
                )
        elif audio:
            try:
                track.decode(packet)
            except TrackBroken:
                audio = None
    if poster_frame is None:
        raise MediaInvalid("not one frame can be decoded")
    notes = tracks_left_out("Video", [each for each in source.streams.video if not is_attached(each)], video)
    notes += tracks_left_out("Audio", source.streams.audio, audio)
    if video.codec_context.color_trc in HDR_CURVES:
        notes += ("The video has a high dynamic range; screens without one may show other colours.",)
    return VideoInspection(poster_frame, tracks[0].packets, _pixel_aspect(video), audio.index if audio else None, notes)


def _is_poster_candidate(frame: VideoFrame, first: VideoFrame | None) -> bool:
    """Whether the frame is intact and has the size of the first frame."""
    return not frame.is_corrupt and (first is None or (frame.width, frame.height) == (first.width, first.height))


def _pixel_aspect(video: VideoStream) -> Fraction:
    aspect = video.sample_aspect_ratio
    width, height = video.codec_context.width, video.codec_context.height
    if not aspect or not 1 / PIXEL_ASPECT_MAX <= aspect <= PIXEL_ASPECT_MAX:
        return Fraction(1)
    return aspect if width * height * max(aspect, 1 / aspect) <= FRAME_PIXELS_MAX else Fraction(1)


class _OutOfTime(Exception):
    """Encoding the video takes too long on this machine, and the video can be copied instead."""


@dataclass(frozen=True, slots=True)
class _TimeBudget:
    """seconds_max: the time for the whole video. encode_until: the time (of time.monotonic) until which a video that
    could also be copied may be encoded; None = copy it without trying."""

    seconds_max: float
    encode_until: float | None


def _write_video(
    source: InputContainer,
    file: Path,
    demuxer: str,
    inspection: VideoInspection,
    poster: Image.Image,
    budget: _TimeBudget,
    *,
    watermark: bool,
) -> tuple[str, Image.Image, tuple[str, ...]]:
    """Write the new file. Returns its container format, the poster (at the new size, watermarked), and notes to the
    owner. Raises _OutOfTime when the video should be copied instead of encoded."""
    video = _video_stream(source)
    audio = next((sound for sound in source.streams.audio if sound.index == inspection.audio_index), None)
    kind, is_copied = _output_format(video, audio, demuxer, inspection)
    notes: tuple[str, ...] = ()

    pixels = poster.width * poster.height * inspection.frames
    seconds_max, until = budget.seconds_max, budget.encode_until
    can_be_kept = not (is_copied or watermark) and codec_of(video) in KEPT_VIDEO_CODECS and demuxer in COPYING_DEMUXERS
    if can_be_kept:
        # Copying such a video is better than making it smaller or refusing it.
        is_copied = until is None or pixels > min(WRITTEN_PIXELS_MAX, WRITTEN_PIXELS_A_SECOND * seconds_max)
        if is_copied:
            notes = (f"The video is kept as it is encoded ({codec_of(video)}), which not every browser plays.",)
    is_copied = is_copied and not watermark
    if not is_copied:
        kind = "mp4"

    with av.open(str(file), "w", format=kind, options=BITEXACT | INDEX_FIRST[kind]) as output:
        if is_copied:
            video_track = CopiedTrack(output, video)
            video_track.set_pixel_aspect(inspection.pixel_aspect)
        else:
            size = _encoded_size(poster.size, inspection.frames, seconds_max)
            if size[0] < poster.width - 1:
                notes = (f"The video was made smaller: {size[0]} × {size[1]} pixels.",)
            poster = poster.resize(size)
            video_track = H264Track(output, video, inspection, size, watermark=watermark)
            if watermark:
                mark(poster)

        output_tracks: dict[int, OutputTrack] = {video.index: video_track}
        if audio:
            output_tracks[audio.index] = (CopiedTrack if _is_audio_copied(audio, kind, demuxer) else AacTrack)(
                output, audio
            )
        tracks = [ReadProgress(stream, SECONDS_MAX) for stream in (video, audio) if stream]
        for track, packet in demux(source, *tracks):
            if can_be_kept and not is_copied and until is not None and time.monotonic() > until:
                raise _OutOfTime
            output.mux(output_tracks[packet.stream_index].convert(packet, track))
        for each in output_tracks.values():
            output.mux(each.flush())

    return kind, poster, notes


def _output_format(
    video: VideoStream, audio: AudioStream | None, demuxer: str, inspection: VideoInspection
) -> tuple[str, bool]:
    """The container format of the new file, and whether the video can be copied into it."""
    codec = codec_of(video)
    is_played = codec != "h264" or video.codec_context.pix_fmt in PLAYABLE_PIXEL_FORMATS
    if demuxer not in COPYING_DEMUXERS or not is_played:
        return "mp4", False
    kinds = ["mp4", "webm"] if demuxer == "mov" else ["webm", "mp4"]
    # The pixel aspect ratio cannot be written to WebM, so only square pixels fit.
    formats = [
        kind for kind in kinds if codec in COPIED_VIDEO_CODECS[kind] and (kind == "mp4" or inspection.pixel_aspect == 1)
    ]
    with_sound = [kind for kind in formats if audio is None or codec_of(audio) in COPIED_AUDIO_CODECS[kind]]
    if with_sound:
        return with_sound[0], True
    # The audio is encoded as AAC.
    return "mp4", "mp4" in formats


def _is_audio_copied(audio: AudioStream, kind: str, demuxer: str) -> bool:
    return demuxer in COPYING_DEMUXERS and codec_of(audio) in COPIED_AUDIO_CODECS[kind]


def _encoded_size(size: tuple[int, int], frames: int, seconds_max: float) -> tuple[int, int]:
    """The size to encode at: even sides, as H.264 needs, with no more pixels than the time allows. Raises
    MediaLimitExceeded when even reading the frames would take too long."""
    pixels = size[0] * size[1] * frames
    read_max = min(READ_PIXELS_MAX, round(READ_PIXELS_A_SECOND * seconds_max))
    written_max = min(WRITTEN_PIXELS_MAX, WRITTEN_PIXELS_A_SECOND * seconds_max)
    if pixels > read_max:
        raise MediaLimitExceeded(
            f"The video has {frames} frames of {size[0]} × {size[1]} pixels, too many to encode in the time allowed"
            f" (at most {read_max} pixels in all). Make it shorter or smaller, or send it as H.264."
        )
    share = min(math.sqrt(written_max / pixels), 1)
    width, height = (max(int(side * share) // 2 * 2, 2) for side in size)
    return width, height


class OutputTrack(Protocol):
    """Turns the packets of one input stream into packets of the new file."""

    def convert(self, packet: AnyPacket, track: ReadProgress) -> list[AnyPacket]:
        """The packets to write for an input packet; an empty input packet ends the stream."""
        ...

    def flush(self) -> list[AnyPacket]:
        """The packets that remain at the end."""
        ...


class CopiedTrack:
    """Copies a stream unchanged, except that H.264's supplemental information (NAL type 6) is removed: encoders and
    tools write settings, prompts and notes there."""

    def __init__(self, output: OutputContainer, stream: AudioStream | VideoStream) -> None:
        self._to = add_copied_stream(output, stream)
        self._order = DecodeOrder()
        plain = codec_of(stream) == "h264"
        self._filter = BitStreamFilterContext("filter_units=remove_types=6", stream, self._to) if plain else None

    def set_pixel_aspect(self, aspect: Fraction) -> None:
        """Set the pixel aspect ratio of the container, which takes precedence over the one in the video stream."""
        context: Any = self._to.codec_context
        context.sample_aspect_ratio = aspect

    def convert(self, packet: AnyPacket, track: ReadProgress) -> list[AnyPacket]:
        if not packet.size:
            return []
        kept = self._filter.filter(packet) if self._filter else [packet]
        for each in kept:
            self._order.enforce(each)
            each.stream = self._to
        return kept

    def flush(self) -> list[AnyPacket]:
        return []


class AacTrack:
    """Encodes an audio stream as AAC."""

    def __init__(self, output: OutputContainer, stream: AudioStream) -> None:
        self._to = output.add_stream("aac", rate=SOUND_RATE, layout="stereo", bit_rate=SOUND_BITS_A_SECOND)
        # The expected time of the next frame, in samples.
        self._next: int | None = None

    def convert(self, packet: AnyPacket, track: ReadProgress) -> list[AnyPacket]:
        return [made for frame in track.decode(packet) for made in self._to.encode(self._with_position(frame))]

    def flush(self) -> list[AnyPacket]:
        return self._to.encode()

    def _with_position(self, frame: AudioFrame) -> AudioFrame:
        """Set the frame's time in samples. Times in files are coarse (24 ms in AVI), so the frame follows the last one
        unless its time shows a gap of more than GAP_SECONDS_MIN."""
        rate = frame.sample_rate
        at = self._next if frame.pts is None else round(frame.pts * (frame.time_base or 0) * rate)
        if self._next is None or (at is not None and at - self._next > GAP_SECONDS_MIN * rate):
            self._next = at or 0
        frame.pts, frame.time_base = self._next, Fraction(1, rate)
        self._next += frame.samples
        return frame


FrameShape = tuple[int, int, str, int, int]


class H264Track:
    """Encodes a video stream as H.264: upright, at this size, with or without the watermark."""

    def __init__(
        self,
        output: OutputContainer,
        stream: VideoStream,
        inspection: VideoInspection,
        size: tuple[int, int],
        *,
        watermark: bool,
    ) -> None:
        self._to = output.add_stream("libx264", rate=stream.average_rate or 25, options=ENCODER_OPTIONS)
        self._to.width, self._to.height = size
        self._to.pix_fmt = "yuv420p"
        context, like = self._to.codec_context, stream.codec_context
        context.time_base = inspection.frame.time_base or context.time_base
        context.color_primaries, context.color_trc = like.color_primaries, like.color_trc
        context.colorspace, context.color_range = like.colorspace, like.color_range
        self._size, self._filters = size, inspection.orientation[1]
        self._tile = tile(size) if watermark else None
        self._shape: FrameShape | None = None
        self._begin: FilterContext | None = None
        self._graph = Graph()
        self._changes = 0
        self._last: int | None = None

    def convert(self, packet: AnyPacket, track: ReadProgress) -> list[AnyPacket]:
        return [made for frame in track.decode(packet) for made in self._encode_frame(frame)]

    def flush(self) -> list[AnyPacket]:
        return [*self._flush_filters(), *self._to.encode()]

    def _encode_frame(self, frame: VideoFrame) -> list[AnyPacket]:
        if frame.pts is None or (self._last is not None and frame.pts <= self._last):
            # Of two frames with the same time, the first is kept.
            return []
        self._last = frame.pts
        written: list[AnyPacket] = []
        shape = (frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range))
        if self._begin is None or shape != self._shape:
            written += self._flush_filters()
            self._shape, self._changes = shape, self._changes + 1
            if self._changes > FORMAT_CHANGES_MAX:
                raise MediaInvalid(f"it changes its size or its colours more than {FORMAT_CHANGES_MAX} times")
            self._graph, self._begin = _filter_graph(frame, self._filters, self._size, self._tile)
        self._begin.push(frame)
        return [*written, *self._filtered_packets()]

    def _flush_filters(self) -> list[AnyPacket]:
        """End the filter graph and encode the frames that it still holds."""
        if self._begin is None:
            return []
        self._begin.push(None)
        return list(self._filtered_packets())

    def _filtered_packets(self) -> Iterator[AnyPacket]:
        while True:
            try:
                frame = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            # The encoder chooses the key frames itself, not at those of the input.
            frame.pict_type = PictureType.NONE
            yield from self._to.encode(frame)


def _filter_graph(
    frame: VideoFrame,
    filters: tuple[tuple[str, str | None], ...],
    size: tuple[int, int],
    mark_image: Image.Image | None,
) -> tuple[Graph, FilterContext]:
    """A filter graph that rotates, scales and watermarks frames, and its input filter."""
    graph = Graph()
    begin = _buffer_source(graph, frame)
    nodes = [begin]
    nodes += [graph.add(name, value) for name, value in filters]
    nodes.append(graph.add("scale", f"{size[0]}:{size[1]}"))
    nodes.append(graph.add("setsar", "1"))
    nodes.append(graph.add("format", "yuv420p"))
    if mark_image is None:
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        return graph, begin
    small = VideoFrame.from_bytes(mark_image.tobytes(), mark_image.width, mark_image.height, "rgba")
    small.pts, small.time_base = 0, frame.time_base
    mark_source = _buffer_source(graph, small)
    overlay = graph.add("overlay", "x=W-w:y=H-h:eof_action=repeat")
    mark_source.link_to(overlay, 0, 1)
    graph.link_nodes(*nodes, overlay, graph.add("buffersink")).configure()
    mark_source.push(small)
    mark_source.push(None)
    return graph, begin


def _buffer_source(graph: Graph, frame: VideoFrame) -> FilterContext:
    """The input filter for frames like this one. It states the colour space and range; otherwise FFmpeg would assume
    another standard's."""
    like = {
        "video_size": f"{frame.width}x{frame.height}",
        "pix_fmt": frame.format.name,
        "time_base": str(frame.time_base),
        "colorspace": str(int(frame.colorspace)),
        "range": str(int(frame.color_range)),
    }
    return graph.add("buffer", ":".join(f"{name}={value}" for name, value in like.items()))
