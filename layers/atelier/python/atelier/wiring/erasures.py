"""Erasures, composed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from atelier.clock import Clock, system_clock
from atelier.settings import (
    AnalyticsTable,
    AuditArchive,
    AuditTable,
    BillingTable,
    CommunityTable,
    EraseMachine,
    ErasuresTable,
    ExportsBucket,
    ExportsTable,
    GenerationsTable,
    IdentityTable,
    InboxTable,
    LedgerTable,
    LibraryTable,
    MediaBucket,
    NotificationsTable,
    ProvidersTable,
    RequestsTable,
    SitesBucket,
    SitesTable,
    WebhooksTable,
)

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.erasures.store import DynamoErasures
    from atelier.erasures.erase import EraseDeps
    from atelier.erasures.find_due import FindDueDeps


@cache
def store() -> DynamoErasures:
    """The list of erasures."""
    from atelier.adapters.aws.dynamodb.erasures.store import DynamoErasures

    DynamoErasures.bind(ErasuresTable.read().name, IdentityTable.read().name)
    return DynamoErasures()


def is_erased(log: str) -> bool:
    """Whether a log is erased, or being erased."""
    return store().is_erased(log)


def find_due_deps() -> FindDueDeps:
    """The dependencies of beginning erasures."""
    from atelier.adapters.aws.erasure_jobs import StepFunctionsErasureJobs
    from atelier.erasures.find_due import FindDueDeps

    return FindDueDeps(store(), StepFunctionsErasureJobs(EraseMachine.read().arn))


def erase_deps(clock: Clock = system_clock) -> EraseDeps:
    """The dependencies of erasing."""
    from atelier.adapters.aws.dynamodb.erasures.items import DynamoErasedItems
    from atelier.adapters.aws.dynamodb.erasures.logs import DynamoErasedLogs
    from atelier.adapters.aws.dynamodb.erasures.people import DynamoErasedPeople
    from atelier.adapters.aws.erased_files import S3ErasedFiles
    from atelier.erasures.erase import EraseDeps

    audit_bucket = AuditArchive.read().bucket
    tables = {
        "ledger": LedgerTable.read().name,
        "generations": GenerationsTable.read().name,
        "library": LibraryTable.read().name,
        "notifications": NotificationsTable.read().name,
        "inbox": InboxTable.read().name,
        "providers": ProvidersTable.read().name,
        "billing": BillingTable.read().name,
        "analytics": AnalyticsTable.read().name,
        "exports": ExportsTable.read().name,
        "webhooks": WebhooksTable.read().name,
        "community": CommunityTable.read().name,
        "sites": SitesTable.read().name,
        "requests": RequestsTable.read().name,
        "erasures": ErasuresTable.read().name,
    }
    return EraseDeps(
        store(),
        DynamoErasedItems(tables, clock),
        S3ErasedFiles(
            {
                "media": MediaBucket.read().bucket,
                "exports": ExportsBucket.read().name,
                "sites": SitesBucket.read().name,
                "audit": audit_bucket,
            }
        ),
        DynamoErasedPeople(IdentityTable.read().name),
        DynamoErasedLogs(AuditTable.read().name, audit_bucket),
        end_billing,
        lambda workspace_id: end_workshops(workspace_id, clock),
        lambda workspace_id: end_livestreams(workspace_id, clock),
        lambda workspace_id: end_listings(workspace_id, clock),
        lambda workspace_id: pay_purchases(workspace_id, clock),
        clock,
    )


def end_billing(workspace_id: str) -> None:
    """End what a workspace has at the service that takes payments, if there is one."""
    from atelier.billing.end_billing import end_at_services
    from atelier.wiring import payments

    end_at_services(workspace_id, payments.services(), end=_end_at_stripe)


def end_workshops(workspace_id: str, clock: Clock) -> None:
    """Give the fees of a workspace's workshops back."""
    from atelier.wiring import workshops
    from atelier.workshops import end_workshops as ending

    ending.end_workshops(workspace_id, deps=workshops.advance_deps(), now=clock())


def end_livestreams(workspace_id: str, clock: Clock) -> None:
    """Let go of a workspace's streams at the streaming service."""
    from atelier.livestreams import end_livestreams as ending
    from atelier.wiring import livestreams

    ending.end_livestreams(workspace_id, store=livestreams.livestreams(), now=clock())


def end_listings(workspace_id: str, clock: Clock) -> None:
    """Take a workspace's listings off the showcase."""
    from atelier.adapters.aws.dynamodb import pause_with_jitter
    from atelier.showcase import end_listings as ending
    from atelier.wiring import library, showcase

    store, files = showcase.listings(), library.stored_files
    ending.end_listings(workspace_id, store=store, files=files, pause=pause_with_jitter, now=clock())


def pay_purchases(workspace_id: str, clock: Clock) -> None:
    """Pay for what a workspace has bought."""
    from atelier.showcase.pay import pay_all
    from atelier.wiring import showcase

    pay_all(workspace_id, deps=showcase.payments(), now=clock())


def _end_at_stripe(workspace_id: str) -> None:
    from atelier.billing import end_billing as ending
    from atelier.wiring import payments

    ending.end_billing(workspace_id, deps=payments.billing_deps(system_clock))
