"""Livestreams over HTTP without a streaming service: who may do what, what is shown to whom, and what stays."""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, UserItem
from atelier.adapters.aws.dynamodb.library import AssetItem
from atelier.adapters.aws.dynamodb.livestreams.items import LIVESTREAM, LivestreamItem
from atelier.clock import rfc3339, system_clock
from atelier.ids import new_id
from atelier.library.model import Asset
from atelier.notifications.model import NotificationKind
from atelier.notifications.notify import notify_of_events
from atelier.notifications.ports import NotificationView
from atelier.settings import CommunityTable
from atelier.wiring import erasures, feeds, notifications
from atelier.wiring.library import assets
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, call, create_organization, create_person, join, set_tier
from tests.functions.responses import error_of, success_data
from tests.invoke import load_function

PATH, WORKSHOPS = "/api/livestreams", "api/workshops"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/livestreams")


def body(**fields: Any) -> dict[str, Any]:
    start = system_clock() + timedelta(days=1)
    return {"title": "A lake at dawn", "starts_at": rfc3339(start), "access": "public", **fields}


def announced(app: ModuleType, person: Person, **fields: Any) -> str:
    made: str = success_data(call(app, person, f"POST {PATH}", body(**fields)))["livestream"]["id"]
    return made


def shown(app: ModuleType, person: Person, livestream_id: str) -> dict[str, Any]:
    view: dict[str, Any] = success_data(call(app, person, f"GET {PATH}/{livestream_id}"))["livestream"]
    return view


def test_a_livestream_from_its_announcement_to_its_recording(app: ModuleType, cloud: AwsResources) -> None:
    ada, bob = create_person("ada"), create_person("bob")
    livestream_id = announced(app, ada)
    view = shown(app, bob, livestream_id)
    assert (view["status"], view["is_ready"], view["is_yours"]) == ("scheduled", True, False)
    assert error_of(call(app, bob, f"GET {PATH}/{livestream_id}/playback")) == (409, "CONFLICT")
    assert error_of(call(app, bob, f"POST {PATH}/{livestream_id}/start")) == (404, "NOT_FOUND")
    started = success_data(call(app, ada, f"POST {PATH}/{livestream_id}/start"))["livestream"]
    assert (started["status"], started["can_manage"]) == ("live", True)

    answer = call(app, bob, f"GET {PATH}/{livestream_id}/playback")
    playback, folder = success_data(answer)["playback"], f"/media/{ada.workspace_id}/streams/{livestream_id}/"
    assert (playback["url"], playback["type"]) == (f"{folder}index.m3u8", "application/vnd.apple.mpegurl")
    assert [cookie.partition("=")[0] for cookie in answer["cookies"]] == [
        "CloudFront-Policy",
        "CloudFront-Signature",
        "CloudFront-Key-Pair-Id",
    ]
    for cookie in answer["cookies"]:
        assert cookie.endswith(f"; Path={folder}; Max-Age=300; HttpOnly; SameSite=Strict; Secure")
    assert shown(app, bob, livestream_id)["viewers"] == 1
    assert [each["id"] for each in success_data(call(app, bob, f"GET {PATH}?scope=public"))["items"]] == [livestream_id]

    ended = success_data(call(app, ada, f"POST {PATH}/{livestream_id}/end"))["livestream"]
    again = success_data(call(app, ada, f"POST {PATH}/{livestream_id}/end"))["livestream"]
    assert (ended["status"], ended["recording"], again["recording_asset_ids"]) == (
        "ended",
        "kept",
        ended["recording_asset_ids"],
    )
    [asset] = assets().find(ada.workspace_id, ended["recording_asset_ids"])
    assert (asset.type, asset.name, asset.livestream_id, asset.duration_ms) == (
        "video",
        "A lake at dawn",
        livestream_id,
        24_000,
    )
    recording = success_data(call(app, bob, f"GET {PATH}/{livestream_id}/playback"))["playback"]
    assert f"{asset.sha256}.mp4?Expires=" in recording["url"]
    assert not success_data(call(app, bob, f"GET {PATH}?scope=public"))["items"]
    assert error_of(call(app, ada, f"POST {PATH}/{livestream_id}/start")) == (409, "CONFLICT")


