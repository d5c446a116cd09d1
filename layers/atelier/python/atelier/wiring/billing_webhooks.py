"""Webhooks of Stripe, composed: how they are verified and forwarded. Imports neither Stripe's SDK nor what acts on
them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache

from atelier.adapters.aws.dynamodb.inbox import DynamoInbox
from atelier.adapters.aws.secrets import Secret
from atelier.billing.verify_event import WebhookAccess, verify_event, webhook_access
from atelier.inbox.receive import ReceiveDeps, VerifiedWebhook
from atelier.settings import BillingEventsQueue, InboxTable, Payments


@cache
def receive_deps() -> ReceiveDeps:
    """The dependencies of receiving a webhook of Stripe; without a verifier where nothing is sold."""
    inbox = DynamoInbox()
    inbox.bind(InboxTable.read().name)
    return ReceiveDeps(inbox, dict.fromkeys(Payments.read().services, _verify))


def forward(address: Mapping[str, str]) -> None:
    """Handle a stored webhook of Stripe."""
    # Imported here, because the function that receives webhooks forwards none.
    from atelier.adapters.aws.sqs import SqsBillingEventQueue
    from atelier.billing.forward_event import forward_event

    forward_event(address, queue=SqsBillingEventQueue(BillingEventsQueue.read().url))


def _verify(_token: str, headers: Mapping[str, str], body: bytes, now: datetime) -> VerifiedWebhook:
    return verify_event(headers, body, now, access=_access)


def _access(fresh: bool) -> WebhookAccess:
    return webhook_access(_secret().value(fresh=fresh))


@cache
def _secret() -> Secret:
    return Secret(Payments.read().secret)
