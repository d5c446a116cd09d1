#!/bin/bash
# Pillow 13.0.0: convert("L") of a PNG with 16 bits of grey does not scale 0…65535 to 0…255. It clips: everything above
# 255, that is 99.6 % of the range, becomes white, without an error. Whoever wants eight bits divides by 257 first.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import io
from PIL import Image

read = {}
for value in (100, 10_000, 32_768, 65_535):
    file = io.BytesIO()
    Image.new("I;16", (1, 1), value).save(file, "PNG")
    picture = Image.open(io.BytesIO(file.getvalue()))
    read[value] = picture.convert("L").getpixel((0, 0))
    print(f"{value:5} of 65535, mode {picture.mode}: {read[value]} of 255 (scaled it is {round(value / 257)})")
if read != {100: 100, 10_000: 255, 32_768: 255, 65_535: 255}:
    raise SystemExit("changed: it does not clip any more")
PYTHON
