"""The one front of this package: bytes in, a file that is fit to be kept out, whatever their kind.

What is expected decides who looks: a page that calls itself a film is looked at as a film, and refused.
"""

from __future__ import annotations

from atelier.media.processed import Processed

MEBIBYTE = 1024 * 1024
# The most of each that is fetched or read at all.
BYTES_MAX = {
    "image": 50 * MEBIBYTE,
    "video": 100 * MEBIBYTE,
    "audio": 100 * MEBIBYTE,
    "text": MEBIBYTE,
    "page": 2 * MEBIBYTE,
}


# What `film.py` takes on is done in two thirds of it, even with its mark.
SECONDS_MAX = 150.0


def process(type: str, data: bytes, *, watermark: bool, seconds_max: float = SECONDS_MAX) -> Processed:
    """A provider's file as a deliverable one of this type (image, video, audio, text or page); equal input gives equal
    output. seconds_max: for a film or a sound. Raises MediaInvalid, or MediaToolMissing.

    The mark is for what is seen: a sound, a text and a page carry none."""
    # Each is imported when it is asked for: who stages bytes, or delivers a text, starts without Pillow.
    if type == "image":
        from atelier.media import picture

        return picture.process(data, watermark=watermark)
    if type in ("video", "audio"):
        from atelier.media.apart import process_apart

        return process_apart(type, data, watermark=watermark, seconds_max=seconds_max)
    from atelier.media import text

    return text.process_page(data) if type == "page" else text.process(data)
