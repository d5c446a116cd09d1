"""A generation crashes at each call on the way to its result, and once more while it recovers."""

from __future__ import annotations

import secrets

import pytest

from tests.crashes import scenarios
from tests.crashes.deployment import ProductDeployment
from tests.crashes.explorer import explore, run_undisturbed, run_with_faults, sample_pairs
from tests.crashes.outcomes import read_sections
from tests.crashes.scenario_run import Scenario

PAIRS = 8


@pytest.mark.parametrize(
    "scenario",
    [
        scenarios.SYNCHRONOUS,
        scenarios.PAID_AT_ONCE,
        scenarios.FALLBACK_AT_ONCE,
        scenarios.ASYNCHRONOUS,
        scenarios.POLLED,
        scenarios.OVERTAKEN,
    ],
    ids=lambda scenario: scenario.name,
)
def test_a_crash_at_any_call_loses_no_credit_and_buys_no_job_twice(
    deployment: ProductDeployment, scenario: Scenario
) -> None:
    table = explore(deployment, scenario).table()
    print(table)
    assert read_sections().get(scenario.name) == table, "tests/crashes/__main__.py says how to write OUTCOMES.md anew"


@pytest.mark.parametrize("scenario", scenarios.GENERATION, ids=lambda scenario: scenario.name)
def test_a_second_crash_during_recovery_is_recovered_too(deployment: ProductDeployment, scenario: Scenario) -> None:
    seed = secrets.randbelow(2**31)
    print(f"python -m tests.crashes {scenario.name} --pairs {PAIRS} --seed {seed}")
    calls, _ = run_undisturbed(deployment, scenario)
    for faults in sample_pairs(calls, PAIRS, seed):
        run_with_faults(deployment, scenario, calls, faults)
