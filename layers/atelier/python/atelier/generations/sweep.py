"""The reconciler's part for one wallet: no generation stays open past its deadline, whatever died."""

from __future__ import annotations

from datetime import datetime, timedelta

from atelier.generations.finish import Closing, expire
from atelier.generations.model import LIFETIME_MAX

LOOK_AGAIN = timedelta(minutes=1)


def sweep(workspace_id: str, *, to: Closing, now: datetime) -> int:
    """Expire what is overdue in one workspace and say when to look again; returns how many were expired. A second run
    over the same state writes nothing."""
    wallet = to.wallets.wallet(workspace_id)
    if wallet.sweep_at is None or wallet.sweep_at > now:
        return 0
    open_ones = to.generations.open_since(workspace_id, wallet.sweep_at - LIFETIME_MAX)
    overdue = [generation for generation in open_ones if generation.deadline_at <= now]
    for generation in overdue:
        expire(generation, to=to, now=now)
    waiting = [generation.deadline_at for generation in open_ones if generation.deadline_at > now]
    if waiting:
        to.wallets.postpone_sweep(wallet, min(waiting))
    elif to.wallets.wallet(workspace_id).holds_open == 0:
        to.wallets.postpone_sweep(wallet, None)
    else:
        to.wallets.postpone_sweep(wallet, now + LOOK_AGAIN)
    return len(overdue)
