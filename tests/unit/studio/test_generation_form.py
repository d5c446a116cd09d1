"""The form of a generation: fields from the catalogue's rules, the API's request from fields, and back."""

from __future__ import annotations

from typing import Any, cast

import pytest
from starlette.datastructures import ImmutableMultiDict

from atelier.catalogue.catalogue import catalogue
from atelier.catalogue.model import Model
from atelier.catalogue.parameters import validation_error
from atelier.catalogue.schemas import model_view
from studio.generation_form import (
    AUTO,
    GENERAL,
    KINDS,
    Fields,
    digest,
    fields_of_asset,
    fields_of_recipe,
    fields_that_continue,
    missing_files,
    model_form,
    order_request,
    quote_request,
    request_of,
    turns_of,
)
from studio.strings import Translator

MODELS: list[Model] = [model for model in catalogue(frozenset[str]()).data.models if model.kind != "moderation"]


def shown(model: Model) -> dict[str, Any]:
    """The model as `/api/models` shows it."""
    kinds = cast("Any", (model.kind, *model.also))
    return model_view(model, kinds=kinds, sunset_at=None, is_offered=True).model_dump(mode="json")


def fields(*pairs: tuple[str, str]) -> Fields:
    return ImmutableMultiDict(pairs)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_a_form_has_a_control_for_each_parameter_and_its_sizes_fit_the_model(model: Model) -> None:
    form = model_form([shown(model)], model.id)
    asked = {control.parameter for control in form.controls}
    assert set(model.parameters) - asked <= {"messages", "stop"}
    assert {slot.role for slot in form.slots} == set(model.inputs)
    for _, size in form.sizes:
        for name, side in zip(("width", "height"), size.split("x"), strict=True):
            assert validation_error(model.parameters[name], int(side)) is None, (model.id, size)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_what_a_form_sends_for_each_control_is_what_the_model_accepts(model: Model) -> None:
    for control in model_form([shown(model)], model.id).controls:
        values = {"choice": control.choices[:1], "switch": ("off",), "text": ("words",)}
        bounds = () if control.minimum is None else (str(control.minimum), str(control.maximum))
        for value in values.get(control.type, bounds):
            own_size = ("text.size", "own")
            sent = request_of(fields(("kind", "image"), own_size, (control.name, value)))["parameters"]
            assert validation_error(model.parameters[control.parameter], sent[control.parameter]) is None, control.name


def test_every_price_has_words() -> None:
    t = Translator("en")
    units = {price["unit"] for model in MODELS for price in shown(model)["prices"][:1]}
    assert {unit for unit in units if not t.has(f"unit.{unit}")} == set()


@pytest.mark.parametrize("kind", KINDS)
def test_the_form_of_no_special_model_asks_only_for_what_every_api_knows(kind: str) -> None:
    usable = [shown(model) for model in MODELS if kind in (model.kind, *model.also)]
    form = model_form(usable, AUTO)
    assert {control.parameter for control in form.controls} <= set(GENERAL)
    widest = max(bounds["maximum"] for model in usable for bounds in [*model["inputs"].values(), {"maximum": 0}])
    assert max((slot.maximum for slot in form.slots), default=0) == widest


def test_a_request_has_what_was_filled_in_with_its_types_and_nothing_else() -> None:
    sent = request_of(
        fields(
            ("form_token", "t"),
            ("kind", "image"),
            ("model", "local/canvas"),
            ("prompt", " a lighthouse "),
            ("negative_prompt", ""),
            ("integer.n", "2"),
            ("integer.seed", ""),
            ("number.speed", "1.5"),
            ("text.size", "1024x640"),
            ("integer.width", "64"),
            ("switch.still", "off"),
            ("file.image_asset_id", "ast_1 a name"),
            ("file.image_asset_id", "ast_2 another name"),
            ("files.reference_asset_ids", "ast_3 x"),
            ("files.reference_asset_ids", "ast_4"),
            ("files.reference_asset_ids", "ast_3 x"),
            ("project_id", "prj_1 Harbour film"),
            ("reuse", "on"),
        )
    )
    assert sent == {
        "kind": "image",
        "model": "local/canvas",
        "prompt": "a lighthouse",
        "project_id": "prj_1",
        "reuse": True,
        "parameters": {
            "n": 2,
            "speed": 1.5,
            "size": "1024x640",
            "still": False,
            "image_asset_id": "ast_2",
            "reference_asset_ids": ["ast_3", "ast_4"],
        },
    }
    assert quote_request(sent).keys() == {"kind", "model", "prompt", "parameters"}


