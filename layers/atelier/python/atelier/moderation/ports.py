"""What moderation needs from outside: a moderator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from atelier.moderation.model import Category, Thumbnail

# The categories found in each text, in the order of the texts.
Findings = tuple[frozenset[Category], ...]


class Moderator(Protocol):
    """A provider's moderation endpoint: free, remote, and sometimes silent. Outcomes are values, never exceptions."""

    def texts(self, texts: Sequence[str], *, seconds_max: float) -> Findings | None:
        """The categories of each text; None when no answer came within `seconds_max`."""
        ...

    def image(self, thumbnail: Thumbnail, *, seconds_max: float) -> frozenset[Category] | None:
        """The categories of an image; None when no answer came within `seconds_max`."""
        ...
