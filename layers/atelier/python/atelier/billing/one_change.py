"""Let one request at a time change a workspace's plan at Stripe.

What a change does is decided on what the plan is now. Two at once would both be decided on the same plan, and the later
one might then go down at once, with money back. So a request reserves the plan before it reads it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timedelta

from atelier.billing.ports import BillingStore
from atelier.errors import AtelierError, Conflict

# Longer than a request may take, so that one whose process has died does not block the plan for long.
RESERVATION_LIFETIME = timedelta(minutes=2)


@contextmanager
def one_change(workspace_id: str, request: str, *, store: BillingStore, now: datetime) -> Generator[None]:
    """Reserve the plan for a request. The same request again shares the reservation, so after a crash it can go on.
    Raises Conflict while another request has it."""
    if not store.reserve_plan(workspace_id, request, now=now, until=now + RESERVATION_LIFETIME):
        raise Conflict("Another change of the plan is under way. Try again in two minutes.", reason="change_under_way")
    try:
        yield
    except AtelierError as error:
        # After an answer that never came, Stripe may still be at work: the reservation then ends by its time.
        if not error.retryable:
            store.release_plan(workspace_id, request, now=now)
        raise
    store.release_plan(workspace_id, request, now=now)
