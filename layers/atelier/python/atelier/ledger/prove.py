"""The proof of a wallet: its seals, the movements they cover, and at the end the wallet itself; `verify.py` checks it
offline.

A proof has pages of seals. Before the last page is built, all unsealed movements are sealed, so that the wallet on it
is exactly the sum of the entries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime

from atelier import cursors
from atelier.errors import Unavailable, ValidationFailed
from atelier.ledger.hash_chain import MOVEMENTS_MAX, PublicForm, Seal, movement_id, proven_counters, to_public
from atelier.ledger.ports import SealStore
from atelier.ledger.seal_movements import SealDeps, seal_all

PAGE_BYTES_MAX = 4_000_000
SEALS_PER_READ = 100
TRIES_MAX = 5


def position_of(cursor: str | None) -> int:
    """The number of the seal after which the page of a proof begins; 0 without a cursor. Raises ValidationFailed."""
    position = cursors.decode(cursor, "seal#") or "seal#0"
    if not re.fullmatch(r"seal#\d{1,12}", position, re.ASCII):
        raise ValidationFailed([{"path": "query.cursor", "message": "is not a cursor of this list"}])
    return int(position.removeprefix("seal#"))


def cursor_after(number: int | None) -> str | None:
    """The cursor of the page after the seal `number`; None after the last page."""
    return cursors.encode(f"seal#{number}" if number else None)


def build_proof_page(
    workspace_id: str, after: int, *, deps: SealDeps, now: datetime, bytes_max: int = PAGE_BYTES_MAX
) -> tuple[PublicForm, int | None]:
    """One page: the seals after number `after` with their entries; and the number of its last seal, after which the
    next page begins, or None on the last page. Raises Unavailable while parallel writers keep changing the wallet,
    ValidationFailed when `after` is beyond the newest seal."""
    page = _Page(workspace_id, after, deps.seals, bytes_max)
    page.fill()
    for _ in range(TRIES_MAX):
        if page.full:
            break
        wallet, head = seal_all(workspace_id, deps=deps, now=now)
        page.fill()
        newest = head.number if head else 0
        if page.last == newest:
            return page.to_public(head, proven_counters(wallet)), None
        if after > newest:
            raise ValidationFailed([{"path": "query.cursor", "message": "is not a cursor of this list"}])
    if page.head is None:
        raise Unavailable("The wallet is busy. Try again.")
    return page.to_public(page.head, None), page.last


class _Page:
    def __init__(self, workspace_id: str, after: int, seals: SealStore, bytes_max: int) -> None:
        self._workspace_id, self._store = workspace_id, seals
        self._bytes, self._bytes_max = 0, bytes_max
        self._seals: list[PublicForm] = []
        self._entries: list[PublicForm] = []
        self.last = after
        self.head: Seal | None = None
        self.full = False

    def fill(self) -> None:
        """Add seals until there are no more, or until the page has its maximum size."""
        for seal, entries in self._next_seals():
            self._bytes += len(json.dumps([to_public(seal), entries]))
            if self._bytes > self._bytes_max and self._seals:
                self.full = True
                return
            self._seals.append(to_public(seal))
            self._entries += entries
            self.last, self.head = seal.number, seal

    def _next_seals(self) -> Iterator[tuple[Seal, list[PublicForm]]]:
        read = self._store.between(self._workspace_id, self.last + 1, self.last + SEALS_PER_READ)
        while read:
            for group in _in_batches(read):
                movement_ids = [(order, key) for seal in group for order, key, _ in seal.movements]
                forms = {
                    movement_id(form): form
                    for form in self._store.public_movements_of(self._workspace_id, movement_ids)
                }
                for seal in group:
                    seal_movements = (forms.get((order, key)) for order, key, _ in seal.movements)
                    # A movement that is missing from the table is left out; the verifier reports it.
                    yield seal, [form for form in seal_movements if form]
            if len(read) < SEALS_PER_READ:
                return
            read = self._store.between(self._workspace_id, read[-1].number + 1, read[-1].number + SEALS_PER_READ)

    def to_public(self, head: Seal | None, wallet: PublicForm | None) -> PublicForm:
        """The page in its public form."""
        return {
            "workspace_id": self._workspace_id,
            "wallet": wallet,
            "seals": self._seals,
            "entries": self._entries,
            "head": {"number": head.number, "hash": head.hash, "count": head.count} if head else None,
        }


def _in_batches(seals: list[Seal]) -> Iterator[list[Seal]]:
    """The seals in groups; the movements of a group (at most 100) are read in one batch."""
    group: list[Seal] = []
    for seal in seals:
        if group and sum(len(each.movements) for each in (*group, seal)) > MOVEMENTS_MAX:
            yield group
            group = []
        group.append(seal)
    yield group
