"""A film from pictures and a sound: H.264 and AAC in an MP4 file whose index stands first, as browsers like it."""

# PyAV's annotations are generic over types that are not installed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from atelier.providers._canvas import mark_of
from atelier.providers._sound import COMMENT, Sound, audio_frame

if TYPE_CHECKING:
    from PIL import Image

BT709 = 1
# The bytes depend on the number of threads. And where the processor has AVX-512, x264's macroblock tree reads memory
# that nobody has written: then they differ from run to run.
ENCODING = {"preset": "veryfast", "crf": "21", "threads": "2", "x264-params": "mbtree=0"}


def filmed(pictures: Iterable[Image.Image], size: tuple[int, int], fps: int, sound: Sound | None, title: str) -> bytes:
    """The pictures, each with its mark, `fps` of them a second, with the sound from the first on. Equal pictures give
    equal bytes: nothing in the file tells the time, and the encoder is kept from what would tell runs apart."""
    import av

    mark = mark_of(size)
    # The index can only be moved to the front of a file that can be read again.
    with tempfile.TemporaryDirectory(prefix="atelier-reel-") as folder:
        file = Path(folder) / "film.mp4"
        with av.open(str(file), "w", options={"movflags": "+faststart"}) as container:
            container.metadata.update({"title": title, "comment": COMMENT})
            film = container.add_stream("libx264", rate=fps, options=ENCODING)
            film.width, film.height = size
            film.pix_fmt = "yuv420p"
            film.codec_context.color_primaries = film.codec_context.color_trc = BT709
            film.codec_context.colorspace = film.codec_context.color_range = BT709
            voice = container.add_stream("aac", rate=sound.rate, layout="mono", bit_rate=96_000) if sound else None
            for number, picture in enumerate(pictures):
                if mark:
                    picture.paste((255, 255, 255), mark[1], mark[0])
                shown = av.VideoFrame.from_image(picture)
                shown = shown.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
                container.mux(film.encode(shown))
                if sound and voice:
                    start, end = number * sound.rate // fps, (number + 1) * sound.rate // fps
                    samples = sound.samples[start:end]
                    if samples:
                        container.mux(voice.encode(audio_frame(samples, sound.rate, start)))
            container.mux(film.encode())
            if voice:
                container.mux(voice.encode())
        return file.read_bytes()
