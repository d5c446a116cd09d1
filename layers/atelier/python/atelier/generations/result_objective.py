"""How soon a result should be there, from the request on: the objective that docs/objectives.md states and measures."""

from __future__ import annotations

from datetime import timedelta

from atelier.generations.model import Generation, Kind, Status
from atelier.provider_port import ErrorClass

RESULT_TIMES = {
    Kind.TEXT: timedelta(minutes=1),
    Kind.IMAGE: timedelta(minutes=1),
    Kind.UPSCALE: timedelta(minutes=1),
    Kind.PAGE: timedelta(minutes=2),
    Kind.AUDIO: timedelta(minutes=2),
    Kind.AVATAR: timedelta(minutes=15),
    Kind.VIDEO: timedelta(minutes=15),
}


def is_late(generation: Generation) -> bool | None:
    """Whether a result came later than its kind's time, or never because its deadline passed or was too near to begin.
    None = it does not count: the provider or moderation refused it, or the person took it back."""
    failure = generation.failure
    if generation.status is Status.EXPIRED or (failure and failure.error_class == ErrorClass.TIMEOUT_UNSTARTED):
        return True
    if generation.status is not Status.SUCCEEDED or generation.completed_at is None:
        return None
    return generation.completed_at - generation.created_at > RESULT_TIMES[generation.recipe.kind]
