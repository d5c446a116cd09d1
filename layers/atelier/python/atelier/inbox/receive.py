"""Receive a webhook: only what its source has signed is stored, and it is stored before it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.inbox.ports import WebhookInbox


@dataclass(frozen=True, slots=True)
class VerifiedWebhook:
    """A webhook whose signature is valid. `subject`: what it is about; `event_id`: the same for a repeated delivery;
    `address`: what the handler needs to find the subject; `headers`: those that verifying it again needs. `body`: what
    is stored in place of the raw bytes, when these have a secret; None = the raw bytes."""

    subject: str
    event_id: str
    address: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes | None = None


# (token in the path, headers, raw body, now) -> the webhook. Raises NotFound for a path that we did not issue, and
# BadRequest for a body that the source did not sign.
Verify = Callable[[str, Mapping[str, str], bytes, datetime], VerifiedWebhook]


@dataclass(frozen=True, slots=True)
class ReceiveDeps:
    """The dependencies of receiving. `verifiers`: by source."""

    inbox: WebhookInbox
    verifiers: Mapping[str, Verify]


def receive(
    source: str, token: str, headers: Mapping[str, str], body: bytes, *, deps: ReceiveDeps, now: datetime
) -> bool:
    """Verify and store one webhook; returns False when it is stored already. Raises NotFound and BadRequest."""
    verify = deps.verifiers.get(source)
    if verify is None:
        raise NotFound("There is no such webhook.")
    webhook = verify(token, headers, body, now)
    kept = body if webhook.body is None else webhook.body
    return deps.inbox.keep(source, webhook.subject, webhook.event_id, webhook.address, webhook.headers, kept, now)
