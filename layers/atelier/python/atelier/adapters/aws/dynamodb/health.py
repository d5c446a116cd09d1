"""Provider health, in the providers table.

pk health         sk <provider>                     with the platform's key
pk health         sk <provider>##<model>            one model, with the platform's key; written after its first failure
pk health#wsp_…   sk <provider>#<key id>            with a workspace's own key
pk health#wsp_…   sk <provider>#<key id>#<model>    one model, with that key
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pynamodb.attributes import NumberAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import (
    CONFLICT_CODES,
    CompactJSON,
    Item,
    TransactionFailed,
    conditional,
    transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.routing.circuit_breaker import Bucket, Health, Scope

PK = "health"
SCOPES_MAX = 400
TIMES = (
    "opened_at",
    "cooldown_until",
    "probe_until",
    "last_success_at",
    "last_failure_at",
    "checked_at",
    "disabled_until",
)
FACTS = ("failures_in_a_row", "cooldown_seconds", "error_class", "error_message")


class HealthItem(Item):
    """The health of one scope. `version` grows with each write; `seen` holds the other fields."""

    version = NumberAttribute()
    seen = CompactJSON()


class DynamoHealth:
    """HealthStore and HealthSwitches on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the providers table."""
        HealthItem.bind(table_name)

    def read(self, workspace_id: str | None) -> Mapping[Scope, Health]:
        items = HealthItem.query(_pk(workspace_id), limit=SCOPES_MAX)
        found = [_health(_scope(workspace_id, item.sk), item) for item in items]
        return {health.scope: health for health in found}

    def get(self, scope: Scope) -> Health:
        try:
            item = HealthItem.get(_pk(scope.workspace_id), _sk(scope), consistent_read=True)
        except DoesNotExist:
            return Health(scope)
        return _health(scope, item)

    def replace(self, before: Health, after: Health) -> bool:
        scope = before.scope
        item = HealthItem(_pk(scope.workspace_id), _sk(scope), version=after.version, seen=_data(after))
        condition = HealthItem.version == before.version if before.version else HealthItem.pk.does_not_exist()
        return conditional(lambda: item.save(condition=condition), CONFLICT_CODES)

    def switch(self, before: Health, after: Health, *, events: Sequence[AuditEvent]) -> bool:
        version = before.version + 1
        item = HealthItem(_pk(None), _sk(before.scope), version=version, seen=_data(after))
        condition = HealthItem.version == before.version if before.version else HealthItem.pk.does_not_exist()
        try:
            with transaction() as write:
                write.save(item, condition, part="health")
                save_events(write, events)
        except TransactionFailed:
            return False
        return True


def _pk(workspace_id: str | None) -> str:
    return f"{PK}#{workspace_id}" if workspace_id else PK


def _sk(scope: Scope) -> str:
    parts = (scope.provider, scope.key_id or "", scope.model or "")
    return "#".join(parts).rstrip("#") if scope.model is None else "#".join(parts)


def _scope(workspace_id: str | None, sk: str) -> Scope:
    # The model is the rest of the key, because a workspace's name for a model may contain "#".
    provider, key_id, model = (*sk.split("#", 2), "", "")[:3]
    return Scope(provider, workspace_id, key_id or None, model or None)


def _data(health: Health) -> dict[str, Any]:
    data: dict[str, Any] = {name: getattr(health, name) for name in FACTS}
    data |= {name: _time_text(getattr(health, name)) for name in TIMES}
    data |= {"current": _bucket_data(health.current), "previous": _bucket_data(health.previous)}
    return {name: value for name, value in data.items() if value}


def _bucket_data(bucket: Bucket) -> list[Any]:
    if bucket.began_at is None:
        return []
    latencies = [list(each) for each in bucket.latencies]
    return [rfc3339(bucket.began_at), bucket.successes, bucket.failures, bucket.latency_ms_sum, latencies]


def _health(scope: Scope, item: HealthItem) -> Health:
    data: dict[str, Any] = item.seen
    known: dict[str, Any] = {name: data[name] for name in FACTS if name in data}
    known |= {name: parse_rfc3339(data[name]) for name in TIMES if name in data}
    known |= {name: _bucket(data[name]) for name in ("current", "previous") if name in data}
    return Health(scope, int(item.version), **known)


def _bucket(data: list[Any]) -> Bucket:
    began_at, successes, failures, latency_ms_sum, latencies = data
    counts = tuple((place, count) for place, count in latencies)
    return Bucket(parse_rfc3339(began_at), successes, failures, latency_ms_sum, counts)


def _time_text(at: datetime | None) -> str | None:
    return rfc3339(at) if at else None
