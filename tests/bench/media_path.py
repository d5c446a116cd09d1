"""Row 11: from a provider's 1024² PNG to what is delivered, with thumbnail, watermark and provenance.

Run by itself (`python media_path.py ours|naive <picture>`) it does one side in this process: imports, one pass
uncounted for what a warm function has at hand, then the median of several.
"""

from __future__ import annotations

import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PASSES = 5
SIZE = 1024


def rows() -> list[object]:
    """Milliseconds, and peak memory in MiB."""
    from tests.bench.measure import ROOT, Result, in_turn

    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        picture.write_bytes(painted())
        path = {"PYTHONPATH": str(ROOT / "layers/atelier/python")}
        found = in_turn({side: ([__file__, side, str(picture)], path) for side in ("ours", "naive")}, processes=7)
    ours, naive = found["ours"], found["naive"]
    return [
        Result(11, "media path, time", ours["milliseconds"], naive["milliseconds"], "ms", ratio_max=0.6),
        Result(11, "media path, peak memory", ours["mebibytes"], naive["mebibytes"], "MiB", ratio_max=1.0),
    ]


def painted() -> bytes:
    """A picture with the smooth gradients and the grain that generated pictures have."""
    from PIL import Image

    channels = [
        Image.blend(Image.linear_gradient("L").rotate(turn).resize((SIZE, SIZE)), grain, 0.08)
        for turn, grain in ((turn, Image.effect_noise((SIZE, SIZE), 40)) for turn in (0, 90, 180))
    ]
    buffer = io.BytesIO()
    Image.merge("RGB", channels).save(buffer, "PNG")
    return buffer.getvalue()


def naive(data: bytes) -> int:
    """What most projects do: full-size layers for the watermark, libraries' defaults for the rest."""
    import hashlib

    from PIL import Image, ImageDraw, ImageFont

    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    ImageDraw.Draw(layer).text((20, SIZE - 60), "Atelier", fill=(255, 255, 255, 128), font=ImageFont.load_default(40))
    marked = Image.alpha_composite(picture, layer).convert("RGB")
    delivery = io.BytesIO()
    marked.save(delivery, "JPEG", quality=90, optimize=True)
    thumbnail = marked.copy()
    thumbnail.thumbnail((512, 512))
    small = io.BytesIO()
    thumbnail.save(small, "WEBP")
    hashlib.sha256(delivery.getvalue()).hexdigest()
    return len(delivery.getvalue()) + len(small.getvalue())


def ours(data: bytes) -> int:
    """The product's own path."""
    from atelier.media.picture import process

    made = process(data, watermark=True)
    return len(made.data) + len(made.thumbnail)


def peak_mebibytes() -> float:
    """The most memory this process ever had."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def main(side: Callable[[bytes], int], data: bytes) -> None:
    side(data)
    times: list[float] = []
    for _ in range(PASSES):
        started = time.perf_counter()
        side(data)
        times.append((time.perf_counter() - started) * 1000)
    print(json.dumps({"milliseconds": statistics.median(times), "mebibytes": peak_mebibytes()}))


if __name__ == "__main__":
    main({"ours": ours, "naive": naive}[sys.argv[1]], Path(sys.argv[2]).read_bytes())
