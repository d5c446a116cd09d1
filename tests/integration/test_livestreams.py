"""Livestreams at Mux: its answers that are lost, its webhooks in any order, and what is kept of a recording."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from atelier.adapters.aws.dynamodb.livestreams.items import LIVESTREAM, LivestreamItem
from atelier.errors import Conflict, NotFound
from atelier.livestreams.end_livestreams import end_livestreams
from atelier.livestreams.manage import add_target, begin_upload, remove_target, rotate_key, show_key
from atelier.livestreams.model import LivestreamAccess, LivestreamStatus
from atelier.livestreams.ports import StreamReference
from atelier.livestreams.watch import LivestreamViewer, viewers_of, watch
from tests.conftest import Tables
from tests.integration.livestream_world import FILM, LivestreamWorld, livestream_world

Status = LivestreamStatus
CREATE = "POST /video/v1/live-streams"
VIEWER = LivestreamViewer("usr_V", "wsp_V")


@pytest.fixture
def world(tables: Tables) -> Iterator[LivestreamWorld]:
    with livestream_world(tables) as made:
        yield made


def test_a_livestream_goes_on_air_and_its_recording_is_kept_once(world: LivestreamWorld) -> None:
    livestream = world.announce(access=LivestreamAccess.ENROLMENT)
    [stream] = world.simulator.streams.values()
    assert stream["passthrough"] == f"{livestream.workspace_id}/{livestream.id}"
    assert [each["policy"] for each in stream["playback_ids"]] == ["signed"]
    assert world.start(livestream).status is Status.IDLE
    asset = world.simulator.connect(stream["id"])
    world.webhook(livestream)
    assert world.found(livestream).status is Status.LIVE
    people = [each for each in world.bus.events.values() if each.type == "livestream.open"]
    assert [each.id for each in people] == [f"{livestream.id}#usr_1", f"{livestream.id}#usr_2"]
    world.simulator.disconnect(stream["id"])
    world.time_passes()
    assert world.found(livestream).status is Status.IDLE
    again = world.simulator.connect(stream["id"])
    world.time_passes()
    world.end(livestream)
    assert world.simulator.streams[stream["id"]]["status"] == "disabled"
    world.time_passes()
    assert not world.recordings, "the assets are not made yet"
    for each in (asset, again):
        world.simulator.finish(each)
    for _ in range(3):
        world.time_passes()
    kept = world.found(livestream)
    assert sorted(kept.recording_asset_ids) == sorted(world.recordings)
    assert list(world.recordings.values()) == [FILM, FILM]
    happened = ["scheduled", "started", "interrupted", "resumed", "ended", "recorded", "recorded"]
    assert world.changes(livestream) == happened
    assert kept.due_at is None


@pytest.mark.parametrize("fault", ["429", "500", "lost", "after-500", "after-lost", "after-garbage", "after-empty"])
def test_a_creation_without_an_answer_leaves_one_stream(world: LivestreamWorld, fault: str) -> None:
    world.simulator.fail(CREATE, fault)
    livestream = world.announce()
    assert livestream.stream_id is None
    with pytest.raises(Conflict):
        show_key(world.host, livestream.id, deps=world.deps, now=world.now)
    world.time_passes(timedelta(minutes=1))
    assert world.found(livestream).stream_id is None, "somebody may still be at it"
    world.time_passes(timedelta(minutes=3))
    assert [world.found(livestream).stream_id] == list(world.simulator.streams)
    world.time_passes(timedelta(hours=2))
    assert [world.found(livestream).stream_id] == list(world.simulator.streams)


def test_a_stream_that_was_made_twice_is_removed(world: LivestreamWorld) -> None:
    world.simulator.fail(CREATE, "after-lost")
    livestream = world.announce()
    # The first one is late: it appears when the second one was made.
    late = world.simulator.streams.copy()
    world.simulator.streams.clear()
    world.time_passes(timedelta(minutes=3))
    world.simulator.streams |= late
    assert len(world.simulator.streams) == 2
    world.time_passes(timedelta(hours=2))
    assert [world.found(livestream).stream_id] == list(world.simulator.streams)


def test_a_livestream_that_ends_before_its_stream_is_known_leaves_none(world: LivestreamWorld) -> None:
    world.simulator.fail(CREATE, "after-500")
    livestream = world.announce()
    world.end(livestream)
    assert len(world.simulator.streams) == 1
    world.time_passes(timedelta(hours=2))
    assert not world.simulator.streams


def test_ten_at_once_announce_and_start_once(world: LivestreamWorld) -> None:
    with ThreadPoolExecutor(10) as pool:
        made = set(pool.map(lambda _: world.announce("key").id, range(10)))
    assert len(made) == 1
    livestream = world.store.find(made.pop())
    world.time_passes(timedelta(minutes=3))
    assert len(world.simulator.streams) == 1
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: world.start(livestream), range(10)))
        list(pool.map(lambda _: world.end(livestream), range(10)))
    world.time_passes()
    assert world.changes(livestream) == ["scheduled", "ended"]


@pytest.mark.parametrize("order", [[], [0, 0, 1, 1], [1, 0], [1], [0]])
def test_the_service_is_asked_whatever_webhooks_say(world: LivestreamWorld, order: list[int]) -> None:
    """Active and idle come twice, in the other order, one of them or none: the end is the same."""
    livestream = world.start(world.announce())
    asset = world.simulator.connect(livestream.stream_id or "")
    world.webhook(livestream)
    world.simulator.disconnect(livestream.stream_id or "")
    world.simulator.finish(asset)
    for _ in order:
        world.webhook(livestream)
    world.time_passes()
    assert world.found(livestream).status is Status.IDLE
    assert world.changes(livestream) == ["scheduled", "started", "interrupted"]


def test_a_lost_start_is_found_by_the_schedule(world: LivestreamWorld) -> None:
    livestream = world.start(world.announce())
    world.simulator.connect(livestream.stream_id or "")
    world.time_passes()
    assert world.found(livestream).status is Status.LIVE


def test_nobody_ends_it_so_it_ends_after_a_day(world: LivestreamWorld) -> None:
    livestream = world.start(world.announce())
    world.time_passes(timedelta(hours=25))
    assert world.found(livestream).status is Status.ENDED
    gone = world.start(world.announce())
    world.simulator.streams.clear()
    world.time_passes()
    assert world.found(gone).status is Status.ENDED, "the service has lost its stream"


@pytest.mark.parametrize(
    ("outcome", "failure"), [("errored", "not_made"), ("never", "not_made"), ("huge", "too_large")]
)
def test_a_recording_that_cannot_be_kept_says_why(world: LivestreamWorld, outcome: str, failure: str) -> None:
    livestream = world.start(world.announce())
    asset = world.simulator.connect(livestream.stream_id or "")
    world.time_passes()
    world.end(livestream)
    if outcome != "never":
        world.simulator.finish(asset, status="errored" if outcome == "errored" else "ready")
    if outcome == "huge":
        world.simulator.assets[asset]["static_renditions"]["files"][0]["filesize"] = str(10**11)
    world.time_passes(timedelta(days=3))
    found = world.found(livestream)
    assert (found.recording_failure, found.recording_asset_ids, found.due_at) == (failure, (), None)


def test_a_video_is_sent_in_place_of_a_livestream(world: LivestreamWorld) -> None:
    livestream = world.announce()
    begin_upload(world.host, livestream.id, deps=world.deps, now=world.now)
    with pytest.raises(Conflict):
        world.start(livestream)
    [upload] = world.simulator.uploads
    world.time_passes()
    asset = world.simulator.send_video(upload)
    world.simulator.finish(asset)
    world.time_passes()
    found = world.found(livestream)
    assert (found.status, list(found.recording_asset_ids)) == (Status.ENDED, list(world.recordings))
    assert watch(livestream.id, VIEWER, deps=world.deps, now=world.now).url == f"/{found.recording_asset_ids[0]}"


def test_playback_tokens_open_one_stream_for_one_purpose_for_a_while(world: LivestreamWorld) -> None:
    livestream = world.start(world.announce())
    world.simulator.connect(livestream.stream_id or "")
    world.webhook(livestream)
    service, playback_id = world.service, world.found(livestream).playback_id or ""
    reference = StreamReference(livestream.workspace_id, livestream.id)
    shown = service.playback(reference, playback_id, world.now)
    tokens = [str(url).partition("token=")[2] for url in (shown.url, shown.thumbnail_url, shown.storyboard_url)]
    opened = [[world.simulator.opens(token, playback_id, audience) for audience in "vts"] for token in tokens]
    assert opened == [[True, False, False], [False, True, False], [False, False, True]]
    assert not world.simulator.opens(tokens[0], "another", "v")
    old = service.playback(reference, playback_id, world.now - timedelta(hours=2)).url.partition("token=")[2]
    assert not world.simulator.opens(old, playback_id, "v")
    for _ in range(3):
        watch(livestream.id, VIEWER, deps=world.deps, now=world.now)
    assert viewers_of(world.found(livestream), world.deps, world.now) == 3
    assert viewers_of(world.found(livestream), world.deps, world.now + timedelta(minutes=4)) == 3
    assert viewers_of(world.found(livestream), world.deps, world.now + timedelta(minutes=11)) == 0


def test_key_and_places_are_at_the_service(world: LivestreamWorld) -> None:
    livestream = world.announce()
    ours = {"deps": world.deps, "now": world.now}
    first = show_key(world.host, livestream.id, **ours)
    second = rotate_key(world.host, livestream.id, **ours)
    assert first.stream_key != second.stream_key
    assert second.stream_key == world.simulator.streams[livestream.stream_id or ""]["stream_key"]
    made = add_target(world.host, livestream.id, "rtmp://live.example.com/app", "key", **ours)
    remove_target(world.host, livestream.id, made.id, **ours)
    with pytest.raises(NotFound):
        remove_target(world.host, livestream.id, "../../assets/1", **ours)
    world.start(livestream)
    world.simulator.connect(livestream.stream_id or "")
    with pytest.raises(Conflict, match="active"):
        add_target(world.host, livestream.id, "rtmp://live.example.com/app", "key", **ours)


def test_an_erasure_does_not_wait_for_the_service(world: LivestreamWorld) -> None:
    first, second = world.announce(), world.start(world.announce())
    world.simulator.connect(second.stream_id or "")
    world.simulator.fail("GET /video/v1/live-streams/.*", "500")
    end_livestreams(world.home.workspace_id, store=world.store, now=world.now)
    for each in (first, second):
        LivestreamItem(each.workspace_id, LIVESTREAM + each.id).delete()
    world.time_passes()
    assert len(world.simulator.streams) == 1, "one was not answered"
    world.time_passes(timedelta(minutes=10))
    assert not world.simulator.streams
    assert not world.simulator.assets
    assert not world.store.released(world.now + timedelta(days=1), 10)


@pytest.mark.parametrize("fault", ["429", "500", "lost", "garbage", "empty"])
def test_a_service_that_does_not_answer_ends_nothing(world: LivestreamWorld, fault: str) -> None:
    livestream = world.start(world.announce())
    world.simulator.connect(livestream.stream_id or "")
    world.time_passes()
    world.simulator.fail("GET /video/v1/live-streams/.*", fault, fault)
    for _ in range(2):
        world.time_passes()
        assert world.found(livestream).status is Status.LIVE
    world.time_passes()
    assert world.changes(livestream) == ["scheduled", "started"]
