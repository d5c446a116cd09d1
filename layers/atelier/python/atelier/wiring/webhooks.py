"""Provider webhooks, composed: only verified webhooks are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime

from atelier.errors import BadRequest, NotFound
from atelier.generations import webhook_token
from atelier.provider_port import WebhookInvalid
from atelier.telemetry import logger
from atelier.wiring.prices import prices
from atelier.wiring.workflow import inbox, providers, signing_key

ADDRESS_FIELDS = tuple(field.name for field in fields(webhook_token.WebhookAddress))


def receive(provider_id: str, token: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Verify and store one webhook; returns False when it is stored already. Raises NotFound for a path that we did not
    issue, BadRequest for a body that the provider did not sign."""
    provider = providers().get(provider_id)
    address = webhook_token.verify(provider_id, token, signing_key())
    if provider is None or address is None:
        raise NotFound("There is no such webhook.")
    # Only the headers that the provider's signature covers are stored, and the body's type.
    kept = (*prices().data.providers[provider_id]["signature_headers"], "content-type")
    signed_headers = {name: headers[name] for name in kept if name in headers}
    try:
        event = provider.parse_webhook(signed_headers, body, int(now.timestamp()))
    except WebhookInvalid as error:
        logger.warning("webhook refused", provider=provider_id, reason=str(error), generation_id=address.generation_id)
        raise BadRequest("The signature is not valid.") from error
    # Not `asdict`, which copies deeply: the fields are plain strings, and this runs for each webhook.
    plain: dict[str, str] = {name: getattr(address, name) for name in ADDRESS_FIELDS}
    return inbox().keep(provider_id, address.attempt_id, event.event_id, plain, signed_headers, body, now)
