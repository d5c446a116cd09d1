"""Put a character into a recipe, as the character is when the generation is accepted."""

from __future__ import annotations

from dataclasses import replace

from atelier.catalogue.model import CHARACTER
from atelier.generations.model import InputAsset, Recipe
from atelier.library.character import Character


def with_character(recipe: Recipe, character: Character) -> Recipe:
    """The recipe with the character's images and, for parameters that the recipe leaves out, the character's. They are
    copied: later changes of the character do not change the recipe."""
    return replace(
        recipe,
        parameters={**character.parameters, **recipe.parameters},
        inputs={**recipe.inputs, CHARACTER: tuple(map(InputAsset, character.reference_asset_ids))},
        character_id=character.id,
    )
