"""Product events: sent, stored once, switched off, and exported."""

from __future__ import annotations

import json
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.clock import rfc3339, system_clock
from atelier.exports.track import AGE_MAX, ProductEvent, event_key
from atelier.wiring import exports
from tests.functions.conftest import AwsResources
from tests.functions.example_data import USER, WORKSPACE
from tests.functions.responses import Reply, error_of, invoke_app, success_data
from tests.functions.test_exports import TimeLeft
from tests.invoke import event, load_function


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/exports")


def send(app: ModuleType, *events: dict[str, Any]) -> Reply:
    return invoke_app(app, event("api/exports/track_product_events", body={"events": list(events)}))


def switch(app: ModuleType, is_on: bool) -> None:
    response = invoke_app(app, event("api/exports/put_event_settings", body={"is_on": is_on}))
    assert success_data(response) == {"is_on": is_on}


def named(cloud: AwsResources) -> list[str]:
    items = cloud.items(cloud.tables.exports)
    return sorted(item["name"]["S"] for item in items if item["sk"]["S"].startswith("track#"))


def test_an_event_with_an_id_is_stored_once(app: ModuleType, cloud: AwsResources) -> None:
    one = {"name": "checkout.opened", "id": "1", "at": rfc3339(system_clock()), "properties": {"plan": "pro", "n": 2}}
    other = one | {"id": "2", "name": "checkout.closed"}
    assert success_data(send(app, one)) == {"accepted": 1, "repeated": 0, "dropped": 0}
    assert success_data(send(app, one, other, one)) == {"accepted": 1, "repeated": 2, "dropped": 0}
    assert named(cloud) == ["checkout.closed", "checkout.opened"]


def test_events_without_an_id_are_each_stored(app: ModuleType, cloud: AwsResources) -> None:
    assert success_data(send(app, *[{"name": "seen"}] * 3))["accepted"] == 3
    assert named(cloud) == ["seen"] * 3


def test_a_workspace_switches_its_events_off_and_on(app: ModuleType, cloud: AwsResources) -> None:
    switch(app, is_on=False)
    assert success_data(invoke_app(app, event("api/exports/get_event_settings"))) == {"is_on": False}
    assert success_data(send(app, {"name": "seen"})) == {"accepted": 0, "repeated": 0, "dropped": 1}
    assert named(cloud) == []
    switch(app, is_on=True)
    assert success_data(send(app, {"name": "seen"}))["accepted"] == 1
    actions = [item["action"]["S"] for item in cloud.items(cloud.tables.audit) if "action" in item]
    assert actions.count("events.switched") == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Has Spaces"},
        {"name": ""},
        {"name": "seen", "at": "2026-11-29"},
        {"name": "seen", "at": "2020-01-01T00:00:00Z"},
        {"name": "seen", "at": "2999-01-01T00:00:00Z"},
        {"name": "seen", "id": "1"},
        {"name": "seen", "properties": {"nested": {"a": 1}}},
        {"name": "seen", "properties": {"long": "x" * 501}},
        {"name": "seen", "properties": {f"p{number}": "x" * 100 for number in range(30)}},
        {"name": "seen", "properties": {f"p{number}": 1 for number in range(51)}},
        {"name": "seen", "extra": 1},
    ],
    ids=lambda wrong: json.dumps(wrong)[:60],
)
def test_a_wrong_event_is_refused_and_none_of_its_request_is_stored(
    app: ModuleType, cloud: AwsResources, wrong: dict[str, Any]
) -> None:
    assert error_of(send(app, {"name": "seen"}, wrong)) == (422, "VALIDATION_FAILED")
    assert named(cloud) == []


def test_a_request_has_a_bounded_number_of_events(app: ModuleType) -> None:
    assert error_of(send(app)) == (422, "VALIDATION_FAILED")
    assert error_of(send(app, *[{"name": "seen"}] * 101)) == (422, "VALIDATION_FAILED")


def test_events_are_exported_by_when_they_happened_up_to_the_cut(app: ModuleType, cloud: AwsResources) -> None:
    now = system_clock()
    store = exports.product_events()
    for name, happened, received in (
        ("second", 5, 2),
        ("first", 10, 3),
        ("too_late", 6, 0),
        ("too_old", 26 * 60, 26 * 60),
    ):
        at, got = now - timedelta(minutes=happened), now - timedelta(minutes=received)
        store.add(ProductEvent(WORKSPACE, event_key(name), name, name, at, got, USER, None, {"n": "=1"}))
    body = {
        "dataset": "product_events",
        "format": "ndjson",
        "from": rfc3339(now - timedelta(days=1)),
        "to": rfc3339(now + timedelta(days=1)),
    }
    new = success_data(invoke_app(app, event("api/exports/request_export", body=body)))["export"]
    ids = {"workspace_id": WORKSPACE, "export_id": new["id"]}
    assert load_function("tasks/write_export").handler(ids, TimeLeft())["has_ended"]
    key = exports.store().get(WORKSPACE, new["id"]).key
    data = client("s3").get_object(Bucket=f"exports-{cloud.tables.identity}", Key=key)["Body"].read()
    rows = [json.loads(line) for line in data.decode().splitlines()]
    assert [(row["name"], row["properties"]) for row in rows] == [("first", {"n": "=1"}), ("second", {"n": "=1"})]


def test_an_event_may_be_as_old_as_a_phone_was_offline(app: ModuleType) -> None:
    at = system_clock() - AGE_MAX + timedelta(minutes=1)
    assert success_data(send(app, {"name": "seen", "at": rfc3339(at)}))["accepted"] == 1
