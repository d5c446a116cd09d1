"""HTTP schemas of integrations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, SecretStr, StringConstraints

from atelier.deployments.integrate import IntegrationTest, NewIntegration
from atelier.deployments.model import Integration, IntegrationKind, IntegrationState
from atelier.lazy_model import LazyModel

Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$")]
SettingName = Annotated[str, Field(max_length=40)]
SettingValue = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")]


class IntegrationRequest(LazyModel):
    """A new integration: a token of the workspace's own account at a host."""

    model_config = ConfigDict(extra="forbid")

    kind: IntegrationKind
    name: Name = ""
    credentials: Annotated[SecretStr, Field(min_length=8, max_length=500)] = Field(
        description="The account's token. It is encrypted, and never shown again."
    )
    settings: dict[SettingName, SettingValue] = Field(
        default_factory=dict,
        max_length=10,
        description="`team`, `site_id` (netlify); `team_id` (vercel); `owner`, `repository`, `branch` (github); "
        "`project_id`, `dataset`, `document_type` (sanity).",
    )

    def new(self, workspace_id: str, user_id: str, idempotency_key: str | None) -> NewIntegration:
        """The integration to add."""
        token = self.credentials.get_secret_value()
        name = self.name or self.kind.value
        return NewIntegration(workspace_id, user_id, self.kind, name, token, self.settings, idempotency_key)


class IntegrationView(LazyModel):
    """An integration. `state`: `refused` when the host does not accept its credentials (any more)."""

    id: str
    kind: IntegrationKind
    name: str
    settings: dict[str, str]
    state: IntegrationState
    tested_at: datetime | None
    user_id: str
    created_at: datetime


class IntegrationEnvelope(LazyModel):
    integration: IntegrationView


class IntegrationList(LazyModel):
    """All integrations of the workspace, the oldest first."""

    items: list[IntegrationView]


class IntegrationTestView(LazyModel):
    """What a call with the credentials has shown. `failure`: why they do not work."""

    working: bool
    failure: str | None
    integration: IntegrationView


def integration_view(integration: Integration) -> IntegrationView:
    """An integration for callers."""
    return IntegrationView(
        id=integration.id,
        kind=integration.kind,
        name=integration.name,
        settings=dict(integration.settings),
        state=integration.state,
        tested_at=integration.tested_at,
        user_id=integration.user_id,
        created_at=integration.created_at,
    )


def check_view(test: IntegrationTest) -> IntegrationTestView:
    """The result of a test for callers."""
    view = integration_view(test.integration)
    return IntegrationTestView(working=test.failure is None, failure=test.failure, integration=view)
