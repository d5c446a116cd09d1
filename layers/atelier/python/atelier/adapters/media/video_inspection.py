"""Inspect a video file before it is written anew: the streams to keep, a frame for the poster, how frames are shown.

Imported only in the sandbox (`sandbox.py`).
"""

# PyAV's annotations are generic over types that are not installed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from av.sidedata.sidedata import Type as SideData
from av.video.frame import VideoFrame
from PIL import Image

from atelier.adapters.media.demux import ReadProgress, TrackBroken, codec_of, demux, is_attached, tracks_left_out
from atelier.adapters.media.processed import MediaInvalid, MediaLimitExceeded
from atelier.dataclass import dataclass

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

SECONDS_MAX = 600
FRAME_PIXELS_MAX = 4096 * 2304
SIDE_MIN = 16
# The poster is the frame at this time, or the last frame of a shorter video.
POSTER_SECONDS = 1.0
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
# PQ and HLG, the two curves of high dynamic range.
HDR_CURVES = frozenset([16, 18])
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


def video_stream(source: InputContainer) -> VideoStream:
    """The first readable video stream. Raises MediaInvalid, or MediaLimitExceeded for the size of its frames."""
    videos = [stream for stream in source.streams.video if not is_attached(stream)]
    if not videos:
        raise MediaInvalid("it has no video, only audio" if source.streams.audio else "it has no video")
    video = next((stream for stream in videos if codec_of(stream) in READABLE_VIDEO_CODECS), None)
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
    return next((stream for stream in source.streams.audio if _is_readable(stream)), None)


def _is_readable(audio: AudioStream) -> bool:
    return (
        codec_of(audio) in READABLE_AUDIO_CODECS
        and audio.codec_context.sample_rate > 0
        and audio.codec_context.channels > 0
    )


def inspect_video(source: InputContainer) -> VideoInspection:
    """Read the whole file. Only the audio and the first second of the video are decoded, because decoding all frames
    would take minutes."""
    video, audio = video_stream(source), _audio_stream(source)
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
