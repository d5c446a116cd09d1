"""Encode a video from images and audio: H.264 and AAC in an MP4 file with its index in front, for streaming."""

# PyAV's annotations are generic over types that are not installed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from atelier.adapters.providers.local.audio import COMMENT, Audio, audio_frame
from atelier.adapters.providers.local.canvas import mark_for

if TYPE_CHECKING:
    from PIL import Image

BT709 = 1
# The output bytes depend on the number of threads, so it is fixed. `mbtree` is off because on processors with AVX-512
# x264's macroblock tree reads uninitialised memory, and then the bytes differ from run to run.
ENCODER_OPTIONS = {"preset": "veryfast", "crf": "21", "threads": "2", "x264-params": "mbtree=0"}


def encode_mp4(
    frames: Iterable[Image.Image], size: tuple[int, int], fps: int, audio: Audio | None, title: str
) -> bytes:
    """An MP4 of these frames at `fps` frames per second, each with the mark “procedural”, and the sound from the start.
    Equal frames give equal bytes: the file contains no timestamp, and the encoder's options are deterministic."""
    import av

    mark = mark_for(size)
    # A file on disk, because FFmpeg reads it again to move the index to the front.
    with tempfile.TemporaryDirectory(prefix="atelier-reel-") as folder:
        file = Path(folder) / "film.mp4"
        with av.open(str(file), "w", options={"movflags": "+faststart"}) as container:
            container.metadata.update({"title": title, "comment": COMMENT})
            video_stream = container.add_stream("libx264", rate=fps, options=ENCODER_OPTIONS)
            video_stream.width, video_stream.height = size
            video_stream.pix_fmt = "yuv420p"
            video_stream.codec_context.color_primaries = video_stream.codec_context.color_trc = BT709
            video_stream.codec_context.colorspace = video_stream.codec_context.color_range = BT709
            audio_stream = (
                container.add_stream("aac", rate=audio.rate, layout="mono", bit_rate=96_000) if audio else None
            )
            for number, image in enumerate(frames):
                if mark:
                    image.paste((255, 255, 255), mark[1], mark[0])
                frame = av.VideoFrame.from_image(image)
                frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
                container.mux(video_stream.encode(frame))
                if audio and audio_stream:
                    start, end = number * audio.rate // fps, (number + 1) * audio.rate // fps
                    samples = audio.samples[start:end]
                    if samples:
                        container.mux(audio_stream.encode(audio_frame(samples, audio.rate, start)))
            container.mux(video_stream.encode())
            if audio_stream:
                container.mux(audio_stream.encode())
        return file.read_bytes()
