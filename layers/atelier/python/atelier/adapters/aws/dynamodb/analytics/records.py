"""Generations, refused requests and movements, as analytics counts them."""

from __future__ import annotations

from collections import defaultdict

from atelier.analytics.contributions import (
    NOTHING,
    Contribution,
    EndedAttempt,
    EndedGeneration,
    WalletMovement,
    of_generation,
    of_movement,
    of_refusal,
)
from atelier.analytics.model import Group
from atelier.generations.model import Attempt, AttemptStatus, DeliveredFile, Generation
from atelier.generations.prompt_refusal import PromptRefusal
from atelier.ledger.model import Movement

_TIMED_TYPES = frozenset({"video", "audio"})
_STATUSES = {AttemptStatus.SUBMITTING: "", AttemptStatus.UNKNOWN: ""}


def generation_contribution(generation: Generation) -> Contribution:
    """What a generation contributes; an open one nothing. Its recipe is not looked at."""
    return NOTHING if generation.is_open else of_generation(ended_generation(generation))


def refusal_contribution(refusal: PromptRefusal) -> Contribution:
    """What a refused request contributes."""
    group = Group(refusal.project_id or "", refusal.token_id or "", refusal.user_id, "", refusal.kind)
    return of_refusal(group, refusal.at)


def movement_contribution(movement: Movement) -> Contribution:
    """What a movement contributes."""
    amounts: defaultdict[str, int] = defaultdict(int)
    for entry in movement.entries:
        amounts[entry.account.value] += entry.amount
    return of_movement(
        WalletMovement(movement.at, movement.kind, str(movement.facts.get("source") or ""), dict(amounts))
    )


def ended_generation(generation: Generation) -> EndedGeneration:
    """A generation that has ended. The files of a reused result were made for another generation."""
    is_reused, is_run = generation.reused_from is not None, generation.pipeline is not None
    made: tuple[DeliveredFile, ...] = () if is_reused or is_run else generation.assets
    return EndedGeneration(
        group=Group(
            generation.project_id or "",
            generation.token_id or "",
            generation.user_id,
            "",
            generation.recipe.kind.value,
        ),
        ended_at=generation.completed_at or generation.created_at,
        created_at=generation.created_at,
        status=generation.status.value,
        error_class=generation.failure.error_class if generation.failure else "",
        is_stage=generation.parent_id is not None,
        is_reused=is_reused,
        pipeline=generation.pipeline.name if generation.pipeline else "",
        credits=generation.credits_charged,
        usage=generation.usage,
        media_ms=sum(file.duration_ms or 0 for file in made if file.type in _TIMED_TYPES),
        pixels=sum((file.width or 0) * (file.height or 0) for file in made if file.type == "image"),
        attempts=tuple(map(_attempt, generation.attempts)),
    )


def _attempt(attempt: Attempt) -> EndedAttempt:
    return EndedAttempt(
        attempt.model,
        attempt.key or "",
        _STATUSES.get(attempt.status, attempt.status.value),
        attempt.error_class or "",
        _duration_ms(attempt),
        attempt.cost_microusd,
        attempt.cost_source,
        attempt.estimated_microusd,
    )


def _duration_ms(attempt: Attempt) -> int | None:
    if attempt.ended_at is None:
        return None
    return max(0, round((attempt.ended_at - attempt.started_at).total_seconds() * 1000))
