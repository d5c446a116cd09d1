"""The account: every object by its id, the events so far, and the time of each clock. It does no input or output.

Objects are dicts as the API shows them, with references as ids. An object belongs to a test clock when its customer
does; all others live in the account's own time, which the server moves forward (`schedule.py`).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from infra.simulators.stripe.errors import invalid, missing
from infra.simulators.stripe.shapes import SHAPES

API_VERSION = "2026-10-28.endive"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

Object = dict[str, Any]


@dataclass
class Policy:
    """What a merchant sets in the dashboard. `retry_days`: pauses before a failed renewal is charged again.
    `after_retries`: what becomes of a subscription when all tries failed: canceled, unpaid or past_due.
    `upcoming_days`: how long before a renewal its invoice is announced."""

    retry_days: tuple[int, ...] = (3, 5, 7)
    after_retries: str = "canceled"
    upcoming_days: int = 7


@dataclass
class Account:
    """All of a Stripe account. `url`: where its pages are. `time`: the account's own time (Unix seconds). `ids`: those
    of the objects of each kind, in their order. `cards`: how the card or bank account behind a payment method behaves.
    `private`: the simulator's own facts about objects. `request`: the id and idempotency key of the request being
    served, which its events name; None for what happens by itself."""

    url: str
    time: int
    seed: str = "simulator"
    country: str = "US"
    policy: Policy = field(default_factory=Policy)
    objects: dict[str, Object] = field(default_factory=dict[str, Object])
    ids: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])
    events: list[Object] = field(default_factory=list[Object])
    cards: dict[str, Any] = field(default_factory=dict[str, Any])
    private: dict[str, Object] = field(default_factory=dict[str, Object])
    request: Object | None = None
    _ids: int = 0

    # ---- ids and time ------------------------------------------------------------------------------------------------

    def new_id(self, prefix: str, length: int = 24) -> str:
        """A new id in Stripe's form: `cus_` and letters that depend on the seed and on how many ids came before."""
        self._ids += 1
        number = int.from_bytes(hashlib.sha256(f"{self.seed}/{self._ids}".encode()).digest() * 2)
        letters = []
        for _ in range(length):
            number, digit = divmod(number, len(ALPHABET))
            letters.append(ALPHABET[digit])
        return f"{prefix}_{''.join(letters)}"

    def path_of(self, page: str) -> str:
        """The path of a page as its browser sees it."""
        return urlsplit(self.url).path + page

    def now(self, clock: str | None = None) -> int:
        """The time of a test clock; the account's own without one, or when the clock is gone."""
        return self.objects.get(clock or "", {}).get("frozen_time", self.time)

    def clock_of(self, obj: Object) -> str | None:
        """The test clock that an object lives by, if any."""
        if obj.get("test_clock"):
            return obj["test_clock"]
        if obj["object"] == "test_helpers.test_clock":
            return obj["id"]
        owner = self.objects.get(obj.get("customer") or "")
        return owner.get("test_clock") if owner else None

    # ---- objects -----------------------------------------------------------------------------------------------------

    def create(self, kind: str, id: str, clock: str | None = None, **fields: Any) -> Object:
        """Stores a new object of a kind; fields that are not given are as in a fresh one."""
        obj = {"id": id, "object": kind, **copy.deepcopy(SHAPES[kind])}
        if "created" in obj:
            obj["created"] = self.now(clock)
        unknown = fields.keys() - obj.keys()
        if unknown:
            raise TypeError(f"a {kind} has no {', '.join(sorted(unknown))}")
        obj.update(fields)
        self.keep(obj)
        return obj

    def keep(self, obj: Object) -> None:
        """Store an object as it is."""
        self.objects[obj["id"]] = obj
        self.ids.setdefault(obj["object"], {})[obj["id"]] = None

    def find(self, kind: str, reference: object, param: str = "id", *, in_path: bool = False) -> Object:
        """The object of this kind with this id. Raises StripeError: 404 for one that the path names, else 400."""
        obj = self.objects.get(str(reference))
        if obj is None or obj["object"] != kind or (obj.get("deleted") and not in_path):
            raise missing(kind, reference, param, in_path=in_path)
        return obj

    def all(self, kind: str, **fields: Any) -> Iterator[Object]:
        """The objects of a kind whose fields have these values, oldest first; deleted ones are left out."""
        for id in list(self.ids.get(kind, ())):
            obj = self.objects[id]
            if not obj.get("deleted") and all(obj.get(name) == value for name, value in fields.items()):
                yield obj

    def delete(self, obj: Object) -> Object:
        """Removes an object; its place says that it was deleted."""
        gone = {"id": obj["id"], "object": obj["object"], "deleted": True}
        self.objects[obj["id"]] = gone
        return gone

    def note(self, id: str) -> Object:
        """The simulator's own facts about an object, which the API does not show."""
        return self.private.setdefault(id, {})

    # ---- events ------------------------------------------------------------------------------------------------------

    def emit(self, type: str, obj: Object, previous: Object | None = None) -> None:
        """An event that shows the object as it is now, and what its changed fields were before."""
        data: Object = {"object": copy.deepcopy(obj)}
        if previous is not None:
            data["previous_attributes"] = previous
        event = {
            "id": self.new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now(self.clock_of(obj)),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": dict(self.request or {"id": None, "idempotency_key": None}),
            "type": type,
        }
        self.keep(event)
        self.events.append(event)

    @contextmanager
    def changing(self, obj: Object, *types: str) -> Iterator[Object]:
        """Emits events of these types at the end, with the earlier values of what changed; none when nothing did."""
        before = copy.deepcopy(obj)
        yield obj
        previous = difference(before, obj)
        if previous:
            for type in types:
                self.emit(type, obj, previous)

    def fork(self, belongs: Callable[[Object], bool]) -> Account:
        """An account to try something in: it has copies of the objects that belong, and shares all others."""
        forked = copy.copy(self)
        forked.ids = {kind: dict(ids) for kind, ids in self.ids.items()}
        forked.objects = {id: copy.deepcopy(obj) if belongs(obj) else obj for id, obj in self.objects.items()}
        forked.private = {
            id: copy.deepcopy(facts) if id in self.objects and belongs(self.objects[id]) else facts
            for id, facts in self.private.items()
        }
        forked.cards, forked.events = dict(self.cards), []
        return forked

    def absorb_ids(self, forked: Account) -> None:
        """Go on after the ids that a fork gave away, so that none is given twice."""
        self._ids = max(self._ids, forked._ids)

    def restore(self, earlier: Account) -> None:
        """Become what the account was when it was forked."""
        self.objects, self.ids = earlier.objects, earlier.ids
        self.private, self.cards = earlier.private, earlier.cards


def difference(before: Object, after: Object) -> Object:
    """The values of `before` that are other ones in `after`; of nested objects only their changed fields."""
    found: Object = {}
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        nested = isinstance(old, dict) and isinstance(new, dict) and old and new
        found[name] = difference(old, new) if nested else old
    return found


def merge_metadata(obj: Object, given: dict[str, str] | None) -> None:
    """Set the metadata of an object; an empty text removes a key, None removes all."""
    if given is None:
        obj["metadata"] = {}
        return
    merged = {**obj["metadata"], **given}
    obj["metadata"] = {name: value for name, value in merged.items() if value != ""}


def assign(obj: Object, params: Object, *names: str) -> None:
    """Set the fields that the parameters name; `metadata` is merged."""
    for name in names:
        if name not in params:
            continue
        if name == "metadata":
            merge_metadata(obj, params[name])
        else:
            obj[name] = params[name]


def require(is_right: object, message: str, param: str | None = None, code: str | None = None) -> None:
    """Raises StripeError with this message unless the condition holds."""
    if not is_right:
        raise invalid(message, param, code)
