"""Bring a wallet up to date: book expiries and add today's grant. Done on first use, and by the daily reset."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier.errors import Unavailable
from atelier.ledger.model import Daily, Wallet, refresh
from atelier.ledger.ports import StaleWallet, WalletStore

TRIES_MAX = 60


def refreshed(
    workspace_id: str,
    *,
    wallets: WalletStore,
    daily: Callable[[str], Daily],
    now: datetime,
    seen: Wallet | None = None,
) -> Wallet:
    """The wallet with everything due booked; writes only when something is due. `daily` gives a tier's daily credits;
    `seen` is the wallet if the caller has read it already.

    Safe to run many times in parallel, because the day's grant has one key. Raises Unavailable when parallel writers
    changed the wallet at every attempt, NotFound when there is no wallet."""
    for _ in range(TRIES_MAX):
        wallet, seen = seen or wallets.wallet(workspace_id), None
        daily_credits = daily(wallet.tier)
        if not wallet.needs_refresh(now) and not daily_credits.is_due(wallet, now):
            return wallet
        plan = refresh(wallet, daily_credits, now)
        try:
            wallets.apply_refresh(plan)
        except StaleWallet:
            continue
        return plan.wallet
    raise Unavailable("The wallet is busy. Try again.")