def test_the_lineage_of_a_recording_names_its_livestream_also_when_both_are_gone(app: ModuleType) -> None:
    ada, library = create_person("ada"), load_function("api/library")
    livestream_id = announced(app, ada)
    success_data(call(app, ada, f"POST {PATH}/{livestream_id}/start"))
    [recording] = success_data(call(app, ada, f"POST {PATH}/{livestream_id}/end"))["livestream"]["recording_asset_ids"]
    at, of = system_clock(), (ada.workspace_id, ada.user_id)
    clip = Asset(new_id("ast", at), *of, "video", "Clip", "mp4", "0" * 64, 5, 64, 64, None, at)
    assets().record_upload(clip)
    AssetItem(ada.workspace_id, clip.id).update([AssetItem.made_from.set([recording])])

    def lineage(asset_id: str) -> dict[str, Any]:
        found: dict[str, Any] = success_data(call(library, ada, f"GET /api/assets/{asset_id}/lineage"))
        return found

    for asset_id in (recording, clip.id):
        [origin] = lineage(asset_id)["recorded_from"]
        assert (origin["livestream_id"], origin["title"]) == (livestream_id, "A lake at dawn")
        assert origin["live_at"]
    assert lineage(recording)["steps"][0]["livestream_id"] == livestream_id
    assert call(library, ada, f"DELETE /api/assets/{recording}")["statusCode"] == 204
    assert lineage(clip.id)["recorded_from"] == [origin]
    LivestreamItem(ada.workspace_id, LIVESTREAM + livestream_id).delete()
    gone = {"livestream_id": livestream_id, "title": None, "live_at": None}
    assert lineage(clip.id)["recorded_from"] == [gone]


def test_the_stream_key_is_for_the_host_alone(app: ModuleType) -> None:
    ada, eve, workspaces = create_person("ada"), create_person("eve"), load_function("api/workspaces")
    team = create_organization(workspaces, ada)["id"]
    set_tier(team, "studio@1")
    join(workspaces, ada, team, eve, "admin")
    inside = {"atelier-workspace": team}
    livestream_id = success_data(call(app, ada, f"POST {PATH}", body(), **inside))["livestream"]["id"]
    key = f"{PATH}/{livestream_id}/stream-key"
    first = success_data(call(app, ada, f"GET {key}", **inside))["ingest"]["stream_key"]
    assert error_of(call(app, eve, f"GET {key}", **inside)) == (403, "FORBIDDEN")
    assert error_of(call(app, eve, f"POST {key}/rotate", **inside)) == (403, "FORBIDDEN")
    second = success_data(call(app, ada, f"POST {key}/rotate", **inside))["ingest"]["stream_key"]
    assert first != second
    answers = [call(app, ada, f"GET {path}", **inside) for path in (PATH, f"{PATH}/{livestream_id}")]
    stored = client("dynamodb").scan(TableName=CommunityTable.read().name)["Items"]
    assert not {key for key in (first, second) if key in f"{answers} {stored}"}


def test_the_picture_is_forwarded_to_six_places_at_most(app: ModuleType) -> None:
    ada = create_person("ada")
    targets = f"{PATH}/{announced(app, ada)}/simulcast-targets"
    place = {"url": "rtmps://live.example.com/app", "stream_key": "their-key"}
    made = [success_data(call(app, ada, f"POST {targets}", place))["target"]["id"] for _ in range(6)]
    assert error_of(call(app, ada, f"POST {targets}", place)) == (409, "CONFLICT")
    assert error_of(call(app, ada, f"POST {targets}", {**place, "url": "http://127.0.0.1/"}))[0] == 422
    assert call(app, ada, f"DELETE {targets}/{made[0]}")["statusCode"] == 204
    assert error_of(call(app, ada, f"DELETE {targets}/{made[0]}")) == (404, "NOT_FOUND")
    listed = call(app, ada, f"GET {targets}")
    assert [each["id"] for each in success_data(listed)["items"]] == made[1:]
    assert "their-key" not in str(listed)


