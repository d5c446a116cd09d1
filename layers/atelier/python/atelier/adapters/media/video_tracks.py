"""The tracks of a new video file: streams copied unchanged, or encoded again as H.264 and AAC.

Imported only in the sandbox (`sandbox.py`).
"""

# PyAV's annotations are generic over types that are not installed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

from av.bitstream import BitStreamFilterContext
from av.filter import Graph
from av.video.frame import PictureType, VideoFrame

from atelier.adapters.media.demux import DecodeOrder, ReadProgress, add_copied_stream, codec_of
from atelier.adapters.media.processed import MediaInvalid
from atelier.adapters.media.video_inspection import VideoInspection
from atelier.adapters.media.watermark import tile

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.filter.context import FilterContext
    from av.video.stream import VideoStream
    from PIL import Image

    from atelier.adapters.media.demux import AnyPacket

# The output bytes depend on the number of threads, so it is fixed. `mbtree` is off because on processors with AVX-512
# x264's macroblock tree reads uninitialised memory, and then the bytes differ from run to run.
ENCODER_OPTIONS = {"preset": "superfast", "crf": "23", "threads": "2", "x264-params": "mbtree=0"}
# How often the size or pixel format of frames may change: recorded video calls change it with the connection.
FORMAT_CHANGES_MAX = 200
AUDIO_RATE, AUDIO_BITS_PER_SECOND = 48_000, 128_000
# Audio that continues this much later than expected has a pause, which is kept.
GAP_SECONDS_MIN = 0.1
FrameShape = tuple[int, int, str, int, int]


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
        self._to = output.add_stream("aac", rate=AUDIO_RATE, layout="stereo", bit_rate=AUDIO_BITS_PER_SECOND)
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
