"""The oracle: what the ledger should do, in the plainest code: one list of grants, one list of holds, no deltas.

The state machine in test_ledger_machine.py runs it beside the real use cases. It shares no code with the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

DAILY_CREDITS = {"free": 50, "pro@1": 80}
"""The daily credits of the tiers, which are not those on sale."""
RETURNED_LIFETIME_MIN = timedelta(days=30)
FREE_PRIORITIES = (10, 30)
"""Of daily and promotional credits, which pay nobody else."""
REFUND_PRIORITY = 40


@dataclass
class OracleGrant:
    """A grant of credits. `left`: still spendable; `lapsed`: expired unspent; `taken_back`: revoked and not returned
    since."""

    name: str
    left: int
    priority: int
    created_at: datetime
    expires_at: datetime | None
    lapsed: int = 0
    granted: int = 0
    taken_back: int = 0


@dataclass
class OracleHold:
    """One open hold: the amount from each pot, in the order in which the pots were used."""

    parts: list[tuple[OracleGrant, int]]

    @property
    def amount(self) -> int:
        return sum(amount for _, amount in self.parts)


@dataclass
class OracleWallet:
    """A wallet. `reset`: when the next daily grant is due; `tier_ends_at`: from then on the tier is free."""

    reset: datetime
    grants: list[OracleGrant] = field(default_factory=list[OracleGrant])
    held: int = 0
    debt: int = 0
    spent: int = 0
    tier: str = "free"
    tier_ends_at: datetime | None = None

    def tier_at(self, now: datetime) -> str:
        return self.tier if self.tier_ends_at is None or now < self.tier_ends_at else "free"

    @property
    def available(self) -> int:
        return sum(pot.left for pot in self.grants)

    def refresh(self, now: datetime) -> None:
        """Books expiries, the daily grant and the repayment of debt, as every use of the wallet does first."""
        for pot in self.grants:
            if pot.expires_at and pot.expires_at <= now:
                pot.lapsed += pot.left
                pot.left = 0
        if self.reset <= now:
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            self.reset = midnight
            credits = DAILY_CREDITS[self.tier_at(now)]
            self.grants.append(OracleGrant(f"daily#{now.date()}", credits, 10, now, midnight, granted=credits))
        covered = min(self.debt, self.available)
        self.take(covered, now)
        self.debt -= covered

    def spendable(self, now: datetime) -> int:
        return sum(pot.left for pot in self.grants if not pot.expires_at or pot.expires_at > now)

    def can_spend(self, amount: int, now: datetime) -> bool:
        return self.debt == 0 and self.spendable(now) >= amount

    def payable(self, now: datetime) -> int:
        """What can pay a creator."""
        if self.debt:
            return 0
        usable = [pot for pot in self.grants if not pot.expires_at or pot.expires_at > now]
        return sum(pot.left for pot in usable if pot.priority not in FREE_PRIORITIES)

    def take(self, amount: int, now: datetime, *, paid_only: bool = False) -> list[tuple[OracleGrant, int]]:
        far = datetime.max.replace(tzinfo=now.tzinfo)
        usable = [pot for pot in self.grants if pot.left and (not pot.expires_at or pot.expires_at > now)]
        usable = [pot for pot in usable if not paid_only or pot.priority not in FREE_PRIORITIES]
        parts: list[tuple[OracleGrant, int]] = []
        for pot in sorted(usable, key=lambda pot: (pot.expires_at or far, pot.priority, pot.created_at, pot.name)):
            part = min(pot.left, amount)
            if part:
                pot.left -= part
                amount -= part
                parts.append((pot, part))
        return parts

    def hold(self, amount: int, now: datetime, *, paid_only: bool = False) -> OracleHold:
        self.held += amount
        return OracleHold(self.take(amount, now, paid_only=paid_only))

    def end(self, reserve: OracleHold, charged: int, now: datetime) -> None:
        self.held -= reserve.amount
        self.spent += charged
        for pot, amount in reserve.parts:
            paid = min(amount, charged)
            charged -= paid
            if pot.expires_at and pot.expires_at <= now:
                pot.lapsed += amount - paid
            else:
                pot.left += amount - paid

    def end_escrow(
        self,
        escrow: OracleHold,
        paid: int,
        names: tuple[str, str],
        now: datetime,
        held_at: datetime,
        *,
        is_choice: bool,
    ) -> None:
        """Pays a part of what was held for a payment; the rest goes back, in place of expired credits as new grants:
        one, by the first name, for all but what was a refund before; that has the time that was left of it."""
        self.held -= escrow.amount
        expired: list[tuple[OracleGrant, int]] = []
        for pot, amount in escrow.parts:
            back = max(amount - paid, 0)
            paid -= amount - back
            if pot.expires_at and pot.expires_at <= now:
                expired.append((pot, back))
            else:
                pot.left += back
        for name, was_refund in zip(names, (False, True), strict=True):
            parts = [each for each in expired if each[1] and (each[0].priority == REFUND_PRIORITY) == was_refund]
            if not parts:
                continue
            credits, lifetime = sum(amount for _, amount in parts), RETURNED_LIFETIME_MIN
            if is_choice or was_refund:
                lifetime = min(lifetime, max(pot.expires_at - held_at for pot, _ in parts if pot.expires_at))
            self.grants.append(OracleGrant(name, credits, REFUND_PRIORITY, now, now + lifetime, granted=credits))

    def take_back(self, pot: OracleGrant, asked: int) -> int:
        """Revokes up to `asked` credits of a grant, and returns how many."""
        missing = taken = min(asked, pot.granted - pot.taken_back)
        pot.taken_back += taken
        for source in ("left", "lapsed"):
            part = min(getattr(pot, source), missing)
            setattr(pot, source, getattr(pot, source) - part)
            missing -= part
        self.debt += missing
        return taken

    def give_back(self, pot: OracleGrant, taken: int, name: str, now: datetime) -> OracleGrant:
        """Returns what a revocation took of a grant, as a new grant."""
        pot.taken_back -= taken
        expires_at = pot.expires_at and max(pot.expires_at, now + RETURNED_LIFETIME_MIN)
        returned = OracleGrant(name, taken, 40, now, expires_at, granted=taken)
        self.grants.append(returned)
        return returned