def test_the_own_size_speaks_only_when_it_is_chosen() -> None:
    sides = (("kind", "image"), ("integer.width", "300"), ("integer.height", "200"))
    assert request_of(fields(*sides))["parameters"] == {}
    assert request_of(fields(*sides, ("text.size", "own")))["parameters"] == {"width": 300, "height": 200}


def test_what_is_no_number_goes_to_the_api_which_says_so() -> None:
    assert request_of(fields(("kind", "image"), ("integer.n", "two")))["parameters"] == {"n": "two"}


def test_a_pipeline_has_models_and_parameters_by_stage() -> None:
    sent = request_of(
        fields(
            ("pipeline", "talking_avatar"),
            ("prompt", "Good evening."),
            ("speech/model", "local/voice"),
            ("speech/text.voice", "cora"),
            ("avatar/model", "auto"),
            ("avatar/file.image_asset_id", "ast_1 portrait"),
        )
    )
    assert sent == {
        "pipeline": "talking_avatar",
        "prompt": "Good evening.",
        "stages": {
            "avatar": {"model": "auto", "parameters": {"image_asset_id": "ast_1"}},
            "speech": {"model": "local/voice", "parameters": {"voice": "cora"}},
        },
    }


FROM_TEMPLATE = (
    ("kind", "image"),
    ("prompt", "a {{thing}} in {{ place }} and {{other}}"),
    ("template_id", "tpl_1 Postcard"),
    ("template_prompt", "a {{thing}} in {{ place }} and {{other}}"),
    ("variable.thing", "{{place}}"),
    ("variable.place", "Rome"),
)


def test_a_template_is_filled_and_values_are_no_new_gaps() -> None:
    body = request_of(fields(*FROM_TEMPLATE))
    assert quote_request(body)["prompt"] == "a {{place}} in Rome and {{other}}"
    assert "template_id" not in quote_request(body)
    ordered = order_request(body)
    assert (ordered["template_id"], ordered["variables"]) == ("tpl_1", {"thing": "{{place}}", "place": "Rome"})
    assert "prompt" not in ordered


def test_a_changed_prompt_is_no_template_any_more() -> None:
    body = request_of(fields(*FROM_TEMPLATE, ("prompt", "two {{thing}}s")))
    assert order_request(body) == body
    assert body == {"kind": "image", "model": "auto", "prompt": "two {{place}}s", "parameters": {}}


@pytest.mark.parametrize(
    "recipe",
    [
        {
            "kind": "video",
            "model": "local/film",
            "prompt": "waves",
            "negative_prompt": "people",
            "character_id": "chr_1",
            "enhance_prompt": True,
            "parameters": {
                "width": 640,
                "height": 360,
                "speed": 0.5,
                "motion": "zoom_in",
                "still": True,
                "image_asset_id": "ast_1",
                "reference_asset_ids": ["ast_2", "ast_3"],
            },
        },
        {
            "pipeline": "image_to_video",
            "prompt": "a boat",
            "stages": {
                "image": {"model": "local/canvas", "parameters": {"seed": 7}},
                "video": {"model": "auto", "parameters": {}},
            },
        },
    ],
)
def test_the_form_of_a_recipe_asks_for_the_same(recipe: dict[str, Any]) -> None:
    assert request_of(fields_of_recipe({"kind": "image", **recipe})) == recipe


def test_a_file_fills_the_role_of_its_type() -> None:
    audio = fields_of_asset("avatar", {"id": "ast_1", "type": "audio", "name": "speech 1"})
    assert audio == [("kind", "avatar"), ("file.audio_asset_id", "ast_1 speech 1")]
    image = fields_of_asset("video", {"id": "ast_2", "type": "image", "name": "x"})
    assert request_of(fields(*image))["parameters"] == {"image_asset_id": "ast_2"}


