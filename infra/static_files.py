"""Studio's static files: our own, and those of other projects that come in Python packages.

`python -m infra.static_files` writes the list of their paths, which pages read; `--check` compares it.

A file's name contains a hash of its bytes, so it can be cached for ever, and a page of the last version still finds its
own files while a new one is being deployed: nothing is overwritten or removed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import mimetypes
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OWN = Path("layers/studio/static")
LIST = Path("layers/studio/python/studio/static_files.json")
# Name for our pages: the package that contains the file as its project published it, and the place in it.
OTHERS: Mapping[str, tuple[str, str]] = {
    "htmx.js": ("django_htmx", "static/django_htmx/htmx-4.min.js"),
    "swagger-ui.js": ("drf_spectacular_sidecar", "static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"),
    "swagger-ui.css": ("drf_spectacular_sidecar", "static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css"),
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """`key`: in the bucket, and with a slash before it the path; it changes with the content."""

    key: str
    content: bytes
    content_type: str


def collect(root: Path = ROOT) -> dict[str, StaticFile]:
    """The files by the names that pages use. Raises FileNotFoundError when a package is not installed."""
    places = {path.name: path for path in sorted((root / OWN).iterdir())}
    for name, (package, inside) in OTHERS.items():
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise FileNotFoundError(f"Studio needs {name}, and the package {package} is not installed")
        places[name] = Path(next(iter(found.submodule_search_locations))) / inside
    return {name: _static_file(name, path.read_bytes()) for name, path in sorted(places.items())}


def _static_file(name: str, content: bytes) -> StaticFile:
    stem, _, suffix = name.rpartition(".")
    kind = {"js": "text/javascript"}.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    kind += "; charset=utf-8" if kind.startswith("text/") else ""
    return StaticFile(f"static/{stem}.{hashlib.sha256(content).hexdigest()[:16]}.{suffix}", content, kind)


def paths(files: Mapping[str, StaticFile]) -> str:
    """The list that pages read: each name's path, as JSON."""
    return json.dumps({name: f"/{file.key}" for name, file in files.items()}, indent=2) + "\n"


def write_list(root: Path = ROOT) -> bool:
    """Writes the list if it is not true any more; says whether it has."""
    text, place = paths(collect(root)), root / LIST
    if place.exists() and place.read_text("utf-8") == text:
        return False
    place.write_text(text, "utf-8")
    return True


def publish(s3: Any, bucket: str, files: Mapping[str, StaticFile]) -> list[str]:
    """Puts the files that the bucket does not have yet into it; returns their keys. s3: an SDK client."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="static/")
    present = {item["Key"] for page in pages for item in page.get("Contents", [])}
    new = [file for file in files.values() if file.key not in present]
    for file in new:
        s3.put_object(Bucket=bucket, Key=file.key, Body=file.content, ContentType=file.content_type)
    return [file.key for file in new]


def main() -> int:
    """Writes the list, or compares it (`--check`); returns the exit code."""
    if "--check" in sys.argv[1:]:
        if (ROOT / LIST).read_text("utf-8") == paths(collect()):
            return 0
        print(f"{LIST} is out of date: run `python -m infra.static_files`")
        return 1
    write_list()
    return 0


if __name__ == "__main__":
    sys.exit(main())
