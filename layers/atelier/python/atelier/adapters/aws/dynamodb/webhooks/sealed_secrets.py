"""The secrets of webhooks for a rotation of master keys. A secret that a newer one has replaced is not sealed again: it
signs for a day at most."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import conditional
from atelier.adapters.aws.dynamodb.webhooks.items import WORKSPACE_SECRET, WebhookEndpointItem
from atelier.adapters.aws.webhook_secrets import seal_context
from atelier.provider_keys.reseal_secrets import SealedRecord
from atelier.webhook_endpoints.model import GENERATION_URLS

PAGE = 100


class DynamoWebhookSecrets:
    """SealedSecrets on DynamoDB. A record's id is its sort key; the item of the workspace's own secret has the same
    attributes as an endpoint's."""

    def __init__(self, table_name: str) -> None:
        WebhookEndpointItem.bind(table_name)

    def list_sealed_by(self, kid: str) -> Iterator[tuple[str, str]]:
        for item in WebhookEndpointItem.sealed_by.query(kid, page_size=PAGE):
            yield item.pk, item.sk

    def sealed_record(self, workspace_id: str, record_id: str) -> SealedRecord | None:
        try:
            item = WebhookEndpointItem.get(workspace_id, record_id, consistent_read=True)
        except DoesNotExist:
            return None
        owner = GENERATION_URLS if record_id == WORKSPACE_SECRET else record_id
        return SealedRecord(seal_context(workspace_id, owner), base64.b64decode(item.record), item.kid)

    def replace_record(self, before: SealedRecord, record: bytes, kid: str) -> bool:
        context, stored = before.seal_context, WebhookEndpointItem.record
        sk = WORKSPACE_SECRET if context.key_id == GENERATION_URLS else context.key_id
        actions = [stored.set(base64.b64encode(record).decode()), WebhookEndpointItem.kid.set(kid)]
        unchanged = stored == base64.b64encode(before.record).decode()
        item = WebhookEndpointItem(context.workspace_id, sk)
        return conditional(lambda: item.update(actions=list(actions), condition=unchanged))
