"""A generation crashes at each call of its less usual ends: a fallback, a cancellation, a late or missed deadline."""

from __future__ import annotations

import pytest

from tests.crashes import scenarios
from tests.crashes.explorer import explore
from tests.crashes.outcomes import kept
from tests.crashes.place import Place
from tests.crashes.run import Scenario


@pytest.mark.parametrize(
    "scenario",
    [scenarios.FALLBACK, scenarios.CANCELLED, scenarios.WITHDRAWN, scenarios.LATE, scenarios.EXPIRED],
    ids=lambda scenario: scenario.name,
)
def test_whatever_dies_no_credit_is_lost_and_no_job_bought_twice(place: Place, scenario: Scenario) -> None:
    table = explore(place, scenario).table()
    print(table)
    assert kept().get(scenario.name) == table, "tests/crashes/__main__.py says how to write OUTCOMES.md anew"
