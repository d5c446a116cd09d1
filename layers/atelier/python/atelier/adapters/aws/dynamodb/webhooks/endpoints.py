"""The endpoints of workspaces on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import ConditionsFailed, Transaction, batch_read, write_transaction
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.webhooks.items import (
    COUNT,
    ENDPOINT,
    HEALTH,
    ITEMS,
    WORKSPACE_SECRET,
    WebhookEndpointCountItem,
    WebhookEndpointItem,
    WebhookHealthItem,
    WebhookSecretItem,
    endpoint_item,
    endpoint_of,
    health_of,
    secret_facts,
    secret_of,
)
from atelier.audit_log.model import AuditEvent
from atelier.errors import NotFound
from atelier.webhook_endpoints.model import (
    ENDPOINTS_MAX,
    Endpoint,
    EndpointChanged,
    EndpointExists,
    EndpointHealth,
    SigningSecret,
    TooManyEndpoints,
)

TRIES_MAX = 8
BUSY = "The webhook endpoints of this workspace are busy. Try again."


class DynamoWebhookEndpoints:
    """WebhookEndpoints on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        for item in ITEMS:
            item.bind(table_name)

    def create(self, endpoint: Endpoint, events: Sequence[AuditEvent]) -> None:
        count = WebhookEndpointCountItem.endpoints
        has_room = count.does_not_exist() | (count < ENDPOINTS_MAX)

        def fill(write: Transaction) -> None:
            write.save(endpoint_item(endpoint), WebhookEndpointItem.pk.does_not_exist(), part="endpoint")
            write.update(
                WebhookEndpointCountItem(endpoint.workspace_id, COUNT),
                [count.set((count | 0) + 1)],
                has_room,
                part="room",
            )
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise (EndpointExists if "endpoint" in error.parts else TooManyEndpoints)() from error

    def get(self, workspace_id: str, endpoint_id: str) -> Endpoint:
        try:
            return endpoint_of(WebhookEndpointItem.get(workspace_id, endpoint_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def list(self, workspace_id: str) -> list[Endpoint]:
        found = WebhookEndpointItem.query(
            workspace_id, WebhookEndpointItem.sk.startswith(ENDPOINT), consistent_read=True
        )
        return [endpoint_of(item) for item in found]

    def replace(self, before: Endpoint, after: Endpoint, events: Sequence[AuditEvent]) -> None:
        enabled_again = after.is_enabled and not before.is_enabled

        def fill(write: Transaction) -> None:
            write.save(endpoint_item(after), WebhookEndpointItem.version == before.version, part="endpoint")
            if enabled_again:
                health = WebhookHealthItem(after.workspace_id, HEALTH + after.id)
                write.update(health, [WebhookHealthItem.failing_since.remove()])
            save_events(write, events)

        _write(fill)

    def remove(self, endpoint: Endpoint, events: Sequence[AuditEvent]) -> None:
        count = WebhookEndpointCountItem.endpoints

        def fill(write: Transaction) -> None:
            gone = WebhookEndpointItem(endpoint.workspace_id, endpoint.id)
            write.delete(gone, WebhookEndpointItem.version == endpoint.version, part="endpoint")
            write.delete(WebhookHealthItem(endpoint.workspace_id, HEALTH + endpoint.id))
            write.update(WebhookEndpointCountItem(endpoint.workspace_id, COUNT), [count.set(count - 1)])
            save_events(write, events)

        _write(fill)

    def workspace_secret(self, workspace_id: str) -> SigningSecret | None:
        try:
            return secret_of(WebhookSecretItem.get(workspace_id, WORKSPACE_SECRET, consistent_read=True))
        except DoesNotExist:
            return None

    def replace_workspace_secret(
        self, workspace_id: str, before: SigningSecret | None, after: SigningSecret, events: Sequence[AuditEvent]
    ) -> None:
        record, item = WebhookSecretItem.record, WebhookSecretItem
        unchanged = item.pk.does_not_exist() if before is None else record == before.newest.record

        def fill(write: Transaction) -> None:
            write.save(item(workspace_id, WORKSPACE_SECRET, **secret_facts(after)), unchanged, part="secret")
            save_events(write, events)

        _write(fill)

    def health(self, workspace_id: str, endpoint_ids: Sequence[str]) -> Mapping[str, EndpointHealth]:
        found = (
            batch_read((WebhookHealthItem, workspace_id, HEALTH + id) for id in endpoint_ids) if endpoint_ids else {}
        )
        items = (cast("WebhookHealthItem", item) for item in found.values())
        return {item.sk.removeprefix(HEALTH): health_of(item) for item in items}


def _write(fill: Callable[[Transaction], None]) -> None:
    try:
        write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
    except ConditionsFailed as error:
        raise EndpointChanged from error
