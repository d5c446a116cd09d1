"""A run crashes at each call that only runs have: planning a stage, ending it, and the settlement for all stages."""

from __future__ import annotations

import secrets

import pytest

from tests.crashes import scenarios
from tests.crashes.explorer import crash, explore, pairs, undisturbed
from tests.crashes.outcomes import kept
from tests.crashes.place import Place
from tests.crashes.run import Scenario

PAIRS = 4


@pytest.mark.parametrize("scenario", scenarios.RUNS, ids=lambda scenario: scenario.name)
def test_whatever_dies_no_stage_is_paid_for_twice(place: Place, scenario: Scenario) -> None:
    table = explore(place, scenario).table()
    print(table)
    assert kept().get(scenario.name) == table, "tests/crashes/__main__.py says how to write OUTCOMES.md anew"


def test_a_second_death_during_the_repair_is_repaired_too(place: Place) -> None:
    scenario, seed = scenarios.RUN, secrets.randbelow(2**31)
    print(f"python -m tests.crashes '{scenario.name}' --pairs {PAIRS} --seed {seed}")
    calls, _ = undisturbed(place, scenario)
    for faults in pairs(calls, PAIRS, seed):
        crash(place, scenario, calls, faults)
