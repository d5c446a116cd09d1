"""Deduplicate requests to `/v1`: however often one is sent, it starts and pays for one generation (its order).

Clients retry by themselves. OpenAI's SDKs number their retries (`x-stainless-retry-count`), but most other clients send
the same bytes again without any mark. So a request without an `Idempotency-Key` is identified by its content and its
sender. The same request is the same order while the generation runs, and for RESULT_KEPT after its success, until a
response with its result has been sent. A numbered retry gets the result even after that, because the response may have
been lost.

A caller who wants the same thing twice at once sends different `Idempotency-Key`s.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from atelier.dataclass import dataclass
from atelier.errors import Unavailable
from atelier.generations.model import Generation, Recipe, Status
from atelier.generations.submit import AcceptedGeneration
from atelier.ids import new_id
from atelier.openai_api.ports import SdkRetries

RETRY_COUNT = "x-stainless-retry-count"
# The key that OpenAI's SDKs invent when the caller gives none. It is new for each call of the SDK, so it cannot
# identify a request that the caller repeats.
SDK_KEY = re.compile(r"stainless-[a-z]{1,20}-retry-")
# How long after its end an order still answers the same request, for a client that may not have got the response.
RESULT_KEPT = timedelta(minutes=10)
# A claim fails when another request has replaced the ended order first; this many are tried.
CLAIMS_MAX = 5


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its sender, its path, its content and its headers. key: the `Idempotency-Key` header."""

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
        """A digest of sender, path and content; the same for each try of a request."""
        sender = [self.user_id, self.token_id, self.project_id]
        facts = json.dumps([*sender, self.path, self.recipe.fingerprint()])
        return hashlib.sha256(facts.encode()).hexdigest()[:32]

    @property
    def caller_key(self) -> str | None:
        """The `Idempotency-Key` that the caller chose."""
        return None if self.key is None or SDK_KEY.match(self.key) else self.key

    @property
    def is_retry(self) -> bool:
        """Whether the client marks the request as a retry."""
        return self.headers.get(RETRY_COUNT, "0") != "0"


@dataclass(frozen=True, slots=True)
class Order:
    """The generation of a request, whether an earlier try started it (`replayed`), and the idempotency key that all its
    tries share (`name`)."""

    generation: Generation
    replayed: bool
    name: str


def accept_once(
    call: Call, submit: Callable[[str], AcceptedGeneration], sdk_retries: SdkRetries, now: datetime
) -> Order:
    """The order of a request: a new one, or the one that an earlier try started.

    submit: called with the order's name as idempotency key, so that a name has one generation however often it is
    submitted. A later try without a key of its own does not get a failed generation: it starts another. Raises
    Unavailable when other requests keep replacing the order."""
    workspace_id, fingerprint = call.workspace_id, call.fingerprint
    if call.caller_key is not None:
        name = f"v1 {call.path} {call.caller_key}"
        # The order is stored under its content too, so that a later try without the key finds it, unless another order
        # of the same content is open.
        entry = sdk_retries.claim(workspace_id, fingerprint, name, now)
        if entry.answered:
            sdk_retries.claim(workspace_id, fingerprint, name, now, instead_of=entry.name)
        return _order(submit(name), name)
    name, replaced_name = f"v1 {new_id('try', now)}", None
    for _ in range(CLAIMS_MAX):
        entry = sdk_retries.claim(workspace_id, fingerprint, name, now, instead_of=replaced_name)
        order = _order(submit(entry.name), entry.name)
        if entry.name == name or _answers_call(order.generation, call, entry.answered, now):
            return order
        replaced_name = entry.name
    raise Unavailable("Other copies of this request are being handled at the same time. Try again.")


def _order(accepted: AcceptedGeneration, name: str) -> Order:
    return Order(accepted.generation, accepted.replayed, name)


def _answers_call(generation: Generation, call: Call, answered: bool, now: datetime) -> bool:
    """Whether the order that was found answers this call; otherwise the call starts a new one."""
    if generation.is_open:
        return True
    # A cancelled order is returned too, once: otherwise a client's automatic retry would start it again, for money.
    is_answer = generation.status in (Status.SUCCEEDED, Status.CANCELLED)
    if not is_answer or (answered and not call.is_retry):
        return False
    return generation.completed_at is None or now - generation.completed_at < RESULT_KEPT
