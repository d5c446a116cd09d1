"""Create and change the documents that users write: characters and templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from atelier.errors import Unavailable
from atelier.library.character import Character
from atelier.library.ports import IdempotencyKeys, ThingExists, ThingMoved, Things
from atelier.library.template import Template

TRIES_MAX = 20
ThingT = TypeVar("ThingT", Character, Template)


def create(
    thing: ThingT, *, key: str | None, fingerprint: str, things: Things[ThingT], keys: IdempotencyKeys
) -> tuple[ThingT, bool]:
    """Create a document. Returns it, and whether the same request created it before.

    key: the caller's idempotency key, if any; fingerprint: digest of the request that the key is bound to. Raises
    IdempotencyMismatch when the key was used for another request."""
    if key is not None:
        thing = replace(thing, id=keys.reserve(thing.workspace_id, key, fingerprint, thing.id))
    try:
        things.create(thing)
    except ThingExists:
        # The same request created it earlier, or in parallel.
        return things.get(thing.workspace_id, thing.id), True
    return thing, False


def change(
    workspace_id: str, thing_id: str, to: Callable[[ThingT], ThingT], *, things: Things[ThingT], now: datetime
) -> ThingT:
    """Change a document by the function `to`, and return it. Calls `to` again when a parallel request changed the
    document first. Raises NotFound, or Unavailable when parallel requests change it at every attempt."""
    for _ in range(TRIES_MAX):
        seen = things.get(workspace_id, thing_id)
        # Each change has a later `updated_at` than the one before, because the store's condition compares that time to
        # see whether the document changed since it was read.
        at = max(now, seen.updated_at + timedelta(milliseconds=1))
        after = replace(to(seen), updated_at=at)
        try:
            things.change(seen, after)
        except ThingMoved:
            continue
        return after
    raise Unavailable("This is changing quickly. Try again.")
