"""Idempotency: a request that is repeated with its key has the effect of one request."""

from __future__ import annotations

import hashlib
import json
from typing import Protocol


class IdempotencyKeys(Protocol):
    """Binds a caller's idempotency key to one id and one fingerprint, for ever."""

    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str:
        """Bind the key, and return its id: `new_id` the first time, the earlier id afterwards. Raises
        IdempotencyMismatch when the key was bound with another fingerprint, that is, for another request."""
        ...

    def find(self, workspace_id: str, key: str) -> str | None:
        """The id bound to the key, None = the key is not bound. Reads consistently and binds nothing."""
        ...


def fingerprint(facts: object) -> str:
    """A digest of a request's facts (32 hex digits). facts: a text, or plain JSON values."""
    text = facts if isinstance(facts, str) else json.dumps(facts, sort_keys=True)
    # Half of a surrogate pair, which JSON allows, has no UTF-8 form.
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]
