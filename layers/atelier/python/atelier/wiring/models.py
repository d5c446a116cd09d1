"""The model list of a workspace, composed."""

from __future__ import annotations

from datetime import datetime

from atelier.catalogue.model import KindName
from atelier.catalogue.schemas import ModelList
from atelier.routing import list_models as listing
from atelier.wiring.prices import enabled_providers
from atelier.wiring.provider_key_store import keys
from atelier.wiring.sunsets import routing_catalogue


def list_models(workspace_id: str, kind: KindName | None, now: datetime) -> ModelList:
    """The models that a workspace can use, all of them or those of one kind."""
    workspace_providers = keys().read_workspace(workspace_id)
    return listing.list_models(routing_catalogue(now), workspace_providers, enabled_providers(), kind, now.date())
