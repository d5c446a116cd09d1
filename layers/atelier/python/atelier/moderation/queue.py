"""The moderation queue of the platform's administrators: what moderation refused, by person and category.

There is one item for all that was refused to one person in one workspace on one day (UTC) for one reason, so nobody
fills the queue by repeating. A refused prompt and a withheld result are stored nowhere, so a decision changes nothing
about them: it says whether the refusal was right, and may suspend the person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from atelier.audit_log.model import AuditEvent, Origin, platform_events
from atelier.dataclass import dataclass
from atelier.errors import Conflict
from atelier.ids import derived_id


class FlagSource(StrEnum):
    """What was refused: a prompt before anything was made of it, or a result that was withheld."""

    PROMPT = "prompt"
    RESULT = "result"


class Decision(StrEnum):
    """`uphold`: the refusal was right. `release`: it was wrong, and so is the rule behind it. `suspend`: it was right,
    and the person's account is suspended."""

    UPHOLD = "uphold"
    RELEASE = "release"
    SUSPEND = "suspend"


@dataclass(frozen=True, slots=True)
class Flag:
    """One refusal. subject_id: of the note of the refused request, or of the generation."""

    source: FlagSource
    workspace_id: str
    user_id: str
    category: str
    kind: str
    model: str
    subject_id: str
    at: datetime

    @property
    def item_id(self) -> str:
        """The id of the item that it belongs to."""
        day = self.at.replace(hour=0, minute=0, second=0, microsecond=0)
        return derived_id("mod", day, "#".join((self.source, self.workspace_id, self.user_id, self.category)))


@dataclass(frozen=True, slots=True)
class FlaggedItem:
    """An item of the queue. kind, model: of the first refusal. subject_ids: as many as the store keeps. decision: None
    while it is open."""

    id: str
    source: FlagSource
    workspace_id: str
    user_id: str
    category: str
    kind: str
    model: str
    subject_ids: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    decision: Decision | None = None
    reason: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FlaggedPage:
    """Items, newest day first, and the id after which the next page begins; None on the last page."""

    items: tuple[FlaggedItem, ...]
    next_id: str | None


class ItemDecided(Exception):
    """The item was decided meanwhile."""


class FlagStore(Protocol):
    """Where refusals are noted."""

    def flag(self, flag: Flag) -> None:
        """Add a refusal to its item. The same one again changes nothing."""
        ...


class ModerationQueue(FlagStore, Protocol):
    """The queue."""

    def get(self, id: str) -> FlaggedItem:
        """Raises NotFound."""
        ...

    def page(self, after: str | None, limit: int, *, only_open: bool) -> FlaggedPage: ...

    def decide(self, decided: FlaggedItem, *, events: Sequence[AuditEvent]) -> None:
        """Store a decision, in one transaction with its events. Raises ItemDecided."""
        ...


@dataclass(frozen=True, slots=True)
class DecideDeps:
    """Dependencies. suspend: suspends an account (user id, reason, origin, now), and may be repeated."""

    queue: ModerationQueue
    suspend: Callable[[str, str, Origin, datetime], object]


def decide(id: str, decision: Decision, reason: str, origin: Origin, *, deps: DecideDeps, now: datetime) -> FlaggedItem:
    """Decide an item. Repeating the same changes nothing. Raises NotFound, Conflict for one that was decided otherwise,
    and what `suspend` raises; then nothing is decided."""
    found = deps.queue.get(id)
    if found.decision is None:
        if decision is Decision.SUSPEND:
            deps.suspend(found.user_id, reason, origin, now)
        decided = replace(found, decision=decision, reason=reason, decided_by=origin.user_id, decided_at=now)
        facts = {"decision": decision.value, "category": found.category, "user_id": found.user_id, "reason": reason}
        events = platform_events(found.workspace_id, "moderation.decided", origin, now, target=id, **facts)
        try:
            deps.queue.decide(decided, events=events)
        except ItemDecided:
            found = deps.queue.get(id)
        else:
            return decided
    if found.decision is not decision:
        raise Conflict("This was decided otherwise.")
    return found
