"""Deliveries of events to webhook endpoints: signed, in the background, repeated, and faulty on request."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from infra.simulators.stripe.account import Object

FOREIGN_SECRET = "whsec_somebody_else_signed_this"  # nobody's endpoint has it
STALE_SECONDS = 3600
# How long an event waits for another one that is to overtake it.
OVERTAKING_SECONDS = 0.5


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
        self._thread.join()

    def put(self, delivery: Delivery) -> None:
        self._queue.put(delivery)

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
