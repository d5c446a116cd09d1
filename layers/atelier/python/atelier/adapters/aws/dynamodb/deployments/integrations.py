"""Integrations in the providers table, beside the provider keys that are sealed as they are.

    pk wsp_…  sk integration#int_…      one integration; its credentials only as a sealed record, in base64
    pk wsp_…  sk integration-count      how many a workspace has

Index `sealed-by` (kid, sk): the records that a rotation of master keys still has to reseal.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from atelier.adapters.aws.dynamodb import (
    CompactJSON,
    ConditionsFailed,
    Item,
    Transaction,
    conditional,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.integration_credentials import seal_context
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.deployments.model import INTEGRATIONS_MAX, Integration, IntegrationKind, IntegrationState
from atelier.deployments.ports import IntegrationExists, TooManyIntegrations
from atelier.errors import NotFound
from atelier.provider_keys.reseal_secrets import SealedRecord

INTEGRATION, COUNT = "integration#", "integration-count"
BUSY = "The integrations of this workspace are busy. Try again."
TRIES_MAX, PAGE = 8, 100


class _IntegrationSealedBy(GlobalSecondaryIndex["IntegrationItem"]):
    class Meta:
        index_name = "sealed-by"
        projection = KeysOnlyProjection()

    kid = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class IntegrationItem(Item):
    """One integration."""

    kind = UnicodeAttribute()
    name = UnicodeAttribute()
    settings = CompactJSON(null=True)
    user_id = UnicodeAttribute()
    created_at = UnicodeAttribute()
    record = UnicodeAttribute()
    kid = UnicodeAttribute()
    state = UnicodeAttribute()
    tested_at = UnicodeAttribute(null=True)
    sealed_by = _IntegrationSealedBy()


class IntegrationCountItem(Item):
    """How many integrations a workspace has."""

    integrations = NumberAttribute()


class DynamoIntegrations:
    """Integrations on DynamoDB; also SealedSecrets, for a rotation of master keys."""

    def __init__(self, table_name: str) -> None:
        for item in (IntegrationItem, IntegrationCountItem):
            item.bind(table_name)

    def create(self, integration: Integration, events: Sequence[AuditEvent]) -> None:
        count = IntegrationCountItem.integrations
        has_room = count.does_not_exist() | (count < INTEGRATIONS_MAX)

        def fill(write: Transaction) -> None:
            write.save(_item(integration), IntegrationItem.pk.does_not_exist(), part="integration")
            counted = IntegrationCountItem(integration.workspace_id, COUNT)
            write.update(counted, [count.set((count | 0) + 1)], has_room, part="room")
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise (IntegrationExists if "integration" in error.parts else TooManyIntegrations)() from error

    def get(self, workspace_id: str, integration_id: str) -> Integration:
        try:
            return _integration(IntegrationItem.get(workspace_id, INTEGRATION + integration_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def list(self, workspace_id: str) -> Sequence[Integration]:
        found = IntegrationItem.query(workspace_id, IntegrationItem.sk.startswith(INTEGRATION), consistent_read=True)
        return [_integration(item) for item in found]

    def remove(self, integration: Integration, events: Sequence[AuditEvent]) -> None:
        count = IntegrationCountItem.integrations

        def fill(write: Transaction) -> None:
            gone = IntegrationItem(integration.workspace_id, INTEGRATION + integration.id)
            write.delete(gone, IntegrationItem.pk.exists(), part="integration")
            write.update(IntegrationCountItem(integration.workspace_id, COUNT), [count.set(count - 1)])
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise NotFound from error

    def set_state(self, integration: Integration, state: IntegrationState, at: datetime) -> bool:
        item = IntegrationItem(integration.workspace_id, INTEGRATION + integration.id)
        actions = [IntegrationItem.state.set(state.value), IntegrationItem.tested_at.set(rfc3339(at))]
        exists = conditional(lambda: item.update(list(actions), condition=IntegrationItem.pk.exists()))
        return exists and integration.state is not state

    def list_sealed_by(self, kid: str) -> Iterator[tuple[str, str]]:
        ours = IntegrationItem.sk.startswith(INTEGRATION)
        for item in IntegrationItem.sealed_by.query(kid, ours, page_size=PAGE):
            yield item.pk, item.sk.removeprefix(INTEGRATION)

    def sealed_record(self, workspace_id: str, record_id: str) -> SealedRecord | None:
        try:
            found = self.get(workspace_id, record_id)
        except NotFound:
            return None
        return SealedRecord(seal_context(workspace_id, record_id), base64.b64decode(found.record), found.kid)

    def replace_record(self, before: SealedRecord, record: bytes, kid: str) -> bool:
        stored, context = IntegrationItem.record, before.seal_context
        item = IntegrationItem(context.workspace_id, INTEGRATION + context.key_id)
        actions = [stored.set(base64.b64encode(record).decode()), IntegrationItem.kid.set(kid)]
        unchanged = stored == base64.b64encode(before.record).decode()
        return conditional(lambda: item.update(list(actions), condition=unchanged))


def _item(integration: Integration) -> IntegrationItem:
    return IntegrationItem(
        integration.workspace_id,
        INTEGRATION + integration.id,
        kind=integration.kind.value,
        name=integration.name,
        settings=dict(integration.settings) or None,
        user_id=integration.user_id,
        created_at=rfc3339(integration.created_at),
        record=integration.record,
        kid=integration.kid,
        state=integration.state.value,
        tested_at=rfc3339(integration.tested_at) if integration.tested_at else None,
    )


def _integration(item: IntegrationItem) -> Integration:
    return Integration(
        item.sk.removeprefix(INTEGRATION),
        item.pk,
        IntegrationKind(item.kind),
        item.name,
        item.settings or {},
        item.user_id,
        parse_rfc3339(item.created_at),
        item.record,
        item.kid,
        IntegrationState(item.state),
        parse_rfc3339(item.tested_at) if item.tested_at else None,
    )
