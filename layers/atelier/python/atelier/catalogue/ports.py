"""What the catalogue needs from outside: a store of the shutdown dates that providers have published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date
from typing import Protocol

from atelier.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Sunsets:
    """One provider's shutdown dates, by our model id. `warned`: for each model that is about to end, the step of
    WARNED_AT (days before its end) at which a notice was last sent."""

    dates: Mapping[str, date] = field(default_factory=dict[str, date])
    warned: Mapping[str, int] = field(default_factory=dict[str, int])


class SunsetStore(Protocol):
    """Published shutdown dates, one small record for each provider."""

    def read(self) -> dict[str, Sunsets]:
        """All records by provider; eventually consistent."""
        ...

    def write(self, provider: str, sunsets: Sunsets) -> None:
        """Replace the record of one provider."""
        ...
