"""How far an estimate was off: the catalogue's prices and times age."""

from __future__ import annotations

from atelier.errors import ValidationFailed
from atelier.generations.model import Generation, Status
from atelier.pricing.catalogue import Catalogue


def drift_percent(generation: Generation, catalogue: Catalogue) -> int | None:
    """By how much what a delivered generation cost is above (+) or below (-) its estimate; None where nobody knows what
    it did cost, or where it was estimated at nothing."""
    attempt, recipe = generation.attempt, generation.recipe
    if attempt is None or generation.status is not Status.SUCCEEDED or attempt.cost_source == "estimate":
        return None
    try:
        estimate = catalogue.price(
            attempt.model, recipe.parameters, prompt=recipe.prompt, files=recipe.files, facts=recipe.facts
        ).cost_microusd
    except ValidationFailed:
        return None  # The model has left the catalogue meanwhile.
    return round(100 * (attempt.cost_microusd - estimate) / estimate) if estimate else None
