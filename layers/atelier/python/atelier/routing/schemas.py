"""HTTP schemas of providers' health: one scorecard for each access."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from atelier.lazy_model import LazyModel
from atelier.routing.circuit_breaker import PLATFORM, WINDOW, Health, overall_status

WINDOW_MINUTES = int(2 * WINDOW.total_seconds() // 60)


class ModelHealthView(LazyModel):
    """The health of one model that has failed lately."""

    model: str
    status: Literal["healthy", "degraded", "down", "unknown"]
    failures_in_a_row: int
    cooldown_until: datetime | None = Field(description="The model is not used until then; null = it may be used.")
    last_failure_at: datetime | None
    error_class: str | None
    error_message: str | None


class ScorecardView(LazyModel):
    """The health of a provider. Counts, rate and latencies are of the last minutes; null = there were no attempts."""

    provider: str
    scope: str = Field(description="`platform`, or the id of an own key.", examples=[PLATFORM])
    status: Literal["healthy", "degraded", "down", "unknown"]
    success_percent: int | None = Field(description=f"Of the attempts of the last {WINDOW_MINUTES} minutes at most.")
    success_count: int
    failure_count: int
    failures_in_a_row: int
    avg_response_time_ms: int | None
    p95_response_time_ms: int | None = Field(description="An upper bound, at most half as much again.")
    cooldown_until: datetime | None = Field(description="No request is sent to it until then; null = it may be used.")
    last_success_at: datetime | None
    last_failure_at: datetime | None
    checked_at: datetime | None = Field(description="When its health was last checked by a free request.")
    error_class: str | None = Field(description="Of the last failure.")
    error_message: str | None
    models: list[ModelHealthView] = Field(description="Those of its models that have failed lately, by name.")


class HealthList(LazyModel):
    """All of the platform's providers and of the workspace's own keys."""

    items: list[ScorecardView]
    next_cursor: None = None


def scorecard_view(health: Health, models: tuple[Health, ...], now: datetime) -> ScorecardView:
    """The API's view of one access's health; `models`: the health of its models, as far as known."""
    current = health.moved_to(now)
    failed = [each.moved_to(now) for each in models if each.has_recent_failures(now)]
    return ScorecardView.model_validate(
        {
            "provider": current.scope.provider,
            "scope": current.scope.name,
            "status": overall_status(current, failed, now).value,
            "success_percent": current.success_percent(),
            "success_count": current.successes,
            "failure_count": current.failures,
            "failures_in_a_row": max(each.failures_in_a_row for each in (current, *failed)),
            "avg_response_time_ms": current.latency_ms_mean(),
            "p95_response_time_ms": current.latency_ms_p95(),
            "cooldown_until": current.cooldown_until if current.in_cooldown(now) else None,
            "last_success_at": current.last_success_at,
            "last_failure_at": current.last_failure_at,
            "checked_at": current.checked_at,
            "error_class": current.error_class,
            "error_message": current.error_message,
            "models": [_model_view(each, now) for each in failed],
        }
    )


def _model_view(health: Health, now: datetime) -> dict[str, object]:
    return {
        "model": health.scope.model,
        "status": health.status(now).value,
        "failures_in_a_row": health.failures_in_a_row,
        "cooldown_until": health.cooldown_until if health.in_cooldown(now) else None,
        "last_failure_at": health.last_failure_at,
        "error_class": health.error_class,
        "error_message": health.error_message,
    }
