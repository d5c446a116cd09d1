"""Create and change the documents that users write: characters and templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from atelier.errors import Unavailable
from atelier.library.character import Character
from atelier.library.ports import DocumentExists, DocumentStore, IdempotencyKeys, StaleDocument
from atelier.library.template import Template

TRIES_MAX = 20
ThingT = TypeVar("ThingT", Character, Template)


def create_document(
    document: ThingT, *, key: str | None, fingerprint: str, store: DocumentStore[ThingT], keys: IdempotencyKeys
) -> tuple[ThingT, bool]:
    """Create a document. Returns it, and whether the same request created it before.

    key: the caller's idempotency key, if any; fingerprint: digest of the request that the key is bound to. Raises
    IdempotencyMismatch when the key was used for another request."""
    if key is not None:
        document = replace(document, id=keys.reserve(document.workspace_id, key, fingerprint, document.id))
    try:
        store.create(document)
    except DocumentExists:
        # The same request created it earlier, or in parallel.
        return store.get(document.workspace_id, document.id), True
    return document, False


def change_document(
    workspace_id: str,
    document_id: str,
    apply_change: Callable[[ThingT], ThingT],
    *,
    store: DocumentStore[ThingT],
    now: datetime,
) -> ThingT:
    """Change a document by the function `to`, and return it. Calls `to` again when a parallel request changed the
    document first. Raises NotFound, or Unavailable when parallel requests change it at every attempt."""
    for _ in range(TRIES_MAX):
        before = store.get(workspace_id, document_id)
        # Each change has a later `updated_at` than the one before, because the store's condition compares that time to
        # see whether the document changed since it was read.
        at = max(now, before.updated_at + timedelta(milliseconds=1))
        after = replace(apply_change(before), updated_at=at)
        try:
            store.change(before, after)
        except StaleDocument:
            continue
        return after
    raise Unavailable("This is changing quickly. Try again.")
