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
# Ten times what one of 40 megapixels takes, but for a WebP's four seconds; a request that brings it is waited for.
PICTURE_SECONDS_MAX = 10.0


def process(type: str, data: bytes, *, watermark: bool, seconds_max: float = SECONDS_MAX) -> Processed:
    """A provider's file as a deliverable one of this type (image, video, audio, text or page); equal input gives equal
    output. seconds_max: at most, of a picture at most PICTURE_SECONDS_MAX. Raises MediaInvalid, or MediaToolMissing.

    The mark is for what is seen: a sound, a text and a page carry none."""
    # Each is imported when it is asked for: who stages bytes, or delivers a text, starts nothing for it.
    if type in ("image", "video", "audio"):
        from atelier.media.apart import process_apart

        seconds_max = min(seconds_max, PICTURE_SECONDS_MAX) if type == "image" else seconds_max
        return process_apart(type, data, watermark=watermark, seconds_max=seconds_max)
    from atelier.media import text

    return text.process_page(data) if type == "page" else text.process(data)
