"""What happens by itself as time goes by, in the order in which it falls due."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from infra.simulators.stripe.account import Account, Object
from infra.simulators.stripe.checkout import mark_expired
from infra.simulators.stripe.payments import finish_processing
from infra.simulators.stripe.refunds import finish_refund

# A time (Unix seconds), and what is done then.
Due = tuple[int, Callable[[], None]]
# Of two objects that are due at one time, the one whose kind stands first here: a phase of a schedule begins before the
# period that it is for is renewed.
ORDER = ("subscription_schedule", "subscription", "invoice", "payment_intent", "refund", "checkout.session")
# Kind of object → what is to come for one of them.
SOURCES: dict[str, Callable[[Account, Object], Iterator[Due]]] = {}


def run_until(account: Account, clock: str | None, until: int) -> None:
    """Move a test clock (None: the account's own time) forward, and do all that falls due on the way. Events of what
    happens by itself name no request."""
    request, account.request = account.request, None
    while True:
        following = min(_dues(account, clock), key=lambda due: due[0], default=None)
        if following is None or following[0] > until:
            break
        moment, action = following
        set_time(account, clock, max(moment, account.now(clock)))
        action()
    set_time(account, clock, max(until, account.now(clock)))
    account.request = request


def set_time(account: Account, clock: str | None, moment: int) -> None:
    if clock is None:
        account.time = moment
    else:
        account.objects[clock]["frozen_time"] = moment


def _dues(account: Account, clock: str | None) -> Iterator[Due]:
    for kind in ORDER:
        for obj in account.all(kind):
            if account.clock_of(obj) == clock:
                yield from SOURCES[kind](account, obj)


def _session(account: Account, session: Object) -> Iterator[Due]:
    if session["status"] == "open":
        yield session["expires_at"], lambda: mark_expired(account, session)


def _intent(account: Account, intent: Object) -> Iterator[Due]:
    moment = account.private.get(intent["id"], {}).get("settles_at")
    if moment is not None and intent["status"] == "processing":
        yield moment, lambda: finish_processing(account, intent)


def _refund(account: Account, refund: Object) -> Iterator[Due]:
    moment = account.private.get(refund["id"], {}).get("settles_at")
    if moment is not None:
        yield moment, lambda: finish_refund(account, refund)


SOURCES.update({"checkout.session": _session, "payment_intent": _intent, "refund": _refund})
