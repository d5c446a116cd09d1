"""`make bench BESIDE=450f53c`: this build beside an older commit in one run, several times, medians.

Usage: python -m tests.bench.beside COMMIT [--runs 3] [--rows 1,4,5,6,7,14]. Each build runs in an environment of its
own with what its lock file pins, and is measured by its own benchmark, the two alternately; row 14 (the time to a
picture) and the memory of the functions of a generation are measured here, on both stacks at once. Writes
.bench/beside.json.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.function_memory import WorkerUse, end_zygote, worker_use
from tests.bench.measure import ROOT
from tests.bench.older_build import THIS_BUILD, Build, older_build
from tests.bench.stack import WITHOUT_LIMITS
from tests.bench.time_to_picture import Caller

OWN_ROWS = (14,)
BOTH_BENCH_ROWS = (1, 2, 3, 4, 5, 6, 7)
PICTURES, UNCOUNTED = 20, 3
GENERATION = re.compile("generat|ledger|inbox|library|analytics|feeds|realtime|authorizer", re.IGNORECASE)
RESULTS = ROOT / ".bench/beside.json"
# A row's metric was called otherwise in older builds.
SAME_METRIC = ((r", \d+ a batch", ""), (" of a generation", ""))

Figures = dict[tuple[int, str, str], list[float]]
"""(row, metric, unit) → one figure of each run."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench BESIDE=…")
    parser.add_argument("commit")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rows", default="")
    options = parser.parse_args()
    wanted = {int(row) for row in options.rows.split(",") if row} or {*BOTH_BENCH_ROWS, *OWN_ROWS}
    figures: dict[str, Figures] = {"older": defaultdict(list), "ours": defaultdict(list)}
    with tempfile.TemporaryDirectory() as folder, older_build(options.commit, Path(folder)) as older:
        builds = {"older": older, "ours": THIS_BUILD}
        for run in range(options.runs):
            print(f"run {run + 1} of {options.runs} …", flush=True)
            for name, build in builds.items():
                if rows := ",".join(str(row) for row in BOTH_BENCH_ROWS if row in wanted):
                    add_bench(figures[name], build.bench(rows))
            if 14 in wanted:
                measure_pictures(builds, Path(folder) / f"run{run}", figures)
    medians = {name: {key: median(values) for key, values in each.items()} for name, each in figures.items()}
    print("\n" + render(medians["ours"], medians["older"], options.commit))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({name: flat(each) for name, each in figures.items()}, indent=2) + "\n")
    return 0


def add_bench(figures: Figures, rows: list[dict[str, Any]]) -> None:
    """Add what a build's own benchmark wrote: the figure itself, and its ratio to the reference of the same run."""
    for row in rows:
        metric = row["metric"]
        for pattern, name in SAME_METRIC:
            metric = re.sub(pattern, name, metric)
        figures[row["row"], metric, row["unit"]].append(row["ours"])
        figures[row["row"], metric, "×"].append(row["ratio"])


def measure_pictures(builds: dict[str, Build], folder: Path, figures: dict[str, Figures]) -> None:
    """Both stacks at once: images alternately, then what the functions' processes used for them."""
    stacks = {name: build.stack(folder / name, WITHOUT_LIMITS) for name, build in builds.items()}
    try:
        callers: dict[str, Caller] = {}
        for name, stack in stacks.items():
            stack.start()
            end_zygote(stack.emulator_process_id)
            callers[name] = Caller(stack.base_url)
        seconds: dict[str, list[float]] = {name: [] for name in stacks}
        warm: dict[str, dict[str, WorkerUse]] = {}
        for number in range(UNCOUNTED + PICTURES):
            if number == UNCOUNTED:
                warm = {name: worker_use(stack.emulator_process_id) for name, stack in stacks.items()}
            for name, caller in callers.items():
                taken = caller.seconds_to_picture(number)
                if number >= UNCOUNTED:
                    seconds[name].append(taken)
        for name, stack in stacks.items():
            figures[name][14, "time to picture, p50", "s"].append(median(seconds[name]))
            add_workers(figures[name], worker_use(stack.emulator_process_id), warm[name])
    finally:
        for stack in stacks.values():
            stack.stop()


def add_workers(figures: Figures, used: dict[str, WorkerUse], warm: dict[str, WorkerUse]) -> None:
    """Add the peak memory of the functions of a generation, and their processor time for one picture."""
    peaks: list[float] = []
    total = 0.0
    for function, use in sorted(used.items()):
        if not GENERATION.search(function):
            continue
        peaks.append(use.peak)
        seconds = (use.processor - warm.get(function, WorkerUse(0, 0)).processor) / PICTURES
        total += seconds
        short = re.sub(r"^[a-z]+-|-?[0-9A-F]{8,}$", "", function)
        figures[14, f"memory, {short}", "MiB"].append(use.peak)
        figures[14, f"processor time, {short}", "ms"].append(seconds * 1000)
    figures[14, "memory, the largest of them", "MiB"].append(max(peaks))
    figures[14, "processor time of one picture, all functions", "ms"].append(total * 1000)


def render(ours: dict[tuple[int, str, str], float], older: dict[tuple[int, str, str], float], commit: str) -> str:
    """A table: the row, the metric, both figures and their ratio."""
    lines = [("#", "metric", "ours", commit[:8], "ratio")]
    for key in sorted({*ours, *older}):
        row, metric, unit = key
        mine, theirs = ours.get(key), older.get(key)
        shown = [f"{value:.4g} {unit}" if value is not None else "" for value in (mine, theirs)]
        ratio = f"{mine / theirs:.2f}" if mine is not None and theirs else ""
        lines.append((str(row), metric, *shown, ratio))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines)


def flat(figures: Figures) -> list[dict[str, Any]]:
    return [
        {"row": row, "metric": metric, "unit": unit, "runs": values} for (row, metric, unit), values in figures.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
