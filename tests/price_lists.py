"""Catalogues with another price list, for tests of what a tier includes and allows."""

from __future__ import annotations

import json
from typing import Any

from atelier.catalogue.catalogue import COMPILED, FOLDER, Catalogue, CatalogueData

LOCAL = frozenset({"local"})


def with_tiers(providers: frozenset[str] = LOCAL, **changes: dict[str, Any]) -> Catalogue:
    """The shipped catalogue in which the first version of each named tier has other fields:
    `with_tiers(free={"kinds": ["image"]})`."""
    compiled: dict[str, Any] = json.loads((FOLDER / COMPILED).read_text())
    data = compiled["data"]
    data["tiers"] = [tier | changes.get(tier["id"].removesuffix("@1"), {}) for tier in data["tiers"]]
    return Catalogue(CatalogueData(data), compiled["price_version"], providers)


def with_versions(providers: frozenset[str] = LOCAL, **changes: dict[str, Any]) -> Catalogue:
    """The shipped catalogue with a second version of each named tier, which differs in these fields."""
    compiled: dict[str, Any] = json.loads((FOLDER / COMPILED).read_text())
    data, tiers = compiled["data"], list[dict[str, Any]]()
    for tier in data["tiers"]:
        name = tier["id"].removesuffix("@1")
        tiers += [tier, *([tier | changes[name] | {"id": f"{name}@2"}] if name in changes else [])]
    data["tiers"] = tiers
    return Catalogue(CatalogueData(data), compiled["price_version"], providers)
