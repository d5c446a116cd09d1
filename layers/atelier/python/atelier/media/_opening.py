"""A program: looks into a film or a sound in a process of its own (`apart.py`).

Standard input: a line of JSON, then the file. Standard output: a line of JSON, then the new file and its thumbnail.
"""

from __future__ import annotations

import json
import resource
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atelier.media.processed import Processed


def main() -> None:
    """Do what is asked; every refusal is an answer."""
    asked: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    sys.path[:] = asked["path"]
    _confine(asked["memory_bytes_max"], asked["seconds_max"])
    files = b""
    try:
        from atelier.media.processed import MediaInvalid, MediaLimitExceeded

        try:
            made = _processed(asked["type"], sys.stdin.buffer.read(), watermark=asked["watermark"])
        except MediaLimitExceeded as refusal:
            answer = {"limit": str(refusal)}
        except MediaInvalid as refusal:
            answer = {"refused": str(refusal)}
        else:
            answer = {
                name: getattr(made, name) for name in ("type", "format", "width", "height", "duration_ms", "notes")
            }
            answer["size_bytes"] = len(made.data)
            files = made.data + (made.thumbnail or b"")
    except ImportError as error:
        answer = {"lacking": error.name}
    except MemoryError:
        answer = {"refused": "it takes more memory than it may"}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + files)


def _processed(type: str, data: bytes, *, watermark: bool) -> Processed:
    if type == "video":
        from atelier.media import film

        return film.process(data, watermark=watermark)
    from atelier.media import sound

    return sound.process(data)


def _confine(memory_bytes_max: int, seconds_max: float) -> None:
    # Not every system keeps to the first one; where it does not, the others still hold.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))
    # The processor's time: two threads may use twice as much.
    processor_seconds_max = round(2 * seconds_max) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (processor_seconds_max, processor_seconds_max))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
