"""Remove what a removed site, page or part leaves behind: too much for the request that removed it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Protocol

from atelier.dataclass import dataclass
from atelier.telemetry import logger


class LeftoverKind(StrEnum):
    """What was removed: a site leaves its pages, a page its versions and comments, a part its versions."""

    SITE = "site"
    PAGE = "page"
    PART = "part"


@dataclass(frozen=True, slots=True)
class Leftover:
    """What was removed, by its id."""

    workspace_id: str
    kind: LeftoverKind
    id: str


class Remover(Protocol):
    """What removes the leftovers of one thing."""

    def remove_contents(self, workspace_id: str, id: str, /) -> int:
        """Returns how many items; repeating it is safe."""
        ...


def remove_leftovers(leftovers: Iterable[Leftover], *, deps: Callable[[], dict[LeftoverKind, Remover]]) -> None:
    """Remove the leftovers of each. The pages of a site are removed one by one, each a change of its own that the
    stream reports again. deps: makes the removers; most batches need none."""
    for leftover in leftovers:
        count = deps()[leftover.kind].remove_contents(leftover.workspace_id, leftover.id)
        logger.info("leftovers removed", kind=leftover.kind, of=leftover.id, items=count)
