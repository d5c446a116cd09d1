"""Freeze a wallet, as administrators of the platform do: nothing new starts, and what runs ends and is settled."""

from __future__ import annotations

from datetime import datetime

from atelier.audit_log.model import Origin, platform_events
from atelier.billing.ports import WalletFreezer
from atelier.ledger.model import Wallet


def freeze_wallet(workspace_id: str, reason: str, origin: Origin, *, freezer: WalletFreezer, now: datetime) -> Wallet:
    """Freeze a wallet; returns it. Repeating it changes nothing. Raises NotFound."""
    events = platform_events(workspace_id, "credits.frozen", origin, now, reason=reason)
    return freezer.freeze(workspace_id, now, events=events)


def unfreeze_wallet(workspace_id: str, origin: Origin, *, freezer: WalletFreezer, now: datetime) -> Wallet:
    """Let credits be spent again; returns the wallet. Repeating it changes nothing. Raises NotFound."""
    return freezer.unfreeze(workspace_id, events=platform_events(workspace_id, "credits.unfrozen", origin, now))
