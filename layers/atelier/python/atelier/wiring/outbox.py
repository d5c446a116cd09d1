"""The outbox, composed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any

from atelier.adapters.aws.dynamodb.billing import changes as of_billing
from atelier.adapters.aws.dynamodb.generation_changes import generation_changes
from atelier.adapters.aws.dynamodb.identity import changes as of_accounts
from atelier.adapters.aws.dynamodb.ledger import changes as of_wallets
from atelier.adapters.aws.dynamodb.workspaces import changes as of_workspaces
from atelier.adapters.aws.events import EventBridgeBus
from atelier.billing.relay import BillingChange
from atelier.clock import system_clock
from atelier.events.event import Event
from atelier.events.workspace_events import AccountChanged, MemberChanged, WorkspaceChanged
from atelier.feeds.publish import BusAndFeeds
from atelier.generations.change import GenerationChange
from atelier.generations.relay import RelayDeps
from atelier.ledger.credit_events import credits_granted, credits_low
from atelier.settings import EventBus
from atelier.wiring.feeds import feeds
from atelier.wiring.projects import projects
from atelier.wiring.workflow import queue, workflow


@cache
def event_bus() -> EventBridgeBus:
    """The event bus of this deployment."""
    return EventBridgeBus(EventBus.read().name)


@cache
def publisher() -> BusAndFeeds:
    """The event bus and the feeds of the workspaces."""
    return BusAndFeeds(event_bus(), feeds(), system_clock)


@cache
def relay_deps() -> RelayDeps:
    """The dependencies of the outbox."""
    return RelayDeps(workflow(), queue(), publisher(), projects(), feeds(), place_in_line)


def place_in_line(change: GenerationChange, now: datetime) -> int | None:
    """The place of a generation that waits for a provider; None = unknown."""
    # Imported here, because few generations wait.
    from atelier.wiring.routing import place_of_change

    return place_of_change(change, now)


def changes(records: Sequence[dict[str, Any]]) -> Iterator[GenerationChange]:
    """The changes of generations in a batch of the table's stream."""
    return generation_changes(records)


def identity_changes(
    records: Sequence[dict[str, Any]],
) -> Iterator[MemberChanged | WorkspaceChanged | AccountChanged]:
    """The changes of organisations and accounts in a batch of the identity table's stream."""
    return chain(
        of_workspaces.member_changes(records),
        of_workspaces.workspace_changes(records),
        of_accounts.account_changes(records),
    )


def billing_changes(records: Sequence[dict[str, Any]]) -> Iterator[BillingChange]:
    """The changes of plans and invoices in a batch of the billing table's stream."""
    return of_billing.billing_changes(records)


def credit_events(records: Sequence[dict[str, Any]]) -> Iterator[Event]:
    """What came into wallets, and wallets that became low, in a batch of the ledger table's stream."""
    granted = (credits_granted(*grant) for grant in of_wallets.grants(records))
    # Imported here, because other streams need no price list.
    from atelier.wiring.ledger import monthly_credits

    low = (credits_low(change, monthly_credits) for change in of_wallets.wallet_changes(records))
    return filter(None, chain(granted, low))
