"""One generation as administrators of the platform see it: attempts, webhooks and what happened to its credits, but not
its prompt and its results. And its end, where it is stuck."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field

from atelier.audit_log.model import Origin, platform_events
from atelier.audit_log.ports import AuditLog
from atelier.audit_log.reason import Reason
from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.generations.finish import CloseDeps
from atelier.generations.model import Generation
from atelier.generations.pipeline_run import expire, read_stages
from atelier.generations.ports import GenerationPlaces
from atelier.ids import is_id
from atelier.inbox.ports import WebhookInbox
from atelier.lazy_model import LazyModel
from atelier.ledger.schemas import MovementView, movement_view


@dataclass(frozen=True, slots=True)
class TimelineDeps:
    """Dependencies."""

    close: CloseDeps
    places: GenerationPlaces
    inbox: WebhookInbox
    events: AuditLog


class PlaceQuery(LazyModel):
    """Where a generation is."""

    model_config = ConfigDict(extra="ignore")

    workspace_id: str | None = Field(
        default=None,
        description="Its workspace; without it, it is found by its execution or in the log, within 30 days.",
    )


class EndRequest(LazyModel):
    """End a generation that is stuck."""

    model_config = ConfigDict(extra="forbid")

    workspace_id: str | None = None
    reason: Reason = Field(description="For the audit logs; the workspace's own log shows it too.")


class AttemptTimeView(LazyModel):
    """One attempt with a provider, and when its webhooks came."""

    id: str
    generation_id: str = Field(description="The generation, or the stage of the run.")
    model: str
    own_key: str | None = Field(description="The workspace's key; null = the platform's.")
    status: str
    started_at: datetime
    ended_at: datetime | None
    error_class: str | None
    cost_microusd: int
    webhooks_at: list[datetime]


class TimelineView(LazyModel):
    """A generation's way. A run has the attempts of all its stages."""

    id: str
    workspace_id: str
    user_id: str
    token_id: str | None
    kind: str
    pipeline: str | None
    status: str
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    deadline_at: datetime
    delayed_until: datetime | None
    cancel_requested_at: datetime | None
    candidates: list[str]
    credits_held: int
    credits_charged: int
    cost_microusd: int
    failure: str | None = Field(description="The class of the error that ended it.")
    attempts: list[AttemptTimeView]
    movements: list[MovementView] = Field(description="The hold, and its end.")


class TimelineEnvelope(LazyModel):
    """One generation."""

    generation: TimelineView


def read_timeline(generation_id: str, workspace_id: str | None, *, deps: TimelineDeps) -> TimelineEnvelope:
    """A generation's way. Raises NotFound, also when its workspace is not named and nothing tells it any more."""
    return _timeline(_find(generation_id, workspace_id, deps), deps)


def end_stuck(
    generation_id: str, workspace_id: str | None, reason: str, origin: Origin, *, deps: TimelineDeps, now: datetime
) -> TimelineEnvelope:
    """End an open generation as if its deadline had passed: the credits go back, and a result that comes later is
    delivered free. One that has ended stays as it is. Raises NotFound."""
    generation = _find(generation_id, workspace_id, deps)
    if generation.is_open:
        # Before the change, whose transaction is that of any generation.
        log, target = generation.workspace_id, generation.id
        deps.events.append(*platform_events(log, "generation.end_requested", origin, now, target=target, reason=reason))
        generation = expire(generation, deps=deps.close, now=now)
    return _timeline(generation, deps)


def _find(generation_id: str, workspace_id: str | None, deps: TimelineDeps) -> Generation:
    place = workspace_id or deps.places.workspace_of(generation_id)
    if place is None or not is_id(place, "wsp"):
        raise NotFound("There is no such generation, or its traces are gone: name its workspace.")
    return deps.close.generations.get(place, generation_id)


def _timeline(generation: Generation, deps: TimelineDeps) -> TimelineEnvelope:
    stages = read_stages(generation, deps.close.generations) if generation.pipeline else []
    movements = deps.close.wallets.movements_of(generation.workspace_id, generation.parent_id or generation.id)
    view = TimelineView(
        id=generation.id,
        workspace_id=generation.workspace_id,
        user_id=generation.user_id,
        token_id=generation.token_id,
        kind=generation.recipe.kind.value,
        pipeline=generation.pipeline.name if generation.pipeline else None,
        status=generation.status.value,
        created_at=generation.created_at,
        started_at=generation.started_at,
        completed_at=generation.completed_at,
        deadline_at=generation.deadline_at,
        delayed_until=generation.delayed_until,
        cancel_requested_at=generation.cancel_requested_at,
        candidates=list(generation.candidates),
        credits_held=generation.credits_held,
        credits_charged=generation.credits_charged,
        cost_microusd=generation.cost_microusd,
        failure=str(generation.failure.error_class) if generation.failure else None,
        attempts=[view for each in (generation, *stages) for view in _attempts(each, deps)],
        movements=list(map(movement_view, movements)),
    )
    return TimelineEnvelope(generation=view)


def _attempts(generation: Generation, deps: TimelineDeps) -> list[AttemptTimeView]:
    return [
        AttemptTimeView(
            id=attempt.id,
            generation_id=generation.id,
            model=attempt.model,
            own_key=attempt.key,
            status=attempt.status.value,
            started_at=attempt.started_at,
            ended_at=attempt.ended_at,
            error_class=attempt.error_class,
            cost_microusd=attempt.cost_microusd,
            webhooks_at=[webhook.received_at for webhook in deps.inbox.find(attempt.provider, attempt.id)],
        )
        for attempt in generation.attempts
    ]
