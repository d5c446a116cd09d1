"""Which credits of a wallet can pay somebody else: a workshop's fee, a work of the showcase. Pure.

What is received does not expire, so only credits can pay that somebody has paid for, earned or been given by an
administrator. Daily and promotional credits pay nobody: they would outlive their expiry with somebody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from atelier.errors import InsufficientCredits
from atelier.ledger.model import Draw, Grant, GrantSource, Wallet, draw_credits

PAYING_SOURCES = frozenset(GrantSource) - {GrantSource.DAILY, GrantSource.PROMO}


def payable(wallet: Wallet, now: datetime) -> int:
    """How many credits of a wallet could pay somebody else."""
    return replace(wallet, grants=_paying_grants(wallet)).spendable(now)


def draw_payment(payer: Wallet, amount: int, now: datetime) -> tuple[Draw, ...]:
    """What to draw from which grants. Raises InsufficientCredits; its reason is `free_credits` when only daily and
    promotional credits would have made it enough."""
    usable = 0 if payer.debt else payable(payer, now)
    if usable < amount:
        reason = "free_credits" if not payer.debt and payer.spendable(now) >= amount else None
        raise InsufficientCredits(needed=amount, available=usable, reason=reason)
    return draw_credits(_paying_grants(payer), amount, now)


def _paying_grants(wallet: Wallet) -> tuple[Grant, ...]:
    return tuple(grant for grant in wallet.grants if grant.source in PAYING_SOURCES)
