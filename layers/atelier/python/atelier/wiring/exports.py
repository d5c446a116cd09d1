"""Exports, composed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from atelier.clock import Clock, system_clock
from atelier.exports.model import ExportDataset
from atelier.settings import (
    AnalyticsTable,
    AuditTable,
    AwsEndpoint,
    EventsBucket,
    ExportMachine,
    ExportsBucket,
    ExportsTable,
    GenerationsTable,
    LedgerTable,
    WholeExportMachine,
)
from atelier.wiring import audit_log
from atelier.wiring.idempotency import idempotency_keys

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.exports.product_events import DynamoProductEvents
    from atelier.adapters.aws.dynamodb.exports.store import DynamoExports
    from atelier.adapters.aws.dynamodb.exports.whole_exports import DynamoWholeExports
    from atelier.adapters.aws.export_files import S3ExportUrls
    from atelier.adapters.aws.export_jobs import StepFunctionsExportJobs
    from atelier.exports.day_files import DayFileDeps
    from atelier.exports.request_export import ExportDeps
    from atelier.exports.request_whole_export import WholeExportDeps
    from atelier.exports.write_export import WriteExportDeps


@cache
def store() -> DynamoExports:
    """The records of exports."""
    from atelier.adapters.aws.dynamodb.exports.store import DynamoExports

    return DynamoExports(ExportsTable.read().name)


@cache
def urls() -> S3ExportUrls:
    """The signed addresses of files."""
    from atelier.adapters.aws.export_files import S3ExportUrls

    place = AwsEndpoint.read()
    return S3ExportUrls(ExportsBucket.read().name, region=place.region, endpoint_url=place.endpoint_url)


def deps() -> ExportDeps:
    """The dependencies of requests about exports."""
    from atelier.exports.request_export import ExportDeps

    audit_log.bind_events()
    return ExportDeps(store(), idempotency_keys(), urls())


@cache
def product_events() -> DynamoProductEvents:
    """The product events of workspaces."""
    from atelier.adapters.aws.dynamodb.exports.product_events import DynamoProductEvents

    audit_log.bind_events()
    return DynamoProductEvents(ExportsTable.read().name)


@cache
def jobs() -> StepFunctionsExportJobs:
    """The jobs that write files."""
    from atelier.adapters.aws.export_jobs import StepFunctionsExportJobs

    return StepFunctionsExportJobs(ExportMachine.read().arn)


def created_exports(records: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """The new exports in a batch of the table's stream."""
    from atelier.adapters.aws.dynamodb.exports.store import created_exports

    return created_exports(records)


@cache
def whole_store() -> DynamoWholeExports:
    """The records of exports of everything."""
    from atelier.adapters.aws.dynamodb.exports.whole_exports import DynamoWholeExports

    audit_log.bind_events()
    return DynamoWholeExports(ExportsTable.read().name)


def whole_deps() -> WholeExportDeps:
    """The dependencies of requests about exports of everything."""
    from atelier.exports.request_whole_export import WholeExportDeps

    return WholeExportDeps(whole_store(), idempotency_keys(), urls())


def personal_workspace(user_id: str) -> str:
    """The personal workspace of a user."""
    from atelier.wiring import identity

    return identity.profiles().user(user_id).workspace_id


@cache
def whole_jobs() -> StepFunctionsExportJobs:
    """The jobs that write the zip files of exports of everything."""
    from atelier.adapters.aws.export_jobs import StepFunctionsExportJobs

    return StepFunctionsExportJobs(WholeExportMachine.read().arn)


def created_whole_exports(records: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """The new exports of everything in a batch of the table's stream."""
    from atelier.adapters.aws.dynamodb.exports.whole_exports import created_whole_exports

    return created_whole_exports(records)


def write_deps(clock: Clock = system_clock) -> WriteExportDeps:
    """The dependencies of writing files."""
    from atelier.adapters.aws.dynamodb.exports.records import (
        AuditRecords,
        EntryRecords,
        GenerationRecords,
        UsageRecords,
    )
    from atelier.adapters.aws.export_files import S3ExportFiles
    from atelier.adapters.aws.parquet_files import S3ParquetFiles
    from atelier.exports.write_export import WriteExportDeps

    records = {
        ExportDataset.GENERATIONS: GenerationRecords(GenerationsTable.read().name),
        ExportDataset.ENTRIES: EntryRecords(LedgerTable.read().name),
        ExportDataset.AUDIT: AuditRecords(AuditTable.read().name),
        ExportDataset.PRODUCT_EVENTS: product_events(),
        ExportDataset.USAGE: UsageRecords(AnalyticsTable.read().name),
    }
    bucket = ExportsBucket.read().name
    return WriteExportDeps(store(), records, S3ExportFiles(bucket), S3ParquetFiles(bucket).make, clock)


def day_file_deps() -> DayFileDeps:
    """The dependencies of writing the files of a day."""
    from atelier.adapters.aws.dynamodb.exports.day_records import DynamoDayRecords
    from atelier.adapters.aws.parquet_files import S3ParquetFiles
    from atelier.exports.day_files import DayFileDeps
    from atelier.wiring import ledger, seals

    ledger.wallets()  # Binds the movements to their table, which the seals name.
    records = DynamoDayRecords(GenerationsTable.read().name, LedgerTable.read().name)
    return DayFileDeps(records, seals.store(), S3ParquetFiles(EventsBucket.read().name))
