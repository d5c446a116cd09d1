"""Expire the overdue generations of one wallet, so that none stays open past its deadline, whatever crashed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from atelier.generations.finish import CloseDeps
from atelier.generations.model import LIFETIME_MAX
from atelier.generations.pipeline_run import expire

SWEEP_DELAY = timedelta(minutes=1)
SWEEP_DELAY_MAX = timedelta(minutes=5)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def sweep(workspace_id: str, *, deps: CloseDeps, now: datetime) -> int:
    """Expire the overdue generations of one workspace, and set the time of its next sweep. Returns how many were
    overdue. A second run over the same state writes nothing."""
    wallet = deps.wallets.wallet(workspace_id)
    if wallet.sweep_at is None or wallet.sweep_at > now:
        return 0
    open_generations = deps.generations.open_since(workspace_id, wallet.sweep_at - LIFETIME_MAX)
    if len(open_generations) < min(wallet.holds_open, deps.wallets.wallet(workspace_id).holds_open):
        # The time in an id can be older than its generation: the id was bound to an idempotency key long before the
        # workspace could afford the generation.
        open_generations = deps.generations.open_since(workspace_id, EPOCH)
    overdue = [generation for generation in open_generations if generation.deadline_at <= now]
    for generation in overdue:
        expire(generation, deps=deps, now=now)
    deadlines = [generation.deadline_at for generation in open_generations if generation.deadline_at > now]
    wallet_after = replace(wallet, holds_open=wallet.holds_open - len(overdue))
    if deadlines:
        # Not later than in five minutes: a hold that was opened in parallel could have an earlier deadline.
        deps.wallets.postpone_sweep(wallet_after, min(*deadlines, now + SWEEP_DELAY_MAX))
    else:
        deps.wallets.postpone_sweep(wallet_after, now + SWEEP_DELAY if wallet_after.holds_open else None)
    return len(overdue)
