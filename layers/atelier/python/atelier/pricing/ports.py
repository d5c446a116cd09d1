"""What the catalogue needs from outside: what providers have said of the end of their models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sunsets:
    """Of one provider: the shutdown dates that it has published, by our model id, and how many days before its end each
    leaving model was last warned of."""

    dates: Mapping[str, date] = field(default_factory=dict[str, date])
    warned: Mapping[str, int] = field(default_factory=dict[str, int])


class SunsetStore(Protocol):
    """Observed sunsets, a small record for each provider."""

    def read(self) -> dict[str, Sunsets]:
        """Everything that is known, by provider; may lag a moment behind."""
        ...

    def write(self, provider: str, sunsets: Sunsets) -> None:
        """Replace what is known of one provider."""
        ...
