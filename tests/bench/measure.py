"""What every row needs: results, percentiles, and fresh processes measured alternately with their reference."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PROCESSES = 11


class NotRun(Exception):
    """A row cannot be measured on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table. Its goal is one of `ratio_max`, `ratio_min` (of ours to the reference) and `ours_max`; a
    line without a goal is only for information."""

    row: int
    metric: str
    ours: float
    reference: float
    unit: str
    ratio_max: float | None = None
    ours_max: float | None = None
    ratio_min: float | None = None

    @property
    def ratio(self) -> float:
        return self.ours / self.reference if self.reference else float("inf")

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.ratio_max is not None:
            return self.ratio <= self.ratio_max
        if self.ratio_min is not None:
            return self.ratio >= self.ratio_min
        return self.ours <= self.ours_max if self.ours_max is not None else None

    @property
    def goal(self) -> str:
        if self.ratio_max is not None:
            return f"≤ {self.ratio_max:g} ×"
        if self.ratio_min is not None:
            return f"≥ {self.ratio_min:g} ×"
        return f"≤ {self.ours_max:g} {self.unit}" if self.ours_max is not None else ""


def run_alternately(
    sides: Mapping[str, tuple[Sequence[str], Mapping[str, str]]], processes: int = PROCESSES
) -> dict[str, dict[str, float]]:
    """The medians, by side, of the figures that `processes` fresh child processes print as their last line (a flat JSON
    object).

    sides: name → (arguments for this Python, additional environment). The sides run alternately, so that a slow moment
    of the machine affects them all. A first round is not counted: it fills caches and writes bytecode."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for round_number in range(processes + 1):
        for name, (arguments, environment) in sides.items():
            printed = run_child(arguments, environment)
            if round_number:
                found[name].append(printed)
    return {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in found.items()}


def run_child(
    arguments: Sequence[str], environment: Mapping[str, str] = {}, *, seconds_max: int = 300
) -> dict[str, Any]:
    """Run this Python once and return the JSON object of its last line; raises RuntimeError with its output."""
    ran = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
        capture_output=True,
        text=True,
        timeout=seconds_max,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}")
    return json.loads(ran.stdout.strip().splitlines()[-1])


def percentile(values: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
