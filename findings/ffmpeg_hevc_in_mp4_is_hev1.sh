#!/bin/bash
# PyAV 18.1.0 (FFmpeg 8) names HEVC `hev1` when it encodes it into an MP4. Apple's players (QuickTime, Safari, Photos)
# play HEVC only under the name `hvc1`: elsewhere the film plays, there it is black. The name has to be asked for.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
import av

found = {}
for asked in (None, "hvc1"):
    path = f"{sys.argv[1]}/{asked}.mp4"
    with av.open(path, "w") as film:
        stream = film.add_stream("libx265", rate=10, options={"x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if asked:
            stream.codec_context.codec_tag = asked
        frame = av.VideoFrame(64, 48, "yuv420p")
        film.mux(stream.encode(frame) + stream.encode())
    data = open(path, "rb").read()
    found[asked] = [name.decode() for name in (b"hev1", b"hvc1") if name in data]
    print(f"name asked for: {asked}; name in the file: {found[asked]}")
if found != {None: ["hev1"], "hvc1": ["hvc1"]}:
    raise SystemExit("changed: the name is another one")
PYTHON
