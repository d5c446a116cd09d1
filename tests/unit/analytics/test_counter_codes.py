"""Each counter has a stored name of its own, and is found by it again."""

from __future__ import annotations

from atelier.adapters.aws.dynamodb.analytics.counter_codes import code, counter
from atelier.analytics.model import COUNTERS, CREDIT_COUNTERS
from atelier.provider_port import ErrorClass


def test_every_counter_is_found_by_its_stored_name() -> None:
    classes = [f"{prefix}_{error}" for prefix in ("failed", "attempts_failed") for error in ErrorClass]
    names = [*COUNTERS, *CREDIT_COUNTERS, *classes, *(f"bucket_{number}" for number in range(400))]

    stored = [code(name) for name in names]

    assert [counter(each) for each in stored] == names


def test_no_two_counters_of_a_dataset_share_a_stored_name() -> None:
    for counters in (COUNTERS, CREDIT_COUNTERS):
        assert len({code(name) for name in counters}) == len(counters)
