"""The secret of a workspace that signs what is sent to the `webhook_url` of its generations. It can be read again: no
endpoint shows it when it is made."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime

from atelier.audit_log.model import Origin, audit_event
from atelier.dataclass import dataclass
from atelier.errors import Conflict
from atelier.webhook_endpoints.deps import WebhookManageDeps
from atelier.webhook_endpoints.model import GENERATION_URLS, EndpointChanged, SigningSecret
from atelier.webhook_endpoints.ports import WebhookEndpoints, WebhookSealer
from atelier.webhook_endpoints.sign import new_secret


@dataclass(frozen=True, slots=True)
class ShownSecret:
    """The secret in clear. old_until: until then the one before it signs too."""

    secret: str = field(repr=False)
    old_until: datetime | None


def workspace_secret(workspace_id: str, *, endpoints: WebhookEndpoints, sealer: WebhookSealer) -> SigningSecret:
    """The workspace's secret, which is made when it is first needed."""
    found = endpoints.workspace_secret(workspace_id)
    if found is not None:
        return found
    made = SigningSecret(sealer.seal(new_secret(), workspace_id, GENERATION_URLS))
    try:
        endpoints.replace_workspace_secret(workspace_id, None, made, [])
    except EndpointChanged:
        # A parallel request has made it.
        return workspace_secret(workspace_id, endpoints=endpoints, sealer=sealer)
    return made


def show_secret(workspace_id: str, *, deps: WebhookManageDeps, now: datetime) -> ShownSecret:
    """The secret in clear, for those who may change webhooks."""
    return _shown(workspace_id, workspace_secret(workspace_id, endpoints=deps.endpoints, sealer=deps.sealer), deps, now)


def rotate_workspace_secret(
    workspace_id: str, origin: Origin, *, deps: WebhookManageDeps, now: datetime
) -> ShownSecret:
    """Replace the secret; the one before it signs too, for OLD_SECRET_LIFETIME. Raises Conflict."""
    before = workspace_secret(workspace_id, endpoints=deps.endpoints, sealer=deps.sealer)
    after = before.rotated(deps.sealer.seal(new_secret(), workspace_id, GENERATION_URLS), now)
    rotated = audit_event(workspace_id, "webhook_endpoint.secret_rotated", origin, now, target=GENERATION_URLS)
    try:
        deps.endpoints.replace_workspace_secret(workspace_id, before, after, [rotated])
    except EndpointChanged:
        raise Conflict("The secret was changed meanwhile. Read it again.") from None
    return _shown(workspace_id, after, deps, now)


def _shown(workspace_id: str, secret: SigningSecret, deps: WebhookManageDeps, now: datetime) -> ShownSecret:
    text = deps.sealer.open(secret.newest, workspace_id, GENERATION_URLS)
    return ShownSecret(text, secret.old_until if len(secret.valid(now)) > 1 else None)
