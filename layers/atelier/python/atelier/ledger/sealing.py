"""Seal what has been written: what the stream brings, or what it has not brought yet.

A movement is sealed once, whoever tells of it and how often: a seal is never older than what it covers, so the seals
that could cover a movement are those back to its time, and two sealers cannot write the same number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from atelier.errors import Unavailable
from atelier.frozen import dataclass
from atelier.ledger.model import Wallet
from atelier.ledger.ports import SealStore, SealTaken, WalletStore
from atelier.ledger.seal import Form, Seal, chained, drift, intact, place

TRIES_MAX = 20
SEALS_A_READ = 20
FORMS_A_READ = 200
PAGES_A_REQUEST = 10
"""How far back in the statement a request looks for what is unsealed: two thousand movements. An audit looks on."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """The collaborators. `pause(tries)` waits a little after another has sealed first."""

    wallets: WalletStore
    seals: SealStore
    pause: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Sealed:
    """The newest seal, how many movements were sealed now, and what was found not to fit."""

    head: Seal | None
    movements: int
    fault: str | None = None


def seal(workspace_id: str, arrived: Sequence[Form], *, to: Sealing, now: datetime) -> Sealed:
    """Seal those of the movements that no seal covers yet, and hold the sums against the wallet."""
    sealed = append(workspace_id, arrived, to=to, now=now)
    if not sealed.movements or sealed.fault or sealed.head is None:
        return sealed
    # Half the price, and sure enough to find nothing wrong.
    fault = difference(to.wallets.wallet(workspace_id, consistent=False), sealed.head)
    if fault:
        # Read after the seal: all that is sealed is in the wallet, so equal counts mean the same movements.
        fault = difference(to.wallets.wallet(workspace_id), sealed.head)
    return Sealed(sealed.head, sealed.movements, fault)


def append(workspace_id: str, arrived: Sequence[Form], *, to: Sealing, now: datetime) -> Sealed:
    """Seal those of the movements that no seal covers yet. Raises Unavailable when others always come first."""
    forms = {place(form): form for form in arrived}
    if not forms:
        return Sealed(to.seals.newest(workspace_id, consistent=False), 0)
    for tries in range(TRIES_MAX):
        # A stale newest seal is found out by the write, which wants its number to be free.
        covered = Covered(workspace_id, to.seals.newest(workspace_id, consistent=tries > 0), to.seals)
        left = [form for at, form in forms.items() if not covered.has(at, form["at"])]
        head = covered.head
        if not left:
            return Sealed(head, 0)
        fault = f"seal {head.number} was changed" if head and not intact(workspace_id, head) else None
        try:
            for link in chained(workspace_id, covered.head, left, now):
                to.seals.append(workspace_id, link)
                head = link
        except SealTaken:
            to.pause(tries)
        else:
            return Sealed(head, len(left), fault)
    raise Unavailable("The wallet is being sealed by others. Try again.")


class Covered:
    """What the seals cover, read back from the newest only as far as a question needs."""

    def __init__(self, workspace_id: str, head: Seal | None, seals: SealStore) -> None:
        self.head = head
        self._workspace_id, self._seals = workspace_id, seals
        self._places = head.covers() if head else set[tuple[str, str]]()
        self._oldest = head

    def has(self, place: tuple[str, str], at: str) -> bool:
        """Whether a seal covers this movement, which happened `at`."""
        while place not in self._places and self._oldest and self._oldest.at >= at and self._oldest.number > 1:
            last = self._oldest.number - 1
            read = self._seals.between(self._workspace_id, max(1, last - SEALS_A_READ + 1), last)
            if not read:
                break
            self._oldest = read[0]
            for each in read:
                self._places |= each.covers()
        return place in self._places


def unsealed(workspace_id: str, head: Seal | None, missing: int, *, seals: SealStore, pages_max: int) -> list[Form]:
    """Up to `missing` movements that no seal up to `head` covers, found from the newest of the statement backwards.
    Fewer when there are no more in that many pages."""
    covered, found = Covered(workspace_id, head, seals), list[Form]()
    after: str | None = None
    for _ in range(pages_max):
        if len(found) >= missing:
            break
        page = seals.forms(workspace_id, after, FORMS_A_READ)
        # The youngest first: what is younger than the newest seal needs no look at other seals.
        for form in sorted(page.forms, key=lambda form: form["at"], reverse=True):
            if len(found) < missing and not covered.has(place(form), form["at"]):
                found.append(form)
        after = page.next_key
        if after is None:
            break
    return sorted(found, key=lambda form: (form["at"], place(form)))


def complete(workspace_id: str, *, to: Sealing, now: datetime) -> tuple[Wallet, Seal | None]:
    """Seal all that is written, and return the wallet with the seal that comes to exactly it.

    Raises Unavailable when the wallet is too busy to be seen still, or when something written cannot be found soon."""
    for _ in range(TRIES_MAX):
        head = to.seals.newest(workspace_id, consistent=True)
        wallet = to.wallets.wallet(workspace_id)
        missing = wallet.written - (head.count if head else 0)
        if missing <= 0:
            return wallet, head
        found = unsealed(workspace_id, head, missing, seals=to.seals, pages_max=PAGES_A_REQUEST)
        if not found:
            break
        append(workspace_id, found, to=to, now=now)
    raise Unavailable("Not all entries are sealed yet. Try again in a minute.")


def difference(wallet: Wallet, head: Seal) -> str | None:
    """How a wallet differs from its sealed movements; None while movements are on their way. The seal must have been
    read before the wallet."""
    if head.count > wallet.written:
        return f"{head.count} movements are sealed and {wallet.written} were written"
    return drift(wallet, head.balance, head.grants) if head.count == wallet.written else None
