"""Die at every call, in every way, then let the world go on: what must hold afterwards, whatever happened.

exploration = explore(place, scenario)     # raises AssertionError with the call and the way it went wrong
print(exploration.table())
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.crashes.place import Place
from tests.crashes.run import Run, Scenario
from tests.crashes.settled import Outcome, settled
from tests.crashes.wire import Call, Mode

# How far behind the first crash the second one lies at most: further on it meets a run that has long recovered.
SECOND_WITHIN = 15


Check = Callable[[Run], Outcome]


@dataclass
class Exploration:
    """A scenario's calls, and what became of each run in which one of them went wrong."""

    scenario: Scenario
    calls: list[Call]
    undisturbed: Outcome
    explored: list[Call]
    outcomes: dict[tuple[int, Mode], Outcome] = field(default_factory=dict[tuple[int, Mode], Outcome])

    def table(self) -> str:
        """The section of OUTCOMES.md."""
        lines = [
            f"## {self.scenario.name}",
            "",
            f"{self.scenario.story} Undisturbed: {self.undisturbed}.",
            "",
            f"| # | function | call | {' | '.join(Mode)} |",
            "|---|---|---|---|---|---|",
        ]
        for call in self.explored:
            found = [self.outcomes[call.number, mode] for mode in Mode]
            cells = ["the same" if outcome == self.undisturbed else str(outcome) for outcome in found]
            lines.append(f"| {call.number} | {call.function} | {call.operation} {call.target} | {' | '.join(cells)} |")
        if self.scenario.writes_only:
            lines += ["", f"{len(self.calls)} calls; here are the writes that are this story's own."]
        elif len(self.explored) < len(self.calls):
            lines += ["", f"{len(self.calls)} calls; those left out here are explored above, call for call the same."]
        return "\n".join(lines) + "\n"


def explore(place: Place, scenario: Scenario, check: Check = settled) -> Exploration:
    """Run a scenario undisturbed, then once for each of its calls and each way in which a call can go wrong. `check`
    says what a run came to, and raises AssertionError when something does not hold that must."""
    calls, outcome = undisturbed(place, scenario, check)
    new = itertools.dropwhile(lambda call: not scenario.since(call), distinct(calls))
    explored = [call for call in new if call.function not in scenario.known]
    if scenario.writes_only:
        explored = [call for call in explored if call.writes]
    found = Exploration(scenario, calls, outcome, explored)
    for call in explored:
        for mode in Mode:
            if mode is Mode.DIE_AFTER and not call.writes:
                # A read takes no effect: the world is the one in which the process died before it.
                found.outcomes[call.number, mode] = found.outcomes[call.number, Mode.DIE_BEFORE]
            else:
                found.outcomes[call.number, mode] = crash(place, scenario, calls, {call.number: mode}, check)
    return found


def distinct(calls: list[Call]) -> list[Call]:
    """The calls to explore: all of them, but of a function that does the same again and again (a poll of a job that
    goes on) the first two runs and the last two."""
    runs: dict[int, list[Call]] = {}
    for call in calls:
        runs.setdefault(call.invocation, []).append(call)
    alike: dict[tuple[tuple[str, str, str], ...], list[int]] = {}
    for invocation, made in runs.items():
        alike.setdefault(tuple((call.function, call.operation, call.target) for call in made), []).append(invocation)
    left_out = {invocation for invocations in alike.values() for invocation in invocations[2:-2]}
    return [call for call in calls if call.invocation not in left_out]


def undisturbed(place: Place, scenario: Scenario, check: Check = settled) -> tuple[list[Call], Outcome]:
    """The calls of a scenario when nothing goes wrong, and what it comes to."""
    run = Run(place, scenario, {})
    run.play()
    calls, outcome = list(run.calls), check(run)
    assert (outcome.status, run.failures) == (scenario.ends_as, [])
    # A client that asks again with its key, long after, changes nothing.
    scenario.begin(run)
    assert check(run) == outcome
    return calls, outcome


def crash(
    place: Place, scenario: Scenario, calls: list[Call], faults: Mapping[int, Mode], check: Check = settled
) -> Outcome:
    """What becomes of a run with these faults. `calls`: those of the undisturbed run."""
    run = Run(place, scenario, faults)
    first = min(faults)
    try:
        run.play()
        assert run.calls[:first] == calls[:first], "the run was another one before anything had gone wrong"
        died = [number for number, mode in faults.items() if mode is not Mode.LOSE_ANSWER and number <= len(run.calls)]
        assert len(run.failures) == len(died), f"more failed than died: {run.failures}"
        return check(run)
    except AssertionError as error:
        story = "\n".join(
            f"  {call.number:3} {call.function} {call.operation} {call.target}  {faults.get(call.number, '')}"
            for call in run.calls
        )
        raise AssertionError(f"{scenario.name}, {dict(faults)}: {error}\n{story}") from error


def pairs(calls: list[Call], count: int, seed: int) -> list[dict[int, Mode]]:
    """A sample of two crashes in one run, the second one while the first is being repaired."""
    luck = random.Random(seed)
    modes = list(Mode)
    found: list[dict[int, Mode]] = []
    for _ in range(count):
        first = luck.randint(1, len(calls))
        second = first + luck.randint(1, SECOND_WITHIN)
        found.append({first: luck.choice(modes), second: luck.choice(modes)})
    return found
