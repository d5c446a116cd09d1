"""What carries the load at 1, 100 and 5,000 generations a second, and what gives way first: computed and simulated.

Nothing runs at AWS. What one generation uses is metered on the whole stack, AWS's limits are those that it publishes
(`scale.yaml` has both, with their sources), and the traffic is drawn: arrivals at random, workspaces by Zipf's law.
Three things depend on time and are simulated: the busiest workspace's busiest second, Lambda's ramp after a sudden
rise, and the writers of one wallet, who read, decide and write under a condition, as `submit_generation` does.

    make scale
"""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import quantiles
from typing import Any

import yaml

from atelier.generations.submit import TRIES_MAX

HERE = Path(__file__).parent
RATES = (1, 100, 5000)
WORKSPACES = 100_000
ZIPF_EXPONENT = 1.0
SECONDS = 60
MONTH_SECONDS = 30 * 24 * 3600
WALLET_RATES = (5, 10, 20, 40, 80, 200)
WALLET_SECONDS = 30
# The pause after a lost race: random, up to 10 ms · 2^tries and at most 0.3 s, as `pause_with_jitter` sleeps.
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.01, 0.3
SEED = 17


@dataclass(frozen=True, slots=True)
class Load:
    """What a rate asks of one limit. use: the share of the limit that is used; above 1 it gives way."""

    limit: str
    demand: float
    allowed: float
    per: str
    lift: str

    @property
    def use(self) -> float:
        return self.demand / self.allowed


@dataclass(frozen=True, slots=True)
class WalletRun:
    """What became of the generations of one workspace. carried: the share of its transactions that were written.
    seconds_median, seconds_p99: from the first read to the end of the write. tries_mean: how often one was tried."""

    rate: float
    carried: float
    seconds_median: float
    seconds_p99: float
    tries_mean: float


def facts() -> dict[str, Any]:
    """The content of scale.yaml."""
    return yaml.safe_load((HERE / "scale.yaml").read_text())


def busiest_second(rate: float, seconds: int, dice: random.Random) -> int:
    """The most generations that one workspace submits in one second."""
    cumulative = list(accumulate(1 / rank**ZIPF_EXPONENT for rank in range(1, WORKSPACES + 1)))
    most = 0
    for _ in range(seconds):
        ranks = (bisect_left(cumulative, dice.random() * cumulative[-1]) for _ in range(_poisson(rate, dice)))
        most = max(most, *Counter(ranks).values(), 0)
    return most


def loads(rate: float, busiest: int, known: Mapping[str, Any]) -> list[Load]:
    """What a steady rate asks of each limit; busiest: see `busiest_second`."""
    used, limits = known["generation"], known["limits"]

    def load(name: str, demand: float, about: str = "") -> Load:
        limit = limits[name]
        allowed = limit.get("per_second") or limit["at_once"]
        return Load(f"{name}{about}", demand, allowed, limit["per"], limit["lift"])

    tables = [
        load(f"table_{kind}s", rate * units[kind], f" of {table}")
        for table, units in used["tables"].items()
        for kind in ("write", "read")
        if units[kind]
    ]
    new_tables = [
        load("new_table_writes", rate * units["write"], f", {table}") for table, units in used["tables"].items()
    ]
    return [
        load("http_api", rate * used["http_api_request"]),
        load("lambda_concurrency", rate * used["lambda_second"]),
        load("executions", rate * used["express_request"]),
        load("events", rate * used["event"]),
        load("s3_put", busiest * used["s3_put"], " of the busiest workspace"),
        load("partition_writes", busiest * used["wallet_item_write"], " of the busiest wallet"),
        *tables,
        max(new_tables, key=lambda each: each.use),
    ]


