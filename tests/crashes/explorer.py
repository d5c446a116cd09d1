"""Crash at every AWS call, in every way, let everything be retried, and check the invariants on the final state.

exploration = explore(place, scenario)     # raises AssertionError that names the call and what was broken
print(exploration.table())
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.crashes.deployment import ProductDeployment
from tests.crashes.interceptor import Call, FaultMode
from tests.crashes.invariants import Outcome, check_invariants
from tests.crashes.scenario_run import Scenario, ScenarioRun

# How many calls after the first crash the second one comes at most: later, the run has recovered from the first.
SECOND_CRASH_WITHIN_CALLS = 15


Check = Callable[[ScenarioRun], Outcome]


@dataclass
class Exploration:
    """A scenario's calls, and the outcome of each run in which one of them failed. `explored`: the calls that were made
    to fail."""

    scenario: Scenario
    calls: list[Call]
    undisturbed: Outcome
    explored: list[Call]
    outcomes: dict[tuple[int, FaultMode], Outcome] = field(default_factory=dict[tuple[int, FaultMode], Outcome])

    def table(self) -> str:
        """The scenario's section of OUTCOMES.md, in Markdown."""
        lines = [
            f"## {self.scenario.name}",
            "",
            f"{self.scenario.description} Undisturbed: {self.undisturbed}.",
            "",
            f"| # | function | call | {' | '.join(FaultMode)} |",
            "|---|---|---|---|---|---|",
        ]
        for call in self.explored:
            found = [self.outcomes[call.number, mode] for mode in FaultMode]
            cells = ["the same" if outcome == self.undisturbed else str(outcome) for outcome in found]
            lines.append(f"| {call.number} | {call.function} | {call.operation} {call.target} | {' | '.join(cells)} |")
        if self.scenario.writes_only:
            lines += ["", f"{len(self.calls)} calls; here are the writes that are this story's own."]
        elif len(self.explored) < len(self.calls):
            lines += ["", f"{len(self.calls)} calls; those left out here are explored above, call for call the same."]
        return "\n".join(lines) + "\n"


def explore(deployment: ProductDeployment, scenario: Scenario, check: Check = check_invariants) -> Exploration:
    """Run a scenario undisturbed, then once for each of its calls and each way in which a call can fail. `check`
    returns the outcome of a run, and raises AssertionError when an invariant is broken."""
    calls, outcome = run_undisturbed(deployment, scenario, check)
    new = itertools.dropwhile(lambda call: not scenario.is_new_from(call), distinct_calls(calls))
    explored = [call for call in new if call.function not in scenario.explored_elsewhere]
    if scenario.writes_only:
        explored = [call for call in explored if call.writes]
    found = Exploration(scenario, calls, outcome, explored)
    for call in explored:
        for mode in FaultMode:
            if mode is FaultMode.DIE_AFTER and not call.writes:
                # A read changes nothing, so dying after it leaves the same state as dying before it.
                found.outcomes[call.number, mode] = found.outcomes[call.number, FaultMode.DIE_BEFORE]
            else:
                found.outcomes[call.number, mode] = run_with_faults(
                    deployment, scenario, calls, {call.number: mode}, check
                )
    return found


def distinct_calls(calls: list[Call]) -> list[Call]:
    """The calls to explore. When a function is invoked repeatedly with the same calls (polls of a running job), only
    those of the first two and the last two invocations."""
    runs: dict[int, list[Call]] = {}
    for call in calls:
        runs.setdefault(call.invocation, []).append(call)
    alike: dict[tuple[tuple[str, str, str], ...], list[int]] = {}
    for invocation, own_calls in runs.items():
        alike.setdefault(tuple((call.function, call.operation, call.target) for call in own_calls), []).append(
            invocation
        )
    left_out = {invocation for invocations in alike.values() for invocation in invocations[2:-2]}
    return [call for call in calls if call.invocation not in left_out]


def run_undisturbed(
    deployment: ProductDeployment, scenario: Scenario, check: Check = check_invariants
) -> tuple[list[Call], Outcome]:
    """The calls of a scenario when nothing fails, and its outcome."""
    run = ScenarioRun(deployment, scenario, {})
    run.play()
    calls, outcome = list(run.calls), check(run)
    assert (outcome.status, run.failures) == (scenario.ends_as, [])
    # A client that repeats the request with its idempotency key, long after the end, changes nothing.
    scenario.begin(run)
    assert check(run) == outcome
    return calls, outcome


def run_with_faults(
    deployment: ProductDeployment,
    scenario: Scenario,
    calls: list[Call],
    faults: Mapping[int, FaultMode],
    check: Check = check_invariants,
) -> Outcome:
    """The outcome of a run with these faults. `calls`: those of the undisturbed run."""
    run = ScenarioRun(deployment, scenario, faults)
    first = min(faults)
    try:
        run.play()
        assert run.calls[:first] == calls[:first], "the run was another one before anything had gone wrong"
        died = [
            number for number, mode in faults.items() if mode is not FaultMode.LOSE_ANSWER and number <= len(run.calls)
        ]
        assert len(run.failures) == len(died), f"more failed than died: {run.failures}"
        return check(run)
    except AssertionError as error:
        calls_text = "\n".join(
            f"  {call.number:3} {call.function} {call.operation} {call.target}  {faults.get(call.number, '')}"
            for call in run.calls
        )
        raise AssertionError(f"{scenario.name}, {dict(faults)}: {error}\n{calls_text}") from error


def sample_pairs(calls: list[Call], count: int, seed: int) -> list[dict[int, FaultMode]]:
    """A random sample of two crashes in one run, the second one while the first is being repaired."""
    rng = random.Random(seed)
    modes = list(FaultMode)
    found: list[dict[int, FaultMode]] = []
    for _ in range(count):
        first = rng.randint(1, len(calls))
        second = first + rng.randint(1, SECOND_CRASH_WITHIN_CALLS)
        found.append({first: rng.choice(modes), second: rng.choice(modes)})
    return found
