"""The model list of a workspace, composed: the deployment's models, and those that the workspace's own keys add."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from atelier.catalogue.catalogue import CUSTOM as CUSTOM_MODEL
from atelier.catalogue.catalogue import CUSTOM_PREFIX
from atelier.catalogue.model import KindName, Model
from atelier.catalogue.schemas import ModelList, ModelView, RetiredView, model_view
from atelier.provider_keys.model import CUSTOM
from atelier.wiring.prices import enabled_providers
from atelier.wiring.provider_keys import keys
from atelier.wiring.sunsets import routing_catalogue


def list_models(workspace_id: str, kind: KindName | None, now: datetime) -> ModelList:
    """All models, or those of one kind, in the order of the catalogue; the models of the workspace's own custom
    endpoints come last."""
    catalogue, own, today = routing_catalogue(now), keys().read_workspace(workspace_id), now.date()
    reachable = enabled_providers() | {key.provider for key in own.keys if key.is_active}

    def view(model: Model, kinds: tuple[KindName, ...]) -> ModelView:
        sunset_at = catalogue.sunset_at(model)
        is_open = sunset_at is None or today < sunset_at
        is_enabled = own.preference(model.provider).enabled
        return model_view(
            model, kinds=kinds, sunset_at=sunset_at, is_offered=is_open and is_enabled and model.provider in reachable
        )

    items = [view(model, (model.kind, *model.also)) for model in catalogue.data.models if model.id != CUSTOM_MODEL]
    served: dict[str, list[str]] = {}
    for key in own.active_keys(CUSTOM):
        for each in key.models:
            served.setdefault(each.name, []).append(each.kind)
    for name, kinds in served.items():
        model = catalogue.model(CUSTOM_PREFIX + name)
        items.append(view(model, tuple(cast("list[KindName]", sorted(set(kinds))))))
    return ModelList(
        items=[item for item in items if kind is None or kind in item.kinds],
        retired=[
            RetiredView.model_validate(past)
            for past in catalogue.data.retired.values()
            if kind is None or kind == past["kind"]
        ],
        price_version=catalogue.price_version,
    )
