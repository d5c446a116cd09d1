"""The invariants of a generation and its wallet at the end of a run, whatever failed on the way."""

from __future__ import annotations

from dataclasses import dataclass

from atelier.generations.model import Status
from atelier.ledger.audit import audit
from atelier.wiring import analytics, ledger, seals
from tests.counted import counted_rows, rows_of_records
from tests.crashes.scenario_run import ScenarioRun

ENDING_KINDS = ("settled", "released", "expired")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run: the generation's status, the credits charged, and the jobs submitted to the provider."""

    status: Status
    credits: int
    jobs: int

    def __str__(self) -> str:
        return f"{self.status.value}, {self.credits} cr, {self.jobs} job{'' if self.jobs == 1 else 's'}"


def check_invariants(run: ScenarioRun) -> Outcome:
    """Checks the invariants; returns the run's outcome."""
    (generation,) = run.generations()
    stages = run.stages(generation)
    # The generations that are sent to providers: the generation itself, or the stages of a pipeline run.
    parts = stages if generation.pipeline else [generation]
    assert not generation.is_open, f"it is still {generation.status}"
    assert not any(part.is_open for part in parts), "a stage is open, its run is not"
    assert set(run.returned_ids) <= {generation.id}, "a client was told of another generation"

    # Credits: none lost, none doubled. The wallet's sums are checked by `movements`.
    wallet, kinds = run.wallet(), run.count_movements()
    assert kinds["hold"] == 1, kinds
    assert sum(kinds[kind] for kind in ENDING_KINDS) == 1, kinds
    assert generation.pipeline or kinds["late"] <= kinds["expired"], kinds
    assert (wallet.held, wallet.holds_open, wallet.debt, wallet.sweep_at) == (0, 0, 0, None)
    revenue = [
        entry.amount
        for movement in ledger.wallets().movements_of(generation.workspace_id, generation.id)
        for entry in movement.entries
        if entry.account == "revenue"
    ]
    assert sum(revenue) == generation.credits_charged <= generation.credits_held
    assert len(revenue) <= 1, "charged more than once"
    assert not generation.pipeline or generation.credits_charged == sum(stage.credits_charged for stage in stages)
    paid = generation.status in (Status.SUCCEEDED, Status.CANCELLED) and not kinds["late"]
    assert generation.credits_charged == 0 or generation.pipeline or paid

    # Each attempt's job was submitted to the provider at most once.
    attempts = {attempt.id for part in parts for attempt in part.attempts if attempt.provider == "replicate"}
    jobs = [attempt for attempt in attempts for job in run.submissions if f".{attempt}." in str(job.webhook)]
    assert len(jobs) == len(run.submissions) == len(set(jobs)), f"{len(run.submissions)} jobs for {attempts}"

    answered = [attempt for part in parts for attempt in part.attempts if attempt.provider == "stability"]
    assert run.paid_requests <= len(answered), f"{run.paid_requests} requests for {answered}"

    # The library contains exactly the delivered assets, and the bucket has their files.
    assets = run.asset_ids()
    delivered = [asset for part in parts for asset in part.assets]
    assert assets == {asset.id for asset in delivered}
    assert all(bool(part.assets) == (part.status is Status.SUCCEEDED) for part in [generation, *parts])
    assert not generation.pipeline or not generation.assets or generation.assets == stages[-1].assets
    assert run.count_stored_bytes() == sum(asset.size_bytes for asset in delivered)
    assert not delivered or {asset.sha256 for asset in delivered} <= run.stored_hashes()

    # An event about the end was published (repeats have the same id), and no execution or message is left.
    event_ids = {detail["id"] for _, detail in run.bus.events}
    final = {f"{part.id}#{part.status.value}" for part in [generation, *parts]}
    late = {f"{part.id}#{Status.EXPIRED.value}" for part in [generation, *parts]} if kinds["late"] else set[str]()
    assert final <= event_ids <= final | late, event_ids
    assert not kinds["late"] or generation.pipeline or event_ids == final | late
    machines = (run.machine, run.express, run.runs)
    executions = [execution for machine in machines for execution in machine.executions.values()]
    assert {execution.status for execution in executions} == {"SUCCEEDED"}
    assert not run.queue.dead_letters
    assert not any(stream.discarded for stream in run.streams)

    # The ledger's stream has sealed every movement, once.
    report = audit(generation.workspace_id, deps=seals.seal_deps(), now=run.now)
    assert (report.sealed, report.mismatches) == (0, ())

    # Everything that was committed is counted, once.
    analytics.bind_table()
    movements = run.deployment.world.assert_sound()
    assert counted_rows(generation.workspace_id) == rows_of_records([generation, *stages], movements)

    assert run.sweep_again() == []
    return Outcome(generation.status, generation.credits_charged, len(run.submissions) + run.paid_requests)
