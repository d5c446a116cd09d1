"""A request that moderation refused before anything was stored of it: that it was, without its text."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Protocol

from atelier.dataclass import dataclass
from atelier.ids import new_id
from atelier.moderation.queue import Flag, FlagSource

PREFIX = "refusal#"


@dataclass(frozen=True, slots=True)
class PromptRefusal:
    """key: the same for a repeated request with an idempotency key. model: as the request named it. category: the
    gravest one."""

    key: str
    workspace_id: str
    user_id: str
    token_id: str | None
    project_id: str | None
    kind: str
    model: str
    category: str
    at: datetime


class PromptRefusals(Protocol):
    """The store of refusals."""

    def add(self, refusal: PromptRefusal) -> None:
        """Store a refusal; one with the same key is kept as it is."""
        ...


def flag_of(refusal: PromptRefusal) -> Flag:
    """A refusal for the moderation queue."""
    return Flag(
        FlagSource.PROMPT,
        refusal.workspace_id,
        refusal.user_id,
        refusal.category,
        refusal.kind,
        refusal.model,
        refusal.key,
        refusal.at,
    )


def refusal_key(workspace_id: str, idempotency_key: str | None, now: datetime) -> str:
    """The key of a refusal. A caller's own key may contain anything, so its digest is stored."""
    if idempotency_key is None:
        return new_id("ref", now)
    return hashlib.sha256(f"{workspace_id}#{idempotency_key}".encode()).hexdigest()[:32]
