"""What the ledger needs from outside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from atelier.frozen import dataclass
from atelier.ledger.model import Ending, Hold, Movement, Refresh, Wallet
from atelier.ledger.operations import Operation, Recorded

if TYPE_CHECKING:
    from atelier.ledger.seal import Form, Seal


class StaleWallet(Exception):
    """The wallet changed since it was read, in a way that the plan depended on: read again and plan again."""


class OperationExists(Exception):
    """An operation with this key has been written before; whether with the same facts is to be seen."""


@dataclass(frozen=True, slots=True)
class MovementPage:
    """Newest first; `next_key` continues after the last of them, None at the end."""

    movements: tuple[Movement, ...]
    next_key: str | None


@dataclass(frozen=True, slots=True)
class Due:
    """A wallet that is due, and its place in the line: the next page comes after it."""

    workspace_id: str
    place: str


class WalletStore(Protocol):
    """Wallets and movements. Every write is conditional; none reads first and then trusts what it read."""

    def wallet(self, workspace_id: str, *, consistent: bool = True) -> Wallet:
        """The wallet as it is now, or without `consistent` maybe as it was a moment ago; raises NotFound."""
        ...

    def mark_budgeted(self, workspace_id: str) -> None:
        """From now on each hold asks the workspace's budget, also one that is planned already; raises NotFound."""
        ...

    def mark_own_routes(self, workspace_id: str) -> None:
        """From now on each submission asks for the workspace's own keys and wishes; raises NotFound. Called before the
        first of them is written."""
        ...

    def apply_refresh(self, refresh: Refresh) -> None:
        """Write the refreshed wallet and its movements in one transaction; raises StaleWallet."""
        ...

    def post(self, operation: Operation, fingerprint: str) -> None:
        """Write an operation's key, movements and wallets in one transaction; raises OperationExists, StaleWallet."""
        ...

    def recorded(self, workspace_id: str, key: str) -> Recorded | None:
        """What is kept of an operation; None when there was none with this key."""
        ...

    def expired_of(self, workspace_id: str, grant_id: str, expires_at: datetime) -> int:
        """Credits of a grant that its expiry has taken."""
        ...

    def hold(self, workspace_id: str, reference: str) -> Hold | None:
        """The hold of a generation, open or ended."""
        ...

    def open_holds(self, workspace_id: str, created_after: datetime, wanted: int) -> list[Hold]:
        """Holds that have not ended, of references made since an instant: that many, or as many as there are."""
        ...

    def end(self, workspace_id: str, ending: Ending) -> None:
        """Write the end of a hold whose generation has ended already; raises StaleWallet when it has ended, or lost to
        a parallel writer."""
        ...

    def movements(self, workspace_id: str, after_key: str | None, limit: int) -> MovementPage:
        """One page of the statement."""
        ...

    def movements_of(self, workspace_id: str, reference: str) -> tuple[Movement, ...]:
        """The hold, its end, and a result that came later, in this order, as far as they exist."""
        ...

    def wallets_due_for_reset(self, shard: int, now: datetime, after: str | None, limit: int) -> list[Due]:
        """Wallets whose daily reset is due, the longest first, by the sparse index and never by a scan. Fewer than
        `limit`: there are no more. `after`: the place of the last one that was seen."""
        ...

    def wallets_due_for_sweep(self, shard: int, now: datetime, after: str | None, limit: int) -> list[Due]:
        """Wallets with a hold whose deadline may have passed, in the same way."""
        ...

    def postpone_sweep(self, wallet: Wallet, sweep_at: datetime | None) -> None:
        """Set when to look again at a wallet as it was seen; None only takes effect while no hold is open. Yields in
        silence when holds were opened or ended since: the next sweep sees them."""
        ...


class SealTaken(Exception):
    """Another has written the seal with this number: read the newest and go on from there."""


@dataclass(frozen=True, slots=True)
class FormPage:
    """Movements in their public form, newest first by order; `next_key` continues after the last of them."""

    forms: tuple[Form, ...]
    next_key: str | None


class SealStore(Protocol):
    """Seals, and movements as they are sealed. Seals are written once and never changed."""

    def newest(self, workspace_id: str, *, consistent: bool) -> Seal | None:
        """The last seal of the chain; without `consistent` maybe the last but a few."""
        ...

    def between(self, workspace_id: str, first: int, last: int) -> list[Seal]:
        """The seals with these numbers (inclusive), as far as they exist, in their order."""
        ...

    def append(self, workspace_id: str, seal: Seal) -> None:
        """Write the next seal; raises SealTaken."""
        ...

    def forms(self, workspace_id: str, after_key: str | None, limit: int) -> FormPage:
        """One page of the movements (consistent)."""
        ...

    def forms_of(self, workspace_id: str, places: Sequence[tuple[str, str]]) -> list[Form]:
        """The movements at these (order, key), in this order, without those that do not exist (consistent)."""
        ...
