"""What reports say about sums: counters in the units of the API, and what follows from them.

Amounts are integers; shares and rates are numbers from 0 to 1, and what would be divided by nothing is null.
"""

from __future__ import annotations

from atelier.analytics.model import CREDIT_COUNTERS, Counts
from atelier.analytics.schemas import CostSums, CreditSums, Durations, ModelSums, OwnKey, ProviderSums, UsageSums
from atelier.analytics.sketch import percentiles

FAILED, ATTEMPTS_FAILED, GRANTED = "failed_", "attempts_failed_", "granted_"
COSTS = {name: f"cost_{name}_microusd" for name in ("provider", "usage", "estimate")}
_USAGE_COUNTERS = (
    "requests",
    "succeeded",
    "failed",
    "cancelled",
    "expired",
    "reused",
    "refused",
    "prompts_refused",
    "fallbacks",
)
_TOKEN_COUNTERS = ("tokens_input", "tokens_output", "tokens_cached")
_SPENT_COUNTERS = ("spent", "expired", "revoked", "adjusted_down", "transferred", "operator_loss")


def usage(counts: Counts, _whole: Counts) -> UsageSums:
    """Everything about requests. `whole`, here and below: the counts of all groups of the same period."""
    numbers = {name: counts.get(name, 0) for name in (*_USAGE_COUNTERS, *_TOKEN_COUNTERS, "credits")}
    return UsageSums(
        **numbers,  # pyright: ignore[reportArgumentType]
        media_seconds=counts.get("media_ms", 0) / 1000,
        megapixels=counts.get("pixels", 0) / 1_000_000,
        cost_microusd=cost(counts),
        cost_by_source=_costs_by_source(counts),
        own_key=_own_key(counts),
        failed_by_class=_with_prefix(counts, FAILED),
        duration_ms=_durations(counts),
    )


def costs(counts: Counts, _whole: Counts) -> CostSums:
    """What was paid to providers, and charged for it."""
    return CostSums(
        requests=counts.get("requests", 0),
        succeeded=counts.get("succeeded", 0),
        credits=counts.get("credits", 0),
        cost_microusd=cost(counts),
        cost_by_source=_costs_by_source(counts),
        own_key=_own_key(counts),
        attempts=counts.get("attempts", 0),
        cost_per_result_microusd=_per_result(counts),
    )


def scorecard(counts: Counts, _whole: Counts) -> ProviderSums:
    """How a provider did, attempt by attempt."""
    attempts, estimated = counts.get("attempts", 0), counts.get("estimated_microusd", 0)
    actual = counts.get("estimated_actual_microusd", 0)
    return ProviderSums(
        attempts=attempts,
        succeeded=counts.get("attempts_succeeded", 0),
        success_rate=_ratio(counts.get("attempts_succeeded", 0), attempts),
        failed_by_class=_with_prefix(counts, ATTEMPTS_FAILED),
        duration_ms=_durations(counts),
        cost_microusd=cost(counts),
        cost_per_result_microusd=_per_result(counts),
        estimate_drift_percent=round(100 * (actual - estimated) / estimated, 2) if estimated else None,
        own_key=_own_key(counts),
    )


def models(counts: Counts, whole: Counts) -> ModelSums:
    """What a model made. Its results are those of requests and of stages; a reused one is no new result."""
    made = results(counts)
    credits = counts.get("credits", 0) + counts.get("stage_credits", 0)
    return ModelSums(
        requests=counts.get("requests", 0),
        stages=counts.get("stages", 0),
        results=made,
        share=_ratio(made, results(whole)),
        credits=credits,
        credits_per_result=_ratio(credits, made),
        cost_microusd=cost(counts),
        cost_per_result_microusd=_per_result(counts),
        failed_by_class=_with_prefix(counts, FAILED),
        duration_ms=_durations(counts),
    )


def credits(counts: Counts, _whole: Counts) -> CreditSums:
    """What came into the wallet, and what went."""
    sources = [name for name in CREDIT_COUNTERS if name.startswith(GRANTED)]
    by_source = {name.removeprefix(GRANTED): counts.get(name, 0) for name in sources}
    numbers = {name: counts.get(name, 0) for name in _SPENT_COUNTERS}
    return CreditSums(granted=sum(by_source.values()), granted_by_source=by_source, **numbers)  # pyright: ignore[reportArgumentType]


def cost(counts: Counts) -> int:
    """What the attempts cost, in micro-USD, from every source."""
    return sum(counts.get(name, 0) for name in COSTS.values())


def _costs_by_source(counts: Counts) -> dict[str, int]:
    return {source: counts.get(name, 0) for source, name in COSTS.items()}


def _own_key(counts: Counts) -> OwnKey:
    attempts = counts.get("own_key_attempts", 0)
    return OwnKey(
        attempts=attempts,
        share=_ratio(attempts, counts.get("attempts", 0)),
        cost_microusd=counts.get("own_key_cost_microusd", 0),
    )


def _durations(counts: Counts) -> Durations:
    number = counts.get("durations", 0)
    mean = round(counts.get("duration_ms", 0) / number) if number else None
    p50, p95, p99 = percentiles(counts, (0.5, 0.95, 0.99))
    return Durations(mean=mean, p50=p50, p95=p95, p99=p99)


def _with_prefix(counts: Counts, prefix: str) -> dict[str, int]:
    found = ((name.removeprefix(prefix), value) for name, value in counts.items() if name.startswith(prefix))
    return dict(sorted((name, value) for name, value in found if value))


def results(counts: Counts) -> int:
    """New results, of requests and of stages."""
    return counts.get("succeeded", 0) - counts.get("reused", 0) + counts.get("stages_succeeded", 0)


def _per_result(counts: Counts) -> int | None:
    """The cost of an attempt that succeeded, with that of those that did not."""
    succeeded = counts.get("attempts_succeeded", 0)
    return round(cost(counts) / succeeded) if succeeded else None


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
