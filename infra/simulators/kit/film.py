"""A short film that simulators show: as MP4, and as HLS."""

# PyAV's annotations are generic over types that are not installed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

WIDTH, HEIGHT, FRAMES_PER_SECOND, SECONDS, SEGMENT_SECONDS = 320, 180, 12, 12, 2


@cache
def sample_film() -> bytes:
    """An MP4 of some seconds: a colour that changes."""
    import av
    from PIL import Image

    count, between_keys = SECONDS * FRAMES_PER_SECOND, str(SEGMENT_SECONDS * FRAMES_PER_SECOND)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.mp4"
        with av.open(str(file), "w") as container:
            options = {"preset": "veryfast", "g": between_keys, "keyint_min": between_keys}
            stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for number in range(count):
                colour = (40 + 160 * number // count, 90, 200 - 160 * number // count)
                container.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (WIDTH, HEIGHT), colour))))
            container.mux(stream.encode())
        return file.read_bytes()


@cache
def hls_of(film: bytes) -> dict[str, bytes]:
    """A film as HLS: `index.m3u8` and its segments, by their names."""
    import av

    with tempfile.TemporaryDirectory() as folder:
        source, playlist = Path(folder) / "film.mp4", Path(folder) / "index.m3u8"
        source.write_bytes(film)
        options = {"hls_time": str(SEGMENT_SECONDS), "hls_list_size": "0", "hls_playlist_type": "vod"}
        options["hls_segment_filename"] = str(Path(folder) / "part%03d.ts")
        with av.open(str(source)) as read, av.open(str(playlist), "w", format="hls", options=options) as written:
            copied = written.add_stream_from_template(read.streams.video[0])
            for packet in read.demux(video=0):
                if packet.dts is not None:
                    packet.stream = copied
                    written.mux(packet)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.suffix in (".ts", ".m3u8")}
