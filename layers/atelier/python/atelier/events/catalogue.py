"""The events that Atelier publishes on its event bus. Each class is one event: its types, version, id and payload.

On the bus, `source` and the type are attributes of the entry, and the payload is its `detail`: `id`, `version`,
`occurred_at` and the fields of the class, as JSON. An event may be delivered more than once, with the same id. Versions
count incompatible changes; a new field is none, so a consumer ignores the fields that it does not know.

The docstring of a class says when its event is published. `docs/events.md` and the section `webhooks` of the OpenAPI
document are generated from this module. Who publishes an event imports it from the module that has its class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from atelier.dataclass import dataclass
from atelier.events.deployment_events import DeploymentChange, IntegrationRefused
from atelier.events.event import Event, Instant, Workspace, field_names
from atelier.events.limits import BudgetAlert, CreditsGranted, CreditsLow, QuotaThresholdReached
from atelier.events.livestream_events import LivestreamChange, LivestreamOpen
from atelier.events.showcase_events import ListingChange, ListingRoyalty, ListingSale
from atelier.events.site_events import CommentMention
from atelier.events.workshop_events import EnrolmentChange, WorkshopChange
from atelier.events.workspace_events import AccountChanged, MemberChanged, WorkspaceChanged

FINAL_STATUSES = ("succeeded", "failed", "cancelled", "expired")

FinalStatus = Annotated[str, f"one of {', '.join(FINAL_STATUSES)}"]
Model = Annotated[str | None, "the model of the last attempt; null if there was none"]
Charged = Annotated[int, "credits"]
CostMicrousd = Annotated[int, "what the provider bills, in millionths of a US dollar"]


@dataclass(frozen=True, slots=True)
class GenerationEnded:
    """A generation or a run reached its final status. When the result of an expired generation comes late, a second
    event follows, of the type `generation.succeeded`."""

    source: ClassVar[str] = "atelier.generations"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = tuple(f"generation.{status}" for status in FINAL_STATUSES)

    workspace_id: Workspace
    generation_id: Annotated[str, "the generation"]
    status: FinalStatus
    model: Model
    credits_charged: Charged
    cost_microusd: CostMicrousd
    completed_at: Instant
    kind: Annotated[str | None, "what it makes, such as `image` or `page`; null in events from before it was named"] = (
        None
    )

    @property
    def type(self) -> str:
        return f"generation.{self.status}"

    @property
    def id(self) -> str:
        return f"{self.generation_id}#{self.status}"

    @property
    def occurred_at(self) -> str:
        return self.completed_at


@dataclass(frozen=True, slots=True)
class StageEnded:
    """A stage of a run reached its final status. The stage holds no credits of its own; the run's event has the sum."""

    source: ClassVar[str] = "atelier.generations"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = tuple(f"stage.{status}" for status in FINAL_STATUSES)

    workspace_id: Workspace
    generation_id: Annotated[str, "the stage, which is a generation"]
    status: FinalStatus
    model: Model
    credits_charged: Charged
    cost_microusd: CostMicrousd
    completed_at: Instant
    run_id: Annotated[str, "the run, which is a generation too"]

    @property
    def type(self) -> str:
        return f"stage.{self.status}"

    @property
    def id(self) -> str:
        return f"{self.generation_id}#{self.status}"

    @property
    def occurred_at(self) -> str:
        return self.completed_at


@dataclass(frozen=True, slots=True)
class SubscriptionChanged:
    """The plan of a workspace began, changed, could not be charged, or ended. `subscription.changed` is published for
    another tier or interval, a new period, and what its owner intends (the end, a pause, a planned change)."""

    source: ClassVar[str] = "atelier.billing"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = tuple(
        f"subscription.{change}" for change in ("started", "changed", "past_due", "ended")
    )

    workspace_id: Workspace
    subscription_id: Annotated[str, "the subscription, ours"]
    revision: Annotated[int, "counts the changes of the workspace's plan"]
    change: Annotated[str, "`started`, `changed`, `past_due` or `ended`"]
    tier: Annotated[str, "the tier with its version, such as `pro@1`"]
    status: Annotated[str, "`trialing`, `active`, `past_due`, `paused` or `ended`"]
    period_end: Instant
    changed_at: Instant

    @property
    def type(self) -> str:
        return f"subscription.{self.change}"

    @property
    def id(self) -> str:
        return f"{self.workspace_id}#{self.revision}"

    @property
    def occurred_at(self) -> str:
        return self.changed_at


@dataclass(frozen=True, slots=True)
class InvoicePaid:
    """An invoice was paid, for the first time or the only one."""

    source: ClassVar[str] = "atelier.billing"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("invoice.paid",)

    workspace_id: Workspace
    invoice_id: Annotated[str, "the invoice, Stripe's"]
    currency: Annotated[str, "ISO 4217, lower case"]
    total: Annotated[int, "in the currency's minor unit, after discounts, with tax"]
    tax: Annotated[int, "in the currency's minor unit"]
    credits: Annotated[int, "granted for it"]
    paid_at: Instant

    @property
    def type(self) -> str:
        return "invoice.paid"

    @property
    def id(self) -> str:
        return f"{self.invoice_id}#paid"

    @property
    def occurred_at(self) -> str:
        return self.paid_at


