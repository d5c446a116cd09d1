"""Audio files: decoded completely within limits, and their packets copied into a new file without any tags.

Formats that browsers play are not encoded again, so only the metadata is lost and the sound is the same. Other formats
become FLAC or WAV if they are lossless, else AAC. Audio gets no watermark.
Imported only in the sandbox (`sandbox.py`).
"""

# PyAV's annotations are generic over types that are not installed, and so are Pillow's.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io
import struct
from array import array
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import av
from av.audio.resampler import AudioResampler
from PIL import Image, ImageDraw

from atelier.adapters.media.audio_frames import FRAME_LENGTHS, first_frame, frames_only, skip_tags
from atelier.adapters.media.demux import (
    BITEXACT,
    EBML_MAGIC,
    DecodeOrder,
    ReadProgress,
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

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer

    from atelier.adapters.media.demux import AnyPacket

SECONDS_MAX = 30 * 60
RATE_MAX = 192_000
CHANNELS_MAX = 8
# Samples of all channels: half an hour of stereo at twice the usual rate. A limit on bytes is not enough, because
# silence takes none.
SAMPLES_MAX = SECONDS_MAX * 96_000 * 2

PCM = frozenset(["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw"])
# FFmpeg's names of the demuxer of each format, and of the muxer of each format that is stored.
READERS = {
    "mp3": "mp3",
    "wav": "wav",
    "flac": "flac",
    "ogg": "ogg",
    "aac": "aac",
    "m4a": "mov",
    "webm": "matroska",
    "amr": "amr",
    "aiff": "aiff",
    "caf": "caf",
}
WRITERS = {"mp3": "mp3", "wav": "wav", "flac": "flac", "ogg": "ogg", "aac": "adts", "m4a": "ipod"}
# Codecs that browsers play: the format into which their packets are copied.
COPIED_TO = {"mp3": "mp3", "flac": "flac", "opus": "ogg", "vorbis": "ogg", "aac": "m4a"} | dict.fromkeys(PCM, "wav")
# Codecs that browsers do not play: the new format, and FFmpeg's name of the encoder.
ENCODED_TO = {
    "alac": ("flac", "flac"),
    "pcm_s8": ("wav", "pcm_s16le"),
    "pcm_s16be": ("wav", "pcm_s16le"),
    "pcm_s24be": ("wav", "pcm_s24le"),
    "pcm_s32be": ("wav", "pcm_s32le"),
    "pcm_f32be": ("wav", "pcm_f32le"),
    "pcm_f64be": ("wav", "pcm_f64le"),
    "adpcm_ms": ("wav", "pcm_s16le"),
    "adpcm_ima_wav": ("wav", "pcm_s16le"),
    "adpcm_ima_qt": ("wav", "pcm_s16le"),
    "gsm_ms": ("wav", "pcm_s16le"),
    "amr_nb": ("m4a", "aac"),
    "amr_wb": ("m4a", "aac"),
    "ac3": ("m4a", "aac"),
    "eac3": ("m4a", "aac"),
}
AAC_RATES = frozenset([8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000])
WAV_CHUNKS_KEPT = frozenset([b"fmt ", b"fact", b"ds64", b"data"])
# An Ogg file may be a chain of several Ogg streams (links), one after the other.
LINKS_MAX = 100
OGG_BEGIN_FLAG = 2
# Codecs of cover and chapter images in audio files.
COVER_CODECS = frozenset(["mjpeg", "png"])
# Options that make the muxer write no tags, neither at the beginning nor at the end.
NO_TAGS_OPTIONS = {"mp3": {"id3v2_version": "0", "write_id3v1": "0"}}

# The waveform image of an audio file, which is its thumbnail.
WAVE_RATE = 4_000
WAVE_SIZE, WAVE_BARS = (512, 160), 128
WAVE_COLOUR, GROUND_COLOUR = (64, 72, 102), (246, 246, 249)


def process(data: bytes) -> Processed:
    """Turn an audio file into a deliverable one; equal input gives equal output. Raises MediaInvalid or
    MediaLimitExceeded."""
    source_format, start = detect_format(data)
    links = _links(data, source_format, start)
    with open_container(links[0], READERS[source_format]) as source:
        audio, notes = _audio_stream(source)
        target_format, encoder = _target_format(audio, source_format)
    file = io.BytesIO()
    with (
        open_container(links[0], READERS[source_format]) as template,
        av.open(
            file, "w", format=WRITERS[target_format], options=BITEXACT | NO_TAGS_OPTIONS.get(target_format, {})
        ) as output,
    ):
        audio, _ = _audio_stream(template)
        track = EncodedAudio(output, audio, encoder) if encoder else CopiedAudio(output, audio)
        decoded = DecodedAudio(audio.codec_context.sample_rate)
        for link in links:
            with open_container(link, READERS[source_format]) as source:
                _decode_link(source, track, decoded, is_exact=source_format == "flac")
        track.finish()
    if not decoded.samples:
        raise MediaInvalid("there is nothing to hear")
    waveform = thumbnail(draw_waveform(decoded.outline))
    return Processed(
        "audio", target_format, file.getvalue(), duration_ms=decoded.milliseconds, thumbnail=waveform, notes=notes
    )


def _decode_link(
    source: InputContainer, track: CopiedAudio | EncodedAudio, decoded: DecodedAudio, *, is_exact: bool
) -> None:
    """Decode a whole link and write it to the new file."""
    audio, _ = _audio_stream(source)
    if audio.codec_context.sample_rate != decoded.rate:
        raise MediaInvalid("it changes its sample rate on the way")
    progress = ReadProgress(audio, SECONDS_MAX, is_exact=is_exact)
    for _, packet in demux(source, progress):
        for frame in progress.decode(packet):
            decoded.add(frame)
            track.frame(frame)
        if packet.size:
            track.packet(packet)
    track.end_link()


def detect_format(data: bytes) -> tuple[str, int]:
    """The format, by the first bytes after tags, padding and junk, and the offset where it begins. Raises
    MediaInvalid."""
    at = skip_tags(data)
    head = data[at : at + 12]
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav", at
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff", at
    for magic, form in ((b"fLaC", "flac"), (b"OggS", "ogg"), (b"caff", "caf"), (b"#!AMR", "amr"), (EBML_MAGIC, "webm")):
        if head.startswith(magic):
            return form, at
    # A box's length begins with zeros.
    if is_mov(data):
        return "m4a", 0
    found = first_frame(data, at)
    if found is None:
        raise MediaInvalid("the bytes are neither MP3, WAV, FLAC, Ogg, AAC, M4A, WebM, AMR, AIFF nor CAF")
    return found


def _links(data: bytes, source_format: str, start: int) -> list[bytes]:
    """The parts of the file that FFmpeg reads: without the bytes before and after the audio; a chained Ogg file as its
    links."""
    if source_format in FRAME_LENGTHS:
        return [frames_only(data, source_format, start)]
    if source_format == "wav":
        return [_wav_samples_only(data[start:])]
    if source_format != "ogg":
        return [data[start:]]
    starts, at, was_head = [start], start, True
    while data[at : at + 4] == b"OggS" and at + 27 <= len(data):
        is_head = bool(data[at + 5] & OGG_BEGIN_FLAG)
        if is_head and not was_head:
            starts.append(at)
        was_head = is_head
        segments = data[at + 27 : at + 27 + data[at + 26]]
        at += 27 + len(segments) + sum(segments)
    if len(starts) > LINKS_MAX:
        raise MediaInvalid(f"more than {LINKS_MAX} audio streams in a row")
    return [data[begin:end] for begin, end in pairwise([*starts, len(data)])]


def _wav_samples_only(data: bytes) -> bytes:
    """A WAV file with only its format and samples, so that other chunks (texts, cues, images) cannot make it
    unreadable."""
    kept, at = [data[:12]], 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        end = at + 8 + size + size % 2
        if name == b"data" and (size == 0 or end > len(data)):
            # A streamed WAV file does not state its true size.
            return b"".join([*kept, data[at:]])
        if name in WAV_CHUNKS_KEPT:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _audio_stream(source: InputContainer) -> tuple[AudioStream, tuple[str, ...]]:
    """The first readable audio stream, and notes to the owner about other tracks; a cover image is dropped without a
    note. Raises MediaInvalid."""
    for video in source.streams.video:
        if not is_attached(video) and codec_of(video) not in COVER_CODECS:
            raise MediaInvalid("it is a video")
    audios = source.streams.audio
    readable = [sound for sound in audios if codec_of(sound) in COPIED_TO or codec_of(sound) in ENCODED_TO]
    if not readable:
        raise MediaInvalid(f"encoded as {codec_of(audios[0])}" if audios else "0 audio streams in it")
    audio = readable[0]
    context = audio.codec_context
    if not (0 < context.sample_rate <= RATE_MAX and 0 < context.channels <= CHANNELS_MAX):
        raise MediaInvalid(f"{context.channels} channels of {context.sample_rate} samples a second")
    return audio, tracks_left_out("Audio", audios, audio)


def _target_format(audio: AudioStream, source_format: str) -> tuple[str, str]:
    """The format of the new file, and FFmpeg's name of the encoder ("" = the packets are copied)."""
    codec = codec_of(audio)
    if codec not in COPIED_TO:
        return ENCODED_TO[codec]
    stays = (source_format, codec) in (("aac", "aac"), ("ogg", "flac"))
    return (source_format if stays else COPIED_TO[codec]), ""


class CopiedAudio:
    """Copies the packets of the audio unchanged; the links of a chain follow each other in time."""

    def __init__(self, output: OutputContainer, audio: AudioStream) -> None:
        self._made, self._to = output, add_copied_stream(output, audio)
        self._after = self._end = Fraction(0)
        self._order = DecodeOrder()

    def frame(self, frame: av.AudioFrame) -> None:
        pass

    def packet(self, packet: AnyPacket) -> None:
        if packet.pts is not None:
            shift = int(self._after / packet.time_base)
            packet.pts += shift
            packet.dts = packet.pts
            self._order.enforce(packet)
            self._end = max(self._end, (packet.pts + (packet.duration or 0)) * packet.time_base)
        packet.stream = self._to
        self._made.mux(packet)

    def end_link(self) -> None:
        self._after = self._end

    def finish(self) -> None:
        pass


class EncodedAudio:
    """Encodes the decoded audio again."""

    def __init__(self, output: OutputContainer, audio: AudioStream, encoder: str) -> None:
        context = audio.codec_context
        rate, layout = context.sample_rate, context.layout.name
        if encoder == "aac":
            rate, layout = (rate if rate in AAC_RATES else 48_000), ("mono" if context.channels == 1 else "stereo")
        # The annotations know the kind of stream for literal names only.
        stream: Any = output.add_stream(encoder, rate=rate, layout=layout)
        self._made, self._to = output, stream
        self._samples = 0

    def frame(self, frame: av.AudioFrame) -> None:
        frame.pts, frame.time_base = self._samples, Fraction(1, frame.sample_rate)
        self._samples += frame.samples
        self._made.mux(self._to.encode(frame))

    def packet(self, packet: AnyPacket) -> None:
        pass

    def end_link(self) -> None:
        pass

    def finish(self) -> None:
        self._made.mux(self._to.encode())


class DecodedAudio:
    """Measures the decoded audio: its length, and its outline for the waveform (one channel at WAVE_RATE)."""

    def __init__(self, rate: int) -> None:
        self.samples = 0
        self.outline = array("h")
        self.rate = rate
        self._resampler = AudioResampler(format="s16", layout="mono", rate=WAVE_RATE)

    @property
    def milliseconds(self) -> int:
        return max(round(self.samples * 1000 / self.rate), 1)

    def add(self, frame: av.AudioFrame) -> None:
        self.samples += frame.samples
        if self.samples * len(frame.layout.channels) > SAMPLES_MAX or self.samples > SECONDS_MAX * self.rate:
            raise MediaLimitExceeded(f"The audio has more than {SAMPLES_MAX} samples or {SECONDS_MAX} seconds.")
        for part in self._resampler.resample(frame):
            self.outline.frombytes(bytes(part.planes[0])[: part.samples * 2])


def draw_waveform(outline: array[int]) -> Image.Image:
    """Draw the waveform as bars, the loudest as high as the image; silence is a line."""
    width, height = WAVE_SIZE
    edges = [len(outline) * bar // WAVE_BARS for bar in range(WAVE_BARS + 1)]
    levels = [max(map(abs, outline[start:end]), default=0) for start, end in pairwise(edges)]
    # The minimum keeps very quiet audio from being drawn as if it were loud.
    loudest = max(*levels, 1000)
    image = Image.new("RGB", WAVE_SIZE, GROUND_COLOUR)
    draw = ImageDraw.Draw(image)
    step = width / WAVE_BARS
    for bar, level in enumerate(levels):
        half = max(level / loudest * (height / 2 - 8), 1)
        left, middle = bar * step, height / 2
        draw.rounded_rectangle((left + 1, middle - half, left + step - 1, middle + half), 1, fill=WAVE_COLOUR)
    return image
