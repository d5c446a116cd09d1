"""What SnapStart would cost, and what it would save: `python -m tests.bench.snap_start`.

Without it, Lambda bills the start of an environment as time of the function. With it, nothing is initialised at a cold
start; instead each restored gigabyte of memory is billed, and the cache of each published version for as long as it
exists. Prices are those of prices.yaml; https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html has the rules.
"""

from __future__ import annotations

from pathlib import Path

import yaml

GIGABYTES = 0.5
"""MemorySize of the functions that people wait for."""
INIT_SECONDS = 0.35
"""Billed start of a function with its first request: row 1's slowest, on two cores."""
SECONDS_OF_MONTH = 30 * 86_400
# Requests a day to one function, and the share that meets a cold environment at the worst. AWS publishes no times after
# which it ends an idle environment, so the first one assumes that it always does.
LOADS = {100: 1.0, 10_000: 0.05, 1_000_000: 0.01}


def prices() -> dict[str, float]:
    """Dollars by the names of prices.yaml."""
    sheet = yaml.safe_load((Path(__file__).parent / "prices.yaml").read_text())
    return {name: price / 1e12 for name, price in sheet["microusd_per_million"].items()}


def dollars_of_month(requests_a_day: int, cold_share: float) -> tuple[float, float]:
    """(what the starts cost without SnapStart, what it costs with it) for one function."""
    price = prices()
    starts = requests_a_day * 30 * cold_share
    without = starts * INIT_SECONDS * GIGABYTES * price["lambda_gigabyte_second"]
    restored = starts * GIGABYTES * price["snapshot_gigabyte_restored"]
    return without, restored + GIGABYTES * SECONDS_OF_MONTH * price["snapshot_gigabyte_second"]


def init_seconds_that_pay() -> float:
    """How long a start has to take so that restoring a snapshot is no dearer, the cache left aside."""
    price = prices()
    return price["snapshot_gigabyte_restored"] / price["lambda_gigabyte_second"]


if __name__ == "__main__":
    for requests, share in LOADS.items():
        without, with_snapshots = dollars_of_month(requests, share)
        print(f"{requests:>9,} a day, {share:.0%} cold: ${without:.4f} without, ${with_snapshots:.2f} with SnapStart")
    print(f"a start would have to take {init_seconds_that_pay():.1f} s")
