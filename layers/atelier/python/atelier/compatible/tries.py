"""Deduplicate requests to `/v1`: however often one is sent, it starts and pays for one generation (its order).

Clients retry by themselves, and most do not mark a retry: OpenAI's SDKs number theirs (`x-stainless-retry-count`),
others send the same bytes again. So a request without an `Idempotency-Key` is identified by its content and its sender.
The same request is the same order while the generation runs, and for RESULT_WAITS after it succeeded, until its result
has been answered. A numbered retry gets the result even then, because the answer may have been lost on its way.

A caller who wants the same thing twice at once sends different `Idempotency-Key`s.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from atelier.compatible.ports import Tries
from atelier.errors import Unavailable
from atelier.generations.model import Generation, Recipe, Status
from atelier.generations.submit import Accepted
from atelier.ids import new_id

RETRY_COUNT = "x-stainless-retry-count"
# The key that OpenAI's SDKs invent where the caller gave none. It differs at each call, so it identifies nothing.
MADE_UP_KEY = re.compile(r"stainless-[a-z]{1,20}-retry-")
# How long a result is kept for a client that did not get it, or whose answer may have been lost.
RESULT_WAITS = timedelta(minutes=10)
# A claim fails when another request has replaced the ended order first; this many are tried.
CLAIMS_MAX = 5


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its sender, its path, its content, and what its headers say of earlier tries."""

    workspace_id: str
    user_id: str
    path: str
    recipe: Recipe
    headers: Mapping[str, str]
    key: str | None = None
    token_id: str | None = None
    project_id: str | None = None

    @property
    def fingerprint(self) -> str:
        """The same for each try."""
        sender = [self.user_id, self.token_id, self.project_id]
        facts = json.dumps([*sender, self.path, self.recipe.fingerprint()])
        return hashlib.sha256(facts.encode()).hexdigest()[:32]

    @property
    def own_key(self) -> str | None:
        """The `Idempotency-Key` that the caller chose."""
        return None if self.key is None or MADE_UP_KEY.match(self.key) else self.key

    @property
    def is_retry(self) -> bool:
        """Whether the client says that it sends this once more."""
        return self.headers.get(RETRY_COUNT, "0") != "0"


@dataclass(frozen=True, slots=True)
class Order:
    """The generation of a call, whether an earlier try began it, and the idempotency key that all its tries share."""

    generation: Generation
    replayed: bool
    name: str


def accepted(call: Call, submit: Callable[[str], Accepted], tries: Tries, now: datetime) -> Order:
    """The order of a call: a new one, or the one that an earlier try began. `submit` takes the order's name as its
    idempotency key, so that one name has one generation, however often it is submitted.

    A failed generation is not returned to a later try without a key: that one starts another. Raises Unavailable when
    other requests keep replacing the order."""
    workspace_id, fingerprint = call.workspace_id, call.fingerprint
    if call.own_key is not None:
        name = f"v1 {call.path} {call.own_key}"
        # So that a later try without the key finds this order, unless another one of the same content is open.
        found = tries.claim(workspace_id, fingerprint, name, now)
        if found.answered:
            tries.claim(workspace_id, fingerprint, name, now, instead_of=found.name)
        return _order(submit(name), name)
    name, ended = f"v1 {new_id('try', now)}", None
    for _ in range(CLAIMS_MAX):
        found = tries.claim(workspace_id, fingerprint, name, now, instead_of=ended)
        order = _order(submit(found.name), found.name)
        if found.name == name or _is_awaited(order.generation, call, found.answered, now):
            return order
        ended = found.name
    raise Unavailable("Other copies of this request are being handled at the same time. Try again.")


def _order(accepted: Accepted, name: str) -> Order:
    return Order(accepted.generation, accepted.replayed, name)


def _is_awaited(generation: Generation, call: Call, answered: bool, now: datetime) -> bool:
    """Whether the order that was found answers this call; otherwise the call starts a new one."""
    if generation.is_open:
        return True
    # A cancelled order answers too, once: a client that repeats by itself would start it again, and be charged.
    is_answer = generation.status in (Status.SUCCEEDED, Status.CANCELLED)
    if not is_answer or (answered and not call.is_retry):
        return False
    return generation.completed_at is None or now - generation.completed_at < RESULT_WAITS