def test_access_is_decided_at_each_playback(app: ModuleType) -> None:
    ada, bob, eve = create_person("ada"), create_person("bob"), create_person("eve")
    hidden = announced(app, ada, access="workspace")
    assert error_of(call(app, bob, f"GET {PATH}/{hidden}")) == (404, "NOT_FOUND")
    assert error_of(call(app, bob, f"GET {PATH}/{hidden}/playback")) == (404, "NOT_FOUND")
    assert error_of(call(app, ada, f"POST {PATH}", body(access="tier"))) == (422, "VALIDATION_FAILED")
    assert error_of(call(app, ada, f"POST {PATH}", body(tiers=["pro"]))) == (422, "VALIDATION_FAILED")
    assert error_of(call(app, ada, f"POST {PATH}", body(access="tier", tiers=["gold"]))) == (422, "VALIDATION_FAILED")
    long_ago = rfc3339(system_clock() - timedelta(days=2))
    assert error_of(call(app, ada, f"POST {PATH}", body(starts_at=long_ago))) == (422, "VALIDATION_FAILED")
    for_pro = announced(app, ada, access="tier", tiers=["pro"])
    success_data(call(app, ada, f"POST {PATH}/{for_pro}/start"))
    assert shown(app, bob, for_pro)["tiers"] == ["pro"]
    assert error_of(call(app, bob, f"GET {PATH}/{for_pro}/playback")) == (403, "FORBIDDEN")
    set_tier(bob.workspace_id, "pro@1")
    assert success_data(call(app, bob, f"GET {PATH}/{for_pro}/playback"))["playback"]["url"]
    assert error_of(call(app, eve, f"GET {PATH}/{for_pro}/playback")) == (403, "FORBIDDEN")


def test_the_same_request_announces_once(app: ModuleType) -> None:
    ada, said = create_person("ada"), body()
    answers = [call(app, ada, f"POST {PATH}", said, **{"idempotency-key": "one"}) for _ in range(2)]
    assert len({success_data(each)["livestream"]["id"] for each in answers}) == 1
    assert answers[1]["headers"]["Idempotent-Replayed"] == "true"
    other = call(app, ada, f"POST {PATH}", {**said, "title": "Another"}, **{"idempotency-key": "one"})
    assert error_of(other)[0] == 422
    assert len(success_data(call(app, ada, f"GET {PATH}"))["items"]) == 1


def test_who_is_enrolled_is_notified_and_watches(app: ModuleType, cloud: AwsResources) -> None:
    ada, bob, eve, workshops = (
        create_person("ada"),
        create_person("bob"),
        create_person("eve"),
        load_function(WORKSHOPS),
    )
    UserItem(ada.user_id, PROFILE).update([UserItem.persona.set("educator")])
    start = system_clock() + timedelta(days=7)
    said = {
        "title": "Light",
        "starts_at": rfc3339(start),
        "ends_at": rfc3339(start + timedelta(hours=1)),
        "capacity": 5,
    }
    made = success_data(call(workshops, ada, "POST /api/workshops", {**said, "visibility": "public"}))["workshop"]["id"]
    success_data(call(workshops, ada, f"POST /api/workshops/{made}/schedule"))
    success_data(call(workshops, bob, f"POST /api/workshops/{made}/enrol"))
    foreign = body(access="enrolment", workshop_id=made)
    assert error_of(call(app, bob, f"POST {PATH}", foreign)) == (422, "VALIDATION_FAILED")
    livestream_id = announced(app, ada, access="enrolment", workshop_id=made)
    assert error_of(call(app, eve, f"GET {PATH}/{livestream_id}")) == (404, "NOT_FOUND")
    success_data(call(app, ada, f"POST {PATH}/{livestream_id}/start"))
    assert success_data(call(app, bob, f"GET {PATH}/{livestream_id}/playback"))["playback"]["url"]
    assert error_of(call(app, eve, f"GET {PATH}/{livestream_id}/playback")) == (404, "NOT_FOUND")
    found = feeds.feeds().after(ada.workspace_id, 0, system_clock())
    events = [each.event for each in found.entries if each.event.type == "livestream.open"]
    assert [each.data["user_id"] for each in events] == [bob.user_id]
    for _ in range(2):
        notify_of_events(ada.workspace_id, events, notifications.notify_deps(), system_clock())
    [got] = notifications.store().page(bob.user_id, NotificationView.CURRENT, None, 10).notifications
    assert (got.kind, got.action and got.action.url) == (NotificationKind.LIVESTREAM_OPEN, f"/live/{livestream_id}")


def test_an_erased_workspace_leaves_no_files_of_a_livestream(app: ModuleType, cloud: AwsResources) -> None:
    ada = create_person("ada")
    livestream_id = announced(app, ada)
    success_data(call(app, ada, f"POST {PATH}/{livestream_id}/start"))
    prefix = f"media/{ada.workspace_id}/streams/"
    assert client("s3").list_objects_v2(Bucket=cloud.bucket, Prefix=prefix)["KeyCount"] > 3
    erasures.end_livestreams(ada.workspace_id, system_clock)
    schedule = load_function("schedules/advance_livestreams")
    assert schedule.handler({}, None)["removed"] == 1
    assert schedule.handler({}, None)["removed"] == 0
    assert client("s3").list_objects_v2(Bucket=cloud.bucket, Prefix=prefix)["KeyCount"] == 0
