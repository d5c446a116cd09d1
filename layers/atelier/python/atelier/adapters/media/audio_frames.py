"""Find the frames of MP3 and AAC files, after tags, padding and other bytes that programs put before them.

A frame is recognised by its header and by the header of the next frame, as players do.
"""

from __future__ import annotations

# Some programs write several tags in a row.
TAGS_MAX = 4
ID3_HAS_FOOTER, ID3_FOOTER_BYTES = 0x10, 10
# The first frame is searched within this many bytes after the tags and zeros.
JUNK_BYTES_MAX = 256 * 1024

# The bit rates and sample rates by their indexes in an MP3 frame header; the sample rates are those of MPEG-1.
MPEG1_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2_KBITS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
RATES = (44_100, 48_000, 32_000)


def skip_tags(data: bytes) -> int:
    """The offset of the first byte after the zeros, ID3 tags and APE tags at the beginning."""
    at = 0
    for _ in range(TAGS_MAX):
        at = _skip_zeros(data, at)
        head = data[at : at + 32]
        if head.startswith(b"ID3") and len(head) > 9:
            # The length has seven bits per byte. A length beyond the end of the file is ignored.
            size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
            size += ID3_FOOTER_BYTES if head[5] & ID3_HAS_FOOTER else 0
            at = at + 10 + (size if at + 10 + size < len(data) else 0)
        elif head.startswith(b"APETAGEX") and len(head) == 32:
            at += 32 + int.from_bytes(head[12:16], "little")
    return min(_skip_zeros(data, at), len(data))


def first_frame(data: bytes, at: int) -> tuple[str, int] | None:
    """The format (`mp3` or `aac`) and the offset of the first frame at or after `at`; None when there is none."""
    end = min(len(data), at + JUNK_BYTES_MAX)
    while (at := data.find(b"\xff", at, end)) >= 0:
        for form, length_of in FRAME_LENGTHS.items():
            length = length_of(data, at)
            follows = at + length
            if length and (follows == len(data) or (length_of(data, follows) and _is_same_stream(data, at, follows))):
                return form, at
        at += 1
    return None


def frames_only(data: bytes, form: str, at: int) -> bytes:
    """All frames from the first one (at `at`) on, without the bytes between and after them."""
    length_of, first = FRAME_LENGTHS[form], at
    pieces: list[bytes] = []
    start = at
    while at < len(data):
        length = length_of(data, at)
        if length and at + length <= len(data) and _is_same_stream(data, first, at):
            at += length
            continue
        pieces.append(data[start:at])
        found = first_frame(data, at + 1)
        if found is None:
            return b"".join(pieces)
        start = at = found[1]
        if found[0] != form:
            # A frame of the other format is skipped like other foreign bytes.
            at = start = at + 1
    return b"".join([*pieces, data[start:at]])


def mp3_frame_length(data: bytes, at: int) -> int:
    """The length in bytes of the MP3 frame (layer III) whose header is at `at`; 0 when there is no such header."""
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, bit_rate, sample_rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or not 0 < bit_rate < 15 or sample_rate == 3:
        return 0
    kbits = (MPEG1_KBITS if version == 3 else MPEG2_KBITS)[bit_rate - 1]
    rate = RATES[sample_rate] // {3: 1, 2: 2, 0: 4}[version]
    return (144 if version == 3 else 72) * kbits * 1000 // rate + (head[2] >> 1 & 1)


def aac_frame_length(data: bytes, at: int) -> int:
    """The length in bytes of the AAC frame (ADTS) whose header is at `at`; 0 when there is no such header."""
    head = data[at : at + 7]
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > len(head) else 0


def _is_same_stream(data: bytes, first: int, second: int) -> bool:
    """Whether two frames have the same version, layer and sample rate."""
    return data[first + 1] & 0xFE == data[second + 1] & 0xFE and data[first + 2] & 0x0C == data[second + 2] & 0x0C


def _skip_zeros(data: bytes, at: int) -> int:
    while at < len(data) and not data[at]:
        step = data[at : at + 65536]
        at += len(step) - len(step.lstrip(b"\0"))
    return at


FRAME_LENGTHS = {"mp3": mp3_frame_length, "aac": aac_frame_length}
