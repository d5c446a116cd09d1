"""A committed change of a generation, as its table's stream tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atelier.dataclass import dataclass
from atelier.generations.model import OPEN_STATUSES, Status


@dataclass(frozen=True, slots=True)
class GenerationState:
    """A generation as it is stored at one time, as far as its changes have effects. `run_id`: the run of a stage;
    `stage`: its name; `model`: of the last attempt; `completed_at`: RFC 3339, the time of creation until there is a
    final status; `open_attempt_id`: the last attempt, if it has not ended; `delayed_until`: RFC 3339, until when it
    waits in line, and `delayed_candidate`: for whose slot; `assets` and `failure`: as they are stored;
    `refused_keys`: the workspace's own keys (provider, id) that were refused; `webhook_url`: the address that is called
    with the final status; `starts_express`: whether an Express execution is the first to attempt it."""

    status: Status
    is_run: bool
    run_id: str | None
    is_cancel_requested: bool
    budgets: tuple[str, ...]
    model: str | None
    credits_charged: int
    cost_microusd: int
    completed_at: str
    open_attempt_id: str | None
    kind: str
    user_id: str
    created_at: str
    project_id: str | None
    stage: str | None
    progress: int
    delayed_until: str | None
    delayed_candidate: str | None
    assets: Sequence[Mapping[str, Any]]
    failure: Mapping[str, Any] | None
    refused_keys: tuple[tuple[str, str], ...] = ()
    webhook_url: str | None = None
    starts_express: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the status is not final."""
        return self.status in OPEN_STATUSES


@dataclass(frozen=True, slots=True)
class GenerationChange:
    """One committed change. `before`: None when the generation is new. `position`: the stream's number of the
    record."""

    workspace_id: str
    generation_id: str
    before: GenerationState | None
    after: GenerationState
    position: int

    @property
    def is_delayed_anew(self) -> bool:
        """Whether the generation waits in line until another time than before."""
        before = self.before.delayed_until if self.before else None
        return self.after.is_open and self.after.delayed_until not in (None, before)

    @property
    def has_ended(self) -> bool:
        """Whether the status has become final, or another final one (a late result of an expired generation)."""
        return not self.after.is_open and (self.before is None or self.before.status != self.after.status)
