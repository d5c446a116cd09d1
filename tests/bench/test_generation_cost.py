"""What one generation costs, counted on the whole stack. The counts do not vary, so they are asserted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.generation_cost import Bill, measure_bills
from tests.bench.scale import facts
from tests.bench.stack import running_stack

# 15 for the generation, its credits and its asset; 1 for what is done in batches: its share of a seal and of analytics.
WRITE_UNITS_MAX = 16
READ_UNITS_MAX = 8
TRANSITIONS = 2


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Bill]]:
    """Three generations of one workspace, one after the other."""
    with running_stack(Path(tmp_path_factory.mktemp("cost")) / "data") as stack:
        (bills,) = measure_bills(stack, generations=3)
        yield bills


def test_a_generation_stays_within_its_request_units(measured: list[Bill]) -> None:
    # The lowest of three: a schedule that ran at the same time belongs to no generation.
    assert min(bill.units.write for bill in measured) <= WRITE_UNITS_MAX
    assert min(bill.units.read for bill in measured) <= READ_UNITS_MAX


def test_the_simulation_of_scale_computes_with_what_is_metered(measured: list[Bill]) -> None:
    known = facts()["generation"]
    bill = min(measured, key=lambda bill: bill.units.write)
    for table, counts in known["tables"].items():
        found = [
            units for each in measured for name, units in each.tables.items() if f"Data{table.title()}Table" in name
        ]
        assert min(units.write for units in found) == pytest.approx(counts["write"], abs=0.5), table
        # Readers of streams read once for each batch, and on a busy machine one generation may come in several.
        assert min(units.read for units in found) == pytest.approx(counts["read"], abs=1), table
    for name in ("http_api_request", "express_request", "s3_put", "event"):
        assert bill.quantities[name] == known[name], name
    assert bill.quantities["lambda_request"] == pytest.approx(known["lambda_request"], abs=1)


def test_a_generation_that_nobody_watches_costs_real_time_three_reads(measured: list[Bill]) -> None:
    for bill in measured:
        assert bill.realtime.write == 0
        assert bill.realtime.read <= 3


def test_analytics_takes_at_most_one_write_unit_of_a_generation(measured: list[Bill]) -> None:
    [share] = {units.write for bill in measured for table, units in bill.tables.items() if "Analytics" in table}
    assert 0 < share <= 1


def test_sealing_takes_at_most_half_a_write_unit_of_a_generation(measured: list[Bill]) -> None:
    # Two transactions of two items each: the hold with its movement, and the settlement with its own.
    ledger = min(units.write for bill in measured for table, units in bill.tables.items() if "Ledger" in table)
    assert 8 < ledger <= 8.5


def test_a_generation_answered_at_once_is_one_state_of_an_express_execution(measured: list[Bill]) -> None:
    assert {bill.transitions for bill in measured} == {TRANSITIONS}
    assert {bill.quantities["state_transition"] for bill in measured} == {0}
    assert {bill.quantities["express_request"] for bill in measured} == {1}
    assert all(bill.quantities["express_gigabyte_second"] > 0 for bill in measured)


def test_the_local_models_run_time_is_counted_apart_from_the_lambdas(measured: list[Bill]) -> None:
    for bill in measured:
        assert bill.quantities["model_gigabyte_second"] > 0
        assert bill.quantities["lambda_gigabyte_second"] > 0


def test_a_generation_stores_two_objects_the_image_and_its_thumbnail(measured: list[Bill]) -> None:
    assert {bill.quantities["s3_put"] for bill in measured} == {2}
    assert {bill.quantities["s3_get"] for bill in measured} == {0}
