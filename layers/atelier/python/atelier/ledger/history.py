"""The balance at a past instant, from the seals: a handful of reads, however long the wallet's history is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from atelier.clock import parse_rfc3339, rfc3339
from atelier.dataclass import dataclass
from atelier.errors import Unavailable, ValidationFailed
from atelier.ids import created_at
from atelier.ledger.hash_chain import PublicForm, Seal, sum_movements
from atelier.ledger.model import Grant, GrantSource
from atelier.ledger.ports import SealStore, WalletStore
from atelier.ledger.seal_movements import PAGES_PER_REQUEST_MAX, unsealed_movements
from atelier.ledger.verify import SOURCE

SEALS_PER_READ = 50


@dataclass(frozen=True, slots=True)
class Balance:
    """A wallet's balance at an instant, from all its movements until then, sealed or not."""

    available: int
    held: int
    debt: int
    grants: tuple[Grant, ...]


def balance_at(workspace_id: str, at: datetime, *, wallets: WalletStore, seals: SealStore, now: datetime) -> Balance:
    """The balance at `at`; zero before the wallet was opened. Raises ValidationFailed for a future instant, Unavailable
    while too many movements are not sealed yet."""
    if at > now:
        raise ValidationFailed([{"path": "query.at", "message": "is in the future"}])
    if at < created_at(workspace_id):
        return Balance(0, 0, 0, ())
    until_text = rfc3339(at)
    head = seals.newest(workspace_id, consistent=True)
    missing = wallets.wallet(workspace_id).written - (head.count if head else 0)
    forms = (
        unsealed_movements(workspace_id, head, missing, seals=seals, pages_max=PAGES_PER_REQUEST_MAX)
        if missing > 0
        else []
    )
    if len(forms) < missing:
        raise Unavailable("Not all entries are sealed yet. Try again in a minute.")
    base = _newest_seal_until(workspace_id, until_text, head, seals) if head else None
    if head is not None:
        forms += _movements_sealed_later(workspace_id, at, base, head, seals)
    balance, grants = sum_movements(base, [form for form in forms if form["at"] <= until_text])
    return Balance(
        balance.get("available", 0),
        balance.get("held", 0),
        -balance.get("debt", 0),
        # A hold may be sealed before the grant that it drew from. Such a grant has no source yet and is left out.
        tuple(_grant(grant_id, state) for grant_id, state in sorted(grants.items()) if state[SOURCE]),
    )


def _newest_seal_until(workspace_id: str, until: str, head: Seal, seals: SealStore) -> Seal | None:
    """The newest seal from `until` or earlier: every movement that it covers had happened by then. Binary search."""
    if head.at <= until:
        return head
    found: Seal | None = None
    low, high = 1, head.number - 1
    while low <= high:
        middle = (low + high) // 2
        [seal] = seals.between(workspace_id, middle, middle)
        if seal.at <= until:
            found, low = seal, middle + 1
        else:
            high = middle - 1
    return found


def _movements_sealed_later(
    workspace_id: str, at: datetime, base: Seal | None, head: Seal, seals: SealStore
) -> list[PublicForm]:
    """The movements of later seals that may have happened by `at`. No movement ever waited longer for its seal than the
    chain's lag, so seals later than `at` plus that lag need not be read."""
    latest = rfc3339(at + timedelta(milliseconds=head.lag_milliseconds))
    number, movement_ids = base.number if base else 0, list[tuple[str, str]]()
    while number < head.number:
        read = seals.between(workspace_id, number + 1, min(number + SEALS_PER_READ, head.number))
        in_range = [seal for seal in read if seal.at <= latest]
        movement_ids += [(order, key) for seal in in_range for order, key, _ in seal.movements]
        if len(in_range) < len(read) or not read:
            break
        number = read[-1].number
    return seals.public_movements_of(workspace_id, movement_ids) if movement_ids else []


def _grant(grant_id: str, state: list[Any]) -> Grant:
    remaining, held, amount, source, priority, granted_at, expires_at = state
    return Grant(
        grant_id,
        GrantSource(source),
        amount,
        remaining,
        held,
        priority,
        parse_rfc3339(granted_at),
        parse_rfc3339(expires_at) if expires_at else None,
    )
