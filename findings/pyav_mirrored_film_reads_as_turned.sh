#!/bin/bash
# PyAV 18.1.0 (FFmpeg 8): frame.rotation of a film that is mirrored left to right is -180, the same as of a film that is
# turned upside down; of one that is mirrored top to bottom it is 0, the same as of an upright one. Whoever turns frames
# by `rotation` shows mirrored films (front cameras write them) upside down: read the display matrix in side_data.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0
"$folder/venv/bin/python" - "$folder/film.mp4" <<'PYTHON'
import struct
import sys
import av

path, one, end = sys.argv[1], 1 << 16, 1 << 30
with av.open(path, "w") as film:
    stream = film.add_stream("libx264", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    frame = av.VideoFrame(64, 48, "yuv420p")
    film.mux(stream.encode(frame) + stream.encode())
data = bytearray(open(path, "rb").read())
# The track's header (tkhd) says by a matrix how the film is to be shown; FFmpeg writes the one that changes nothing.
place = data.index(struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, end), data.index(b"tkhd"))
matrices = {
    "as it is": (one, 0, 0, 0, one, 0, 0, 0, end),
    "mirrored top to bottom": (one, 0, 0, 0, -one, 0, 0, 48 * one, end),
    "mirrored left to right": (-one, 0, 0, 0, one, 0, 64 * one, 0, end),
    "turned by 180 degrees": (-one, 0, 0, 0, -one, 0, 64 * one, 48 * one, end),
}
seen = []
for name, matrix in matrices.items():
    data[place : place + 36] = struct.pack(">9i", *matrix)
    open(path, "wb").write(data)
    with av.open(path) as film:
        seen.append(next(film.decode(video=0)).rotation)
    print(f"{name:23}: rotation {seen[-1]}")
if seen != [0, 0, -180, -180]:
    raise SystemExit("changed: mirrored films read differently")
PYTHON
