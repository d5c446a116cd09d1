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


def process(type: str, data: bytes, *, watermark: bool) -> Processed:
    """A provider's file as a deliverable one of this type (image, video, audio, text or page); equal input gives equal
    output. Raises MediaInvalid, or MediaToolMissing.

    The mark is for what is seen: a sound, a text and a page carry none."""
    # Each is imported when it is asked for: who stages bytes, or delivers a text, starts without Pillow.
    if type == "image":
        from atelier.media import picture

        return picture.process(data, watermark=watermark)
    if type in ("video", "audio"):
        from atelier.media.apart import process_apart

        return process_apart(type, data, watermark=watermark)
    from atelier.media import text

    return text.process_page(data) if type == "page" else text.process(data)
