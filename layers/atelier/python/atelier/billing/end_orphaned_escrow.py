"""End an orphaned escrow, as administrators of the platform do: its credits go back to the wallet that holds them.

Its end has the natural key of every escrow's end, so there is one, whoever asks and however often. What somebody else
was promised is not given back: a purchase or an enrolment that waits, or that says it was paid."""

from __future__ import annotations

from datetime import datetime

from atelier.audit_log.model import Origin, platform_events
from atelier.billing.ports import OrphanedEscrowStore
from atelier.dataclass import dataclass
from atelier.errors import Conflict
from atelier.ledger.escrow import plan_escrow_end
from atelier.ledger.model import Wallet
from atelier.ledger.orphaned_escrows import (
    EscrowRecords,
    OrphanedEscrow,
    find_orphaned_escrow,
    find_orphaned_escrows,
    has_ended,
)
from atelier.ledger.ports import StaleWallet
from atelier.ledger.post import PostDeps
from atelier.retrying import retrying

TRIES_MAX = 10
BUSY = "The wallet is busy. Try again."


@dataclass(frozen=True, slots=True)
class OrphanedEscrowDeps:
    """Dependencies."""

    store: OrphanedEscrowStore
    records: EscrowRecords
    ledger: PostDeps


def list_orphaned_escrows(workspace_id: str, *, deps: OrphanedEscrowDeps, now: datetime) -> tuple[OrphanedEscrow, ...]:
    """The orphaned escrows of a wallet. Raises NotFound."""
    return find_orphaned_escrows(workspace_id, wallets=deps.ledger.wallets, records=deps.records, now=now)


def end_orphaned_escrow(
    workspace_id: str, payment_id: str, reason: str, origin: Origin, *, deps: OrphanedEscrowDeps, now: datetime
) -> Wallet:
    """Give the credits of an orphaned escrow back; returns the wallet. One that has ended stays as it is. Raises
    NotFound, Conflict for an escrow that waits as it should, is too young to be judged, or was paid by its record."""
    wallets = deps.ledger.wallets

    def attempt() -> None:
        found = find_orphaned_escrow(workspace_id, payment_id, wallets=wallets, records=deps.records, now=now)
        if found is None and has_ended(workspace_id, payment_id, wallets):
            return
        if found is None:
            raise Conflict("What this was paid for waits for it as it should.", reason="waits")
        if not found.can_be_given_back:
            raise Conflict("Its record says that it was paid. Correct the wallets by hand.", reason="paid")
        facts = {**found.escrow.facts, "refunded": found.credits, "reason": reason}
        postings = plan_escrow_end(wallets.wallet(workspace_id), found.escrow, (), 0, facts, now)
        events = platform_events(
            workspace_id,
            "credits.escrow_ended",
            origin,
            now,
            target=payment_id,
            credits=found.credits,
            record=found.record.value,
            reason=reason,
        )
        deps.store.end(workspace_id, found, postings, events=events)

    retrying(attempt, on=StaleWallet, busy=BUSY, tries_max=TRIES_MAX, pause=deps.ledger.pause)
    return wallets.wallet(workspace_id)
