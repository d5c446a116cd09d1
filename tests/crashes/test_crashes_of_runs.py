"""A run crashes at each call that only runs have: planning a stage, ending it, and the settlement for all stages."""

from __future__ import annotations

import secrets

import pytest

from tests.crashes import scenarios
from tests.crashes.deployment import ProductDeployment
from tests.crashes.explorer import explore, run_undisturbed, run_with_faults, sample_pairs
from tests.crashes.outcomes import read_sections
from tests.crashes.scenario_run import Scenario

PAIRS = 4


@pytest.mark.parametrize("scenario", scenarios.RUNS, ids=lambda scenario: scenario.name)
def test_a_crash_at_any_call_of_a_run_pays_for_no_stage_twice(
    deployment: ProductDeployment, scenario: Scenario
) -> None:
    table = explore(deployment, scenario).table()
    print(table)
    assert read_sections().get(scenario.name) == table, "tests/crashes/__main__.py says how to write OUTCOMES.md anew"


def test_a_second_crash_during_recovery_is_recovered_too(deployment: ProductDeployment) -> None:
    scenario, seed = scenarios.RUN, secrets.randbelow(2**31)
    print(f"python -m tests.crashes '{scenario.name}' --pairs {PAIRS} --seed {seed}")
    calls, _ = run_undisturbed(deployment, scenario)
    for faults in sample_pairs(calls, PAIRS, seed):
        run_with_faults(deployment, scenario, calls, faults)
