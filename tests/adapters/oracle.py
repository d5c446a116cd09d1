"""The oracle: what the ledger should do, in the plainest code: one list of grants, one list of holds, no deltas.

The state machine in test_ledger_machine.py runs it beside the real use cases. It shares no code with the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass
class Pot:
    """A grant of credits. `left`: still spendable; `lapsed`: expired unspent."""

    name: str
    left: int
    priority: int
    born: datetime
    expires: datetime | None
    lapsed: int = 0
    given: int = 0
    taken_back: int = 0


@dataclass
class Reserve:
    """One open hold: the amount from each pot, in the order in which the pots were used."""

    parts: list[tuple[Pot, int]]

    @property
    def amount(self) -> int:
        return sum(amount for _, amount in self.parts)


@dataclass
class Purse:
    """A wallet. `reset`: when the next daily grant is due."""

    reset: datetime
    pots: list[Pot] = field(default_factory=list[Pot])
    held: int = 0
    debt: int = 0
    spent: int = 0

    @property
    def available(self) -> int:
        return sum(pot.left for pot in self.pots)

    def look(self, now: datetime) -> None:
        """Books expiries, the daily grant and the repayment of debt, as every use of the wallet does first."""
        for pot in self.pots:
            if pot.expires and pot.expires <= now:
                pot.lapsed += pot.left
                pot.left = 0
        if self.reset <= now:
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            self.reset = midnight
            self.pots.append(Pot(f"daily#{now.date()}", 50, 10, now, midnight, given=50))
        covered = min(self.debt, self.available)
        self.take(covered, now)
        self.debt -= covered

    def spendable(self, now: datetime) -> int:
        return sum(pot.left for pot in self.pots if not pot.expires or pot.expires > now)

    def can_spend(self, amount: int, now: datetime) -> bool:
        return self.debt == 0 and self.spendable(now) >= amount

    def take(self, amount: int, now: datetime) -> list[tuple[Pot, int]]:
        far = datetime.max.replace(tzinfo=now.tzinfo)
        usable = [pot for pot in self.pots if pot.left and (not pot.expires or pot.expires > now)]
        parts: list[tuple[Pot, int]] = []
        for pot in sorted(usable, key=lambda pot: (pot.expires or far, pot.priority, pot.born, pot.name)):
            part = min(pot.left, amount)
            if part:
                pot.left -= part
                amount -= part
                parts.append((pot, part))
        return parts

    def hold(self, amount: int, now: datetime) -> Reserve:
        self.held += amount
        return Reserve(self.take(amount, now))

    def end(self, reserve: Reserve, charged: int, now: datetime) -> None:
        self.held -= reserve.amount
        self.spent += charged
        for pot, amount in reserve.parts:
            paid = min(amount, charged)
            charged -= paid
            if pot.expires and pot.expires <= now:
                pot.lapsed += amount - paid
            else:
                pot.left += amount - paid

    def take_back(self, pot: Pot, amount: int) -> None:
        pot.taken_back += amount
        for source in ("left", "lapsed"):
            part = min(getattr(pot, source), amount)
            setattr(pot, source, getattr(pot, source) - part)
            amount -= part
        self.debt += amount
