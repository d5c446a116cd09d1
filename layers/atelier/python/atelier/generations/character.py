"""Who is to be seen: a character becomes a part of the recipe, as they are when it is accepted."""

from __future__ import annotations

from dataclasses import replace

from atelier.generations.model import Recipe, Source
from atelier.library.character import Character
from atelier.pricing.model import CHARACTER


def showing(recipe: Recipe, character: Character) -> Recipe:
    """The recipe with a character's pictures, and with what the character's generations are told that say nothing
    else. What becomes of the character afterwards changes nothing."""
    return replace(
        recipe,
        parameters={**character.parameters, **recipe.parameters},
        inputs={**recipe.inputs, CHARACTER: tuple(map(Source, character.reference_asset_ids))},
        character_id=character.id,
    )
