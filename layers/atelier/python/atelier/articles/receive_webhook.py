"""Receive what an editorial system elsewhere says when something has changed there."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from atelier.articles.ports import ArticleStore
from atelier.articles.source_ports import ArticleSource
from atelier.articles.sync_source import make_due
from atelier.errors import Unauthenticated


def receive_webhook(
    integration_id: str,
    body: bytes,
    headers: Mapping[str, str],
    secret: str,
    *,
    sources: Mapping[str, ArticleSource],
    store: ArticleStore,
    now: datetime,
) -> None:
    """Let the system be read again. What the webhook says is not used, so a repeated or late one does no harm. Raises
    Unauthenticated for one that the source has not signed."""
    settings = store.settings()
    source = sources.get(settings.source)
    is_source = source is not None and settings.integration_id == integration_id
    if source is None or not is_source or not source.is_genuine(body, headers, secret):
        raise Unauthenticated("The signature of this webhook is not valid.")
    make_due(integration_id, store=store, now=now)


def webhook_secret(attempts_key: bytes, integration_id: str) -> str:
    """What the webhooks of an integration are signed with: derived, so that it is stored nowhere."""
    return hmac.new(attempts_key, f"editorial-webhooks {integration_id}".encode(), hashlib.sha256).hexdigest()
