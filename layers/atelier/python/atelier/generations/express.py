"""Visits by an Express execution, which has no task token: what has ended is finished within the visit, and what has to
be waited for goes on in a Standard execution.

An Express execution is started at least once and lasts five minutes at most. Two of them may visit one generation at
the same time: the conditional write of the attempt lets one of them send the job. The other one finds the attempt half
done and starts the Standard execution, which waits; then the visit or that execution ends the generation, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from atelier.clock import parse_rfc3339
from atelier.generations.attempt import attempt, staged_outcome
from atelier.generations.attempt_deps import AttemptDeps
from atelier.generations.attempt_messages import AttemptFailed, SlotDue, VisitCause
from atelier.generations.decide_attempt import with_failed_attempt
from atelier.generations.decide_candidate import Delay
from atelier.generations.model import Attempt, Generation
from atelier.generations.outcome import Outcome, outcome_of
from atelier.generations.ports import GenerationChanged, OutputLocation, TaskCallback
from atelier.generations.start import fits_express
from atelier.provider_port import Cancelled, Done, Failed

# (workspace id, generation id, outcome): brings the generation to its end.
Finish = Callable[[str, str, Outcome], object]


def visit_express(task: Mapping[str, Any], *, finish: Finish, deps: AttemptDeps) -> None:
    """Make the visits of an Express execution: one candidate after the other, until the generation has ended or a
    Standard execution goes on with it. The generation's candidates bound the loop."""
    reply = ExpressReply(parse_rfc3339(task["started_at"]), finish, deps)
    cause: VisitCause | None = None
    while True:
        reply.failed = None
        attempt(task["workspace_id"], task["generation_id"], reply, cause=cause, deps=deps)
        if reply.failed is None:
            return
        cause = reply.failed


class ExpressReply:
    """The reply to an Express execution. started_at: when that began; failed: the attempt after which this visit has to
    try another candidate."""

    def __init__(self, started_at: datetime, finish: Finish, deps: AttemptDeps) -> None:
        self.started_at, self.finish, self.deps = started_at, finish, deps
        self.failed: AttemptFailed | None = None

    def has_time_for(self, run_seconds: int) -> bool:
        return fits_express(timedelta(seconds=run_seconds), self.deps.clock() - self.started_at)

    def answer(self, generation: Generation, outcome: Outcome) -> None:
        self.finish(generation.workspace_id, generation.id, outcome)

    def conclude(self, generation: Generation, current: Attempt, end: Done | Failed | Cancelled) -> bool:
        ids = generation.workspace_id, generation.id
        if self._can_resend(generation, current):
            # A process that dies here loses nothing that costs: the job is sent again.
            self.finish(*ids, outcome_of(end, _outputs(end), current.id))
            return True
        # The answer exists only here, and it is paid for: it is stored first, and a later visit finds it.
        staged = staged_outcome(generation, current, end, self.deps.media).as_data()
        task_token = self.deps.generations.save_outcome(*ids, current.id, staged).task_token
        self.finish(*ids, outcome_of(end, _outputs(end), current.id))
        if task_token:
            self.deps.workflow.succeed(task_token, staged)
        return True

    def try_next(self, generation: Generation, current: Attempt, failed: AttemptFailed) -> bool:
        # Written now: if this process dies, no later visit may take the attempt for one that is still running. The next
        # visit of this process knows it all the same.
        with suppress(GenerationChanged):
            ended = with_failed_attempt(generation, failed, self.deps.clock())
            self.deps.generations.save_progress(generation, ended)
        callback = self.deps.generations.callback(generation.workspace_id, generation.id, current.id)
        if callback and callback.task_token and self.deps.workflow.try_next(callback.task_token, failed):
            # A parallel visit has started the Standard execution, which goes on.
            return True
        self.failed = failed
        return True

    def await_slot(self, generation: Generation, delay: Delay) -> None:
        self.deps.workflow.start(generation.workspace_id, generation.id, cause=SlotDue(delay.slot))

    def await_result(self, generation: Generation, current: Attempt, reference: str | None) -> None:
        ids = generation.workspace_id, generation.id
        if reference is not None:
            self.deps.generations.save_callback(*ids, TaskCallback(current.id, "", reference))
        else:
            earlier = self.deps.generations.callback(*ids, current.id)
            if earlier is not None and earlier.outcome is not None:
                # An earlier visit died between this outcome and the end of the generation.
                self.finish(*ids, Outcome.from_data(earlier.outcome))
                return
        self.deps.workflow.start(*ids)

    def _can_resend(self, generation: Generation, current: Attempt) -> bool:
        provider = self.deps.provider(generation, current)
        return provider is not None and provider.resend_safe


def _outputs(end: Done | Failed | Cancelled) -> tuple[OutputLocation, ...]:
    """The outputs as they came, in this process's memory."""
    outputs = end.outputs if isinstance(end, Done) else ()
    return tuple(OutputLocation(url=output.url, data=output.data) for output in outputs)
