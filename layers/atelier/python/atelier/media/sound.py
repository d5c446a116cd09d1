"""Sounds: decoded from end to end within bounds, and their samples' packets moved into a new file without any tags.

Nothing is encoded afresh: what was said in a file is left behind, what is heard is the same. A sound carries no mark.
Imported only in a process of its own (`apart.py`).
"""

# PyAV's annotations are generic over types that are not installed, and so are Pillow's.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io
from array import array
from itertools import pairwise
from typing import TYPE_CHECKING

import av
from av.audio.resampler import AudioResampler
from PIL import Image, ImageDraw

from atelier.media.picture import thumbnail
from atelier.media.processed import MediaInvalid, Processed
from atelier.media.reading import WRITING, Pace, carried, codec_of, opened, packets

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

SECONDS_MAX = 30 * 60
RATE_MAX = 192_000
CHANNELS_MAX = 8
# Of all channels: half an hour of stereo at twice the usual rate. A silence takes no bytes.
SAMPLES_MAX = SECONDS_MAX * 96_000 * 2

PCM = frozenset(["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw"])
# By format: how FFmpeg calls its reader and its writer, and what may be inside.
FORMS = {
    "mp3": ("mp3", "mp3", frozenset(["mp3"])),
    "wav": ("wav", "wav", PCM),
    "flac": ("flac", "flac", frozenset(["flac"])),
    "ogg": ("ogg", "ogg", frozenset(["opus", "vorbis", "flac"])),
    "aac": ("aac", "adts", frozenset(["aac"])),
}
# Some programs put a tag before a tag.
TAGS_MAX = 4
# No tags, at either end.
UNTAGGED = {"mp3": {"id3v2_version": "0", "write_id3v1": "0"}}

# The picture of a sound: how loud it is from the beginning to the end.
WAVE_RATE = 4_000
WAVE_SIZE, WAVE_BARS = (512, 160), 128
WAVE_COLOUR, GROUND_COLOUR = (64, 72, 102), (246, 246, 249)


def process(data: bytes) -> Processed:
    """A provider's file as a deliverable sound; equal input gives equal output. Raises MediaInvalid."""
    form = sniffed(data)
    reader, writer, codecs = FORMS[form]
    file = io.BytesIO()
    with opened(data, reader) as source:
        sound = _stream(source, codecs)
        with av.open(file, "w", format=writer, options=WRITING | UNTAGGED.get(form, {})) as made:
            to, heard = carried(made, sound), Heard(sound.codec_context.sample_rate)
            pace = Pace(sound, SECONDS_MAX, is_exact=form == "flac")
            for _, packet in packets(source, pace):
                for frame in pace.decoded(packet):
                    heard.take(frame)
                if packet.size:
                    packet.stream = to
                    made.mux(packet)
    if not heard.samples:
        raise MediaInvalid("there is nothing to hear")
    return Processed(
        "audio", form, file.getvalue(), duration_ms=heard.milliseconds, thumbnail=thumbnail(wave(heard.outline))
    )


def sniffed(data: bytes) -> str:
    """mp3, wav, flac, ogg or aac by the first bytes; raises MediaInvalid for anything else."""
    head = data[:12]
    at = 0
    for _ in range(TAGS_MAX):
        if head.startswith(b"ID3") and len(head) > 9:
            # What follows the tag counts; its length has seven bits a byte.
            at += 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
            head = data[at : at + 12]
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "wav"
    if head.startswith((b"fLaC", b"OggS")):
        return "flac" if head.startswith(b"fLaC") else "ogg"
    if len(head) > 1 and head[0] == 0xFF:
        # Frames begin with eleven ones (twelve in AAC); then comes which layer it is, and AAC has layer 0.
        if head[1] & 0xE6 == 0xE2:
            return "mp3"
        if head[1] & 0xF6 == 0xF0:
            return "aac"
    raise MediaInvalid("the bytes are neither MP3, WAV, FLAC, Ogg nor AAC")


def _stream(source: InputContainer, codecs: frozenset[str]) -> AudioStream:
    """The one sound; a cover beside it is left behind."""
    sounds = source.streams.audio
    if len(sounds) != 1:
        raise MediaInvalid(f"{len(sounds)} sounds in it")
    if codec_of(sounds[0]) not in codecs:
        raise MediaInvalid(f"encoded as {codec_of(sounds[0])}")
    context = sounds[0].codec_context
    if not (0 < context.sample_rate <= RATE_MAX and 0 < context.channels <= CHANNELS_MAX):
        raise MediaInvalid(f"{context.channels} channels of {context.sample_rate} samples a second")
    return sounds[0]


class Heard:
    """What was decoded: how long it is, and its outline, one channel at a low rate."""

    def __init__(self, rate: int) -> None:
        self.samples = 0
        self.outline = array("h")
        self._rate = rate
        self._resampler = AudioResampler(format="s16", layout="mono", rate=WAVE_RATE)

    @property
    def milliseconds(self) -> int:
        return max(round(self.samples * 1000 / self._rate), 1)

    def take(self, frame: av.AudioFrame) -> None:
        self.samples += frame.samples
        if self.samples * len(frame.layout.channels) > SAMPLES_MAX or self.samples > SECONDS_MAX * self._rate:
            raise MediaInvalid(f"more than {SAMPLES_MAX} samples or {SECONDS_MAX} seconds")
        for part in self._resampler.resample(frame):
            self.outline.frombytes(bytes(part.planes[0])[: part.samples * 2])


def wave(outline: array[int]) -> Image.Image:
    """The sound's outline as bars, the loudest as high as the picture; of a silence, a line."""
    width, height = WAVE_SIZE
    edges = [len(outline) * bar // WAVE_BARS for bar in range(WAVE_BARS + 1)]
    louds = [max(map(abs, outline[start:end]), default=0) for start, end in pairwise(edges)]
    # What is hardly to be heard is not drawn as if it were loud.
    loudest = max(*louds, 1000)
    picture = Image.new("RGB", WAVE_SIZE, GROUND_COLOUR)
    draw = ImageDraw.Draw(picture)
    step = width / WAVE_BARS
    for bar, loud in enumerate(louds):
        half = max(loud / loudest * (height / 2 - 8), 1)
        left, middle = bar * step, height / 2
        draw.rounded_rectangle((left + 1, middle - half, left + step - 1, middle + half), 1, fill=WAVE_COLOUR)
    return picture
