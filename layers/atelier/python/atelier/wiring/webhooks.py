"""Webhooks, composed: how each source's webhooks are verified, and what handles them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from atelier.adapters.aws.dynamodb.inbox import arrived_webhooks
from atelier.billing.verify_event import SOURCE as STRIPE
from atelier.clock import Clock
from atelier.generations.provider_webhooks import handle_webhook, verify_webhook
from atelier.inbox.dispatch import ArrivedWebhook, Handler
from atelier.inbox.receive import ReceiveDeps, Verify
from atelier.wiring import billing_webhooks, livestreams, workflow
from atelier.wiring.prices import prices


def receive_deps() -> ReceiveDeps:
    """The dependencies of receiving a webhook from an enabled provider."""
    facts = prices().data.providers
    verifiers: dict[str, Verify] = {
        provider_id: partial(
            verify_webhook,
            provider_id=provider_id,
            provider=provider,
            signature_headers=facts[provider_id]["signature_headers"],
            signing_key=workflow.signing_key(),
        )
        for provider_id, provider in workflow.providers().items()
    }
    return ReceiveDeps(workflow.inbox(), verifiers)


def streaming_deps() -> ReceiveDeps:
    """The dependencies of receiving a webhook from the streaming service."""
    return ReceiveDeps(workflow.inbox(), {livestreams.SERVICE: livestreams.verify})


def handlers(clock: Clock) -> Mapping[str, Handler]:
    """What handles a webhook, by its source: all providers, because the sender may be disabled meanwhile."""
    of_providers = dict.fromkeys(prices().data.providers, partial(handle_webhook, deps=workflow.attempt_deps(clock)))
    of_streaming = {livestreams.SERVICE: partial(livestreams.handle_webhook, clock=clock)}
    return {**of_providers, **of_streaming, STRIPE: billing_webhooks.forward}


def arrived(records: Sequence[dict[str, Any]]) -> Iterator[ArrivedWebhook]:
    """The new webhooks in a batch of the inbox table's stream."""
    return arrived_webhooks(records)
