"""Deliveries of events to webhook endpoints: signed, in the background, repeated, and faulty on request."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from infra.simulators.stripe.account import Account, Object

FOREIGN_SECRET = "whsec_somebody_else_signed_this"  # nobody's endpoint has it
STALE_SECONDS = 3600
# How long an event waits for another one that is to overtake it.
OVERTAKING_SECONDS = 0.5
PAUSE_SECONDS_MAX, DOUBLINGS_MAX = 3600, 16


def signature(secrets: list[str], body: bytes, moment: int) -> str:
    """The header `Stripe-Signature` for a body sent at this time."""
    signed = [hmac.new(each.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest() for each in secrets]
    return ",".join([f"t={moment}", *(f"v1={each}" for each in signed)])


@dataclass
class Delivery:
    """An event on its way to an endpoint. `options`: the faults that it is sent with."""

    event: Object
    endpoint: str
    options: list[str] = field(default_factory=list[str])

    @property
    def late_seconds(self) -> float:
        return next((float(option[5:]) for option in self.options if option.startswith("late=")), 0.0)

    def body(self) -> bytes:
        event = copy.deepcopy(self.event)
        for option in self.options:
            if option == "live":
                event["livemode"] = True
            elif option.startswith("version="):
                event["api_version"] = option.removeprefix("version=")
            elif option.startswith("account="):
                event["account"] = option.removeprefix("account=")
        return json.dumps(event, indent=2).encode()

    def sign(self, secrets: list[str], body: bytes) -> dict[str, str]:
        """The signature header, made for the moment at which it is sent."""
        keys = [FOREIGN_SECRET] if "forged" in self.options else secrets
        moment = int(time.time()) - (STALE_SECONDS if "stale" in self.options else 0)
        return {"stripe-signature": signature(keys, body, moment)}


def note_publication(account: Account, event: Object, endpoints: list[str], *, lost: bool) -> None:
    """Note that an event is to be sent to these endpoints. lost: it never will be, unless somebody sends it again."""
    deliveries = {each: {"status": None, "tries": 0, "at": None, "lost": lost} for each in endpoints}
    account.note(event["id"]).update(published_at=int(time.time()), deliveries=deliveries)
    event["pending_webhooks"] = len(endpoints)


def note_delivery(account: Account, event_id: str, endpoint: str, status: int) -> bool:
    """Note how an endpoint answered; 0 = not at all. Returns whether the event still exists."""
    event = account.objects.get(event_id)
    if event is None:
        return False
    deliveries = account.note(event_id).setdefault("deliveries", {})
    tries = deliveries.get(endpoint, {}).get("tries", 0)
    deliveries[endpoint] = {"status": status, "tries": tries + 1, "at": int(time.time()), "lost": False}
    event["pending_webhooks"] = sum(not is_accepted(each) for each in deliveries.values())
    return True


def is_accepted(delivery: Object) -> bool:
    return 200 <= (delivery["status"] or 0) < 300


def deliveries_of(account: Account, event: Object) -> dict[str, Object]:
    """How the deliveries of an event stand, by endpoint: `status` of the last answer, `tries`, `at`, `lost`."""
    return account.private.get(event["id"], {}).get("deliveries", {})


def undelivered(account: Account, accepted_since: float | None = None) -> Iterator[tuple[Object, str]]:
    """Events with the endpoints that have not accepted them, oldest first; also those accepted since a time (Unix
    seconds), for a receiver that has lost what it accepted then."""
    for event in account.events:
        for endpoint, delivery in deliveries_of(account, event).items():
            again = accepted_since is not None and (delivery["at"] or 0) >= accepted_since
            is_wanted = not delivery["lost"] and not account.objects[endpoint].get("deleted")
            if is_wanted and (again or not is_accepted(delivery)):
                yield event, endpoint


def is_due(delivery: Object, pause_seconds: float, now: float) -> bool:
    """Whether an event that was not accepted is to be sent once more: after a pause that doubles, up to an hour."""
    pause = min(pause_seconds * 2 ** min(delivery["tries"], DOUBLINGS_MAX), PAUSE_SECONDS_MAX)
    return (delivery["at"] or 0) + pause <= now


class DeliveryQueue:
    """Sends deliveries one after the other in a thread of its own. `send`: posts one."""

    def __init__(self, send: Callable[[Delivery], None], stopping: threading.Event) -> None:
        self._send = send
        self._stopping = stopping
        self._queue: queue.Queue[Delivery | None] = queue.Queue()
        self._held: list[Delivery] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._queue.put(None)
        if self._thread.ident:
            self._thread.join()

    def put(self, delivery: Delivery) -> None:
        self._queue.put(delivery)

    @property
    def is_idle(self) -> bool:
        """Whether everything that was put in has been sent, or was given up."""
        return self._queue.unfinished_tasks == 0

    def join(self) -> None:
        """Wait until everything that was put in has been sent, or was given up."""
        self._queue.join()

    def _run(self) -> None:
        while True:
            try:
                delivery = self._queue.get(timeout=OVERTAKING_SECONDS)
            except queue.Empty:
                self._release()
                continue
            if delivery is None:
                return
            if "reordered" in delivery.options:
                self._held.append(delivery)
                continue
            self._deliver(delivery)
            self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for delivery in held:
            self._deliver(delivery)

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.late_seconds and not self._stopping.is_set():
            threading.Thread(target=self._deliver_late, args=(delivery,), daemon=True).start()
            return
        self._finish(delivery)

    def _deliver_late(self, delivery: Delivery) -> None:
        self._stopping.wait(delivery.late_seconds)
        self._finish(delivery)

    def _finish(self, delivery: Delivery) -> None:
        try:
            if not self._stopping.is_set():
                self._send(delivery)
        finally:
            self._queue.task_done()
