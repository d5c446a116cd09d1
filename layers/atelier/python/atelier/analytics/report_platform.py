"""Report the sums of the whole platform: what each model earned and cost, and where credits came from and went.

These sums are kept with the days of workspaces, so they are complete for hours that are over and were kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from atelier.analytics.contributions import RUN_MODEL
from atelier.analytics.model import CREDIT_COUNTERS, Counts, Dataset, Group, Sums, add, total
from atelier.analytics.ports import PlatformSums
from atelier.errors import ValidationFailed
from atelier.telemetry import logger

DAYS_MAX = 400
_RUN_PREFIX = RUN_MODEL.partition("{")[0]
_COSTS = ("cost_provider_microusd", "cost_usage_microusd", "cost_estimate_microusd")
_OUTCOMES = (
    "requests",
    "stages",
    "succeeded",
    "failed",
    "cancelled",
    "expired",
    "reused",
    "refused",
    "prompts_refused",
    "fallbacks",
)


def report_platform(first: date, end: date, microusd_per_credit: int, *, sums: PlatformSums) -> dict[str, Any]:
    """The report of the days from `first` up to `end`, which is not included, in JSON values.

    `margin_microusd` of a model is what its credits are worth at `microusd_per_credit`, minus what the platform pays
    its provider; what workspaces pay for with their own keys is left out. A run's credits are those of its stages, so
    its row has no margin. Raises ValidationFailed for no day at all, and for more than DAYS_MAX."""
    if not first < end <= first + timedelta(days=DAYS_MAX):
        raise ValidationFailed([{"path": "to", "message": f"must be 1 to {DAYS_MAX} days after from"}])
    by_dataset: dict[Dataset, Sums] = {dataset: {} for dataset in Dataset}
    for number in range((end - first).days):
        for dataset, group, counts in sums.of_day(first + timedelta(days=number)):
            add(by_dataset[dataset], group, counts)
    models = [_of_model(group, counts, microusd_per_credit) for group, counts in _in_order(by_dataset[Dataset.USAGE])]
    credits = total(by_dataset[Dataset.CREDITS].values())
    logger.info("platform reported", days=(end - first).days, models=len(models))
    return {
        "from": first.isoformat(),
        "to": end.isoformat(),
        "time_zone": "UTC",
        "microusd_per_credit": microusd_per_credit,
        "credits": {name: credits.get(name, 0) for name in CREDIT_COUNTERS},
        "models": models,
        "margin_microusd": sum(each["margin_microusd"] or 0 for each in models),
    }


def _of_model(group: Group, counts: Counts, microusd_per_credit: int) -> dict[str, Any]:
    is_run = group.model.startswith(_RUN_PREFIX)
    credits = counts.get("credits", 0) + counts.get("stage_credits", 0)
    cost = sum(counts.get(name, 0) for name in _COSTS)
    own_key_cost = counts.get("own_key_cost_microusd", 0)
    margin = credits * microusd_per_credit - (cost - own_key_cost)
    return {
        "model": group.model,
        "kind": group.kind,
        **{name: counts.get(name, 0) for name in _OUTCOMES},
        "credits": credits,
        "cost_microusd": cost,
        "own_key_cost_microusd": own_key_cost,
        "margin_microusd": None if is_run else margin,
    }


def _in_order(sums: Mapping[Group, Counts]) -> list[tuple[Group, Counts]]:
    return sorted(sums.items(), key=lambda each: (each[0].model, each[0].kind))
