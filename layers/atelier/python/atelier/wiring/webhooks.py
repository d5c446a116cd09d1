"""Provider webhooks, composed: nothing unverified is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime

from atelier.errors import BadRequest, NotFound
from atelier.generations import callback
from atelier.providers._contract import WebhookInvalid
from atelier.telemetry import logger
from atelier.wiring.workflow import inbox, providers, signing_key

# What the signatures are over: by Standard Webhooks, and fal's own.
KEPT_HEADERS = (
    *(f"webhook-{name}" for name in ("id", "timestamp", "signature")),
    *(f"x-fal-webhook-{name}" for name in ("request-id", "user-id", "timestamp", "signature")),
    "content-type",
)
ADDRESS_FIELDS = tuple(field.name for field in fields(callback.Address))


def receive(provider_id: str, token: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Verify and keep one webhook; False when it had been kept before. Raises NotFound for a path that we did not make,
    BadRequest for a body that the provider did not sign."""
    provider = providers().get(provider_id)
    address = callback.verify(provider_id, token, signing_key())
    if provider is None or address is None:
        raise NotFound("There is no such webhook.")
    kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
    try:
        event = provider.parse_webhook(kept, body, int(now.timestamp()))
    except WebhookInvalid as error:
        logger.warning("webhook refused", provider=provider_id, reason=str(error), generation_id=address.generation_id)
        raise BadRequest("The signature is not valid.") from error
    # Its fields are plain texts: nothing is there to be copied deeply, for each delivery.
    plain: dict[str, str] = {name: getattr(address, name) for name in ADDRESS_FIELDS}
    return inbox().keep(provider_id, address.attempt_id, event.event_id, plain, kept, body, now)
