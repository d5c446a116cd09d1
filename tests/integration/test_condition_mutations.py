"""Each clause of the ledger's conditions is needed: without it, a test of test_ledger_conditions.py fails."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable

import pytest

from tests.conftest import Tables
from tests.integration import test_ledger_conditions as stories
from tests.integration.condition_mutator import clauses, collect_sites, disable_clause
from tests.integration.world import World

Story = Callable[[], None]


def stories_by_name(tables: Tables) -> dict[str, Story]:
    """The tests of test_ledger_conditions by name; each uses its own wallets."""
    found: dict[str, Story] = {}
    for name, test in inspect.getmembers(stories, inspect.isfunction):
        if not name.startswith("test_"):
            continue
        taken = inspect.signature(test).parameters
        for lie in ("wallet", "grant") if "lie" in taken else (None,):

            def tell(test: Callable[..., None] = test, taken: object = taken, lie: str | None = lie) -> None:
                given = {"world": lambda: World(tables), "tables": lambda: tables, "lie": lambda: lie}
                test(**{name: make() for name, make in given.items() if name in inspect.signature(test).parameters})

            found[f"{name}[{lie}]"] = tell
    return found


def fails(story: Story) -> bool:
    try:
        story()
    except BaseException as failure:
        if isinstance(failure, KeyboardInterrupt | SystemExit):
            raise
        return True
    return False


def test_each_clause_of_the_ledgers_conditions_is_needed(tables: Tables) -> None:
    met: dict[str, list[Story]] = {}
    seconds: dict[Story, float] = {}
    for story in stories_by_name(tables).values():
        began = time.process_time()
        with collect_sites(tables.ledger) as sites:
            story()
        seconds[story] = time.process_time() - began
        for site in sites:
            met.setdefault(site, []).append(story)
    assert len(met) > 20
    survivors: list[str] = []
    for site in sorted(met):
        with disable_clause(site, tables.ledger):
            # Usually one test alone misses a clause. The short ones are tried first, which halves the duration.
            killed = any(fails(story) for story in sorted(met[site], key=lambda story: seconds[story]))
        print(f"{'needed  ' if killed else 'SURVIVES'}  {site}")
        if not killed:
            survivors.append(site)
    assert not survivors


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("#0 = :0", ["#0 = :0"]),
        ("((#0 = :0 AND #1 >= :1) AND #2 < :2)", ["#0 = :0", "#1 >= :1", "#2 < :2"]),
        (
            "(#0 = :0 AND (attribute_not_exists (#1) OR #1 >= :1))",
            ["#0 = :0", "(attribute_not_exists (#1) OR #1 >= :1)"],
        ),
        ("(#0 IN (:0, :1) AND #1 = :2)", ["#0 IN (:0, :1)", "#1 = :2"]),
    ],
)
def test_the_mutator_splits_a_condition_into_its_clauses(expression: str, parts: list[str]) -> None:
    assert [expression[start:end] for start, end in clauses(expression)] == parts
