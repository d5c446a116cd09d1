"""How a file of unknown origin is opened by FFmpeg: from memory, as what its first bytes say, within bounds.

Imported only in a process of its own (`apart.py`): what is in here calls a large library in C.
"""

# PyAV's annotations are generic over types that are not installed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io
import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import av
import av.logging
from av.error import FFmpegError
from av.stream import Disposition

from atelier.media.processed import MediaInvalid, MediaLimitExceeded

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    AnyPacket = Packet[Any]

AnyStream = TypeVar("AnyStream", bound="AudioStream | VideoStream")

BYTES_MAX = 100 * 1024 * 1024
# Cameras write subtitles, time codes, positions and several sounds beside a film.
STREAMS_MAX = 64
PACKETS_MAX = 200_000
# So many packets, and one in fifty, may be broken: a stutter, but no reason to throw away what was paid for.
BROKEN_MAX = 2
BROKEN_SHARE = 50
# A file that ends that much before it says has been cut off.
SECONDS_MISSING_MAX = 0.5

# Nothing in a new file tells when, where or with what it was made.
WRITING = {"fflags": "+bitexact"}


EBML = b"\x1a\x45\xdf\xa3"
# What a file of boxes may begin with: not only `ftyp`, which older cameras do not write.
FIRST_BOXES = frozenset([b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"])


def is_mov(data: bytes) -> bool:
    """Whether the first bytes are those of an MP4 or a QuickTime file."""
    return data[4:8] in FIRST_BOXES


def is_attached(stream: VideoStream) -> bool:
    """Whether it is a cover and no film."""
    return bool(stream.disposition & Disposition.attached_pic)


@contextmanager
def opened(data: bytes, form: str) -> Generator[InputContainer]:
    """The file as one of this form and no other. Raises MediaInvalid for whatever goes wrong until the end."""
    if len(data) > BYTES_MAX:
        raise MediaInvalid(f"{len(data)} bytes are more than {BYTES_MAX}")
    # Broken files make FFmpeg talkative.
    av.logging.set_level(av.logging.PANIC)
    # Only from memory: a file may name other files, or addresses.
    options = {"protocol_whitelist": "", "max_streams": str(STREAMS_MAX)}
    try:
        with av.open(io.BytesIO(data), "r", format=form, options=options, metadata_errors="ignore") as container:
            yield container
    except MediaInvalid:
        raise
    except (FFmpegError, ValueError, EOFError, IndexError, OverflowError) as error:
        raise MediaInvalid(f"not readable as {form}: {type(error).__name__}") from error


def codec_of(stream: AudioStream | VideoStream) -> str:
    """What the stream is encoded with, whichever decoder reads it."""
    # Of a codec unknown to the library there is no context, whatever its annotations say.
    context: Any = stream.codec_context
    return context.codec.canonical_name if context else "unknown codec"


class TrackBroken(MediaInvalid):
    """So much of one track cannot be decoded that it is worth nothing; the others may be."""


@dataclass(slots=True)
class Pace:
    """A stream, and what it has given so far: its packets, the broken ones among them, from when to when. is_exact: the
    file knows how long the stream is, and must not end before that."""

    stream: AudioStream | VideoStream
    seconds_max: float
    is_exact: bool = False
    packets: int = 0
    broken: int = 0
    begin: float = math.inf
    end: float = -math.inf

    @property
    def seconds(self) -> float:
        return max(self.end - self.begin, 0)

    def decoded(self, packet: AnyPacket) -> list[Any]:
        """The frames of a packet, an empty one asks for the last; a few packets may be broken."""
        try:
            return packet.decode()
        except FFmpegError as error:
            self.broken += 1
            if self.broken > BROKEN_MAX + self.packets // BROKEN_SHARE:
                raise TrackBroken(f"{self.broken} of {self.packets} packets are broken") from error
            return []

    def take(self, packet: AnyPacket) -> None:
        self.packets += 1
        at = packet.pts if packet.pts is not None else packet.dts
        if at is not None:
            begin, lasting = (float(ticks * packet.time_base) for ticks in (at, packet.duration or 0))
            self.begin, self.end = min(begin, self.begin), max(begin + lasting, self.end)
        if self.seconds > self.seconds_max or self.packets > PACKETS_MAX:
            raise MediaLimitExceeded(f"The file is longer than {self.seconds_max} seconds or {PACKETS_MAX} packets.")

    def check_end(self) -> None:
        """All packets were taken: they must last about as long as it is said."""
        claimed = float((self.stream.duration or 0) * (self.stream.time_base or 0))
        missing = claimed - self.seconds
        if self.is_exact and (claimed > self.seconds_max or missing > max(SECONDS_MISSING_MAX, claimed / 20)):
            raise MediaInvalid(f"{self.seconds:.1f} seconds, where the file says {claimed:.1f}")


def packets(container: InputContainer, *paces: Pace) -> Iterator[tuple[Pace, AnyPacket]]:
    """The packets of these streams as they come, each with its stream; in the end an empty one for each of them. Raises
    MediaInvalid for a file that has been cut off."""
    by_index = {pace.stream.index: pace for pace in paces}
    for packet in container.demux(*(pace.stream for pace in paces)):
        pace = by_index[packet.stream_index]
        if packet.size:
            pace.take(packet)
        yield pace, packet
    for pace in paces:
        pace.check_end()
        # Tracks may begin late and end early; what their index names, however, must be there.
        if "mov" in container.format.name and _indexed_end(pace.stream) > container.size:
            raise MediaInvalid("the file is cut off")


def _indexed_end(stream: AudioStream | VideoStream) -> int:
    entries = stream.index_entries
    if len(entries) > PACKETS_MAX:
        raise MediaInvalid(f"more than {PACKETS_MAX} packets")
    return max((entry.pos + entry.size for entry in entries), default=0)


def tracks_left_out(
    title: str, tracks: Sequence[AudioStream | VideoStream], kept: AudioStream | VideoStream | None
) -> tuple[str, ...]:
    """One sentence for each track that does not go into the new file."""
    return tuple(
        f"{title} track {number} ({codec_of(track)}) was left out."
        for number, track in enumerate(tracks, 1)
        if kept is None or track.index != kept.index
    )


class DecodeOrder:
    """The packets of one stream, their decode times growing: players go on where two are the same, writers do not."""

    def __init__(self) -> None:
        self._last: int | None = None

    def keep(self, packet: AnyPacket) -> None:
        """Move a packet that would come too early, by as little as can be said."""
        if packet.dts is None:
            return
        if self._last is not None and packet.dts <= self._last:
            packet.dts = self._last + 1
            packet.pts = max(packet.dts, packet.dts if packet.pts is None else packet.pts)
        self._last = packet.dts


def carried(made: OutputContainer, stream: AnyStream) -> AnyStream:
    """A stream of the new file for packets of this one as they are."""
    # Without `opaque`, an encoder of the same name would be looked for; some codecs can only be read here.
    return made.add_stream_from_template(stream, opaque=True)