def throttled_at_ramp(rate: float, known: Mapping[str, Any], concurrency_max: float = math.inf) -> tuple[int, int]:
    """A load that rises from nothing to `rate` at once: (invocations that Lambda refuses, seconds until it refuses none
    any more). All functions ramp as one, which is the worst case. concurrency_max: the account's quota; by default one
    that is high enough."""
    ramp, used = known["limits"]["lambda_ramp"], known["generation"]
    wanted, refused = rate * used["lambda_second"], 0.0
    for second in range(3600):
        allowed = min(ramp["at_once"] * (1 + second // ramp["seconds"]), concurrency_max)
        if allowed >= wanted:
            return round(refused), second
        refused += rate * used["lambda_request"] * (1 - allowed / wanted)
    return round(refused), 3600


def write_wallet(rate: float, seconds: int, known: Mapping[str, Any], dice: random.Random) -> WalletRun:
    """The transactions of one wallet, at `rate` generations a second: each reads the wallet, decides, and writes it if
    it is still as it was read; otherwise it pauses and starts again, at most TRIES_MAX times."""
    assumed = known["assumed"]
    arrivals = _arrivals(rate * known["generation"]["wallet_transactions"], seconds, dice)
    # (time, number, what happens, when it came, tries, version that was read)
    events = [(at, number, "read", at, 1, 0) for number, at in enumerate(arrivals)]
    heapq.heapify(events)
    version, busy_until, took, tries_of, given_up = 0, 0.0, list[float](), list[int](), 0
    while events:
        at, number, what, came, tries, read = heapq.heappop(events)
        if what == "read":
            heapq.heappush(events, (at + assumed["read_seconds"], number, "write", came, tries, version))
            continue
        end = at + assumed["transaction_seconds"]
        # DynamoDB refuses a transaction on an item that another one is writing, and one whose condition fails.
        if at >= busy_until and read == version:
            version, busy_until = version + 1, end
            took.append(end - came)
            tries_of.append(tries)
        elif tries == TRIES_MAX:
            given_up += 1
        else:
            pause = dice.uniform(0, min(PAUSE_SECONDS * 2 ** (tries - 1), PAUSE_SECONDS_MAX))
            heapq.heappush(events, (end + pause, number, "read", came, tries + 1, 0))
    cuts = quantiles(took, n=100)
    written = len(took) / max(1, len(took) + given_up)
    return WalletRun(rate, written, cuts[49], cuts[98], sum(tries_of) / len(tries_of))


def dollars_of_million(rate: float, known: Mapping[str, Any]) -> float:
    """What a million generations cost at AWS, without models, egress and storage, in a month of this rate."""
    prices = yaml.safe_load((HERE / "prices.yaml").read_text())["microusd_per_million"]
    used = dict(known["generation"])
    used["dynamodb_write_unit"] = sum(units["write"] for units in used["tables"].values())
    used["dynamodb_read_unit"] = sum(units["read"] for units in used["tables"].values())
    month = rate * MONTH_SECONDS
    return sum(
        used[name] * price * _discounted(used[name] * month, known["discounts"].get(name, [])) / 1e6
        for name, price in prices.items()
        if name in used
    )


def _discounted(amount: float, steps: list[tuple[float, float]]) -> float:
    """The mean share of the list price that a month's amount costs. steps: [from this amount on, share]."""
    bounds = [(0.0, 1.0), *steps, (math.inf, 0.0)]
    paid = sum(max(0.0, min(amount, above) - start) * share for (start, share), (above, _) in pairwise(bounds))
    return paid / amount


def _poisson(mean: float, dice: random.Random) -> int:
    """How many arrivals a second has."""
    if mean > 50:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    count, product, floor = 0, dice.random(), math.exp(-mean)
    while product > floor:
        count, product = count + 1, product * dice.random()
    return count


def _arrivals(rate: float, seconds: int, dice: random.Random) -> Iterator[float]:
    at = dice.expovariate(rate)
    while at < seconds:
        yield at
        at += dice.expovariate(rate)


def report(known: Mapping[str, Any]) -> Iterator[str]:
    """The lines that `make scale` prints."""
    for rate in RATES:
        busiest = busiest_second(rate, SECONDS, random.Random(SEED))
        yield f"\n{rate:,} generations a second: ${dollars_of_million(rate, known):.1f} a million"
        yield f"the busiest of {WORKSPACES:,} workspaces submits {busiest} in its busiest second of {SECONDS}"
        for load in sorted(loads(rate, busiest, known), key=lambda load: -load.use)[:6]:
            mark = "GIVES WAY" if load.use > 1 else "carries"
            yield f"  {load.use:7.1%} {mark:9} {load.limit}: {load.demand:,.0f} of {load.allowed:,} ({load.per})"
            if load.use > 1:
                yield f"{'':19} lifted by: {load.lift}"
        refused, seconds = throttled_at_ramp(rate, known)
        yield f"  a sudden rise from nothing: Lambda refuses {refused:,} invocations in {seconds} s, with quota enough"
    yield "\none workspace alone, on one wallet (assumed times of a call: scale.yaml)"
    for rate in WALLET_RATES:
        run = write_wallet(rate, WALLET_SECONDS, known, random.Random(SEED))
        times = f"{run.seconds_median * 1000:.0f} ms, at the 99th percentile {run.seconds_p99 * 1000:.0f} ms"
        yield f"  {rate:4} a second: {run.carried:.1%} written, median {times}; {run.tries_mean:.1f} tries each"


if __name__ == "__main__":
    print("\n".join(report(facts())))
