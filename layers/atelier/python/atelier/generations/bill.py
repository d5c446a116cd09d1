"""Settle one attempt: its credits and its cost, by the catalogue's rules for its model."""

from __future__ import annotations

from collections.abc import Mapping

from atelier.catalogue.catalogue import Catalogue
from atelier.catalogue.model import Settlement
from atelier.generations.model import Attempt, Generation


def bill(
    generation: Generation,
    attempt: Attempt,
    ended_as: str,
    catalogue: Catalogue,
    *,
    delivered: int = 0,
    usage: Mapping[str, int] | None = None,
    reported_microusd: int | None = None,
) -> Settlement:
    """The credits and the cost (micro-USD) of an attempt. `ended_as` takes the values of `Catalogue.settle`;
    `delivered` is the number of delivered files. Raises ValidationFailed for a model that has left the catalogue."""
    recipe = generation.recipe
    return catalogue.settle(
        attempt.model,
        recipe.parameters,
        ended_as,
        prompt=recipe.prompt,
        files=recipe.files,
        facts=recipe.facts,
        delivered=delivered,
        usage=usage,
        reported_microusd=reported_microusd,
    )
