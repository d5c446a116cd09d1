"""Backups, composed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from atelier.backups.model import BackupMethod
from atelier.clock import Clock, system_clock
from atelier.provider_settings import ProviderSecrets
from atelier.settings import (
    AnalyticsTable,
    AuditTable,
    Backups,
    BackupsTable,
    BillingTable,
    CommunityTable,
    Deployment,
    ErasuresTable,
    ExportsTable,
    GenerationsTable,
    IdentityTable,
    InboxTable,
    LedgerTable,
    LibraryTable,
    MediaBucket,
    NotificationsTable,
    OAuth,
    Payments,
    ProvidersTable,
    Recovery,
    RequestsTable,
    SigningSecrets,
    SitesTable,
    WebhooksTable,
)

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.backups.store import DynamoBackups
    from atelier.backups.escrow_secrets import EscrowDeps
    from atelier.backups.write_backup import WriteBackupDeps


def records() -> DynamoBackups:
    """The records of backups."""
    from atelier.adapters.aws.dynamodb.backups.store import DynamoBackups

    return DynamoBackups(BackupsTable.read().name)


def write_deps(clock: Clock = system_clock) -> WriteBackupDeps:
    """The dependencies of writing a backup."""
    from atelier.adapters.aws.backup_files import S3NewBackupFiles
    from atelier.adapters.aws.deployment_facts import StackFacts
    from atelier.adapters.aws.dynamodb.backups.point_in_time import PointInTimeCatalog, PointInTimeExports
    from atelier.adapters.aws.dynamodb.backups.segments import DynamoTableCatalog, TableSegments
    from atelier.adapters.aws.media_inventory import S3MediaInventory
    from atelier.backups.write_backup import BackupPlace, WriteBackupDeps

    settings, deployment = Backups.read(), Deployment.read()
    media, method, files = MediaBucket.read().bucket, BackupMethod(settings.method), S3NewBackupFiles(settings.bucket)
    tables = table_names()
    catalog, source = {
        BackupMethod.SEGMENTS: (DynamoTableCatalog(tables), TableSegments(tables, files, clock)),
        BackupMethod.POINT_IN_TIME: (PointInTimeCatalog(tables), PointInTimeExports(tables, settings.bucket, files)),
    }[method]
    return WriteBackupDeps(
        records(),
        BackupPlace(settings.bucket, media, settings.stack, deployment.stage, method, settings.lock_days),
        catalog,
        source,
        S3MediaInventory(media, files),
        files,
        StackFacts(settings.stack),
        configuration,
        signing_key,
        clock,
    )


def escrow_deps(clock: Clock = system_clock) -> EscrowDeps:
    """The dependencies of putting secrets into a backup."""
    from atelier.adapters.aws.backup_files import S3NewBackupFiles
    from atelier.adapters.aws.signing_keys import SecretText
    from atelier.adapters.escrow.age import AgeRecipient
    from atelier.backups.escrow_secrets import EscrowDeps

    recovery, secrets = Recovery.read(), secret_ids()
    return EscrowDeps(
        records(),
        S3NewBackupFiles(recovery.bucket),
        next(map(AgeRecipient, recovery.keys), None),
        lambda: {name: SecretText(secret).read() for name, secret in secrets.items()},
        recovery.stack,
        clock,
    )


def table_names() -> dict[str, str]:
    """The name of each table that is in a backup, by its context."""
    tables = {
        "analytics": AnalyticsTable,
        "audit": AuditTable,
        "billing": BillingTable,
        "community": CommunityTable,
        "erasures": ErasuresTable,
        "exports": ExportsTable,
        "generations": GenerationsTable,
        "identity": IdentityTable,
        "inbox": InboxTable,
        "ledger": LedgerTable,
        "library": LibraryTable,
        "notifications": NotificationsTable,
        "providers": ProvidersTable,
        "requests": RequestsTable,
        "sites": SitesTable,
        "webhooks": WebhooksTable,
    }
    return {context: table.read().name for context, table in tables.items()}


def secret_ids() -> dict[str, str]:
    """The id of each secret of the deployment."""
    others = {"providers": ProviderSecrets, "stripe": Payments, "oauth": OAuth}
    return {**vars(SigningSecrets.read()), **{name: each.read().secret for name, each in others.items()}}


def configuration() -> Mapping[str, bytes]:
    """The files of the product that say what models and tiers there are."""
    from atelier.catalogue.catalogue import COMPILED, FOLDER

    return {name: (FOLDER / name).read_bytes() for name in (COMPILED, "tiers.yaml")}


def signing_key() -> Mapping[str, str]:
    """The private key that signs manifests."""
    from atelier.adapters.aws.secrets import Secret

    key: Mapping[str, str] = Secret(Backups.read().secret).value()["keys"][0]
    return key
