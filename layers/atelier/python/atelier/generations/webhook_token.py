"""The token at the end of a webhook's path: it names the attempt, and its signature proves that we issued the path."""

from __future__ import annotations

import hashlib
import hmac

from atelier.dataclass import dataclass
from atelier.ids import is_id


@dataclass(frozen=True, slots=True)
class WebhookAddress:
    """The attempt that a webhook belongs to."""

    provider: str
    workspace_id: str
    generation_id: str
    attempt_id: str


def sign(address: WebhookAddress, key: bytes) -> str:
    """The token `wsp_….gen_….att_….<hex>`, safe in a URL's path. The signature covers the provider too."""
    path = f"{address.workspace_id}.{address.generation_id}.{address.attempt_id}"
    return f"{path}.{_mac(address.provider, path, key)}"


def verify(provider: str, token: str, key: bytes) -> WebhookAddress | None:
    """The address in a token that we signed for this provider; None for any other text."""
    path, _, mac = token.rpartition(".")
    parts = path.split(".")
    if len(parts) != 3 or not all(map(is_id, parts, ("wsp", "gen", "att"))):
        return None
    if not hmac.compare_digest(mac.encode(), _mac(provider, path, key).encode()):
        return None
    return WebhookAddress(provider, *parts)


def _mac(provider: str, path: str, key: bytes) -> str:
    return hmac.new(key, f"{provider}/{path}".encode(), hashlib.sha256).hexdigest()[:40]
