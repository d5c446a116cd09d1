"""List the models that a workspace can use: the deployment's, and those that the workspace's own keys add."""

from __future__ import annotations

from datetime import date
from typing import cast

from atelier.catalogue.catalogue import Catalogue
from atelier.catalogue.model import KindName, Model
from atelier.catalogue.schemas import ModelList, ModelView, RetiredView, model_view
from atelier.catalogue.tiers import CUSTOM as CUSTOM_MODEL
from atelier.catalogue.tiers import CUSTOM_PREFIX
from atelier.provider_keys.model import CUSTOM, WorkspaceProviders


def list_models(
    catalogue: Catalogue,
    workspace_providers: WorkspaceProviders,
    platform_providers: frozenset[str],
    kind: KindName | None,
    today: date,
) -> ModelList:
    """All models, or those of one kind, in the order of the catalogue; the models of the workspace's own custom
    endpoints come last. platform_providers: those that the platform has access to."""
    own_providers = {key.provider for key in workspace_providers.keys if key.is_active}
    reachable = platform_providers | own_providers

    def view(model: Model, kinds: tuple[KindName, ...]) -> ModelView:
        sunset_at = catalogue.sunset_at(model)
        is_open = sunset_at is None or today < sunset_at
        is_enabled = workspace_providers.preference(model.provider).enabled
        is_offered = is_open and is_enabled and model.provider in reachable
        tiers = catalogue.tiers_with(lambda tier: any(tier.includes(kind, model.id) for kind in kinds))
        return model_view(model, kinds=kinds, sunset_at=sunset_at, is_offered=is_offered, tiers=tiers)

    items = [view(model, (model.kind, *model.also)) for model in catalogue.data.models if model.id != CUSTOM_MODEL]
    for name, kinds in _custom_models(workspace_providers).items():
        items.append(view(catalogue.model(CUSTOM_PREFIX + name), kinds))
    return ModelList(
        items=[item for item in items if kind is None or kind in item.kinds],
        retired=[
            RetiredView.model_validate(past)
            for past in catalogue.data.retired.values()
            if kind is None or kind == past["kind"]
        ],
        price_version=catalogue.price_version,
    )


def _custom_models(workspace_providers: WorkspaceProviders) -> dict[str, tuple[KindName, ...]]:
    """The kinds of each model of the workspace's custom endpoints, by the model's name there."""
    kinds_by_name: dict[str, set[str]] = {}
    for key in workspace_providers.active_keys(CUSTOM):
        for model in key.models:
            kinds_by_name.setdefault(model.name, set()).add(model.kind)
    return {name: tuple(cast("list[KindName]", sorted(kinds))) for name, kinds in kinds_by_name.items()}
