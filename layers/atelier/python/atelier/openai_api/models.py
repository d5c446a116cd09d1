"""`/v1/models`: the models that the catalogue offers a workspace, in OpenAI's form."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from atelier.catalogue.catalogue import CatalogueData
from atelier.catalogue.schemas import ModelList, ModelView
from atelier.openai_api.errors import ModelNotFound
from atelier.openai_api.model_names import AUTO, resolve

# The kinds of media for which `/v1` has a route.
KINDS = ("text", "image", "audio", "video")


def offered_models(catalogue: ModelList, kind: str | None = None) -> list[ModelView]:
    """The offered models of the given kind, or of every kind that has a route."""
    kinds = (kind,) if kind else KINDS
    return [model for model in catalogue.items if model.is_offered and set(kinds) & set(model.kinds)]


def model_choices(models: Iterable[ModelView]) -> list[str]:
    """The values that a request may have as `model`: `auto` and the ids of the models; empty without models."""
    ids = [model.id for model in models]
    return [AUTO, *ids] if ids else []


def list_body(catalogue: ModelList) -> dict[str, Any]:
    """The response body of the list of models."""
    day = catalogue.price_version.rpartition("-")[0]
    created = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    models = [model_body(model, created) for model in offered_models(catalogue)]
    return {"object": "list", "data": [auto_model_body(created), *models] if models else []}


def find_model(name: str, catalogue: ModelList, data: CatalogueData) -> dict[str, Any]:
    """The response body about one model, by any of its names. Raises ModelNotFound."""
    models_by_id = {each["id"]: each for each in list_body(catalogue)["data"]}
    resolved = resolve(name, data)
    if resolved not in models_by_id:
        raise ModelNotFound(name, "it is not offered here.", list(models_by_id))
    return models_by_id[resolved]


def model_body(model: ModelView, created: int) -> dict[str, Any]:
    """One model in OpenAI's form. created: the day of the price list, in seconds since 1970."""
    return {
        "id": model.id,
        "object": "model",
        "created": created,
        "owned_by": model.provider,
        "shutdown_date": model.sunset_at.isoformat() if model.sunset_at else None,
        "kinds": model.kinds,
    }


def auto_model_body(created: int) -> dict[str, Any]:
    """The entry of `auto`, for which a healthy and cheap model is chosen."""
    return {
        "id": AUTO,
        "object": "model",
        "created": created,
        "owned_by": "atelier",
        "shutdown_date": None,
        "kinds": list(KINDS),
    }
