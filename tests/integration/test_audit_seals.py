"""Seals and the archive of audit logs on the embedded AWS: once, in any order, under races and after a crash."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from atelier.adapters.aws.audit_archive import S3AuditArchive
from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import audit_seals
from atelier.adapters.aws.dynamodb.audit_log import AuditEventItem, DynamoAuditLog
from atelier.adapters.aws.dynamodb.audit_seals import ArchiveItem, DynamoAuditSeals
from atelier.audit_log.archive import GRACE, ArchiveDeps, ArchiveIncomplete, archive_all
from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.audit_log.proof import build_proof, proof_lines
from atelier.audit_log.seal_events import SealEventsDeps, seal_events
from atelier.audit_log.seals import AuditSeal, PublicForm, event_form
from atelier.ledger.verify import ProofMismatch, verify_events
from tests.embedded_aws import Tables

NOW = datetime(2026, 11, 29, 2, 0, 0, 123_000, tzinfo=UTC)
LOG, OTHER = "wsp_01M7XCN60QPV5D4J3SZ8C2VYQ1", "usr_01M7XCN60QPV5D4J3SZ8C2VYQ2"
ORIGIN = Origin("usr_1", None, "203.0.113.7", "curl/8", "req-1")
PAGE_BYTES_MAX = 4_000_000
RETENTION = timedelta(days=400)
buckets = count()


class Logs:
    """Logs whose events are sealed only when the test says so."""

    def __init__(self, tables: Tables) -> None:
        audit_seals.bind(tables.audit)
        self.log, self.seals = DynamoAuditLog(), DynamoAuditSeals()
        self.deps = SealEventsDeps(self.seals, lambda tries: None)
        self.bucket = f"audit-{next(buckets)}-{tables.audit}"
        client("s3").create_bucket(Bucket=self.bucket)
        self.archive = ArchiveDeps(self.seals, S3AuditArchive(self.bucket), RETENTION)

    def write(self, number: int = 1, *, log: str = LOG, at: datetime = NOW) -> list[PublicForm]:
        """New events; returns them in the form in which the stream delivers them."""
        events: list[AuditEvent] = []
        for each in range(number):
            events.append(audit_event(log, "key.added", ORIGIN, at + timedelta(seconds=each), target=f"key_{each}"))
            self.log.append(events[-1])
        return [event_form(event) for event in events]

    def seal(self, forms: list[PublicForm], *, log: str = LOG, now: datetime = NOW) -> AuditSeal | None:
        return seal_events(log, forms, deps=self.deps, now=now + timedelta(minutes=1))

    def written_and_sealed(self, at: datetime, number: int = 1, log: str = LOG) -> None:
        self.seal(self.write(number, at=at, log=log), now=at, log=log)

    def chain(self, log: str = LOG) -> list[AuditSeal]:
        return self.seals.between(log, 1, 999)

    def proof(self, log: str = LOG) -> list[Any]:
        sealed, after = build_proof(log, 0, reads=self.seals, bytes_max=PAGE_BYTES_MAX)
        assert after is None
        return parsed(proof_lines(log, sealed))

    def files(self) -> dict[str, bytes]:
        s3 = client("s3")
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket=self.bucket).get("Contents", ())]
        return {key: s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}

    def archived(self) -> list[list[Any]]:
        return [parsed(gzip.decompress(data)) for data in self.files().values()]

    def run_ttl(self) -> int:
        """Delete what is marked, as TTL will; returns how many events went."""
        marked = AuditEventItem.expires_at_seconds.exists()
        gone = [item.sk for item in AuditEventItem.scan(marked, attributes_to_get=["pk", "sk", "expires_at_seconds"])]
        for log in (LOG, OTHER):
            for item in AuditEventItem.query(log, filter_condition=marked, attributes_to_get=["pk", "sk"]):
                item.delete()
        return sum(sk.startswith("event#") for sk in gone)


def parsed(text: bytes) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def logs(tables: Tables) -> Logs:
    return Logs(tables)


def test_events_seen_twice_late_or_out_of_order_are_sealed_once(logs: Logs) -> None:
    forms = logs.write(9)
    logs.seal(forms[4:7])
    logs.seal(forms[:5])
    logs.seal(list(reversed(forms)))
    logs.seal(forms)
    assert sorted(id for seal in logs.chain() for id, _ in seal.events) == [form["id"] for form in forms]
    assert verify_events([logs.proof()]).startswith("sound: 9 events in 3 seals")


def test_parallel_sealers_seal_each_event_once_in_one_chain(logs: Logs) -> None:
    forms = logs.write(24)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda part: logs.seal(forms[part : part + 8]), range(0, 24, 4)))
    assert sorted(id for seal in logs.chain() for id, _ in seal.events) == [form["id"] for form in forms]
    assert verify_events([logs.proof()]).startswith("sound: 24 events in")


def test_a_long_backlog_is_sealed_a_hundred_events_at_a_time_and_its_proof_is_paged(logs: Logs) -> None:
    logs.seal(logs.write(230))
    assert [len(seal.events) for seal in logs.chain()] == [100, 100, 30]
    first, after = build_proof(LOG, 0, reads=logs.seals, bytes_max=1)
    rest, end = build_proof(LOG, after or 0, reads=logs.seals, bytes_max=PAGE_BYTES_MAX)
    assert (after, end) == (1, None)
    pages = [parsed(proof_lines(LOG, first, "more")), parsed(proof_lines(LOG, rest))]
    assert verify_events(pages) == verify_events([logs.proof()])


@pytest.mark.parametrize("tamper", ["changed", "removed"])
def test_what_was_done_to_a_stored_event_is_named_by_the_verifier(logs: Logs, tamper: str) -> None:
    forms = logs.write(3)
    logs.seal(forms)
    item = AuditEventItem.get(LOG, f"event#{forms[1]['id']}")
    if tamper == "removed":
        item.delete()
    else:
        item.update([AuditEventItem.address.set("198.51.100.1")])
    expected = {"removed": "it was sealed and is not there", "changed": "its digest is not the sealed one"}[tamper]
    with pytest.raises(ProofMismatch, match=f"event 2, {forms[1]['id']}: {expected}"):
        verify_events([logs.proof()])


# ---- the archive -----------------------------------------------------------------------------------------------------

OLD, NEXT_MONTH = datetime(2025, 8, 30, tzinfo=UTC), datetime(2025, 9, 2, tzinfo=UTC)


def test_whole_months_are_archived_once_their_retention_is_over(logs: Logs) -> None:
    logs.written_and_sealed(OLD, 3)
    logs.written_and_sealed(OLD + timedelta(hours=2), 2)
    logs.written_and_sealed(NEXT_MONTH)
    logs.written_and_sealed(OLD, log=OTHER)
    before = logs.proof()
    # The month of OLD ends 400 days before this; a day earlier, nothing is due.
    due = datetime(2025, 9, 1, tzinfo=UTC) + RETENTION
    assert archive_all(deps=logs.archive, now=due - timedelta(seconds=1)) == 0
    assert logs.files() == {}
    assert archive_all(deps=logs.archive, now=due) == 2
    assert sorted(logs.files()) == sorted([f"{LOG}/2025-08.ndjson.gz", f"{OTHER}/2025-08.ndjson.gz"])
    assert logs.run_ttl() == 5
    # What is left, with the file of the archive, is the proof of before.
    [archived] = [file for file in logs.archived() if file[0]["log"] == LOG]
    assert verify_events([archived]).startswith("sound: 5 events in 2 seals")
    assert "from seal 3 on" in verify_events([logs.proof()])
    assert verify_events([logs.proof(), archived]) == verify_events([before])


def test_the_newest_seal_stays_until_another_follows(logs: Logs) -> None:
    logs.written_and_sealed(OLD, 2)
    assert archive_all(deps=logs.archive, now=OLD + RETENTION + timedelta(days=40)) == 1
    assert logs.run_ttl() == 0
    logs.written_and_sealed(NEXT_MONTH, 2)
    logs.written_and_sealed(NEXT_MONTH + timedelta(days=90))
    assert archive_all(deps=logs.archive, now=NEXT_MONTH + RETENTION + timedelta(days=40)) == 1
    assert logs.run_ttl() == 4
    assert verify_events([*logs.archived(), logs.proof()]).startswith("sound: 5 events in 3 seals;")


def test_archiving_twice_is_the_same(logs: Logs) -> None:
    logs.written_and_sealed(OLD, 3)
    logs.written_and_sealed(NEXT_MONTH)
    now = NEXT_MONTH + RETENTION
    assert archive_all(deps=logs.archive, now=now) == 1
    files = logs.files()
    marks = sorted((item.sk, item.expires_at_seconds) for item in AuditEventItem.query(LOG))
    assert archive_all(deps=logs.archive, now=now + timedelta(days=1)) == 0
    for item in ArchiveItem.scan(ArchiveItem.pk.startswith("archive#")):
        item.update([ArchiveItem.expires_at_seconds.remove()])
    assert archive_all(deps=logs.archive, now=now + timedelta(days=1)) == 1
    assert logs.files() == files
    assert sorted((item.sk, item.expires_at_seconds) for item in AuditEventItem.query(LOG)) == marks
    assert {seconds for _, seconds in marks} == {None, int((now + GRACE).timestamp())}


class Killed(BaseException):
    """The process dies."""


@pytest.mark.parametrize("calls", range(12))
def test_a_process_that_dies_while_archiving_loses_nothing(logs: Logs, calls: int) -> None:
    """It dies after each number of calls to AWS, TTL deletes what it marked, and the next run archives the same."""
    logs.written_and_sealed(OLD, 2)
    logs.written_and_sealed(OLD + timedelta(hours=1))
    logs.written_and_sealed(NEXT_MONTH)
    before, now, left = logs.proof(), NEXT_MONTH + RETENTION, calls

    class DyingFiles(S3AuditArchive):
        def exists(self, key: str) -> bool:
            die()
            return super().exists(key)

        def add(self, key: str, data: bytes) -> None:
            die()
            super().add(key, data)

    class DyingSeals(DynamoAuditSeals):
        def expire(self, log: str, seals: Sequence[AuditSeal], at: datetime) -> None:
            for seal in seals:
                for event in seal.events:
                    die()
                    # Marks this event alone: the seal that is not stored has no other.
                    super().expire(log, [replace(seal, number=999, events=(event,))], at)
                die()
                super().expire(log, [seal], at)

        def finish(self, archive: Any, at: datetime) -> None:
            die()
            super().finish(archive, at)

    def die() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    dying = ArchiveDeps(DyingSeals(), DyingFiles(logs.bucket), RETENTION)
    with suppress(Killed):
        archive_all(deps=dying, now=now)
    logs.run_ttl()
    archive_all(deps=logs.archive, now=now + timedelta(days=20))
    [archived] = logs.archived()
    assert verify_events([archived]).startswith("sound: 3 events in 2 seals")
    assert verify_events([archived, logs.proof()]) == verify_events([before])


def test_a_month_with_a_missing_event_is_not_archived_and_delays_no_other(logs: Logs) -> None:
    for log in (LOG, OTHER):
        logs.written_and_sealed(OLD, 2, log=log)
        logs.written_and_sealed(NEXT_MONTH, log=log)
    AuditEventItem(LOG, next(item.sk for item in AuditEventItem.query(LOG))).delete()
    with pytest.raises(ArchiveIncomplete, match=f"{LOG}/2025-08"):
        archive_all(deps=logs.archive, now=NEXT_MONTH + RETENTION)
    assert sorted(logs.files()) == [f"{OTHER}/2025-08.ndjson.gz"]
