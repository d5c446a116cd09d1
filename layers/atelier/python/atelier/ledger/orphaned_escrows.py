"""Find orphaned escrows, which nothing will ever end: their payment has no record, or one that does not wait for them.

An escrow and the record of its payment are one transaction, and so are their ends. After a restore of tables that were
not read at the same time one may be there without the other; then the credits would be held for ever."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from atelier.dataclass import dataclass
from atelier.ledger.escrow import escrow_key
from atelier.ledger.model import Account, Movement
from atelier.ledger.ports import WalletStore

# What is younger is left for the next audit: its transaction may be on its way to the readers.
AGE_MIN = timedelta(minutes=15)


class EscrowRecord(StrEnum):
    """What the record of a payment says of its escrow."""

    WAITS = "waits"
    MISSING = "missing"
    # Nobody was paid: it was refunded, or the place was never taken.
    GIVEN_BACK = "given_back"
    PAID = "paid"


class EscrowRecords(Protocol):
    """The records of what escrows were made for: purchases and enrolments."""

    def record_of(self, workspace_id: str, escrow: Movement) -> EscrowRecord:
        """What the record of an escrow says (consistent read). workspace_id: whose wallet holds it."""
        ...


@dataclass(frozen=True, slots=True)
class OrphanedEscrow:
    """An escrow that nothing will end. record: what the record of its payment says."""

    escrow: Movement
    record: EscrowRecord

    @property
    def payment_id(self) -> str:
        """The id of the purchase or the enrolment."""
        return self.escrow.subject

    @property
    def credits(self) -> int:
        """What it holds."""
        return sum(entry.amount for entry in self.escrow.entries if entry.account is Account.HELD)

    @property
    def can_be_given_back(self) -> bool:
        """Whether nobody else was promised the credits."""
        return self.record in (EscrowRecord.MISSING, EscrowRecord.GIVEN_BACK)


def find_orphaned_escrows(
    workspace_id: str, *, wallets: WalletStore, records: EscrowRecords, now: datetime
) -> tuple[OrphanedEscrow, ...]:
    """The orphaned escrows of a wallet, newest first. One that holds nothing costs one read. Raises NotFound."""
    held = wallets.wallet(workspace_id).held
    open_escrows = wallets.open_escrows(workspace_id, held) if held else []
    return tuple(found for each in open_escrows if (found := _as_orphan(workspace_id, each, wallets, records, now)))


def find_orphaned_escrow(
    workspace_id: str, payment_id: str, *, wallets: WalletStore, records: EscrowRecords, now: datetime
) -> OrphanedEscrow | None:
    """The escrow of a payment if it is orphaned; None when it has ended, or waits as it should. Raises NotFound when
    there is none."""
    escrow = wallets.movement(workspace_id, payment_id[4:], escrow_key(payment_id))
    return _as_orphan(workspace_id, escrow, wallets, records, now)


def has_ended(workspace_id: str, payment_id: str, wallets: WalletStore) -> bool:
    """Whether the escrow of a payment has ended."""
    return any(each.kind == "escrow_end" for each in wallets.movements_of(workspace_id, payment_id))


def _as_orphan(
    workspace_id: str, escrow: Movement, wallets: WalletStore, records: EscrowRecords, now: datetime
) -> OrphanedEscrow | None:
    if escrow.at > now - AGE_MIN:
        return None
    record = records.record_of(workspace_id, escrow)
    # The end is read after the record: a payment that ended meanwhile ended both.
    if record is EscrowRecord.WAITS or has_ended(workspace_id, escrow.subject, wallets):
        return None
    return OrphanedEscrow(escrow, record)
