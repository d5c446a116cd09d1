"""The entry point of this package: it turns bytes of any media type into a file that may be stored.

The caller's expected type selects the processor: a page where a video is expected is parsed as a video, and refused.
"""

from __future__ import annotations

from atelier.adapters.media.processed import Processed

MEBIBYTE = 1024 * 1024
# The largest file of each type that is fetched or read.
BYTES_MAX = {
    "image": 50 * MEBIBYTE,
    "video": 100 * MEBIBYTE,
    "audio": 100 * MEBIBYTE,
    "text": MEBIBYTE,
    "answer": MEBIBYTE,
    "page": 2 * MEBIBYTE,
}


# The largest video that `video.py` accepts takes two thirds of this time, even with a watermark.
SECONDS_MAX = 150.0
# Ten times as long as an image of 40 megapixels takes, except for a WebP's four seconds. It is short, because a caller
# waits while an upload is processed.
IMAGE_SECONDS_MAX = 10.0


def process(type: str, data: bytes, *, watermark: bool, seconds_max: float = SECONDS_MAX) -> Processed:
    """Turn a file into a deliverable one of this type (image, video, audio, text, page, or answer: what a model says
    about a page of a site); equal input gives equal
    output. seconds_max: the time limit; for an image at most PICTURE_SECONDS_MAX. Raises MediaInvalid or
    MediaToolMissing.

    watermark: only images and videos get a visible mark; audio, texts and pages never do."""
    # Imported on use: functions that only stage bytes or deliver texts must not load or start the sandbox.
    if type in ("image", "video", "audio"):
        from atelier.adapters.media.sandbox import process_in_sandbox

        seconds_max = min(seconds_max, IMAGE_SECONDS_MAX) if type == "image" else seconds_max
        return process_in_sandbox(type, data, watermark=watermark, seconds_max=seconds_max)
    from atelier.adapters.media import text

    if type == "answer":
        return text.process_answer(data)
    return text.process_page(data) if type == "page" else text.process(data)
