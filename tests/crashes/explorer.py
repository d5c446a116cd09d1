"""Die at every call, in every way, then let the world go on: what must hold afterwards, whatever happened.

exploration = explore(place, scenario)     # raises AssertionError with the call and the way it went wrong
print(exploration.table())
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from atelier.generations.model import Status
from atelier.wiring import ledger, seals
from tests.crashes.place import Place
from tests.crashes.run import Run, Scenario
from tests.crashes.wire import Call, Mode

ENDS = ("settled", "released", "expired")
# How far behind the first crash the second one lies at most: further on it meets a run that has long recovered.
SECOND_WITHIN = 15


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    status: Status
    credits: int
    jobs: int

    def __str__(self) -> str:
        return f"{self.status.value}, {self.credits} cr, {self.jobs} job{'' if self.jobs == 1 else 's'}"


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
        if len(self.explored) < len(self.calls):
            lines += ["", f"{len(self.calls)} calls; those left out here are explored above, call for call the same."]
        return "\n".join(lines) + "\n"


def explore(place: Place, scenario: Scenario) -> Exploration:
    """Run a scenario undisturbed, then once for each of its calls and each way in which a call can go wrong."""
    calls, outcome = undisturbed(place, scenario)
    new = itertools.dropwhile(lambda call: not scenario.since(call), distinct(calls))
    explored = [call for call in new if call.function not in scenario.known]
    found = Exploration(scenario, calls, outcome, explored)
    for call in explored:
        for mode in Mode:
            if mode is Mode.DIE_AFTER and not call.writes:
                # A read takes no effect: the world is the one in which the process died before it.
                found.outcomes[call.number, mode] = found.outcomes[call.number, Mode.DIE_BEFORE]
            else:
                found.outcomes[call.number, mode] = crash(place, scenario, calls, {call.number: mode})
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


def undisturbed(place: Place, scenario: Scenario) -> tuple[list[Call], Outcome]:
    """The calls of a scenario when nothing goes wrong, and what it comes to."""
    run = Run(place, scenario, {})
    run.play()
    calls, outcome = list(run.calls), settled(run)
    assert outcome.status is scenario.ends_as
    assert not run.failures, run.failures
    # A client that asks again with its key, long after, is answered and changes nothing.
    kinds = run.movements()
    run.submit()
    assert run.told_clients == [made.id for made in run.generations()] * 2
    assert run.movements() == kinds
    return calls, outcome


def crash(place: Place, scenario: Scenario, calls: list[Call], faults: Mapping[int, Mode]) -> Outcome:
    """What becomes of a run with these faults. `calls`: those of the undisturbed run."""
    run = Run(place, scenario, faults)
    first = min(faults)
    try:
        run.play()
        assert run.calls[:first] == calls[:first], "the run was another one before anything had gone wrong"
        died = [number for number, mode in faults.items() if mode is not Mode.LOSE_ANSWER and number <= len(run.calls)]
        assert len(run.failures) == len(died), f"more failed than died: {run.failures}"
        return settled(run)
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


def settled(run: Run) -> Outcome:
    """Check all that must hold when nothing moves any more, and say what the run came to."""
    (made,) = run.generations()
    assert not made.is_open, f"it is still {made.status}"
    assert set(run.told_clients) <= {made.id}, "a client was told of another generation"

    # Credits: none lost, none doubled. The wallet's sums are checked by `movements`.
    wallet, kinds = run.wallet(), run.movements()
    assert kinds["hold"] == 1, kinds
    assert sum(kinds[kind] for kind in ENDS) == 1, kinds
    assert kinds["late"] <= kinds["expired"], kinds
    assert (wallet.held, wallet.holds_open, wallet.debt, wallet.sweep_at) == (0, 0, 0, None)
    revenue = [
        entry.amount
        for movement in ledger.wallets().movements_of(made.workspace_id, made.id)
        for entry in movement.entries
        if entry.account == "revenue"
    ]
    assert sum(revenue) == made.credits_charged <= made.credits_held
    assert len(revenue) <= 1, "charged more than once"
    assert made.credits_charged == 0 or (made.status in (Status.SUCCEEDED, Status.CANCELLED) and not kinds["late"])

    # The provider was given each attempt's job once at most.
    attempts = {attempt.id for attempt in made.attempts if attempt.provider != "local"}
    jobs = [attempt for attempt in attempts for job in run.submissions if f".{attempt}." in str(job.webhook)]
    assert len(jobs) == len(run.submissions) == len(set(jobs)), f"{len(run.submissions)} jobs for {attempts}"

    # What was delivered is in the library and in the bucket, and nothing else is.
    assets = run.assets()
    assert assets == {picture.id for picture in made.pictures}
    assert bool(made.pictures) == (made.status is Status.SUCCEEDED)
    assert not made.pictures or {picture.sha256 for picture in made.pictures} <= run.stored()

    # Its end was told, as one fact however often, and nothing waits any more.
    ends = [Status.EXPIRED, made.status] if kinds["late"] else [made.status]
    assert {detail["id"] for _, detail in run.bus.told} == {f"{made.id}#{end.value}" for end in ends}
    assert {execution.status for execution in run.machine.executions.values()} == {"SUCCEEDED"}
    assert not run.queue.dead
    assert not any(stream.lost for stream in run.streams.values())

    # The stream has sealed every movement once.
    audit = seals.audit(made.workspace_id, run.now)
    assert (audit.sealed, audit.faults) == (0, ())

    assert run.sweep_again() == []
    return Outcome(made.status, made.credits_charged, len(run.submissions))
