"""Explain a charge: the movements of one generation."""

from __future__ import annotations

from atelier.errors import NotFound
from atelier.ledger.model import Movement
from atelier.ledger.ports import WalletStore


def movements_of(workspace_id: str, generation_id: str, *, wallets: WalletStore) -> tuple[Movement, ...]:
    """The movements of a generation: its hold, and how the hold ended. Raises NotFound when it has none."""
    movements = wallets.movements_of(workspace_id, generation_id)
    if not movements:
        raise NotFound
    return movements
