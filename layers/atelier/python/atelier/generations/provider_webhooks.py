"""Webhooks of AI providers: the path names the attempt, and the provider signs the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime

from atelier.errors import BadRequest, NotFound
from atelier.generations.attempt_deps import AttemptDeps
from atelier.generations.poll import act_on_webhooks
from atelier.generations.webhook_token import WebhookAddress, verify
from atelier.inbox.receive import VerifiedWebhook
from atelier.provider_port import Provider, WebhookInvalid
from atelier.telemetry import logger

ADDRESS_FIELDS = tuple(field.name for field in fields(WebhookAddress))


def verify_webhook(
    token: str,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    *,
    provider_id: str,
    provider: Provider,
    signature_headers: Sequence[str],
    signing_key: bytes,
) -> VerifiedWebhook:
    """Verify the token in the path, which we signed with `signing_key`, and the body. `signature_headers`: those that
    the provider's signature covers. Raises NotFound for a token that is not ours, BadRequest for a body that the
    provider did not sign."""
    address = verify(provider_id, token, signing_key)
    if address is None:
        raise NotFound("There is no such webhook.")
    kept = {name: headers[name] for name in (*signature_headers, "content-type") if name in headers}
    try:
        event = provider.parse_webhook(kept, body, int(now.timestamp()))
    except WebhookInvalid as error:
        logger.warning("webhook refused", provider=provider_id, reason=str(error), generation_id=address.generation_id)
        raise BadRequest("The signature is not valid.") from error
    # Not `asdict`, which copies deeply: the fields are plain strings, and this runs for each webhook.
    plain: dict[str, str] = {name: getattr(address, name) for name in ADDRESS_FIELDS}
    return VerifiedWebhook(address.attempt_id, event.event_id, plain, kept)


def handle_webhook(address: Mapping[str, str], *, deps: AttemptDeps) -> None:
    """Act on the webhooks that are stored for the attempt of this address."""
    act_on_webhooks(address["workspace_id"], address["generation_id"], address["attempt_id"], deps=deps)
