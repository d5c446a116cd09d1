"""Ports of the ledger: the stores that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from atelier.dataclass import dataclass
from atelier.ledger.model import Hold, Movement, RefreshPlan, SettlementPlan, Wallet
from atelier.ledger.operations import Operation, OperationRecord

if TYPE_CHECKING:
    from atelier.ledger.hash_chain import PublicForm, Seal


class StaleWallet(Exception):
    """The wallet changed since it was read, in a way that the plan depends on: read and plan again."""


class OperationExists(Exception):
    """An operation with this key is written already, with the same facts or with others."""


@dataclass(frozen=True, slots=True)
class MovementPage:
    """Movements, newest first. `next_key` is where the next page begins; None on the last page."""

    movements: tuple[Movement, ...]
    next_key: str | None


@dataclass(frozen=True, slots=True)
class DueWallet:
    """A wallet that is due, and its place in the index, from which the next page continues."""

    workspace_id: str
    index_place: str


class ResetQueue(Protocol):
    """The queue of shards whose due wallets are to be processed."""

    def send_shard(self, shard: int, after: str | None) -> None:
        """Queue the processing of a shard's due wallets: from its start, or after a place in its index."""
        ...


class WalletStore(Protocol):
    """Wallets and movements. Every write is conditional: no write relies on an earlier read alone."""

    def wallet(self, workspace_id: str, *, consistent: bool = True) -> Wallet:
        """The wallet; without `consistent` it may be slightly out of date. Raises NotFound."""
        ...

    def mark_budgeted(self, workspace_id: str) -> None:
        """Make each hold from now on reserve on the workspace's budget; a hold that is planned already becomes stale.
        Raises NotFound."""
        ...

    def mark_own_routes(self, workspace_id: str) -> None:
        """Make each submission from now on read the workspace's own provider keys and preferences. Called before the
        first of them is written. Raises NotFound."""
        ...

    def set_low_below(self, workspace_id: str, credits: int | None) -> None:
        """Set with how many credits the wallet is low; None = as its tier says. Raises NotFound."""
        ...

    def apply_refresh(self, plan: RefreshPlan) -> None:
        """Write the refreshed wallet and its movements in one transaction; raises StaleWallet."""
        ...

    def post(self, operation: Operation, fingerprint: str) -> None:
        """Write an operation's key, movements and wallets in one transaction; raises OperationExists, StaleWallet."""
        ...

    def operation_record(self, workspace_id: str, key: str) -> OperationRecord | None:
        """The record of the operation with this key; None when there was none."""
        ...

    def movement(self, workspace_id: str, order: str, key: str) -> Movement:
        """The movement of an operation that has happened (consistent read). Raises NotFound."""
        ...

    def expired_credits(self, workspace_id: str, grant_id: str, expires_at: datetime) -> int:
        """How many credits of a grant have been booked as expired."""
        ...

    def hold(self, workspace_id: str, reference: str) -> Hold | None:
        """The hold of a generation, open or ended."""
        ...

    def open_holds(self, workspace_id: str, created_after: datetime, limit: int) -> list[Hold]:
        """Up to `wanted` open holds of generations created since an instant, newest first."""
        ...

    def open_escrows(self, workspace_id: str, held: int) -> list[Movement]:
        """The movements of the escrows that have not ended, newest first. held: what the wallet holds; the reading ends
        once the open holds and escrows that were found are as much."""
        ...

    def end_hold(self, workspace_id: str, settlement: SettlementPlan) -> None:
        """Write the end of a hold whose generation has ended already. Raises StaleWallet when the hold has ended too,
        or when a parallel write won."""
        ...

    def movements(self, workspace_id: str, after_key: str | None, limit: int) -> MovementPage:
        """One page of the statement."""
        ...

    def movements_of(self, workspace_id: str, reference: str) -> tuple[Movement, ...]:
        """The movements of a generation: hold, end of the hold, late result; in this order, those that exist."""
        ...

    def wallets_due_for_reset(self, shard: int, now: datetime, after: str | None, limit: int) -> list[DueWallet]:
        """Wallets of a shard whose daily reset is due, the longest overdue first, read by the sparse index and never by
        a scan. Fewer than `limit` means that there are no more. `after`: the place of the last wallet of the page
        before."""
        ...

    def wallets_due_for_sweep(self, shard: int, now: datetime, after: str | None, limit: int) -> list[DueWallet]:
        """Wallets of a shard with a hold whose deadline may have passed; paged like `wallets_due_for_reset`."""
        ...

    def postpone_sweep(self, wallet: Wallet, sweep_at: datetime | None) -> None:
        """Set when the sweep visits the wallet again; None (never) takes effect only while no hold is open. Does
        nothing when holds were opened or ended since the wallet was read: the next sweep will see them."""
        ...


@dataclass(frozen=True, slots=True)
class PublicMovementPage:
    """Movements in their public form, newest first by order. `next_key` is where the next page begins; None on the last
    page."""

    movements: tuple[PublicForm, ...]
    next_key: str | None


class SealStore(Protocol):
    """Seals, and movements in their public form. Seals are written once and never changed."""

    def newest(self, workspace_id: str, *, consistent: bool) -> Seal | None:
        """The last seal of the chain, None when there is none; without `consistent` a slightly older one may come."""
        ...

    def between(self, workspace_id: str, first: int, last: int) -> list[Seal]:
        """The existing seals with numbers from `first` to `last` (both inclusive), in their order."""
        ...

    def append(self, workspace_id: str, seal: Seal) -> None:
        """Write the next seal; raises SealTaken."""
        ...

    def public_movements(self, workspace_id: str, after_key: str | None, limit: int) -> PublicMovementPage:
        """One page of the movements (consistent read)."""
        ...

    def public_movements_of(self, workspace_id: str, movement_ids: Sequence[tuple[str, str]]) -> list[PublicForm]:
        """The movements with these (order, key), in this order, without those that do not exist (consistent read)."""
        ...
