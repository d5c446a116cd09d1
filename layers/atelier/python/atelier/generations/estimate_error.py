"""The error of a cost estimate. It is watched because the prices and run times of the catalogue become outdated."""

from __future__ import annotations

from atelier.catalogue.catalogue import Catalogue
from atelier.errors import ValidationFailed
from atelier.generations.model import Generation, Status


def estimated_cost(generation: Generation, model: str, catalogue: Catalogue) -> int | None:
    """The cost (micro-USD) of a generation with this model as it was estimated before. None when the estimate is zero,
    or the model has left the catalogue."""
    recipe = generation.recipe
    try:
        estimate = catalogue.price(
            model, recipe.parameters, prompt=recipe.prompt, files=recipe.files, facts=recipe.facts
        ).cost_microusd
    except ValidationFailed:
        return None
    return estimate or None


def estimate_error_percent(generation: Generation, catalogue: Catalogue) -> int | None:
    """By how many percent the cost of a succeeded generation is above (+) or below (-) its estimate. None when the real
    cost is not known, the estimate is zero, or the model has left the catalogue."""
    attempt = generation.attempt
    if attempt is None or generation.status is not Status.SUCCEEDED or attempt.cost_source == "estimate":
        return None
    estimate = estimated_cost(generation, attempt.model, catalogue)
    return round(100 * (attempt.cost_microusd - estimate) / estimate) if estimate else None
