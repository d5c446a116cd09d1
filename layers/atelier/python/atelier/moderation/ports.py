"""What moderation needs from outside: somebody who judges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from atelier.moderation.model import Category, Picture

# For each thing asked about, what it was found to be.
Findings = tuple[frozenset[Category], ...]


class Moderator(Protocol):
    """A provider's moderation endpoint: free, remote, and sometimes silent. Answers are values, never exceptions."""

    def texts(self, texts: Sequence[str], *, seconds_max: float) -> Findings | None:
        """What each text is; None when nobody said in time."""
        ...

    def picture(self, picture: Picture, *, seconds_max: float) -> frozenset[Category] | None:
        """What a picture shows; None when nobody said in time."""
        ...
