"""Long texts for speech: the text is split where a voice would pause, and the audio of the parts is joined again."""

from __future__ import annotations

import re
import struct

# The longest text that one request accepts.
PART_CHARACTERS_MAX = 4096
CONTENT_TYPES = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "aac": "audio/aac",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    # Raw samples are delivered with a WAV header.
    "pcm": "audio/wav",
}
# The part of a WAV format header that must be equal to join files: format, channels, rate, bits of a sample.
WAV_HEAD_BYTES = 16
# Providers send raw samples as 24 kHz, 16 bits, one channel.
PCM_BYTES_PER_SECOND = 48_000
# The bit rates by their index in an MP3 frame header (indexes 1 to 14).
MPEG1_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2_KBITS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def split_text(text: str, characters_max: int = PART_CHARACTERS_MAX) -> list[str]:
    """Split the text into parts of at most `characters_max`: after sentences, else between words, else anywhere."""
    parts = [""]
    for sentence in re.split(r"(?<=[.!?…。！？\n])\s+", text.strip()):
        for piece in _split_sentence(sentence, characters_max):
            if parts[-1] and len(parts[-1]) + 1 + len(piece) > characters_max:
                parts.append("")
            parts[-1] = f"{parts[-1]} {piece}" if parts[-1] else piece
    return parts


def _split_sentence(sentence: str, characters_max: int) -> list[str]:
    pieces: list[str] = []
    while len(sentence) > characters_max:
        space = sentence.rfind(" ", 1, characters_max + 1)
        cut = space if space > 0 else characters_max
        pieces.append(sentence[:cut])
        sentence = sentence[cut:].lstrip()
    return [*pieces, sentence]


def join_audio(parts: list[bytes], audio_format: str) -> bytes:
    """Join audio files of one format into one file. Compressed formats are sequences of frames and are concatenated;
    WAV gets one header; raw samples become WAV, even a single part. The format is detected from the bytes, because some
    servers ignore the requested `form`. Returns b"" when the parts cannot be joined, since one part alone would look
    like the whole."""
    forms = {_detect_format(sound, audio_format) for sound in parts}
    if forms == {"pcm"}:
        return pcm_as_wav(b"".join(parts))
    if len(parts) == 1:
        return parts[0]
    if len(forms) > 1 or forms == {"flac"}:
        return b""
    (audio_format,) = forms
    if audio_format == "mp3":
        return b"".join(map(_mp3_without_header, parts))
    if audio_format != "wav":
        # Concatenated Ogg files are a chained Ogg file, which is valid too.
        return b"".join(parts)
    head, _ = _parse_wav(parts[0])
    if any(_parse_wav(sound)[0][:WAV_HEAD_BYTES] != head[:WAV_HEAD_BYTES] for sound in parts):
        return b""
    return _build_wav(head, b"".join(_parse_wav(sound)[1] for sound in parts))


def _detect_format(data: bytes, audio_format: str) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if audio_format == "pcm":
        return audio_format
    for magic, name in ((b"OggS", "opus"), (b"fLaC", "flac"), (b"ID3", "mp3")):
        if data.startswith(magic):
            return name
    if data[:1] == b"\xff" and len(data) > 1 and data[1] & 0xE0 == 0xE0:
        return "aac" if data[1] & 0xF6 == 0xF0 else "mp3"
    return audio_format


def pcm_as_wav(pcm: bytes) -> bytes:
    """Raw samples as a WAV file, because without a header a player cannot know their rate and size."""
    return _build_wav(struct.pack("<HHIIHH", 1, 1, PCM_BYTES_PER_SECOND // 2, PCM_BYTES_PER_SECOND, 2, 16), pcm)


def _build_wav(head: bytes, samples: bytes) -> bytes:
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def duration_milliseconds(data: bytes, audio_format: str) -> int | None:
    """The length of WAV or raw audio, computed from its size; None for other formats."""
    if audio_format not in ("wav", "pcm"):
        return None
    head, samples = _parse_wav(data)
    bytes_per_second = struct.unpack_from("<I", head, 8)[0] if len(head) >= 12 else 0
    return len(samples) * 1000 // bytes_per_second if bytes_per_second else None


def _mp3_without_header(data: bytes) -> bytes:
    """The MP3 frames without the ID3 tag and without a Xing/Info frame, which states the length of this part only."""
    if data[:3] == b"ID3" and len(data) > 10:
        size = sum((byte & 127) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
        data = data[10 + size :]
    if len(data) < 4 or not {b"Xing", b"Info"} & {data[at : at + 4] for at in (13, 21, 36)}:
        return data
    version, bit_rate, sample_rate = data[1] >> 3 & 3, data[2] >> 4, data[2] >> 2 & 3
    if data[0] != 0xFF or version == 1 or not 0 < bit_rate < 15 or sample_rate == 3:
        return data
    kbits = (MPEG1_KBITS if version == 3 else MPEG2_KBITS)[bit_rate - 1]
    rate = (44_100, 48_000, 32_000)[sample_rate] // {3: 1, 2: 2, 0: 4}[version]
    length = (144 if version == 3 else 72) * kbits * 1000 // rate + (data[2] >> 1 & 1)
    return data[length:]


def _parse_wav(data: bytes) -> tuple[bytes, bytes]:
    """The format header and the samples of a WAV file. A streamed WAV states the size 0 or the largest number: its
    samples then end with the file."""
    head, at = b"", 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        chunk = data[at + 8 : at + 8 + size]
        if name == b"data":
            return head, chunk if size else data[at + 8 :]
        head = chunk if name == b"fmt " else head
        at += 8 + size + size % 2
    return head, b""
