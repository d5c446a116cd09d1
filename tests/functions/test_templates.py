"""functions/api/templates, fed with events."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from atelier.wiring import templates
from tests.adapters.world import at_once
from tests.functions.answers import answered, data, refusal
from tests.functions.cast import TEMPLATE, WORKSPACE, begin_template
from tests.functions.conftest import Cloud
from tests.invoke import event, example, function

OTHER = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"


@pytest.fixture
def app(cloud: Cloud) -> ModuleType:
    return function("api/templates")


def changed(app: ModuleType, body: dict[str, Any]) -> dict[str, Any]:
    return answered(app, event("api/templates/change_template", body=body))


def paths(response: dict[str, Any]) -> list[str]:
    assert refusal(response) == (422, "VALIDATION_FAILED")
    return [field["path"] for field in json.loads(response["body"])["details"]["fields"]]


def test_a_template_is_made_read_listed_changed_and_removed(app: ModuleType) -> None:
    response = answered(app, example("api/templates/create_template"))
    made = data(response)["template"]
    assert response["statusCode"] == 201
    assert response["headers"]["Location"] == f"/api/templates/{made['id']}"
    assert made["variables"] == {
        "thing": {"default": None, "description": None, "required": True},
        "mood": {"default": "calm", "description": "How it feels.", "required": False},
    }
    assert (made["parameters"], made["uses"], made["visibility"]) == ({"width": 512, "height": 512}, 0, "private")
    begin_template()
    after = data(answered(app, example("api/templates/change_template")))["template"]
    assert (after["name"], after["model"]) == ("At dawn", "local/canvas")
    assert after["variables"]["mood"]["default"] == "calm"
    assert data(answered(app, example("api/templates/get_template")))["template"] == after
    listed = data(answered(app, example("api/templates/list_templates")))
    assert {template["id"] for template in listed["items"]} == {made["id"], TEMPLATE}
    assert answered(app, example("api/templates/remove_template"))["statusCode"] == 204
    for name in ("get_template", "change_template", "remove_template"):
        assert refusal(answered(app, example(f"api/templates/{name}"))) == (404, "NOT_FOUND")


def test_the_same_key_makes_one_template(app: ModuleType) -> None:
    asking = {"headers": {"Idempotency-Key": "t1"}}
    first, again = (answered(app, event("api/templates/create_template", **asking)) for _ in range(2))
    assert data(first) == data(again)
    assert again["headers"]["Idempotent-Replayed"] == "true"


def test_a_page_of_long_templates_is_one_that_an_answer_has_room_for(app: ModuleType) -> None:
    # In the response each of these characters takes six bytes.
    said = [{"role": "user", "content": "ü" * 100_000}]
    long = {"name": "Long", "kind": "text", "prompt": "hello", "parameters": {"messages": said}}
    body = json.dumps(long, ensure_ascii=False)
    keys = [{"idempotency-key": str(number)} for number in range(9)]
    made = [answered(app, event("api/templates/create_template", body=body, headers=key)) for key in keys]
    listed: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"cursor": cursor} if cursor else {}
        response = answered(app, event("api/templates/list_templates", queryStringParameters=query))
        assert len(response["body"]) < 5_000_000
        listed += [template["id"] for template in data(response)["items"]]
        cursor = data(response)["next_cursor"]
    assert sorted(listed) == sorted(data(response)["template"]["id"] for response in made)


def test_gaps_come_and_go_with_the_prompt(app: ModuleType) -> None:
    begin_template()
    fewer = data(changed(app, {"prompt": "a {{thing}}"}))["template"]
    assert list(fewer["variables"]) == ["thing"]
    more = data(changed(app, {"negative_prompt": "{{ mood }}, {{thing}}"}))["template"]
    assert more["variables"]["mood"]["required"]
    assert paths(changed(app, {"variables": {"nobody": {}}})) == ["variables.nobody"]
    assert paths(changed(app, {"prompt": "a {{thing"})) == ["prompt"]
    assert paths(changed(app, {"prompt": "a {{two words}} b {{1st}}"})) == ["prompt", "prompt"]
    many = " ".join(f"{{{{v{number}}}}}" for number in range(21))
    assert paths(changed(app, {"prompt": many})) == ["prompt"]


def test_what_is_counted_stays_when_the_rest_changes(app: ModuleType) -> None:
    begin_template()
    templates.templates().count_use(WORKSPACE, TEMPLATE)
    after = data(changed(app, {"name": "Other"}))["template"]
    assert (after["name"], after["uses"]) == ("Other", 1)
    templates.templates().count_use(WORKSPACE, f"{TEMPLATE[:-1]}0")
    assert len(data(answered(app, example("api/templates/list_templates")))["items"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"name": " "},
        {"kind": "song"},
        {"prompt": ""},
        {"prompt": None},
        {"parameters": {"width": -5}},
        {"variables": {"1st": {}}},
        {"variables": {"mood": {"default": "x" * 2001}}},
        {"variables": {"mood": {"value": "x"}}},
        {"visibility": "public"},
        {"uses": 1},
    ],
)
def test_what_makes_no_sense_is_refused(app: ModuleType, body: dict[str, Any]) -> None:
    begin_template()
    assert refusal(changed(app, body)) == (422, "VALIDATION_FAILED")
    given = {"name": "At dusk", "kind": "image", "prompt": "a {{thing}}, {{mood}}", **body}
    response = answered(app, event("api/templates/create_template", body=given))
    assert refusal(response) == (422, "VALIDATION_FAILED")


def test_a_foreign_template_looks_like_a_missing_one(app: ModuleType) -> None:
    names = ["get_template", "change_template", "remove_template"]
    missing = {name: answered(app, example(f"api/templates/{name}")) for name in names}
    begin_template(OTHER)
    for name in names:
        foreign = answered(app, example(f"api/templates/{name}"))
        assert refusal(foreign) == (404, "NOT_FOUND")
        assert foreign["body"] == missing[name]["body"]
    assert templates.templates().get(OTHER, TEMPLATE).name == "At dusk"
    assert data(answered(app, example("api/templates/list_templates")))["items"] == []


def test_uses_are_counted_while_others_change_the_template(app: ModuleType) -> None:
    begin_template()

    def call(place: int) -> None:
        if place % 2:
            templates.templates().count_use(WORKSPACE, TEMPLATE)
        else:
            data(changed(app, {"description": f"number {place}"}))

    assert at_once(8, call) == [None] * 8
    kept = templates.templates().get(WORKSPACE, TEMPLATE)
    assert (kept.uses, kept.description is not None) == (4, True)
