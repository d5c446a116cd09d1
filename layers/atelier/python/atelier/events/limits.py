"""The events of what a workspace has: its credits, its budgets, and how much of what its tier allows it has used."""

from __future__ import annotations

from typing import Annotated, ClassVar

from atelier.dataclass import dataclass
from atelier.events.event import Instant, Workspace


@dataclass(frozen=True, slots=True)
class QuotaThresholdReached:
    """A workspace has used 80 % or all of what its tier allows it of something: once for each threshold, limit and
    calendar month (UTC). For a limit of one there is no such event."""

    source: ClassVar[str] = "atelier.workspaces"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("quota.threshold_reached",)

    workspace_id: Workspace
    quota: Annotated[str, "`projects`, `storage_bytes`, `members` or `api_calls`"]
    percent: Annotated[int, "the threshold, 80 or 100"]
    used: Annotated[int, "how much was used when it was seen"]
    limit: Annotated[int, "how much the tier allows"]
    period: Annotated[str, "the month, such as `2026-11`"]
    reached_at: Instant

    @property
    def type(self) -> str:
        return self.types[0]

    @property
    def id(self) -> str:
        return f"{self.workspace_id}#{self.quota}#{self.limit}#{self.percent}#{self.period}"

    @property
    def occurred_at(self) -> str:
        return self.reached_at


@dataclass(frozen=True, slots=True)
class CreditsGranted:
    """Credits came in: bought, of a plan, a gift, a correction, a transfer, or returned after a dispute or a failed
    refund. Daily credits are no event."""

    source: ClassVar[str] = "atelier.ledger"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("credits.granted",)

    id: Annotated[str, "the movement of the wallet"]
    workspace_id: Workspace
    credits: Annotated[int, "that came in"]
    grant_source: Annotated[str, "`monthly`, `purchase`, `promo`, `refund`, `admin` or `transfer`"]
    expires_at: Annotated[str | None, "when they expire; RFC 3339, UTC"]
    granted_at: Instant

    @property
    def type(self) -> str:
        return self.types[0]

    @property
    def occurred_at(self) -> str:
        return self.granted_at


@dataclass(frozen=True, slots=True)
class CreditsLow:
    """A workspace has fewer credits than its threshold: once, until it had as many as the threshold again. Credits that
    are held for generations under way count as there."""

    source: ClassVar[str] = "atelier.ledger"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("credits.low",)

    id: Annotated[str, "the change of the wallet"]
    workspace_id: Workspace
    credits: Annotated[int, "that were left"]
    threshold: Annotated[int, "credits; the workspace's own choice, or that of its tier"]
    fell_at: Instant

    @property
    def type(self) -> str:
        return self.types[0]

    @property
    def occurred_at(self) -> str:
        return self.fell_at


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """What was spent from a budget reached a threshold: once for each threshold and limit, and for a workspace once a
    month."""

    # The first version was published with the source of the generations, and rules match on it.
    source: ClassVar[str] = "atelier.generations"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("budget.alert",)

    id: Annotated[str, "the alert"]
    workspace_id: Workspace
    budget: Annotated[str, "the project's id, or `workspace`"]
    alert_type: Annotated[str, "`threshold_reached`, or `budget_exceeded` for the whole limit"]
    threshold: Annotated[int, "percent of the limit"]
    budget_microusd: Annotated[int, "the limit, in millionths of a US dollar"]
    current_spend_microusd: Annotated[int, "what was spent, in millionths of a US dollar"]
    period: Annotated[str | None, "the month, such as `2026-11`; null for a project's budget"]
    triggered_at: Instant

    @property
    def type(self) -> str:
        return "budget.alert"

    @property
    def occurred_at(self) -> str:
        return self.triggered_at
