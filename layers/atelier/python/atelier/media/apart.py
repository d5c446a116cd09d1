"""Films and sounds are opened in a process of their own, with bounds on its memory and its time.

FFmpeg is a large library in C, and what it reads comes from strangers. A file that makes it crash, loop or swell ends
that process and is refused; ours goes on. It is told no secret either: its environment is all but empty.
"""

from __future__ import annotations

import json
import subprocess  # nosec B404
import sys
import tempfile
from pathlib import Path
from typing import Any

from atelier.media.processed import MediaInvalid, MediaLimitExceeded, MediaToolMissing, Processed

PROGRAM = Path(__file__).with_name("_opening.py")
MEMORY_BYTES_MAX = 1536 * 1024 * 1024


def process_apart(
    type: str,
    data: bytes,
    *,
    watermark: bool,
    seconds_max: float,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
) -> Processed:
    """A provider's film (video) or sound (audio) as a deliverable one. Raises MediaInvalid, or MediaToolMissing."""
    asked = {"type": type, "watermark": watermark, "seconds_max": seconds_max, "memory_bytes_max": memory_bytes_max}
    with tempfile.TemporaryDirectory(prefix="atelier-media-") as folder:
        question = json.dumps({**asked, "path": sys.path}).encode() + b"\n" + data
        command = [sys.executable, "-I", "-S", str(PROGRAM)]
        # Our own program, by its path; what it leaves behind, even when it is killed, goes with the folder.
        try:
            done = subprocess.run(  # nosec B603
                command,
                input=question,
                capture_output=True,
                timeout=seconds_max,
                check=False,
                cwd=folder,
                # The interpreter's own library lies beside it, and Lambda finds it by this name alone.
                env={"TMPDIR": folder, "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"},
            )
        except subprocess.TimeoutExpired as error:
            raise MediaInvalid(f"looking into it took longer than {seconds_max} seconds") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise MediaInvalid(f"looking into it ended with status {done.returncode}: {said[:200]}")
    line, _, files = done.stdout.partition(b"\n")
    answer: dict[str, Any] = json.loads(line)
    if "lacking" in answer:
        raise MediaToolMissing(f"{answer['lacking']} is not installed here: this function needs the film layer")
    if "limit" in answer:
        raise MediaLimitExceeded(answer["limit"])
    if "refused" in answer:
        raise MediaInvalid(answer["refused"])
    size = answer.pop("size_bytes")
    notes = tuple(answer.pop("notes"))
    return Processed(**answer, notes=notes, data=files[:size], thumbnail=files[size:])
