"""ErasedLogs on DynamoDB and S3: the audit table, and the bucket with the archived months."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pynamodb.expressions.update import Action

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Transaction,
    audit_seals,
    pause_with_jitter,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import EVENT_PREFIX, AuditEventItem, save_events
from atelier.adapters.aws.dynamodb.audit_seals import (
    SEAL_PREFIX,
    AuditSealItem,
    DynamoAuditSeals,
    archive_mark_key,
    event_of,
)
from atelier.adapters.aws.dynamodb.erasures.items import delete_items, delete_keys
from atelier.adapters.aws.dynamodb.identity.items import set_or_remove
from atelier.adapters.aws.erased_files import S3ErasedFiles
from atelier.audit_log.proof import json_line
from atelier.audit_log.redact import concerns, redacted, redaction
from atelier.audit_log.seal_events import SealEventsDeps, seal_events
from atelier.audit_log.seals import PublicForm, event_form
from atelier.erasures.model import PersonalWords
from atelier.erasures.ports import CheckTime

# How many events lose something in one transaction, beside the event that lists them.
EVENTS_TOGETHER = 50
# How many events of archived months one event lists.
LISTED_TOGETHER = 1000
TRIES_MAX = 8
BUSY = "The audit log is busy. Try again."
ADDRESS_FACTS = ("email", "before", "after")


class DynamoErasedLogs:
    """ErasedLogs on DynamoDB and S3."""

    def __init__(self, table_name: str, bucket: str) -> None:
        audit_seals.bind(table_name)
        self._table, self._bucket = table_name, bucket
        self._files = S3ErasedFiles({"audit": bucket})
        self._seal_deps = SealEventsDeps(DynamoAuditSeals(), pause_with_jitter)

    def addresses(self, user_id: str) -> frozenset[str]:
        found = set[str]()
        for item in AuditEventItem.query(user_id, AuditEventItem.sk.startswith(EVENT_PREFIX)):
            facts: dict[str, Any] = item.facts or {}
            texts = [str(facts.get(name, "")) for name in ADDRESS_FACTS if item.action.startswith("email.")]
            found |= {text.casefold() for text in texts if "@" in text}
        return frozenset(found)

    def delete(self, log: str, check_time: CheckTime) -> int:
        count = self._files.delete("audit", f"{log}/", check_time)
        # The marks of the archive first: their months are those of the seals.
        seals = AuditSealItem.query(log, AuditSealItem.sk.startswith(SEAL_PREFIX), consistent_read=True)
        months = {str(json.loads(item.seal)["at"])[:7] for item in seals}
        marks = [archive_mark_key(log, month) for month in sorted(months)]
        for first in range(0, len(marks), 25):
            delete_keys(self._table, marks[first : first + 25])
        return count + delete_items(self._table, log, check_time)

    def redact(self, log: str, user_id: str, words: PersonalWords, now: datetime, check_time: CheckTime) -> int:
        count = self._redact_archive(log, user_id, words, now, check_time)
        found = list[AuditEventItem]()
        items = AuditEventItem.query(log, AuditEventItem.sk.startswith(EVENT_PREFIX), consistent_read=True)
        for item in items:
            if concerns(event_of(item), user_id, words.is_in):
                found.append(item)
            if len(found) == EVENTS_TOGETHER:
                count += self._redact(log, found, user_id, words, now)
                found.clear()
                check_time()
        return count + (self._redact(log, found, user_id, words, now) if found else 0)

    def _redact(
        self, log: str, items: Sequence[AuditEventItem], user_id: str, words: PersonalWords, now: datetime
    ) -> int:
        forms = [event_of(item) for item in items]
        event = redaction(log, user_id, [form["id"] for form in forms], now)

        def fill(write: Transaction) -> None:
            save_events(write, [event])
            for item, form in zip(items, forms, strict=True):
                after = redacted(form, user_id, words.is_in, event.id)
                unchanged = AuditEventItem.pk.exists() & AuditEventItem.erased.does_not_exist()
                write.update(AuditEventItem(item.pk, item.sk), _actions(after), unchanged, part="event")

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            # Another run has done it.
            return 0
        # At once, so that a proof never has the changed events without the event that lists them.
        seal_events(log, [event_form(event)], deps=self._seal_deps, now=now)
        return len(forms)

    def _redact_archive(
        self, log: str, user_id: str, words: PersonalWords, now: datetime, check_time: CheckTime
    ) -> int:
        """The same in the files of archived months, each of which is replaced, with its earlier versions."""
        count, s3 = 0, client("s3")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=f"{log}/"):
            for each in page.get("Contents", ()):
                check_time()
                body = s3.get_object(Bucket=self._bucket, Key=each["Key"])["Body"].read()
                lines = [json.loads(line) for line in gzip.decompress(body).splitlines()]
                forms = [line["event"] for line in lines if "event" in line]
                concerned = [form for form in forms if concerns(form, user_id, words.is_in)]
                for first in range(0, len(concerned), LISTED_TOGETHER):
                    part = concerned[first : first + LISTED_TOGETHER]
                    by = self._announce(log, user_id, [form["id"] for form in part], now)
                    for form in part:
                        form.update(redacted(form, user_id, words.is_in, by))
                if concerned:
                    self._replace(each["Key"], lines)
                count += len(concerned)
        return count

    def _announce(self, log: str, user_id: str, ids: Sequence[str], now: datetime) -> str:
        """Write and seal the event that lists events of archived months; returns its id."""
        event = redaction(log, user_id, ids, now)

        def fill(write: Transaction) -> None:
            save_events(write, [event])

        write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        seal_events(log, [event_form(event)], deps=self._seal_deps, now=now)
        return event.id

    def _replace(self, key: str, lines: Sequence[Any]) -> None:
        """Write a file of the archive anew, and delete its earlier versions."""
        s3 = client("s3")
        text = b"".join(json_line(line) for line in lines)
        new = s3.put_object(
            Bucket=self._bucket, Key=key, Body=gzip.compress(text, mtime=0), ContentType="application/gzip"
        )
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=key):
            for version in page.get("Versions", ()):
                if version["Key"] == key and version["VersionId"] != new.get("VersionId"):
                    s3.delete_object(Bucket=self._bucket, Key=key, VersionId=version["VersionId"])


def _actions(after: PublicForm) -> list[Action]:
    """The changes of a stored event."""
    return [
        set_or_remove(AuditEventItem.address, after["address"] or None),
        set_or_remove(AuditEventItem.user_agent, after["user_agent"] or None),
        set_or_remove(AuditEventItem.request_id, after["request_id"] or None),
        set_or_remove(AuditEventItem.token_id, after["token_id"]),
        set_or_remove(AuditEventItem.facts, after["facts"] or None),
        AuditEventItem.erased.set(after["erased"]),
    ]
