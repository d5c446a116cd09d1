"""HTTP schemas of characters."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from atelier.ids import new_id
from atelier.lazy_model import LazyModel
from atelier.library.character import REFERENCES_MAX, Character

Name = Annotated[str, Field(min_length=1, max_length=120)]
Short = Annotated[str, Field(max_length=200)]
Description = Annotated[str, Field(max_length=2000)]
Age = Annotated[int, Field(ge=0, le=1000, description="Years.")]
AssetId = Annotated[str, Field(pattern=r"^ast_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
Embedding = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=1, max_length=512)]
ParameterValue = Annotated[str, Field(max_length=200)] | bool | int | Annotated[float, Field(allow_inf_nan=False)]
ParameterName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Parameters = Annotated[dict[ParameterName, ParameterValue], Field(max_length=20)]


def _without_duplicates(asset_ids: list[str]) -> list[str]:
    return list(dict.fromkeys(asset_ids))


References = Annotated[
    list[AssetId],
    Field(min_length=1, max_length=REFERENCES_MAX, description="Images of the character, the most telling first."),
    AfterValidator(_without_duplicates),
]


class _CharacterFields(LazyModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    gender: Short | None = None
    age: Age | None = None
    style: Short | None = None
    description: Description | None = None
    face_embedding: Embedding | None = Field(default=None, description="Kept as it is, for whoever computes one.")


class CreateCharacterRequest(_CharacterFields):
    """A new character."""

    name: Name
    reference_asset_ids: References
    parameters: Parameters = Field(default={}, description="For generations that say nothing else.")

    def new(self, workspace_id: str, user_id: str, now: datetime) -> Character:
        """The new character."""
        return Character(
            id=new_id("chr", now),
            workspace_id=workspace_id,
            user_id=user_id,
            created_at=now,
            updated_at=now,
            **_field_values(self, set(type(self).model_fields)),
        )


class ChangeCharacterRequest(_CharacterFields):
    """Changes of a character: a field that is left out stays as it is, and null clears it."""

    name: Name = ""
    reference_asset_ids: References = []
    parameters: Parameters = {}

    def change(self, before: Character) -> Character:
        """The character with this request's changes. `before`: the character as it was read."""
        return replace(before, **_field_values(self, self.model_fields_set))


class CharacterView(LazyModel):
    """A character, for models that accept reference images of the person to show."""

    id: str
    name: str
    gender: str | None
    age: int | None
    style: str | None
    description: str | None
    reference_asset_ids: list[str]
    face_embedding: list[float] | None
    parameters: dict[str, ParameterValue]
    created_at: datetime
    updated_at: datetime


class CharacterEnvelope(LazyModel):
    character: CharacterView


class CharacterList(LazyModel):
    items: list[CharacterView]
    next_cursor: str | None


def character_view(character: Character) -> CharacterView:
    """The response for a character."""
    return CharacterView.model_validate(character, from_attributes=True)


def _field_values(request: BaseModel, names: set[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {name: getattr(request, name) for name in names}
    for name in ("reference_asset_ids", "face_embedding"):
        if facts.get(name) is not None:
            facts[name] = tuple(facts[name])
    return facts
