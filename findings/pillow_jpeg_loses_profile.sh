#!/bin/bash
# Pillow 13.0.0: a picture that was opened with an ICC profile keeps it when it is saved as PNG, and loses it, without a
# word, when it is saved as JPEG or WebP: the pixels stay, their meaning goes, and a Display P3 photograph looks pale.
# Whoever re-encodes converts the colours to sRGB first, or passes icc_profile=picture.info["icc_profile"] by hand.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import io
from PIL import Image, ImageCms

profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
file = io.BytesIO()
Image.new("RGB", (8, 8), "red").save(file, "PNG", icc_profile=profile)
kept = {}
for kind in ("PNG", "JPEG", "WEBP"):
    copy = io.BytesIO()
    Image.open(io.BytesIO(file.getvalue())).save(copy, kind)
    kept[kind] = "icc_profile" in Image.open(io.BytesIO(copy.getvalue())).info
    print(f"saved as {kind:4}: {'profile kept' if kept[kind] else 'profile lost'}")
if kept != {"PNG": True, "JPEG": False, "WEBP": False}:
    raise SystemExit("changed: the three formats keep it differently than before")
PYTHON
