"""A generation crashes at each call of its less usual ends: a fallback, a cancellation, a late or missed deadline."""

from __future__ import annotations

import pytest

from tests.crashes import scenarios
from tests.crashes.deployment import ProductDeployment
from tests.crashes.explorer import explore
from tests.crashes.outcomes import read_sections
from tests.crashes.scenario_run import Scenario


@pytest.mark.parametrize(
    "scenario",
    [scenarios.FALLBACK, scenarios.CANCELLED, scenarios.WITHDRAWN, scenarios.LATE, scenarios.EXPIRED],
    ids=lambda scenario: scenario.name,
)
def test_a_crash_at_any_call_loses_no_credit_and_buys_no_job_twice(
    deployment: ProductDeployment, scenario: Scenario
) -> None:
    table = explore(deployment, scenario).table()
    print(table)
    assert read_sections().get(scenario.name) == table, "tests/crashes/__main__.py says how to write OUTCOMES.md anew"
