"""The dependencies of page writing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from atelier.dataclass import dataclass
from atelier.generations.model import Generation
from atelier.sites.deps import SiteDeps


class WritingGenerations(Protocol):
    """The generations of workspaces."""

    def get(self, workspace_id: str, generation_id: str) -> Generation:
        """A generation. Raises NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class WritingDeps:
    """read_text: the text that a generation delivered, None = there is none; raises NotFound when its file is gone."""

    generations: WritingGenerations
    read_text: Callable[[Generation], str | None]
    sites: SiteDeps
