"""The outbox, composed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from atelier.adapters.aws.dynamodb.billing import changes as of_billing
from atelier.adapters.aws.dynamodb.generation_changes import generation_changes
from atelier.adapters.aws.dynamodb.workspaces import changes as of_members
from atelier.adapters.aws.events import EventBridgeBus
from atelier.billing.relay import BillingChange
from atelier.events.catalogue import MemberChanged
from atelier.generations.relay import GenerationChange, RelayDeps
from atelier.settings import EventBus
from atelier.wiring.projects import projects
from atelier.wiring.workflow import queue, workflow


@cache
def event_bus() -> EventBridgeBus:
    """The event bus of this deployment."""
    return EventBridgeBus(EventBus.read().name)


@cache
def relay_deps() -> RelayDeps:
    """The dependencies of the outbox."""
    return RelayDeps(workflow(), queue(), event_bus(), projects())


def changes(records: Sequence[dict[str, Any]]) -> Iterator[GenerationChange]:
    """The changes of generations in a batch of the table's stream."""
    return generation_changes(records)


def member_changes(records: Sequence[dict[str, Any]]) -> Iterator[MemberChanged]:
    """The changes of organisations' members in a batch of the identity table's stream."""
    return of_members.member_changes(records)


def billing_changes(records: Sequence[dict[str, Any]]) -> Iterator[BillingChange]:
    """The changes of plans and invoices in a batch of the billing table's stream."""
    return of_billing.billing_changes(records)
