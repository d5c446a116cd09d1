#!/bin/bash
# Pillow 13.0.0 does not open a valid PNG that has a compressed text chunk of more than 1 MiB (image editors and workflow
# programs keep histories there): ValueError, although no pixel is concerned, and browsers show the picture. It reads all
# chunks before it gives the picture. Whoever wants only the pixels removes such chunks before Pillow sees the file.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import io
from PIL import Image, PngImagePlugin

for size in (1_000_000, 1_100_000):
    file, text = io.BytesIO(), PngImagePlugin.PngInfo()
    text.add_text("History", ("brush stroke, " * size)[:size], zip=True)
    Image.new("RGB", (8, 8), "red").save(file, "PNG", pnginfo=text)
    try:
        result = f"opened, {Image.open(io.BytesIO(file.getvalue())).size}"
    except ValueError as error:
        result = f"ValueError: {error}"
    print(f"a text of {size:9,} characters: {result}")
if "too large" not in result:
    raise SystemExit("changed: a long text does not refuse the picture any more")
PYTHON
