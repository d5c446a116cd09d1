"""What the local streaming service shows: a film of a painted scene, as MP4 and as HLS (a playlist and segments)."""

# PyAV's annotations are generic over types that are not installed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import tempfile
from pathlib import Path

from atelier.adapters.providers.local.canvas import scene
from atelier.adapters.providers.local.mp4 import ENCODER_OPTIONS
from atelier.adapters.providers.local.video import Camera

SIZE, FRAMES_PER_SECOND, SECONDS, SEGMENT_SECONDS = (640, 360), 12, 24, 2
SCALE = 1.25
PLAYLIST = "index.m3u8"
CONTENT_TYPES = {".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t"}


def film_of(title: str) -> bytes:
    """An MP4 whose scene suits the title; the same title gives the same film."""
    import av

    still = scene(title, 0, *(round(side * SCALE) for side in SIZE))
    camera = Camera((1.0, 0, 0), (1 / SCALE, 0.4, -0.3))
    count = SECONDS * FRAMES_PER_SECOND
    between_keys = str(SEGMENT_SECONDS * FRAMES_PER_SECOND)
    with tempfile.TemporaryDirectory(prefix="atelier-stream-") as folder:
        file = Path(folder) / "film.mp4"
        with av.open(str(file), "w", options={"movflags": "+faststart"}) as container:
            # A segment begins with a key frame.
            options = {**ENCODER_OPTIONS, "crf": "28", "g": between_keys, "keyint_min": between_keys}
            stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
            stream.width, stream.height = SIZE
            stream.pix_fmt = "yuv420p"
            for number in range(count):
                # There and back, so that the film can begin again without a jump.
                share = 1 - abs(2 * number / (count - 1) - 1)
                image = still.resize(SIZE, box=camera.crop_box(share, still.size))
                container.mux(stream.encode(av.VideoFrame.from_image(image)))
            container.mux(stream.encode())
        return file.read_bytes()


def hls_files(film: bytes) -> dict[str, bytes]:
    """The film as HLS, without another encoding: the playlist and its segments, by their names; the playlist last."""
    import av

    with tempfile.TemporaryDirectory(prefix="atelier-stream-") as folder:
        source, playlist = Path(folder) / "film.mp4", Path(folder) / PLAYLIST
        source.write_bytes(film)
        options = {"hls_time": str(SEGMENT_SECONDS), "hls_list_size": "0", "hls_playlist_type": "vod"}
        options["hls_segment_filename"] = str(Path(folder) / "part%03d.ts")
        with av.open(str(source)) as film_file, av.open(str(playlist), "w", format="hls", options=options) as hls:
            video = film_file.streams.video[0]
            copied = hls.add_stream_from_template(video)
            for packet in film_file.demux(video):
                if packet.dts is not None:
                    packet.stream = copied
                    hls.mux(packet)
        parts = {path.name: path.read_bytes() for path in sorted(Path(folder).glob("part*.ts"))}
        return {**parts, PLAYLIST: playlist.read_bytes()}
