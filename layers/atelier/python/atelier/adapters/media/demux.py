"""Demux untrusted video and audio files with FFmpeg: from memory, in the format of the first bytes, within limits.

Imported only in the sandbox (`sandbox.py`), because it calls a large C library.
"""

# PyAV's annotations are generic over types that are not installed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io
import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import av
import av.logging
from av.error import FFmpegError
from av.stream import Disposition

from atelier.adapters.media.processed import MediaInvalid, MediaLimitExceeded

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    AnyPacket = Packet[Any]

AnyStream = TypeVar("AnyStream", bound="AudioStream | VideoStream")

BYTES_MAX = 100 * 1024 * 1024
# Cameras write subtitles, time codes, positions and several audio tracks beside the video.
STREAMS_MAX = 64
PACKETS_MAX = 200_000
# Two packets, plus one in fifty, may be broken: the result stutters, but it has been paid for and is kept.
BROKEN_MAX = 2
BROKEN_SHARE = 50
# A file that ends this much earlier than its stated length counts as cut off.
SECONDS_MISSING_MAX = 0.5

# With this option FFmpeg writes no date and no name of the encoder into a new file.
BITEXACT = {"fflags": "+bitexact"}


EBML_MAGIC = b"\x1a\x45\xdf\xa3"
# The box types with which an MP4 or QuickTime file may begin; older cameras do not write `ftyp`.
FIRST_BOXES = frozenset([b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"])


def is_mov(data: bytes) -> bool:
    """Whether the first bytes are those of an MP4 or a QuickTime file."""
    return data[4:8] in FIRST_BOXES


def is_attached(stream: VideoStream) -> bool:
    """Whether the stream is a cover image and no video."""
    return bool(stream.disposition & Disposition.attached_pic)


@contextmanager
def open_container(data: bytes, form: str) -> Generator[InputContainer]:
    """Open the file with FFmpeg's demuxer `form` and no other. Errors of FFmpeg inside the `with` block are raised as
    MediaInvalid."""
    if len(data) > BYTES_MAX:
        raise MediaInvalid(f"{len(data)} bytes are more than {BYTES_MAX}")
    # FFmpeg logs a lot about broken files.
    av.logging.set_level(av.logging.PANIC)
    # No protocol is allowed: a file may name other files or URLs.
    options = {"protocol_whitelist": "", "max_streams": str(STREAMS_MAX)}
    try:
        with av.open(io.BytesIO(data), "r", format=form, options=options, metadata_errors="ignore") as container:
            yield container
    except MediaInvalid:
        raise
    except (FFmpegError, ValueError, EOFError, IndexError, OverflowError) as error:
        raise MediaInvalid(f"not readable as {form}: {type(error).__name__}") from error


def codec_of(stream: AudioStream | VideoStream) -> str:
    """The name of the stream's codec, the same whichever decoder reads it."""
    # PyAV's annotations promise a context, but for an unknown codec there is none.
    context: Any = stream.codec_context
    return context.codec.canonical_name if context else "unknown codec"


class TrackBroken(MediaInvalid):
    """Too many packets of one track cannot be decoded; other tracks of the file may be usable."""


class ReadProgress:
    """How far a stream has been read: the number of packets and of broken ones, and the times in seconds of its begin
    and end. is_exact: the stated length of the stream is reliable, so it must not end earlier."""

    def __init__(self, stream: AudioStream | VideoStream, seconds_max: float, *, is_exact: bool = False) -> None:
        self.stream = stream
        self.seconds_max = seconds_max
        self.is_exact = is_exact
        self.packets = 0
        self.broken = 0
        self.begin = math.inf
        self.end = -math.inf

    @property
    def seconds(self) -> float:
        return max(self.end - self.begin, 0)

    def decode(self, packet: AnyPacket) -> list[Any]:
        """Decode a packet to frames; an empty packet flushes the decoder. Raises TrackBroken when too many packets are
        broken."""
        try:
            return packet.decode()
        except FFmpegError as error:
            self.broken += 1
            if self.broken > BROKEN_MAX + self.packets // BROKEN_SHARE:
                raise TrackBroken(f"{self.broken} of {self.packets} packets are broken") from error
            return []

    def count_packet(self, packet: AnyPacket) -> None:
        self.packets += 1
        at = packet.pts if packet.pts is not None else packet.dts
        if at is not None:
            begin, lasting = (float(ticks * packet.time_base) for ticks in (at, packet.duration or 0))
            self.begin, self.end = min(begin, self.begin), max(begin + lasting, self.end)
        if self.seconds > self.seconds_max or self.packets > PACKETS_MAX:
            raise MediaLimitExceeded(f"The file is longer than {self.seconds_max} seconds or {PACKETS_MAX} packets.")

    def check_end(self) -> None:
        """Check, after the last packet, that the stream is about as long as stated. Raises MediaInvalid."""
        claimed = float((self.stream.duration or 0) * (self.stream.time_base or 0))
        missing = claimed - self.seconds
        if self.is_exact and (claimed > self.seconds_max or missing > max(SECONDS_MISSING_MAX, claimed / 20)):
            raise MediaInvalid(f"{self.seconds:.1f} seconds, where the file says {claimed:.1f}")


def demux(container: InputContainer, *paces: ReadProgress) -> Iterator[tuple[ReadProgress, AnyPacket]]:
    """The packets of these streams in file order, each with its stream's progress; at the end an empty packet for each
    stream. Raises MediaInvalid for a file that is cut off, MediaLimitExceeded for one that is too long."""
    by_index = {pace.stream.index: pace for pace in paces}
    for packet in container.demux(*(pace.stream for pace in paces)):
        track = by_index[packet.stream_index]
        if packet.size:
            track.count_packet(packet)
        yield track, packet
    for track in paces:
        track.check_end()
        # Tracks may begin late and end early, but all bytes that their index names must be in the file.
        if "mov" in container.format.name and _indexed_end(track.stream) > container.size:
            raise MediaInvalid("the file is cut off")


def _indexed_end(stream: AudioStream | VideoStream) -> int:
    entries = stream.index_entries
    if len(entries) > PACKETS_MAX:
        raise MediaInvalid(f"more than {PACKETS_MAX} packets")
    return max((entry.pos + entry.size for entry in entries), default=0)


def tracks_left_out(
    title: str, streams: Sequence[AudioStream | VideoStream], kept: AudioStream | VideoStream | None
) -> tuple[str, ...]:
    """One sentence for the owner for each track that is left out of the new file."""
    return tuple(
        f"{title} track {number} ({codec_of(track)}) was left out."
        for number, track in enumerate(streams, 1)
        if kept is None or track.index != kept.index
    )


class DecodeOrder:
    """Makes the decode times of one stream's packets increase: players accept two equal times, FFmpeg's muxers do
    not."""

    def __init__(self) -> None:
        self._last: int | None = None

    def enforce(self, packet: AnyPacket) -> None:
        """Move a packet whose decode time is not later than the last one's to one tick after it."""
        if packet.dts is None:
            return
        if self._last is not None and packet.dts <= self._last:
            packet.dts = self._last + 1
            packet.pts = max(packet.dts, packet.dts if packet.pts is None else packet.pts)
        self._last = packet.dts


def add_copied_stream(output: OutputContainer, stream: AnyStream) -> AnyStream:
    """Add a stream to the new file for copying the packets of this stream unchanged."""
    # Without `opaque`, PyAV looks for an encoder of the same codec; for some codecs only a decoder is installed.
    return output.add_stream_from_template(stream, opaque=True)
