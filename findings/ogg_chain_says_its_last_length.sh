#!/bin/bash
# PyAV 18.1.0 (FFmpeg 8): two Opus files in Ogg, one behind the other, are a valid file (a chain, RFC 3533), and all of
# it is decoded. But its duration is that of the last part alone, and the times of its frames begin anew at the second
# part, so they go back. Whoever joins speech counts the samples and writes the packets with times of his own.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import io
import av

RATE, SIZE = 48_000, 960


def silence(seconds):
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as sound:
        stream = sound.add_stream("libopus", rate=RATE, layout="mono")
        for start in range(0, seconds * RATE, SIZE):
            frame = av.AudioFrame(format="s16", layout="mono", samples=SIZE)
            frame.planes[0].update(bytes(2 * SIZE))
            frame.sample_rate, frame.pts = RATE, start
            sound.mux(stream.encode(frame))
        sound.mux(stream.encode(None))
    return file.getvalue()


with av.open(io.BytesIO(silence(3) + silence(1))) as sound:
    says = sound.duration / 1e6
    frames = list(sound.decode(audio=0))
heard = sum(frame.samples for frame in frames) / RATE
goes_back = any(after.pts <= before.pts for before, after in zip(frames, frames[1:]))
print(f"3 s and 1 s in a row: duration {says:.2f} s, decoded {heard:.2f} s, times go back: {goes_back}")
if not (says < 1.5 and heard > 3.9 and goes_back):
    raise SystemExit("changed: the chain is read differently")
PYTHON
