"""Add, test and remove integrations: a workspace's accounts at the hosts of sites. Credentials are sealed at once, and
never shown again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.dataclass import dataclass
from atelier.deployments.model import (
    INTEGRATION_SETTINGS,
    INTEGRATIONS_MAX,
    Integration,
    IntegrationKind,
    IntegrationState,
)
from atelier.deployments.ports import (
    AccountCheck,
    CredentialSealer,
    HostAccount,
    IntegrationExists,
    Integrations,
    TooManyIntegrations,
)
from atelier.errors import Conflict, ValidationFailed
from atelier.idempotency import IdempotencyKeys, fingerprint
from atelier.ids import new_id

TOO_MANY = "A workspace may have {} integrations."


@dataclass(frozen=True, slots=True)
class IntegrateDeps:
    """Dependencies. hosts: what calls each kind of host."""

    store: Integrations
    sealer: CredentialSealer
    hosts: Mapping[IntegrationKind, AccountCheck]
    keys: IdempotencyKeys


@dataclass(frozen=True, slots=True)
class NewIntegration:
    """What a verified caller adds."""

    workspace_id: str
    user_id: str
    kind: IntegrationKind
    name: str
    credentials: str = field(repr=False)
    settings: Mapping[str, str]
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class IntegrationTest:
    """What a call with an integration has shown. failure: why it does not work; None = it works."""

    integration: Integration
    failure: str | None


def add_integration(
    new: NewIntegration, origin: Origin, *, deps: IntegrateDeps, now: datetime
) -> tuple[Integration, bool]:
    """The new integration, and whether the same request had added it before. Raises ValidationFailed, Conflict,
    IdempotencyMismatch."""
    _check_settings(new)
    id = new_id("int", now)
    if new.idempotency_key is not None:
        facts = fingerprint([new.kind.value, new.name, new.credentials, sorted(new.settings.items())])
        id = deps.keys.reserve(new.workspace_id, f"integrations {new.idempotency_key}", facts, id)
    sealed = deps.sealer.seal(new.credentials, new.workspace_id, id)
    integration = Integration(
        id, new.workspace_id, new.kind, new.name, new.settings, new.user_id, now, sealed.record, sealed.kid
    )
    try:
        deps.store.create(integration, [_event("integration.added", integration, origin, now)])
    except IntegrationExists:
        return deps.store.get(new.workspace_id, id), True
    except TooManyIntegrations:
        raise Conflict(TOO_MANY.format(INTEGRATIONS_MAX), integrations_max=INTEGRATIONS_MAX) from None
    return integration, False


def remove_integration(
    workspace_id: str, integration_id: str, origin: Origin, *, deps: IntegrateDeps, now: datetime
) -> None:
    """Remove an integration with its credentials. Raises NotFound."""
    integration = deps.store.get(workspace_id, integration_id)
    deps.store.remove(integration, [_event("integration.removed", integration, origin, now)])


def check_integration(workspace_id: str, integration_id: str, *, deps: IntegrateDeps, now: datetime) -> IntegrationTest:
    """Call the host with the credentials, and note what it says. Raises NotFound, and ProviderFailed when the host
    cannot be asked."""
    integration = deps.store.get(workspace_id, integration_id)
    account = HostAccount(deps.sealer.open(integration), integration.settings)
    failure = deps.hosts[integration.kind].test(account)
    state = IntegrationState.WORKING if failure is None else IntegrationState.REFUSED
    deps.store.set_state(integration, state, now)
    return IntegrationTest(deps.store.get(workspace_id, integration_id), failure)


def _check_settings(new: NewIntegration) -> None:
    known, needed = INTEGRATION_SETTINGS[new.kind]
    wrong = [
        {"path": f"settings.{name}", "message": f"is no setting of {new.kind.value}"}
        for name in new.settings
        if name not in known
    ]
    wrong += [{"path": f"settings.{name}", "message": "is needed"} for name in needed if not new.settings.get(name)]
    if not all("!" <= character <= "~" for character in new.credentials):
        # It is sent in a header.
        wrong.append({"path": "credentials", "message": "has characters that no token has"})
    if wrong:
        raise ValidationFailed(wrong)


def _event(action: str, integration: Integration, origin: Origin, now: datetime) -> AuditEvent:
    kind, name = integration.kind.value, integration.name
    return audit_event(integration.workspace_id, action, origin, now, target=integration.id, kind=kind, name=name)