@pytest.mark.parametrize(
    ("kind", "file", "prompt"),
    [
        ("upscale", "image", "a lighthouse"),
        ("avatar", "audio", "a lighthouse"),
        ("avatar", "image", None),
        ("video", "image", None),
    ],
)
def test_a_file_that_needs_no_words_gives_the_result_its_name(kind: str, file: str, prompt: str | None) -> None:
    given = (f"file.{file}_asset_id", "ast_1 a lighthouse")
    assert request_of(fields(("kind", kind), ("prompt", " "), given)).get("prompt") == prompt
    assert request_of(fields(("kind", kind), ("prompt", "mine"), given))["prompt"] == "mine"


def test_a_file_is_missing_when_the_api_asks_for_its_role_and_the_form_has_none() -> None:
    refused = ["inputs.image", "inputs.audio", "parameters.n"]
    assert missing_files(fields(("file.image_asset_id", "ast_1 x"), ("file.audio_asset_id", "")), refused) == ["audio"]


def test_a_digest_changes_with_the_request_and_not_with_the_order_of_its_fields() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


ASKED = {"role": "user", "content": "two lines about the sea"}
TOLD = {"role": "assistant", "content": "Grey.\nWide."}
MADE: dict[str, Any] = {
    "prompt": "two lines about the sea",
    "enhanced_prompt": None,
    "text": "Grey.\nWide.",
    "model": "local/writer",
    "project_id": "prj_1",
    "parameters": {"max_tokens": 200, "seed": 7},
}


def with_prompt(shown_fields: Fields, prompt: str) -> Fields:
    return ImmutableMultiDict(
        [*(each for each in shown_fields.multi_items() if each[0] != "prompt"), ("prompt", prompt)]
    )


def test_a_conversation_goes_on_with_all_that_was_said() -> None:
    first = with_prompt(fields_that_continue(MADE), "and now the land")
    asked = {"role": "user", "content": "and now the land"}
    assert request_of(first) == {
        "kind": "text",
        "prompt": "and now the land",
        "project_id": "prj_1",
        "model": "local/writer",
        "parameters": {"max_tokens": 200, "messages": [ASKED, TOLD, asked]},
    }
    second = MADE | {"text": "Brown.", "parameters": {"messages": [ASKED, TOLD, asked]}}
    assert turns_of(fields_that_continue(second)) == [ASKED, TOLD, asked, {"role": "assistant", "content": "Brown."}]
    enhanced = MADE | {"enhanced_prompt": "two short lines about the grey sea", "text": ""}
    assert turns_of(fields_that_continue(enhanced)) == [{"role": "user", "content": enhanced["enhanced_prompt"]}]


def test_the_recipe_of_a_conversation_asks_for_the_same_again() -> None:
    parts = {
        "role": "user",
        "content": [{"type": "text", "text": "what is it?"}, {"type": "image", "image_asset_id": "a"}],
    }
    for last, prompt in (({"role": "user", "content": "shorter"}, "shorter"), (parts, "what is it?")):
        recipe = {"kind": "text", "prompt": "x", "parameters": {"messages": [ASKED, TOLD, last]}}
        again = fields_of_recipe(recipe)
        assert (again["prompt"], turns_of(again)) == (prompt, [ASKED, TOLD])
    assert turns_of(fields_of_recipe({"kind": "text", "prompt": "x", "parameters": {"messages": [ASKED]}})) == []


@pytest.mark.parametrize("written", ["", "no json", "{}", "null"])
def test_what_is_no_conversation_is_left_out(written: str) -> None:
    asked = fields(("kind", "text"), ("prompt", "a"), ("turns", written))
    assert request_of(asked)["parameters"] == {}
    assert (
        "messages"
        not in request_of(fields(("kind", "image"), ("prompt", "a"), ("turns", '[{"role": "user"}]')))["parameters"]
    )
