"""`make bench`: measures all rows, prints them as a table and writes .bench/results.json.

Usage: python -m tests.bench [--rows 1,3,12]. A row compares the product with a reference measured in the same run, so
the figures hold on any machine. A missed goal is shown in the table; it does not fail a build.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from tests.bench.measure import ROOT, NotRun, Result

STANDALONE_ROWS = {
    3: "warm_request",
    8: "hot_wallet",
    9: "analytics_query",
    10: "webhook_burst",
    11: "media_path",
    12: "packages",
    17: "export",
    18: "site_build",
}
STACK_ROWS = (1, 2, 4, 5, 6, 7, 13, 15, 16, 19)
RESULTS = ROOT / ".bench/results.json"


def main() -> int:
    """Measure the wanted rows; returns 0 unless one could not be measured."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rows", default="", help="comma separated numbers; all of them when empty")
    wanted = {int(row) for row in parser.parse_args().rows.split(",") if row} or {*STANDALONE_ROWS, *STACK_ROWS}
    results: list[Result] = []
    missing: dict[str, str] = {}
    for name, measure in measures(wanted):
        print(f"measuring {name} …", flush=True)
        try:
            results += measure()
        except NotRun as reason:
            missing[name] = f"not run: {reason}"
        except Exception as error:
            missing[name] = f"failed: {type(error).__name__}: {error}"
    results = sorted((result for result in results if result.row in wanted), key=lambda result: result.row)
    print("\n" + render_table(results))
    for name, reason in missing.items():
        print(f"{name}: {reason}")
    write_results(results, missing)
    return 1 if missing else 0


def measures(wanted: set[int]) -> Iterable[tuple[str, Callable[[], list[Result]]]]:
    """The measurements for the wanted rows, in order, as (name, function that returns results)."""
    from importlib import import_module

    for row, module in STANDALONE_ROWS.items():
        if row in wanted:
            yield module.replace("_", " "), import_module(f"tests.bench.{module}").rows
    if not wanted & {*STACK_ROWS}:
        return
    from tests.bench import (
        cold_start,
        generation_cost,
        readiness,
        stack,
        stripe_webhook,
        studio,
        studio_paint,
        submit_latency,
        watched_generation,
    )

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        # Measurements that need the streams come before those that pause them.
        with stack.running_stack(data) as running:
            if wanted & {4, 5, 6}:
                yield "the cost of a generation", lambda: generation_cost.rows(running)
            if 16 in wanted:
                yield "a watched generation", lambda: watched_generation.rows(running)
            if 19 in wanted:
                yield "Studio", lambda: studio.rows(running, Path(folder))
                yield "Studio's pages on a phone", lambda: studio_paint.rows(running, Path(folder) / "lighthouse")
            if 7 in wanted:
                yield "submission latency", lambda: submit_latency.rows(running)
            if 15 in wanted:
                yield "Stripe's webhook", lambda: stripe_webhook.rows(running, Path(folder))
            if wanted & {1, 2}:
                yield "cold starts", lambda: cold_start.rows(running, Path(folder))
        if 13 in wanted:
            yield "readiness", lambda: readiness.rows(data)


def render_table(results: list[Result]) -> str:
    """The results as aligned text."""
    lines = [("#", "metric", "ours", "reference", "ratio", "goal", "")]
    for result in results:
        ours, reference = (f"{value:.4g} {result.unit}" for value in (result.ours, result.reference))
        verdict = {True: "met", False: "MISSED", None: ""}[result.met]
        lines.append((str(result.row), result.metric, ours, reference, f"{result.ratio:.2f}", result.goal, verdict))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines)


def write_results(results: list[Result], missing: dict[str, str]) -> None:
    """Write the results as JSON, for other programs."""
    rows = [asdict(result) | {"ratio": result.ratio, "goal": result.goal, "met": result.met} for result in results]
    RESULTS.parent.mkdir(exist_ok=True)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    RESULTS.write_text(json.dumps({"measured_at": at, "rows": rows, "missing": missing}, indent=2) + "\n")
    print(f"\nwritten to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
