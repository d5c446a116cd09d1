"""How a visit of the attempt step replies to the execution that made it."""

from __future__ import annotations

from typing import Protocol

from atelier.generations.attempt_messages import AttemptFailed
from atelier.generations.decide_candidate import Delay
from atelier.generations.model import Attempt, Generation
from atelier.generations.outcome import Outcome
from atelier.provider_port import Cancelled, Done, Failed


class VisitReply(Protocol):
    """The reply of one visit. Two kinds of execution take it: one that waits on a task token (`TokenReply`), and an
    Express one, which waits for the visit itself (`ExpressReply`)."""

    def has_time_for(self, run_seconds: int) -> bool:
        """Whether the execution lasts as long as a model that may run for so many seconds."""
        ...

    def answer(self, generation: Generation, outcome: Outcome) -> None:
        """The generation ends without a new attempt."""
        ...

    def conclude(self, generation: Generation, current: Attempt, end: Done | Failed | Cancelled) -> bool:
        """The attempt has ended, and the generation ends with it. Returns False when nobody takes the reply any
        more."""
        ...

    def try_next(self, generation: Generation, current: Attempt, failed: AttemptFailed) -> bool:
        """The attempt has failed, and another candidate is to be tried. Returns as `conclude`."""
        ...

    def await_slot(self, generation: Generation, delay: Delay) -> None:
        """No candidate may be tried before a later time."""
        ...

    def await_result(self, generation: Generation, current: Attempt, reference: str | None) -> None:
        """The provider may have the attempt's job. reference: its id there; None = not known."""
        ...
