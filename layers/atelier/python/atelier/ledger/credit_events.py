"""What committed changes of wallets mean for whoever follows credits: some came in, or few are left. Pure."""

from __future__ import annotations

from collections.abc import Callable

from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.events.limits import CreditsGranted, CreditsLow
from atelier.ledger.model import Account, GrantSource, Movement, Wallet

# Without a monthly grant in the tier, fewer credits than this are low.
LOW_CREDITS = 10
LOW_PERCENT = 20


@dataclass(frozen=True, slots=True)
class WalletChange:
    """One committed change of a wallet. id: one for each change; at: RFC 3339, UTC."""

    id: str
    at: str
    before: Wallet
    after: Wallet


def tier_threshold(monthly_credits: int) -> int:
    """With fewer credits than this a wallet is low, unless its workspace chose otherwise. monthly_credits: of its
    tier."""
    return monthly_credits * LOW_PERCENT // 100 or LOW_CREDITS


def low_threshold(wallet: Wallet, monthly_credits_of: Callable[[str], int]) -> int:
    """With fewer credits than this a wallet is low. monthly_credits_of: of a tier, by its id."""
    return tier_threshold(monthly_credits_of(wallet.tier)) if wallet.low_below is None else wallet.low_below


def credits_low(change: WalletChange, monthly_credits_of: Callable[[str], int]) -> CreditsLow | None:
    """The event of a wallet that became low by this change. What a hold takes is not gone yet, so that a generation
    that fails makes no wallet low."""
    threshold = low_threshold(change.after, monthly_credits_of)
    left = _credits(change.after)
    if left >= threshold or _credits(change.before) < low_threshold(change.before, monthly_credits_of):
        return None
    return CreditsLow(change.id, change.after.workspace_id, left, threshold, change.at)


def credits_granted(workspace_id: str, movement: Movement) -> CreditsGranted | None:
    """The event of a movement that brought credits in, which names their source; None for others, and for daily
    credits."""
    source, expires_at = movement.facts.get("source"), movement.facts.get("expires_at")
    if source is None or source == GrantSource.DAILY:
        return None
    return CreditsGranted(
        id=f"{workspace_id}#{movement.key}",
        workspace_id=workspace_id,
        credits=sum(entry.amount for entry in movement.entries if entry.account is Account.AVAILABLE),
        grant_source=str(source),
        expires_at=None if expires_at is None else str(expires_at),
        granted_at=rfc3339(movement.at),
    )


def _credits(wallet: Wallet) -> int:
    return wallet.available + wallet.held
