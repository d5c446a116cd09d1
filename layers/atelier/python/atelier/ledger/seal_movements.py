"""Seal the movements of a wallet: those that the table's stream delivers, or those that it has not delivered yet.

A movement is sealed once, however often it is delivered: a seal is never older than the movements it covers, so only
seals from a movement's time onwards can cover it; and two writers cannot write a seal with the same number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.errors import Unavailable
from atelier.ledger.hash_chain import PublicForm, Seal, chain, counters_mismatch, is_intact, movement_id
from atelier.ledger.model import Wallet
from atelier.ledger.ports import SealStore, WalletStore
from atelier.ledger.sealed_keys import SealedKeys, SealNumberTaken
from atelier.retrying import LostRace, retrying
from atelier.telemetry import logger, put_count

TRIES_MAX = 20
MOVEMENTS_PER_READ = 200
PAGES_PER_REQUEST_MAX = 10
"""How far back in the statement a request looks for what is unsealed: two thousand movements. An audit looks on."""


@dataclass(frozen=True, slots=True)
class SealDeps:
    """Dependencies. `pause(tries)` waits a little after a parallel writer has taken the next seal number."""

    wallets: WalletStore
    seals: SealStore
    pause: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class SealReport:
    """The newest seal, how many movements this call sealed, and a description of a mismatch, if one was found."""

    head: Seal | None
    movements: int
    mismatch: str | None = None


def seal(workspace_id: str, movements: Iterable[PublicForm], *, deps: SealDeps, now: datetime) -> SealReport:
    """Seal those of the movements that no seal covers yet, then compare the sealed sums with the wallet."""
    sealed = seal_unsealed(workspace_id, movements, deps=deps, now=now)
    if not sealed.movements or sealed.mismatch or sealed.head is None:
        return sealed
    # An eventually consistent read costs half, and is good enough to find no difference.
    mismatch = wallet_mismatch(deps.wallets.wallet(workspace_id, consistent=False), sealed.head)
    if mismatch:
        # A difference is checked by a consistent read. The wallet is read after the seal, so it contains every sealed
        # movement; equal counts therefore mean the same movements.
        mismatch = wallet_mismatch(deps.wallets.wallet(workspace_id), sealed.head)
    return SealReport(sealed.head, sealed.movements, mismatch)


def report_mismatch(workspace_id: str, mismatch: str) -> None:
    """Raise the alarm that a wallet and its entries differ. There is no automatic repair: an operator has to look at
    it."""
    logger.error("ledger drift", workspace_id=workspace_id, fault=mismatch)
    put_count("LedgerDrift")


def seal_unsealed(workspace_id: str, movements: Iterable[PublicForm], *, deps: SealDeps, now: datetime) -> SealReport:
    """Seal those of the movements that no seal covers yet. Raises Unavailable when parallel writers took the next seal
    number at every attempt."""
    forms = {movement_id(form): form for form in movements}
    if not forms:
        return SealReport(deps.seals.newest(workspace_id, consistent=False), 0)
    is_repeated = False

    def attempt() -> SealReport:
        nonlocal is_repeated
        # The first read may be stale: then the write fails, because its seal number is taken.
        covered = SealedKeys(workspace_id, deps.seals.newest(workspace_id, consistent=is_repeated), deps.seals)
        is_repeated = True
        unsealed_forms = [form for at, form in forms.items() if not covered.covers(at, form["at"])]
        head = covered.head
        if not unsealed_forms:
            return SealReport(head, 0)
        mismatch = f"seal {head.number} was changed" if head and not is_intact(workspace_id, head) else None
        for link in chain(workspace_id, covered.head, unsealed_forms, now):
            deps.seals.append(workspace_id, link)
            head = link
        return SealReport(head, len(unsealed_forms), mismatch)

    busy = "The wallet is being sealed by others. Try again."
    return retrying(attempt, on=SealNumberTaken, busy=busy, tries_max=TRIES_MAX, pause=deps.pause)


def unsealed_movements(
    workspace_id: str, head: Seal | None, missing: int, *, seals: SealStore, pages_max: int
) -> list[PublicForm]:
    """Up to `missing` movements that no seal up to `head` covers, searched from the newest backwards and returned
    oldest first. Fewer when `pages_max` pages of the statement have no more."""
    covered, unsealed_forms = SealedKeys(workspace_id, head, seals), list[PublicForm]()
    after: str | None = None
    for _ in range(pages_max):
        if len(unsealed_forms) >= missing:
            break
        page = seals.public_movements(workspace_id, after, MOVEMENTS_PER_READ)
        # The newest first: a movement that is newer than the newest seal needs no read of older seals.
        for form in sorted(page.movements, key=lambda form: form["at"], reverse=True):
            if len(unsealed_forms) < missing and not covered.covers(movement_id(form), form["at"]):
                unsealed_forms.append(form)
        after = page.next_key
        if after is None:
            break
    return sorted(unsealed_forms, key=lambda form: (form["at"], movement_id(form)))


def seal_all(workspace_id: str, *, deps: SealDeps, now: datetime) -> tuple[Wallet, Seal | None]:
    """Seal every movement that is written, and return the wallet with the seal whose sums are exactly the wallet's.

    Raises Unavailable when the wallet changed at every attempt, or when an unsealed movement is not found within
    PAGES_PER_REQUEST_MAX pages."""
    busy = "Not all entries are sealed yet. Try again in a minute."

    def attempt() -> tuple[Wallet, Seal | None]:
        head = deps.seals.newest(workspace_id, consistent=True)
        wallet = deps.wallets.wallet(workspace_id)
        missing = wallet.written - (head.count if head else 0)
        if missing <= 0:
            return wallet, head
        unsealed_forms = unsealed_movements(
            workspace_id, head, missing, seals=deps.seals, pages_max=PAGES_PER_REQUEST_MAX
        )
        if not unsealed_forms:
            raise Unavailable(busy)
        seal_unsealed(workspace_id, unsealed_forms, deps=deps, now=now)
        # More movements may have been written meanwhile: compare the counts again.
        raise LostRace

    return retrying(attempt, on=LostRace, busy=busy, tries_max=TRIES_MAX)


def wallet_mismatch(wallet: Wallet, head: Seal) -> str | None:
    """How a wallet differs from its sealed movements; None when they agree, or while movements are not sealed yet. The
    seal must have been read before the wallet."""
    if head.count > wallet.written:
        return f"{head.count} movements are sealed and {wallet.written} were written"
    return counters_mismatch(wallet, head.balance, head.grants) if head.count == wallet.written else None
