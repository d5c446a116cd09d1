"""HTTP schemas of product events."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from atelier.exports.track import EVENTS_MAX, ProductEvent, event_key, require_time
from atelier.lazy_model import LazyModel

PROPERTIES_BYTES_MAX = 2048
PropertyName = Annotated[str, Field(min_length=1, max_length=64)]
PropertyValue = Annotated[str, Field(max_length=500)] | int | float | bool | None


class TrackedEvent(LazyModel):
    """One event. With an `id` of its own it is stored once, however often it is sent with the same `at`."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.:-]{0,63}$")] = Field(examples=["checkout.opened"])
    at: AwareDatetime | None = Field(default=None, description="When it happened; without an `id` the default is now.")
    id: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")] | None = None
    properties: dict[PropertyName, PropertyValue] = Field(default_factory=dict, max_length=50)

    @model_validator(mode="after")
    def _is_complete_and_small(self) -> Self:
        if self.id is not None and self.at is None:
            raise PydanticCustomError("event_time", "an event with an id needs the time at which it happened")
        if len(json.dumps(self.properties).encode()) > PROPERTIES_BYTES_MAX:
            raise PydanticCustomError(
                "properties", "properties have more than {max} bytes", {"max": PROPERTIES_BYTES_MAX}
            )
        return self


class TrackRequest(LazyModel):
    """Events of the workspace's own frontends."""

    model_config = ConfigDict(extra="forbid")

    events: list[TrackedEvent] = Field(min_length=1, max_length=EVENTS_MAX)

    def new(self, workspace_id: str, user_id: str, token_id: str | None, now: datetime) -> list[ProductEvent]:
        """The events; raises ValidationFailed for a time that is out of bounds."""
        found: list[ProductEvent] = []
        for number, event in enumerate(self.events):
            at = event.at or now
            require_time(at, f"events.{number}.at", now)
            key = event_key(event.id)
            found.append(
                ProductEvent(workspace_id, key, event.id, event.name, at, now, user_id, token_id, event.properties)
            )
        return found


class TrackedView(LazyModel):
    """How many events were stored, how many had been stored before, and how many were dropped because the workspace has
    switched them off."""

    accepted: int
    repeated: int
    dropped: int


class EventSettings(LazyModel):
    """Whether the workspace's product events are kept."""

    model_config = ConfigDict(extra="forbid")

    is_on: bool
