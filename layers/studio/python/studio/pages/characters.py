"""Characters: persons or figures who look the same in every image, known by reference images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

PAGE_CHARACTERS = 24
PICKER_IMAGES = 48
TEXTS = ("name", "description", "style", "gender")
# Refusals that the form itself shows, beside what was written.
SHOWN_IN_FORM = (403, 409, 422)
ASSET_ID = re.compile(r"ast_[0-9A-Z]{26}")


def show_characters(visit: Visit) -> Response:
    """The characters. Query: `cursor`."""
    found = visit.get("/api/characters", cursor=visit.query.get("cursor", ""), limit=PAGE_CHARACTERS)
    return visit.page("characters.html", found=found)


def show_new(visit: Visit) -> Response:
    """The form for a new character. Query: `asset`, several times: images chosen in the library."""
    typed = {**dict.fromkeys(TEXTS, ""), "age": ""}
    return _form(visit, None, typed, visit.query.getlist("asset"))


def create(visit: Visit) -> Response:
    """Makes a character."""
    try:
        headers = {"Idempotency-Key": visit.form_key}
        visit.api.call("POST", "/api/characters", _wanted(visit), headers=headers)
    except ApiError as error:
        return _form_again(visit, None, error)
    return visit.go("/characters")


def show_character(visit: Visit) -> Response:
    """A character, in the form that changes it."""
    character = _character(visit)
    typed = {name: character[name] or "" for name in TEXTS}
    typed["age"] = "" if character["age"] is None else str(character["age"])
    return _form(visit, character, typed, character["reference_asset_ids"])


def edit(visit: Visit) -> Response:
    """Changes a character."""
    try:
        visit.api.call("PUT", f"/api/characters/{visit.part('character_id')}", _wanted(visit))
    except ApiError as error:
        return _form_again(visit, _character(visit), error)
    return visit.go("/characters")


def show_delete(visit: Visit) -> Response:
    """Asks whether this character, by its name, is to be deleted."""
    return visit.page("character_delete.html", character=_character(visit))


def delete(visit: Visit) -> Response:
    """Deletes a character."""
    visit.api.call("DELETE", f"/api/characters/{visit.part('character_id')}")
    return visit.go("/characters")


def _character(visit: Visit) -> Json:
    return visit.get(f"/api/characters/{visit.part('character_id')}")["character"]


def _wanted(visit: Visit) -> Json:
    """The character that the form describes, as the API takes it. An age that is no number goes as it is: the API
    says what is wrong with it."""
    texts: Json = {name: str(visit.form.get(name, "")).strip() or None for name in TEXTS}
    age = str(visit.form.get("age", "")).strip()
    return {
        **texts,
        "name": texts["name"] or "",
        "age": int(age) if age.isdecimal() else age or None,
        "reference_asset_ids": list(visit.form.getlist("reference")),
    }


def _form(
    visit: Visit,
    character: Json | None,
    typed: Mapping[str, str],
    chosen: Sequence[str],
    *,
    status: int = 200,
    error: ApiError | None = None,
) -> Response:
    """chosen: ids of the reference images, which come first among the images to choose from."""
    images = visit.get("/api/assets", type="image", archived="false", limit=PICKER_IMAGES)
    fields = error.fields if error else {}
    wrong_images = [message for path, message in fields.items() if path.startswith("reference_asset_ids")]
    return visit.page(
        "character_form.html",
        status=status,
        character=character,
        typed=typed,
        chosen=[each for each in dict.fromkeys(chosen) if ASSET_ID.fullmatch(each)],
        images=images,
        known={asset["id"]: asset for asset in images["items"]},
        error=None if fields else error,
        errors=fields | ({"reference": wrong_images[0]} if wrong_images else {}),
    )


def _form_again(visit: Visit, character: Json | None, error: ApiError) -> Response:
    """The form with what was typed and why it was refused. Raises an error that no form can show."""
    if error.status not in SHOWN_IN_FORM:
        raise error
    typed = {name: str(visit.form.get(name, "")) for name in (*TEXTS, "age")}
    return _form(visit, character, typed, visit.form.getlist("reference"), status=error.status, error=error)


routes = [
    route("/characters", show_characters),
    route("/characters/new", show_new),
    route("/characters/new", create, "POST"),
    route("/characters/{character_id}", show_character),
    route("/characters/{character_id}", edit, "POST"),
    route("/characters/{character_id}/delete", show_delete),
    route("/characters/{character_id}/delete", delete, "POST"),
]
