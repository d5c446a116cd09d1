"""`/v1/models`: what the catalogue offers a workspace, as OpenAI lists models."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from atelier.compatible.naming import AUTO
from atelier.pricing.listing import ModelList, ModelView

# Kinds that `/v1` has a path for.
KINDS = ("text", "image", "audio", "video")


def offered(catalogue: ModelList, kind: str | None = None) -> list[ModelView]:
    """The models that can be asked for here, of one kind or of each that there is a path for."""
    kinds = (kind,) if kind else KINDS
    return [model for model in catalogue.items if model.is_offered and set(kinds) & set(model.kinds)]


def names(models: Iterable[ModelView]) -> list[str]:
    """What may be asked for: by their names, or whichever comes first."""
    found = [model.id for model in models]
    return [AUTO, *found] if found else []


def listing(catalogue: ModelList) -> dict[str, Any]:
    """The body of a list."""
    day = catalogue.price_version.rpartition("-")[0]
    created = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    models = [view(model, created) for model in offered(catalogue)]
    return {"object": "list", "data": [auto(created), *models] if models else []}


def view(model: ModelView, created: int) -> dict[str, Any]:
    """One model; `created` is when its price was last looked at."""
    return {
        "id": model.id,
        "object": "model",
        "created": created,
        "owned_by": model.provider,
        "shutdown_date": model.sunset_at.isoformat() if model.sunset_at else None,
        "kinds": model.kinds,
    }


def auto(created: int) -> dict[str, Any]:
    """Whichever model is well and cheap."""
    return {
        "id": AUTO,
        "object": "model",
        "created": created,
        "owned_by": "atelier",
        "shutdown_date": None,
        "kinds": list(KINDS),
    }
