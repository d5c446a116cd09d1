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
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import av
from PIL import Image

from atelier.adapters.media.demux import (
    BITEXACT,
    EBML_MAGIC,
    ReadProgress,
    codec_of,
    demux,
    is_mov,
    open_container,
)
from atelier.adapters.media.image import thumbnail
from atelier.adapters.media.processed import MediaInvalid, MediaLimitExceeded, Processed
from atelier.adapters.media.video_inspection import (
    COPIED_AUDIO_CODECS,
    COPIED_VIDEO_CODECS,
    SECONDS_MAX,
    VideoInspection,
    inspect_video,
    video_stream,
)
from atelier.adapters.media.video_tracks import AacTrack, CopiedTrack, H264Track, OutputTrack
from atelier.adapters.media.watermark import mark
from atelier.dataclass import dataclass

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

# How many pixels, in all frames, encoding may read and write: each takes about a minute of CPU time. A longer video is
# encoded at a smaller size.
READ_PIXELS_MAX = 12_000_000_000
WRITTEN_PIXELS_MAX = 2_500_000_000
# The same limits per second of the available time, with a safety margin.
READ_PIXELS_A_SECOND, WRITTEN_PIXELS_A_SECOND = 100_000_000, 20_000_000
# A slow machine stops encoding after this share of the time; the rest is enough to copy the video instead.
ENCODING_SHARE = 0.6

# MP4 brands of files that are images or audio, not videos.
NON_VIDEO_BRANDS = frozenset([b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"M4A ", b"M4B "])
# The pixel formats of H.264 that browsers play: eight bits with 4:2:0 colour; cameras also write others.
PLAYABLE_PIXEL_FORMATS = frozenset(["yuv420p", "yuvj420p", None])
# Codecs that only newer players play: encoded again, or copied when there is not enough time.
KEPT_VIDEO_CODECS = frozenset(["hevc", "h264"])
# The demuxers whose packets can be written unchanged.
COPYING_DEMUXERS = frozenset(["mov", "matroska"])
# Options that put the index in front, so that a video can play while it is downloaded.
INDEX_FIRST = {"mp4": {"movflags": "+faststart"}, "webm": {"cues_to_front": "1"}}


def process(data: bytes, *, watermark: bool, seconds_max: float = 150.0) -> Processed:
    """Turn a video file into a deliverable one. seconds_max: the available time. Equal input gives equal output, except
    for a video that may be copied when encoding takes too long, which depends on the machine. Raises MediaInvalid or
    MediaLimitExceeded."""
    budget = _TimeBudget(seconds_max, time.monotonic() + seconds_max * ENCODING_SHARE)

    demuxer = detect_demuxer(data)
    if demuxer == "matroska" and _matroska_end(data) > len(data):
        raise MediaInvalid("the file is cut off")
    with open_container(data, demuxer) as source:
        inspection = inspect_video(source)
    poster = inspection.poster()

    with tempfile.TemporaryDirectory(prefix="atelier-video-") as folder:
        # A file on disk, because FFmpeg reads it again to move the index to the front.
        file = Path(folder) / "video"
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
    video = video_stream(source)
    audio = next((stream for stream in source.streams.audio if stream.index == inspection.audio_index), None)
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
    with_audio = [kind for kind in formats if audio is None or codec_of(audio) in COPIED_AUDIO_CODECS[kind]]
    if with_audio:
        return with_audio[0], True
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