@dataclass(frozen=True, slots=True)
class PackPaid:
    """A pack of credits was paid, and its credits were granted. It has no invoice."""

    source: ClassVar[str] = "atelier.billing"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("pack.paid",)

    workspace_id: Workspace
    payment_id: Annotated[str, "the payment, Stripe's"]
    currency: Annotated[str, "ISO 4217, lower case"]
    amount: Annotated[int, "in the currency's minor unit"]
    credits: Annotated[int, "granted for it"]
    paid_at: Instant

    @property
    def type(self) -> str:
        return "pack.paid"

    @property
    def id(self) -> str:
        return f"{self.payment_id}#paid"

    @property
    def occurred_at(self) -> str:
        return self.paid_at


@dataclass(frozen=True, slots=True)
class DrillEnded:
    """The restore of a backup into scratch tables was tried, and everything in them was verified."""

    source: ClassVar[str] = "atelier.backups"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("drill.passed", "drill.failed")

    drill_id: Annotated[str, "the drill"]
    backup_id: Annotated[str, "the backup that was restored"]
    result: Annotated[str, "`passed` or `failed`"]
    problems: Annotated[int, "how many were found; `GET /api/admin/drills` names them"]
    items: Annotated[int, "restored, of all tables"]
    wallets: Annotated[int, "whose ledger was verified"]
    logs: Annotated[int, "audit logs whose chain was verified"]
    finished_at: Instant

    @property
    def type(self) -> str:
        return f"drill.{self.result}"

    @property
    def id(self) -> str:
        return f"{self.drill_id}#{self.result}"

    @property
    def occurred_at(self) -> str:
        return self.finished_at


@dataclass(frozen=True, slots=True)
class WebhookEndpointDisabled:
    """Atelier sends no more webhooks to an endpoint, because it answered 410, or because nothing has succeeded for five
    days. An administrator of the workspace may enable it again."""

    source: ClassVar[str] = "atelier.webhooks"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("webhook_endpoint.disabled",)

    workspace_id: Workspace
    endpoint_id: Annotated[str, "the endpoint"]
    reason: Annotated[str, "`gone` (it answered 410) or `failing`"]
    failing_since: Annotated[str | None, "the first failure after the last success; RFC 3339, UTC"]
    disabled_at: Instant

    @property
    def type(self) -> str:
        return "webhook_endpoint.disabled"

    @property
    def id(self) -> str:
        return f"{self.endpoint_id}#disabled#{self.disabled_at}"

    @property
    def occurred_at(self) -> str:
        return self.disabled_at


@dataclass(frozen=True, slots=True)
class CleanUpFinished:
    """A clean-up has gone through all workspaces. One that only reports has deleted nothing of what it counts."""

    source: ClassVar[str] = "atelier.library"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("clean_up.finished",)

    started_at: Instant
    mode: Annotated[str, "`act` or `report`"]
    passing_files: Annotated[int, "that were needed for minutes"]
    unfinished_uploads: Annotated[int, "that were never completed"]
    old_versions: Annotated[int, "of files that were replaced or deleted"]
    files_without_asset: Annotated[int, "that nothing needs"]
    assets_without_file: Annotated[int, "which are never deleted by it"]
    expired_assets: Annotated[int, "that were in the archive longer than the tier keeps them"]
    finished_at: Instant

    @property
    def type(self) -> str:
        return self.types[0]

    @property
    def id(self) -> str:
        return f"clean_up#{self.started_at}"

    @property
    def occurred_at(self) -> str:
        return self.finished_at


@dataclass(frozen=True, slots=True)
class UpdatePublished:
    """An update of the platform's administrators begins to be sent to the people for whom it is."""

    source: ClassVar[str] = "atelier.notifications"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("update.published",)

    update_id: Annotated[str, "the update"]
    topic: Annotated[str, "what it is about, such as `news`"]
    audience: Annotated[str, "`user`, `segment` or `everybody`"]
    published_at: Instant

    @property
    def type(self) -> str:
        return self.types[0]

    @property
    def id(self) -> str:
        return f"{self.update_id}#published"

    @property
    def occurred_at(self) -> str:
        return self.published_at


EVENTS: tuple[type[Event], ...] = (
    GenerationEnded,
    StageEnded,
    BudgetAlert,
    QuotaThresholdReached,
    CreditsGranted,
    CreditsLow,
    SubscriptionChanged,
    InvoicePaid,
    PackPaid,
    MemberChanged,
    AccountChanged,
    WorkspaceChanged,
    DrillEnded,
    WebhookEndpointDisabled,
    CleanUpFinished,
    CommentMention,
    WorkshopChange,
    EnrolmentChange,
    LivestreamChange,
    LivestreamOpen,
    ListingChange,
    ListingSale,
    ListingRoyalty,
    UpdatePublished,
    DeploymentChange,
    IntegrationRefused,
)


class UnknownEvent(Exception):
    """An event of a type or version that this build does not know, or whose payload lacks a field."""


def parse(event_type: str, detail: Mapping[str, Any]) -> Event:
    """The event with this type and payload. A payload without a version is of the first. Raises UnknownEvent."""
    found = next((each for each in EVENTS if event_type in each.types), None)
    if found is None or detail.get("version", 1) != found.version:
        raise UnknownEvent(f"{event_type}, version {detail.get('version', 1)}")
    try:
        return found(**{name: detail[name] for name in field_names(found)})
    except KeyError as error:
        raise UnknownEvent(f"{event_type} without {error}") from error
