"""Generations and attempts as plain values, for tests of decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from atelier.generations.model import Attempt, AttemptStatus, Generation, Kind, Recipe, Status

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
FIRST, SECOND = "replicate/sdxl", "local/canvas"


def attempt(number: int = 1, *, ended: bool = False, model: str = FIRST, error_class: str | None = None) -> Attempt:
    """A running attempt, or one that has failed."""
    return Attempt(
        f"att_{number}",
        model.partition("/")[0],
        model,
        AttemptStatus.FAILED if ended else AttemptStatus.SUBMITTING,
        NOW,
        LATER if ended else None,
        error_class,
    )


def generation(
    *attempts: Attempt,
    status: Status = Status.RUNNING,
    cancelled: bool = False,
    candidates: tuple[str, ...] = (FIRST, SECOND),
) -> Generation:
    """A generation with these attempts. `cancelled`: its cancellation is requested."""
    made = Generation(
        id="gen_01M7XC43T8VQH8B4746A8669M7",
        workspace_id="wsp_A",
        user_id="usr_A",
        recipe=Recipe(Kind.IMAGE, "a lighthouse", parameters={"width": 512, "height": 512}),
        candidates=candidates,
        price_version="2026-11-01",
        watermark=True,
        credits_held=10,
        status=status,
        created_at=NOW,
        deadline_at=NOW + timedelta(minutes=5),
        attempts=attempts,
    )
    return replace(made, cancel_requested_at=LATER) if cancelled else made
