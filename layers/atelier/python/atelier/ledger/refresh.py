"""Bring a wallet up to date: book expiries and add today's grant. Done on first use, and by the daily reset."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier.ledger.model import DailyCreditRule, Wallet
from atelier.ledger.plan_refresh import plan_refresh
from atelier.ledger.ports import StaleWallet, WalletStore
from atelier.retrying import retrying

TRIES_MAX = 60


def refresh_wallet(
    workspace_id: str,
    *,
    wallets: WalletStore,
    daily_credits_of: Callable[[str], DailyCreditRule],
    now: datetime,
    known_wallet: Wallet | None = None,
) -> Wallet:
    """The wallet with everything due booked; writes only when something is due. `daily_credits_of` gives a
    tier's daily credits; `known_wallet` is the wallet if the caller has read it already.

    Safe to run many times in parallel, because the day's grant has one key. Raises Unavailable when parallel writers
    changed the wallet at every attempt, NotFound when there is no wallet."""

    def attempt() -> Wallet:
        nonlocal known_wallet
        wallet, known_wallet = known_wallet or wallets.wallet(workspace_id), None
        daily_credits = daily_credits_of(wallet.tier_at(now))
        # One refresh is enough, unless very many grants have expired.
        while wallet.needs_refresh(now) or daily_credits.is_due(wallet, now):
            plan = plan_refresh(wallet, daily_credits, now)
            wallets.apply_refresh(plan)
            wallet = plan.wallet
        return wallet

    return retrying(attempt, on=StaleWallet, busy="The wallet is busy. Try again.", tries_max=TRIES_MAX)
