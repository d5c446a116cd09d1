"""Row 11: processing a provider's 1024 × 1024 PNG into the delivered files, with thumbnail, watermark and provenance.

Run as a program (`python media_path.py <side> <image>`) it measures one side in this process: one uncounted pass, as in
a function that is already warm, then the median of several.
"""

from __future__ import annotations

import io
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PASSES = 5
SIZE = 1024


def rows() -> list[object]:
    """Milliseconds and peak memory, compared with two naive paths: to JPEG and WebP, and to the product's formats."""
    from tests.bench.measure import ROOT, Result, run_alternately

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.png"
        file.write_bytes(noisy_image())
        path = {"PYTHONPATH": str(ROOT / "layers/atelier/python")}
        found = run_alternately({side: ([__file__, side, str(file)], path) for side in SIDES}, processes=7)
    ours, naive, same = found["ours"], found["naive"], found["naive_png"]
    time, memory = "milliseconds", "mebibytes"
    return [
        Result(11, "media path, beside naive JPEG and WebP", ours[time], naive[time], "ms", ratio_max=0.6),
        Result(11, "media path, beside naive PNG", ours[time], same[time], "ms", ratio_max=0.6),
        Result(11, "media path, peak memory", ours[memory], naive[memory], "MiB", ratio_max=1),
    ]


def noisy_image() -> bytes:
    """An image with smooth gradients and grain, as generated images have."""
    from PIL import Image

    channels = [
        Image.blend(Image.linear_gradient("L").rotate(turn).resize((SIZE, SIZE)), grain, 0.08)
        for turn, grain in ((turn, Image.effect_noise((SIZE, SIZE), 40)) for turn in (0, 90, 180))
    ]
    buffer = io.BytesIO()
    Image.merge("RGB", channels).save(buffer, "PNG")
    return buffer.getvalue()


def naive(data: bytes) -> int:
    """What most projects do: a full-size layer for the watermark, a JPEG and a WebP with the library's defaults."""
    return _naive(data, ("JPEG", "WEBP"))


def naive_png(data: bytes) -> int:
    """The same, but a PNG stays a PNG, as in the product."""
    return _naive(data, ("PNG",))


def _naive(data: bytes, formats: tuple[str, ...]) -> int:
    import hashlib

    from PIL import Image, ImageDraw, ImageFont

    base_image = Image.open(io.BytesIO(data)).convert("RGBA")
    layer = Image.new("RGBA", base_image.size, (0, 0, 0, 0))
    ImageDraw.Draw(layer).text((20, SIZE - 60), "Atelier", fill=(255, 255, 255, 128), font=ImageFont.load_default(40))
    marked = Image.alpha_composite(base_image, layer).convert("RGB")
    thumbnail = marked.copy()
    thumbnail.thumbnail((512, 512))
    files = [(marked, format, {"quality": 90} if format != "PNG" else {}) for format in formats]
    size = 0
    for image, format, options in [*files, (thumbnail, "WEBP", {})]:
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        hashlib.sha256(buffer.getvalue()).hexdigest()
        size += len(buffer.getvalue())
    return size


def ours(data: bytes) -> int:
    """The product's processing, including the sandbox process that opens the image."""
    from atelier.adapters.media.process import process

    result = process("image", data, watermark=True)
    return len(result.data) + len(result.thumbnail)


def peak_mebibytes() -> float:
    """The peak memory of this process or of a process that it has started, whichever is larger."""
    from atelier.adapters.media.sandbox import sandbox

    sandbox.close()
    started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return max(int(line.split()[1]) / 1024, started)


def main(side: Callable[[bytes], int], data: bytes) -> None:
    side(data)
    times: list[float] = []
    for _ in range(PASSES):
        started = time.perf_counter()
        side(data)
        times.append((time.perf_counter() - started) * 1000)
    print(json.dumps({"milliseconds": statistics.median(times), "mebibytes": peak_mebibytes()}))


SIDES = {"ours": ours, "naive": naive, "naive_png": naive_png}

if __name__ == "__main__":
    main(SIDES[sys.argv[1]], Path(sys.argv[2]).read_bytes())
