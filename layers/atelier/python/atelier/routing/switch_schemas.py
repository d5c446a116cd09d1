"""The requests and views of providers for administrators of the platform."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from atelier.audit_log.reason import Reason
from atelier.lazy_model import LazyModel
from atelier.routing.circuit_breaker import Health, Scope
from atelier.routing.switch_provider import SwitchOff

HOURS_MAX = 720
ModelId = Annotated[str, Field(min_length=1, max_length=200)]


class SwitchOffRequest(LazyModel):
    """Use a provider or a model no more for some time."""

    model_config = ConfigDict(extra="forbid")

    model: ModelId | None = Field(default=None, description="One of its models; null = all.")
    hours: int = Field(default=24, ge=1, le=HOURS_MAX)
    reason: Reason = Field(description="For the audit log.")

    def wanted(self, provider: str) -> SwitchOff:
        """The request as a value."""
        return SwitchOff(provider, self.model, self.hours, self.reason)


class SwitchOnRequest(LazyModel):
    """Use a provider or a model again."""

    model_config = ConfigDict(extra="forbid")

    model: ModelId | None = None


class AdminHealthView(LazyModel):
    """The health of the platform's access to a provider, or to one of its models."""

    provider: str
    model: str | None = Field(description="null = the access as a whole.")
    status: Literal["healthy", "degraded", "down", "unknown"]
    switched_off_until: datetime | None = Field(description="By an administrator.")
    cooldown_until: datetime | None = Field(description="By its failures.")
    failures_in_a_row: int
    error_class: str | None
    last_success_at: datetime | None
    last_failure_at: datetime | None


class AdminHealthEnvelope(LazyModel):
    """One access."""

    health: AdminHealthView


class AdminHealthList(LazyModel):
    """All enabled providers, each before those of its models that have failed or were switched off."""

    items: list[AdminHealthView]


def admin_health(health: Health, now: datetime) -> AdminHealthEnvelope:
    """The response with one access."""
    return AdminHealthEnvelope(health=_view(health, now))


def admin_health_list(providers: Iterable[str], found: Mapping[Scope, Health], now: datetime) -> AdminHealthList:
    """The response with all accesses. found: those that have a record."""
    known = {Scope(provider): Health(Scope(provider)) for provider in providers}
    shown = {scope: health for scope, health in {**known, **found}.items() if scope.access in known}
    ordered = sorted(shown.values(), key=lambda health: (health.scope.provider, health.scope.model or ""))
    return AdminHealthList(items=[_view(health, now) for health in ordered])


def _view(health: Health, now: datetime) -> AdminHealthView:
    off = health.disabled_until
    return AdminHealthView(
        provider=health.scope.provider,
        model=health.scope.model,
        status=health.status(now).value,
        switched_off_until=off if off and now < off else None,
        cooldown_until=health.cooldown_until if health.cooldown_until and now < health.cooldown_until else None,
        failures_in_a_row=health.failures_in_a_row,
        error_class=health.error_class,
        last_success_at=health.last_success_at,
        last_failure_at=health.last_failure_at,
    )
