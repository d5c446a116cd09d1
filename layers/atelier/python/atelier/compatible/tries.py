"""One order, however often its request is sent.

Clients repeat a request whose answer they did not get, by themselves, and most do not name it: OpenAI's SDKs number
their tries (`x-stainless-retry-count`), others send the same bytes once more. So a request without an `Idempotency-Key`
of its caller's is named by what it says and who says it. A repeat is the same order while that is being made, and until
its result has been answered; a retry by number also for a while after, since the answer may have been lost on its way.

An `Idempotency-Key` makes an order of its own: the way to ask for the same twice at once.
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
# What the generator of OpenAI's SDKs makes up where nobody gave a key: another one for each call of whoever repeats it.
MADE_UP_KEY = re.compile(r"stainless-[a-z]{1,20}-retry-")
# A result that nobody was answered with, or whose answer may have been lost, waits so long for its client.
RESULT_WAITS = timedelta(minutes=10)
# Each time somebody else has replaced the order that was to be replaced.
CLAIMS_MAX = 5


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who sends it where, what it says, and what its headers say of earlier tries."""

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
    """The generation of a call, whether an earlier try began it, and the name that its tries go by."""

    generation: Generation
    replayed: bool
    name: str


def accepted(call: Call, submit: Callable[[str], Accepted], tries: Tries, now: datetime) -> Order:
    """The order of a call: a new one, or the one that an earlier try began. `submit` takes the name to go by; under one
    name there is one generation, whoever comes with it and however often.

    A generation that has failed is not waited for: whoever tries again, and has not said otherwise by a key of their
    own, wants another. Raises Unavailable when others keep replacing the order."""
    workspace_id, fingerprint = call.workspace_id, call.fingerprint
    if call.own_key is not None:
        name = f"v1 {call.path} {call.own_key}"
        # A repeat without the key finds it, where no other order of the same is waited for.
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
    raise Unavailable("Others ask for the same. Try again.")


def _order(accepted: Accepted, name: str) -> Order:
    return Order(accepted.generation, accepted.replayed, name)


def _is_awaited(generation: Generation, call: Call, answered: bool, now: datetime) -> bool:
    """Whether a repeat wants what its order has come to, and not another."""
    if generation.is_open:
        return True
    if generation.status is not Status.SUCCEEDED or (answered and not call.is_retry):
        return False
    return generation.completed_at is None or now - generation.completed_at < RESULT_WAITS
