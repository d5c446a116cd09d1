"""What the functions of a generation need on the local stack, each in a process of its own: peak memory, and processor
time of a warm invocation.

The local stack forks its workers from one prepared process, whose libraries all of them would count. That process is
ended first; from then on the embedded AWS starts each worker from nothing, as Lambda does.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

ZYGOTE = "zygote.py"
WORKER = "_worker.py"
NAME = "AWS_LAMBDA_FUNCTION_NAME"
MIB = 1024


@dataclass(frozen=True, slots=True)
class WorkerUse:
    """peak: MiB that were resident at most. processor: seconds of processor time so far."""

    peak: float
    processor: float


def end_zygote(emulator_process_id: int) -> None:
    """End the prepared process of a stack that was just started. Raises LookupError where there is none."""
    for child in children(emulator_process_id):
        if any(ZYGOTE in part for part in command_line(child)):
            os.kill(child, signal.SIGKILL)
            return
    raise LookupError("the embedded AWS has no prepared process")


def worker_use(emulator_process_id: int) -> dict[str, WorkerUse]:
    """By function name, what its workers used: the largest peak, and the sum of the processor time."""
    found: dict[str, WorkerUse] = {}
    for child in children(emulator_process_id):
        if not any(WORKER in part for part in command_line(child)):
            continue
        name = environment(child).get(NAME, "")
        known = found.get(name, WorkerUse(0, 0))
        found[name] = WorkerUse(max(known.peak, peak_mebibytes(child)), known.processor + processor_seconds(child))
    return found


def children(process_id: int) -> list[int]:
    """The direct child processes."""
    found: list[int] = []
    for task in Path(f"/proc/{process_id}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def command_line(process_id: int) -> list[str]:
    return _read(process_id, "cmdline").decode(errors="replace").split("\0")


def environment(process_id: int) -> dict[str, str]:
    pairs = _read(process_id, "environ").decode(errors="replace").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def peak_mebibytes(process_id: int) -> float:
    """The most memory that a process ever had resident."""
    lines = _read(process_id, "status").decode().splitlines()
    return next((int(line.split()[1]) / MIB for line in lines if line.startswith("VmHWM:")), 0)


def processor_seconds(process_id: int) -> float:
    """User and system time of a process."""
    fields = _read(process_id, "stat").decode().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0


def _read(process_id: int, file: str) -> bytes:
    try:
        return Path(f"/proc/{process_id}/{file}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
