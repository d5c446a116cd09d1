"""functions/api/library, fed with events."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from atelier.wiring import library
from tests.functions.conftest import AwsResources
from tests.functions.example_data import TEMPLATE, WORKSPACE, create_template
from tests.functions.responses import error_of, invoke_app, success_data
from tests.integration.world import run_concurrently
from tests.invoke import event, example_event, load_function

OTHER = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/library")


def changed(app: ModuleType, body: dict[str, Any]) -> dict[str, Any]:
    return invoke_app(app, event("api/library/change_template", body=body))


def paths(response: dict[str, Any]) -> list[str]:
    assert error_of(response) == (422, "VALIDATION_FAILED")
    return [field["path"] for field in json.loads(response["body"])["details"]["fields"]]


def test_a_template_is_created_read_listed_changed_and_removed(app: ModuleType) -> None:
    response = invoke_app(app, example_event("api/library/create_template"))
    made = success_data(response)["template"]
    assert response["statusCode"] == 201
    assert response["headers"]["Location"] == f"/api/templates/{made['id']}"
    assert made["variables"] == {
        "thing": {"default": None, "description": None, "required": True},
        "mood": {"default": "calm", "description": "How it feels.", "required": False},
    }
    assert (made["parameters"], made["uses"], made["visibility"]) == ({"width": 512, "height": 512}, 0, "private")
    create_template()
    after = success_data(invoke_app(app, example_event("api/library/change_template")))["template"]
    assert (after["name"], after["model"]) == ("At dawn", "local/canvas")
    assert after["variables"]["mood"]["default"] == "calm"
    assert success_data(invoke_app(app, example_event("api/library/get_template")))["template"] == after
    listed = success_data(invoke_app(app, example_event("api/library/list_templates")))
    assert {template["id"] for template in listed["items"]} == {made["id"], TEMPLATE}
    assert invoke_app(app, example_event("api/library/remove_template"))["statusCode"] == 204
    for name in ("get_template", "change_template", "remove_template"):
        assert error_of(invoke_app(app, example_event(f"api/library/{name}"))) == (404, "NOT_FOUND")


def test_a_repeated_idempotency_key_creates_one_template(app: ModuleType) -> None:
    asking = {"headers": {"Idempotency-Key": "t1"}}
    first, again = (invoke_app(app, event("api/library/create_template", **asking)) for _ in range(2))
    assert success_data(first) == success_data(again)
    assert again["headers"]["Idempotent-Replayed"] == "true"


def test_a_page_of_long_templates_fits_the_response_size_limit(app: ModuleType) -> None:
    # In the response each of these characters takes six bytes.
    said = [{"role": "user", "content": "ü" * 100_000}]
    long = {"name": "Long", "kind": "text", "prompt": "hello", "parameters": {"messages": said}}
    body = json.dumps(long, ensure_ascii=False)
    keys = [{"idempotency-key": str(number)} for number in range(9)]
    made = [invoke_app(app, event("api/library/create_template", body=body, headers=key)) for key in keys]
    listed: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"cursor": cursor} if cursor else {}
        response = invoke_app(app, event("api/library/list_templates", queryStringParameters=query))
        assert len(response["body"]) < 5_000_000
        listed += [template["id"] for template in success_data(response)["items"]]
        cursor = success_data(response)["next_cursor"]
    assert sorted(listed) == sorted(success_data(response)["template"]["id"] for response in made)


def test_a_templates_variables_follow_its_prompts(app: ModuleType) -> None:
    create_template()
    fewer = success_data(changed(app, {"prompt": "a {{thing}}"}))["template"]
    assert list(fewer["variables"]) == ["thing"]
    more = success_data(changed(app, {"negative_prompt": "{{ mood }}, {{thing}}"}))["template"]
    assert more["variables"]["mood"]["required"]
    assert paths(changed(app, {"variables": {"nobody": {}}})) == ["variables.nobody"]
    assert paths(changed(app, {"prompt": "a {{thing"})) == ["prompt"]
    assert paths(changed(app, {"prompt": "a {{two words}} b {{1st}}"})) == ["prompt", "prompt"]
    many = " ".join(f"{{{{v{number}}}}}" for number in range(21))
    assert paths(changed(app, {"prompt": many})) == ["prompt"]


def test_a_change_keeps_the_use_count(app: ModuleType) -> None:
    create_template()
    library.templates().count_use(WORKSPACE, TEMPLATE)
    after = success_data(changed(app, {"name": "Other"}))["template"]
    assert (after["name"], after["uses"]) == ("Other", 1)
    library.templates().count_use(WORKSPACE, f"{TEMPLATE[:-1]}0")
    assert len(success_data(invoke_app(app, example_event("api/library/list_templates")))["items"]) == 1


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
def test_an_invalid_field_is_refused_on_create_and_change(app: ModuleType, body: dict[str, Any]) -> None:
    create_template()
    assert error_of(changed(app, body)) == (422, "VALIDATION_FAILED")
    given = {"name": "At dusk", "kind": "image", "prompt": "a {{thing}}, {{mood}}", **body}
    response = invoke_app(app, event("api/library/create_template", body=given))
    assert error_of(response) == (422, "VALIDATION_FAILED")


def test_a_foreign_template_gets_the_response_of_a_missing_one(app: ModuleType) -> None:
    names = ["get_template", "change_template", "remove_template"]
    missing = {name: invoke_app(app, example_event(f"api/library/{name}")) for name in names}
    create_template(OTHER)
    for name in names:
        foreign = invoke_app(app, example_event(f"api/library/{name}"))
        assert error_of(foreign) == (404, "NOT_FOUND")
        assert foreign["body"] == missing[name]["body"]
    assert library.templates().get(OTHER, TEMPLATE).name == "At dusk"
    assert success_data(invoke_app(app, example_event("api/library/list_templates")))["items"] == []


def test_concurrent_uses_and_changes_of_a_template_are_all_stored(app: ModuleType) -> None:
    create_template()

    def call(place: int) -> None:
        if place % 2:
            library.templates().count_use(WORKSPACE, TEMPLATE)
        else:
            success_data(changed(app, {"description": f"number {place}"}))

    assert run_concurrently(8, call) == [None] * 8
    kept = library.templates().get(WORKSPACE, TEMPLATE)
    assert (kept.uses, kept.description is not None) == (4, True)
