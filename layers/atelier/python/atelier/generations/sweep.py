"""Expire the overdue generations of one wallet, so that none stays open past its deadline, whatever crashed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from atelier.generations.finish import Closing
from atelier.generations.model import LIFETIME_MAX
from atelier.generations.run import expire

LOOK_AGAIN = timedelta(minutes=1)
LOOK_AGAIN_LATEST = timedelta(minutes=5)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def sweep(workspace_id: str, *, to: Closing, now: datetime) -> int:
    """Expire the overdue generations of one workspace, and set the time of its next sweep. Returns how many were
    overdue. A second run over the same state writes nothing."""
    wallet = to.wallets.wallet(workspace_id)
    if wallet.sweep_at is None or wallet.sweep_at > now:
        return 0
    open_generations = to.generations.open_since(workspace_id, wallet.sweep_at - LIFETIME_MAX)
    if len(open_generations) < min(wallet.holds_open, to.wallets.wallet(workspace_id).holds_open):
        # The time in an id can be older than its generation: the id was bound to an idempotency key long before the
        # workspace could afford the generation.
        open_generations = to.generations.open_since(workspace_id, EPOCH)
    overdue = [generation for generation in open_generations if generation.deadline_at <= now]
    for generation in overdue:
        expire(generation, to=to, now=now)
    deadlines = [generation.deadline_at for generation in open_generations if generation.deadline_at > now]
    wallet_after = replace(wallet, holds_open=wallet.holds_open - len(overdue))
    if deadlines:
        # Not later than in five minutes: a hold that was opened in parallel could have an earlier deadline.
        to.wallets.postpone_sweep(wallet_after, min(*deadlines, now + LOOK_AGAIN_LATEST))
    else:
        to.wallets.postpone_sweep(wallet_after, now + LOOK_AGAIN if wallet_after.holds_open else None)
    return len(overdue)
