"""Trying again without paying again.

OpenAI's SDKs send a request up to three times by themselves. They number their tries (`x-stainless-retry-count`) but do
not name the request, unless their caller sets an `Idempotency-Key`. So we name it at its first try, by what it says and
who says it, and a later try of the same goes by that name, for as long as one may come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from atelier.compatible.ports import Tries
from atelier.generations.model import Recipe, Status
from atelier.generations.submit import Accepted
from atelier.ids import new_id

RETRY_COUNT = "x-stainless-retry-count"


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who sends it where, what it says, and what its headers say of earlier tries."""

    workspace_id: str
    user_id: str
    path: str
    recipe: Recipe
    headers: Mapping[str, str]
    key: str | None = None

    @property
    def fingerprint(self) -> str:
        """The same for each try."""
        facts = "\n".join([self.user_id, self.path, self.recipe.fingerprint()])
        return hashlib.sha256(facts.encode()).hexdigest()[:32]

    @property
    def rejoins(self) -> bool:
        """Whether sending it again finds the same generation."""
        return self.key is not None or RETRY_COUNT in self.headers


def accepted(call: Call, submit: Callable[[str | None], Accepted], tries: Tries, now: datetime) -> Accepted:
    """The generation of a call: a new one, or the one that an earlier try began. `submit` takes the name to go by.

    One that has failed since is not waited for: whoever tries again, and has not said otherwise by a key of their own,
    wants another."""
    if call.key is not None:
        return submit(f"v1 {call.path} {call.key}")
    if not call.rejoins:
        return submit(None)
    if call.headers[RETRY_COUNT] != "0":
        known = tries.recall(call.workspace_id, call.fingerprint, now)
        earlier = submit(known) if known else None
        if earlier and (earlier.generation.is_open or earlier.generation.status is Status.SUCCEEDED):
            return earlier
    name = f"v1 {new_id('try', now)}"
    tries.remember(call.workspace_id, call.fingerprint, name, now)
    return submit(name)
