"""The simulator's server: keys, versions, idempotency, faults and deliveries around the model in the modules beside it.

    python -m infra.simulators.stripe --port 9110        # prints its URL, serves until it is stopped

The account is forgotten with the process, or kept in a file (`storage.py`).

Any text of a request may hold markers, and `POST /_simulator/behave` sets them for the next requests:

    create:401 403 404 429 503 busy      a POST or DELETE is refused, nothing is done
    create:500 502 lost hang garbage     it is done, then the answer is that. A 500 is kept for its idempotency key;
                                         after the others, the same key gives the true answer
    create:slow=SECONDS                  it is done, then the answer takes that long
    read:429 500 503 lost hang slow=S    the same for a GET
    webhook:lost twice reordered         an event is not sent, sent twice, sent after the one that follows it
    webhook:late=SECONDS early           sent later; sent before the request that caused it is answered
    webhook:forged stale                 signed with another secret; with a timestamp of an hour ago
    webhook:live version=V account=A     with `livemode: true`, of another API version, of another account
    webhook:type=invoice.paid            the options beside it are for events of this type only

`POST /_simulator/advance {"days": 31}` moves the account's own time, in which everything without a test clock lives.
`POST /_simulator/resend {"event": id}` sends an event again, `/_simulator/dispute {"charge": id, "kind": "dispute"}`
and `/_simulator/warning {"charge": id}` let a cardholder object, `/_simulator/dispute {"dispute": id, "status": "won"}`
lets the bank decide, `/_simulator/roll_secret {"endpoint": id, "secret": "whsec_…"}` replaces a secret (both sign for a
day), `/_simulator/policy {"after_retries": "unpaid"}` sets what a merchant sets in the dashboard (`Policy`).
The page at `/` (`dashboard.py`) has buttons for what is tried most.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import unquote_plus, urlsplit

from infra.simulators.kit.faults import markers_in, options_of
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.server import Route, Simulator
from infra.simulators.stripe.account import API_VERSION, Account, Object
from infra.simulators.stripe.api import operations
from infra.simulators.stripe.charges import warn_of_fraud
from infra.simulators.stripe.dashboard import dashboard_pages
from infra.simulators.stripe.disputes import end_dispute, open_dispute
from infra.simulators.stripe.errors import ParameterError, StripeError, invalid
from infra.simulators.stripe.expansion import expanded
from infra.simulators.stripe.form import parse_form, read_parameters
from infra.simulators.stripe.idempotency import IdempotencyKeys, in_use
from infra.simulators.stripe.operations import Operation
from infra.simulators.stripe.pages import PAGES
from infra.simulators.stripe.portal_pages import PORTAL_PAGES
from infra.simulators.stripe.schedule import run_until
from infra.simulators.stripe.storage import AccountFile, SavedAccount
from infra.simulators.stripe.webhook_endpoints import create_endpoint, roll_secret, secrets_of, wants
from infra.simulators.stripe.webhooks import (
    Delivery,
    DeliveryQueue,
    deliveries_of,
    is_accepted,
    is_due,
    note_delivery,
    note_publication,
    undelivered,
)

API_KEY = "sk_test_51simulatorOfNobody"  # opens this simulator only
WEBHOOK_SECRET = "whsec_theSimulatorSignsWithThis"
DAY_SECONDS = 24 * 3600
TICK_SECONDS = 1.0
# Faults after which the work is done.
AFTER_WORK = frozenset({"500", "502", "lost", "hang", "garbage"})


def error_response(error: StripeError) -> Response:
    return Response(error.status, {"error": error.error})


def _refusal(status: int, message: str, **fields: Any) -> Response:
    return error_response(StripeError(status, message, **fields))


class StripeSimulator(Simulator):
    """Stripe, stood in for. `webhook_url`: where its events are sent, signed with `webhook_secret`; endpoints may be
    created by the API too. `now`: the time that the account begins with (Unix seconds); None = the present.
    `stands_still`: whether its time moves only when it is told to.
    `webhook_pauses`: seconds before a webhook that was not accepted is sent again. `pages_url`: where a browser reaches
    the simulator, without a trailing slash; None = at its own address. `file`: where the account is kept; None =
    nowhere. `with_deliveries`: whether webhooks are sent from the start on, or only after `start_deliveries`.
    `sends_again_after`: seconds before a webhook that was given up is sent again, with pauses that grow, as Stripe does
    for days; None = never."""

    api_key_default = API_KEY
    refusals: ClassVar[dict[str, Response | Callable[[], Response]]] = {
        "401": _refusal(401, "Invalid API Key provided: sk_test_********body"),
        "403": _refusal(403, "The provided key does not have the required permissions for this endpoint."),
        "404": _refusal(404, "No such object: 'gone'", code="resource_missing"),
        "429": _refusal(429, "Too many requests in a period of time.", code="rate_limit"),
        "503": Response(503, b"<html>unavailable</html>", {"content-type": "text/html"}),
        "busy": lambda: error_response(in_use("the same")),
    }

    def __init__(
        self,
        port: int = 0,
        *,
        webhook_url: str | None = None,
        webhook_secret: str = WEBHOOK_SECRET,
        now: int | None = None,
        stands_still: bool = False,
        webhook_pauses: tuple[float, ...] = (0.2, 0.5, 1.0),
        pages_url: str | None = None,
        file: Path | None = None,
        with_deliveries: bool = True,
        sends_again_after: float | None = None,
        **options: Any,
    ) -> None:
        self._operations = operations()
        super().__init__(port, **options)
        self._webhook = (webhook_url, webhook_secret)
        self._webhook_pauses = webhook_pauses
        self._begins_at = now
        self._stopped_at = int(time.time()) if stands_still else None
        self._queue = DeliveryQueue(self._send, self.stopping)
        self._with_deliveries, self._sends_again_after = with_deliveries, sends_again_after
        self._delivers = False
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._pages_url = pages_url or self.url
        self._file = AccountFile(file, ("/".join(self._pages_url.split("/")[:3]), self.url)) if file else None
        saved = self._file.load(self._pages_url, self._machine_time()) if self._file else None
        if saved:
            self._go_on(saved)
        else:
            self._begin()

    def _tick(self) -> None:
        """Do what falls due while nobody asks."""
        while not self.stopping.wait(TICK_SECONDS):
            # What could not be saved (a full disk) is saved with the next change.
            with self.lock, suppress(sqlite3.Error):
                self._catch_up()
                self._publish(changed=False)
                if self._sends_again_after is not None and self._delivers and self._queue.is_idle:
                    self._send_again(self._sends_again_after)

    def _send_again(self, pause_seconds: float) -> None:
        for event, endpoint in undelivered(self.account):
            if is_due(deliveries_of(self.account, event)[endpoint], pause_seconds, time.time()):
                self._queue.put(Delivery(dict(event), endpoint))

    def _begin(self) -> None:
        """A fresh account."""
        self._offset = 0 if self._begins_at is None else self._begins_at - self._machine_time()
        self.account = Account(self._pages_url, self._clock_time(), seed=secrets.token_hex(8))
        self._keys = IdempotencyKeys()
        self._published = 0
        url, secret = self._webhook
        if url:
            self.account.note(self.add_endpoint(url, secret))["is_given"] = True

    def _go_on(self, saved: SavedAccount) -> None:
        """The account of an earlier run, with the webhook endpoint of this one."""
        self._offset, self.account, self._keys = saved.offset_seconds, saved.account, saved.keys
        self._published = len(self.account.events)
        url, secret = self._webhook
        for endpoint in self.account.all("webhook_endpoint"):
            facts = self.account.note(endpoint["id"])
            if url and facts.get("is_given"):
                endpoint["url"], facts["secrets"] = url, [(secret, None)]

    def _machine_time(self) -> int:
        return int(time.time()) if self._stopped_at is None else self._stopped_at

    def _clock_time(self) -> int:
        return self._machine_time() + self._offset

    def add_endpoint(self, url: str, secret: str, events: tuple[str, ...] = ("*",)) -> str:
        """A webhook endpoint with a known secret. Returns its id."""
        return create_endpoint(self.account, {"url": url, "secret": secret, "enabled_events": list(events)})["id"]

    def start(self) -> Self:
        if self._with_deliveries:
            self.start_deliveries()
        self._ticker.start()
        return super().start()

    def start_deliveries(self, accepted_since: float | None = None) -> None:
        """Send webhooks from now on, first those that are still waiting from an earlier run. accepted_since: also those
        that were accepted since this time (Unix seconds), because their receiver has lost what it accepted then."""
        with self.lock:
            for event, endpoint in undelivered(self.account, accepted_since):
                self._queue.put(Delivery(dict(event), endpoint))
            self._delivers = True
        self._queue.start()

    def accepted_since(self, moment: float) -> Iterator[Object]:
        """The events that were accepted since a time (Unix seconds)."""
        for event in self.account.events:
            if any(is_accepted(each) and each["at"] >= moment for each in deliveries_of(self.account, event).values()):
                yield event

    def stop(self) -> None:
        super().stop()
        self._ticker.join()
        self._queue.stop()
        if self._file:
            self._file.close()

    def reset(self) -> None:
        with self.lock:
            super().reset()
            self._begin()

    def wait_for_deliveries(self) -> None:
        """Waits until all events so far were sent, or were given up."""
        self._queue.join()

    # ---- requests ----------------------------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        api = [(each.method, pattern, partial(self._serve, each)) for pattern, each in self._operations]
        pages = (*PAGES, *PORTAL_PAGES, *dashboard_pages(self))
        return [*api, *((method, pattern, partial(self._serve_page, page)) for method, pattern, page in pages)]

    def check_request(self, request: Request) -> Response | None:
        if not request.path.startswith("/v1/"):
            return None
        key = _key_of(request)
        if not key:
            return _refusal(
                401, "You did not provide an API key. You need to provide your API key in the Authorization header."
            )
        if key != self.api_key:
            hidden = f"{key[:8]}{'*' * max(len(key) - 12, 4)}{key[-4:]}"
            return _refusal(401, f"Invalid API Key provided: {hidden}")
        version = request.headers.get("stripe-version", API_VERSION)
        if version != API_VERSION:
            return _refusal(400, f"Invalid Stripe API version: {version}. This simulator speaks {API_VERSION}.")
        return None

    def not_found(self, request: Request) -> Response:
        text = f"Unrecognized request URL ({request.method}: {request.path}). Please see https://stripe.com/docs."
        return _refusal(404, text)

    def _serve(self, operation: Operation, request: Request, *ids: str) -> Response:
        """Answer a call of the API."""
        request_id = f"req_{secrets.token_hex(7)}"
        headers = {"request-id": request_id, "stripe-version": API_VERSION}
        kind = "read" if request.method == "GET" else "create"
        faults = self._faults(kind, request)
        refused = self.refusal_for([f"create:{fault}" for fault in faults])
        if refused:
            return Response(refused.status, refused.content, {**refused.headers, **headers})
        text = urlsplit(request.target).query if request.method != "POST" else request.body.decode(errors="replace")
        key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
        if key:
            headers["idempotency-key"] = key
        answer = self._answer(operation, request, ids, text, key, headers, "500" in faults)
        for fault in faults:
            if fault.startswith("slow="):
                self.stopping.wait(float(fault.removeprefix("slow=")))
            elif fault in AFTER_WORK:
                faulty = self.with_faults([f"create:{fault}"], answer)
                return Response(faulty.status, faulty.content, {**headers, **faulty.headers})
        return answer

    def _faults(self, kind: str, request: Request) -> list[str]:
        """The options that the markers of a request, or `behave`, ask for. A POST carries markers in its texts."""
        found = options_of(self._markers_of(request), kind)
        return found or self.take_options(kind)

    def _markers_of(self, request: Request) -> list[str]:
        return markers_in(unquote_plus(request.body.decode(errors="replace")), "stripe")

    def _answer(
        self,
        operation: Operation,
        request: Request,
        ids: tuple[str, ...],
        text: str,
        key: str,
        headers: dict[str, str],
        fails: bool,
    ) -> Response:
        request_id = headers["request-id"]
        with self.lock:
            self._catch_up()
            kept = None
            try:
                if key:
                    kept = self._keys.begin(key, request.path, text, request_id, self.account.time)
            except StripeError as error:
                return Response(error.status, {"error": error.error}, headers)
            if kept:
                replay = {**headers, "idempotent-replayed": "true", "original-request": kept.request_id}
                return Response(kept.status or 200, kept.body, {"content-type": "application/json", **replay})
            self.account.request = {"id": request_id, "idempotency_key": key or None}
            try:
                params = read_parameters(operation.shape, parse_form(text), operation.required)
                expand = params.pop("expand", None) or []
                result = operation.run(self.account, params, *ids)
                self._catch_up()
                status, content = 200, expanded(self.account, result, expand)
            except ParameterError as error:
                self._keys.forget(key)
                return Response(
                    error.status, {"error": {**error.error, "request_log_url": _log_url(request_id)}}, headers
                )
            except StripeError as error:
                status, content = error.status, {"error": {**error.error, "request_log_url": _log_url(request_id)}}
            finally:
                self.account.request = None
            if fails:
                status, content = 500, {"error": {"message": "An unknown error occurred", "type": "api_error"}}
            body = json.dumps(content, indent=2).encode()
            if key:
                self._keys.keep(key, status, body)
            early = self._publish(changed=request.method != "GET")
        for delivery in early:
            self._send(delivery)
        return Response(status, body, {"content-type": "application/json", **headers})

    def _serve_page(self, page: Callable[..., Response], request: Request, *ids: str) -> Response:
        """A page for a customer's browser."""
        with self.lock:
            self._catch_up()
            try:
                answer = page(self.account, request, *ids)
                self._catch_up()
            except StripeError as error:
                answer = Response(error.status, str(error).encode(), {"content-type": "text/plain; charset=utf-8"})
            early = self._publish(changed=request.method != "GET")
        for delivery in early:
            self._send(delivery)
        return answer

    def _catch_up(self) -> None:
        """Do what has fallen due in the account's own time."""
        run_until(self.account, None, self._clock_time())

    # ---- webhooks ----------------------------------------------------------------------------------------------------

    def _publish(self, *, changed: bool = True) -> list[Delivery]:
        """Save the account if it has changed or has new events, then queue the deliveries of those. Returns the ones
        that are to be sent before the answer."""
        fresh, self._published = self.account.events[self._published :], len(self.account.events)
        deliveries = [delivery for event in fresh for delivery in self._deliveries_of(event)]
        if self._file and (changed or fresh):
            self._file.save(self.account, self._keys, self._offset)
        if not self._delivers:
            return []
        for delivery in deliveries:
            if "early" not in delivery.options:
                self._queue.put(delivery)
        return [delivery for delivery in deliveries if "early" in delivery.options]

    def _deliveries_of(self, event: Object) -> list[Delivery]:
        targets = [each["id"] for each in self.account.all("webhook_endpoint") if wants(each, event["type"])]
        options = self._webhook_options(event["type"]) if targets else []
        note_publication(self.account, event, targets, lost="lost" in options)
        copies = 0 if "lost" in options else 2 if "twice" in options else 1
        return [Delivery(dict(event), target, options) for target in targets for _ in range(copies)]

    def _webhook_options(self, event_type: str) -> list[str]:
        """The faults that `behave` asks for, for an event of this type; counts as one."""
        markers, left = self._behaviour
        options = options_of(markers, "webhook") if left > 0 else []
        wanted = [option.removeprefix("type=") for option in options if option.startswith("type=")]
        if not options or (wanted and event_type not in wanted):
            return []
        self._behaviour = (markers, left - 1)
        return options

    def _send(self, delivery: Delivery) -> None:
        endpoint = self.account.objects.get(delivery.endpoint)
        if endpoint is None or endpoint.get("deleted"):
            return
        body, event = delivery.body(), delivery.event
        keys = secrets_of(self.account, delivery.endpoint)
        headers = {"user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)"}
        status = self.send_webhook(
            endpoint["url"],
            body,
            lambda: {**headers, **delivery.sign(keys, body)},
            pauses=self._webhook_pauses,
            event=event["id"],
            type=event["type"],
            endpoint=endpoint["id"],
        )
        # What cannot be saved now is saved with the next change.
        with self.lock, suppress(sqlite3.Error):
            if note_delivery(self.account, event["id"], endpoint["id"], status) and self._file:
                self._file.save_delivery(self.account, event["id"])

    # ---- control -----------------------------------------------------------------------------------------------------

    def serve_control(self, request: Request) -> Response | None:
        name = request.path.removeprefix("/_simulator/")
        control = self._controls().get(name) if request.method == "POST" else None
        if control is None:
            return super().serve_control(request)
        with self.lock:
            try:
                answer = control(request.json())
            except StripeError as error:
                return error_response(error)
            self._publish()
        return Response(200, answer)

    def _controls(self) -> dict[str, Callable[[Object], Object]]:
        return {
            "advance": self._advance,
            "dispute": self._dispute,
            "policy": self._set_policy,
            "resend": self._resend,
            "roll_secret": self._roll_secret,
            "warning": lambda given: warn_of_fraud(self.account, self.account.find("charge", given["charge"])),
        }

    def advance(self, *, days: float = 0, seconds: float = 0) -> int:
        """Move the account's own time forward. Returns the new time (Unix seconds)."""
        with self.lock:
            answer = self._advance({"days": days, "seconds": seconds})
            self._publish()
        return answer["now"]

    def _advance(self, given: Object) -> Object:
        self._catch_up()
        self._offset += int(given.get("days", 0) * DAY_SECONDS + given.get("seconds", 0))
        self._catch_up()
        return {"now": self.account.time}

    def _dispute(self, given: Object) -> Object:
        if given.get("dispute"):
            dispute = self.account.find("dispute", given["dispute"])
            end_dispute(self.account, dispute, given["status"])
            return dispute
        charge = self.account.find("charge", given["charge"])
        return open_dispute(self.account, charge, given.get("kind", "dispute"), given.get("amount"))

    def _set_policy(self, given: Object) -> Object:
        for name, value in given.items():
            if not hasattr(self.account.policy, name):
                raise invalid(f"There is no policy {name}.")
            setattr(self.account.policy, name, tuple(value) if isinstance(value, list) else value)
        return vars(self.account.policy)

    def advance_account(self, seconds: int) -> None:
        self._advance({"seconds": seconds})

    def send_again(self, event_id: str) -> None:
        self._resend({"event": event_id})

    def _resend(self, given: Object) -> Object:
        event = self.account.find("event", given["event"])
        for endpoint in self.account.all("webhook_endpoint"):
            if wants(endpoint, event["type"]):
                self._queue.put(Delivery(dict(event), endpoint["id"]))
        return event

    def _roll_secret(self, given: Object) -> Object:
        overlap = given.get("overlap_seconds", DAY_SECONDS)
        roll_secret(self.account, given["endpoint"], given["secret"], overlap)
        return {"secrets": secrets_of(self.account, given["endpoint"])}


def _key_of(request: Request) -> str:
    """The API key of a request: a bearer token, or the name of basic authentication."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic" and re.fullmatch(r"[A-Za-z0-9+/=]+", value):
        return base64.b64decode(value + "==").decode(errors="replace").partition(":")[0]
    return ""


def _log_url(request_id: str) -> str:
    return f"https://dashboard.stripe.com/test/logs/{request_id}"


SIMULATOR = StripeSimulator
