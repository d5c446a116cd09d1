"""A project moves from a personal workspace into an organisation, with all that was made for it."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.audit_log import AuditEventItem
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, WorkspaceItem
from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets
from atelier.adapters.aws.dynamodb.library import AssetItem
from atelier.adapters.aws.dynamodb.moves.items import MoveItem
from atelier.adapters.aws.dynamodb.moves.store import DynamoMoves
from atelier.clock import system_clock
from atelier.errors import NotFound
from atelier.generations.model import Status
from atelier.ledger.model import Wallet
from atelier.library.delete_asset import delete_asset
from atelier.library.ports import TargetProjectGone
from atelier.moves.model import Move
from atelier.moves.ports import StorageFull
from atelier.projects.alert import publish_due_alerts
from atelier.settings import MediaBucket
from atelier.wiring import generations, ledger, library, moves, projects
from atelier.wiring import outbox as outbox_of
from tests.counted import counted_rows, rows_of_records, without_zeros
from tests.functions.conftest import AwsResources
from tests.functions.moving import (
    SHARED,
    MovingProject,
    create_project,
    everything_of,
    file_names,
    make_generation,
    move_record,
    moving_project,
    names_of,
    set_delivered,
    set_usage,
    store_upload,
    used,
)
from tests.functions.people import Person, call, create_organization, create_person, join, set_tier
from tests.functions.responses import error_of, success_data
from tests.invoke import load_function

MISSING = "01M7XCN60QZZZZZZZZZZZZZZZZ"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/projects")


@pytest.fixture
def ada(cloud: AwsResources) -> Person:
    return create_person("ada")


@pytest.fixture
def organization(ada: Person) -> str:
    return create_organization(load_function("api/workspaces"), ada)["id"]


@pytest.fixture
def moving(ada: Person, organization: str) -> MovingProject:
    return moving_project(ada, organization)


def begin(app: ModuleType, moving: MovingProject, target_id: str | None = None) -> dict[str, Any]:
    body = {"workspace_id": target_id or moving.target_id}
    return call(app, moving.owner, f"POST {moving.path}/move", body)


def at_target(app: ModuleType, moving: MovingProject, request: str, body: Any = None) -> dict[str, Any]:
    """Sends a request that works in the target."""
    return call(app, moving.owner, request, body, **{"atelier-workspace": moving.target_id})


def state_of(app: ModuleType, moving: MovingProject) -> dict[str, Any]:
    return success_data(call(app, moving.owner, f"GET {moving.path}/move"))["move"]


def actions(log: str) -> list[tuple[str, str | None]]:
    found = AuditEventItem.query(log, AuditEventItem.sk.startswith("event#"), consistent_read=True)
    return [(item.action, item.target) for item in found if item.action.startswith("project.")]


# ---- the way ---------------------------------------------------------------------------------------------------------


def test_while_it_moves_a_project_is_at_neither_side(app: ModuleType, moving: MovingProject) -> None:
    response = begin(app, moving)
    assert (response["statusCode"], response["headers"]["Location"]) == (202, f"{moving.path}/move")
    moved = success_data(response)["move"]
    assert (moved["state"], moved["workspace_id"], moved["completed_at"]) == ("moving", moving.target_id, None)
    gone = call(app, moving.owner, f"GET {moving.path}")
    assert error_of(gone) == (404, "NOT_FOUND")
    assert json.loads(gone["body"])["details"] == {"workspace_id": moving.target_id, "state": "moving"}
    assert error_of(at_target(app, moving, f"GET {moving.path}")) == (404, "NOT_FOUND")
    # Nothing new comes into it, and it cannot be changed.
    body = {"prompt": "more boats", "model": "local/canvas", "project_id": moving.project.id}
    generate = load_function("api/generations")
    assert error_of(call(generate, moving.owner, "POST /api/generate/image", body)) == (404, "NOT_FOUND")
    path = f"/api/assets/{moving.left[2]}"
    library_app = load_function("api/library")
    refused = call(library_app, moving.owner, f"PUT {path}", {"project_id": moving.project.id})
    assert error_of(refused) == (422, "VALIDATION_FAILED")
    with pytest.raises(TargetProjectGone):
        # Also when the project was still there as the request looked.
        library.assets().change(moving.source_id, moving.left[2], {"project_id": moving.project.id})
    assert error_of(call(app, moving.owner, f"PUT {moving.path}", {"name": "Other"})) == (404, "NOT_FOUND")
    assert error_of(call(app, moving.owner, f"DELETE {moving.path}")) == (404, "NOT_FOUND")


def test_a_move_takes_along_all_that_belongs_to_the_project(app: ModuleType, moving: MovingProject) -> None:
    before = success_data(call(app, moving.owner, f"GET {moving.path}"))["project"]
    wallet = ledger.wallets().wallet(moving.source_id)
    begin(app, moving)
    moving.deliver()
    assert (state_of(app, moving)["state"], state_of(app, moving)["assets"], state_of(app, moving)["generations"]) == (
        "moved",
        len(moving.assets),
        2,
    )
    details = json.loads(call(app, moving.owner, f"GET {moving.path}")["body"])["details"]
    assert details == {"workspace_id": moving.target_id, "state": "moved"}
    after = success_data(at_target(app, moving, f"GET {moving.path}"))["project"]
    assert after == before
    # The credits stay where they were paid.
    assert ledger.wallets().wallet(moving.source_id) == wallet

    library_app = load_function("api/library")
    query = f"/api/assets?project_id={moving.project.id}"
    listed = success_data(at_target(library_app, moving, f"GET {query}"))["items"]
    assert {asset["id"] for asset in listed} == set(moving.assets)
    assert all(asset["url"].startswith(f"/media/{moving.target_id}/") for asset in listed)
    assert success_data(call(library_app, moving.owner, f"GET {query}"))["items"] == []
    for asset_id in moving.assets:
        assert error_of(call(library_app, moving.owner, f"GET /api/assets/{asset_id}")) == (404, "NOT_FOUND")

    generations_app = load_function("api/generations")
    for generation_id in moving.generation_ids:
        path = f"GET /api/generations/{generation_id}"
        shown = success_data(at_target(generations_app, moving, path))["generation"]
        assert {asset["id"] for asset in shown["assets"]} <= set(moving.assets)
        assert error_of(call(generations_app, moving.owner, path)) == (404, "NOT_FOUND")
    alerts = success_data(at_target(app, moving, f"GET {moving.path}/alerts"))["items"]
    assert [alert["threshold"] for alert in alerts] == [80]


def test_counters_change_by_what_has_moved(app: ModuleType, moving: MovingProject) -> None:
    (projects_before, bytes_before), target_before = used(moving.source_id), used(moving.target_id)
    begin(app, moving)
    # The target's room is taken before the first file comes.
    assert used(moving.target_id) == (target_before[0] + 1, target_before[1] + moving.bytes)
    moving.deliver()
    assert used(moving.source_id) == (projects_before - 1, bytes_before - moving.bytes)
    assert used(moving.target_id) == (target_before[0] + 1, target_before[1] + moving.bytes)


def test_files_are_copied_and_those_that_others_share_stay(app: ModuleType, moving: MovingProject) -> None:
    begin(app, moving)
    moving.deliver()
    assert file_names(moving.target_id) == names_of(*moving.assets.values())
    # The source keeps the files of its other assets, also the one that was shared.
    assert file_names(moving.source_id) == names_of("1" * 64, SHARED, "6" * 64)
    bucket, key = MediaBucket.read().bucket, f"media/{moving.target_id}/{SHARED}.png"
    found = client("s3").get_object(Bucket=bucket, Key=key)
    assert (found["Body"].read(), found["ContentType"]) == (f"bytes of {SHARED}".encode(), "image/png")


def test_what_belongs_to_others_stays_and_reads_as_deleted(app: ModuleType, moving: MovingProject) -> None:
    begin(app, moving)
    moving.deliver()
    library_app, generations_app = load_function("api/library"), load_function("api/generations")
    for asset_id in moving.left:
        assert success_data(call(library_app, moving.owner, f"GET /api/assets/{asset_id}"))["asset"]["id"] == asset_id
    path = f"GET /api/generations/{moving.generation_ids[0]}"
    shown = success_data(at_target(generations_app, moving, path))["generation"]
    assert moving.foreign_asset not in [asset["id"] for asset in shown["assets"]]
    assert error_of(at_target(library_app, moving, f"GET /api/assets/{moving.foreign_asset}")) == (404, "NOT_FOUND")
    # What was made of a moved asset still knows that there was one.
    kept = AssetItem.get(moving.source_id, next(iter(moving.assets)), consistent_read=True)
    assert (bool(kept.deleted_at), kept.file_pending, kept.project_id) == (True, None, None)


def test_both_sides_have_it_in_their_audit_logs(app: ModuleType, moving: MovingProject) -> None:
    begin(app, moving)
    moving.deliver()
    wanted = [("project.move_started", moving.project.id), ("project.moved", moving.project.id)]
    assert actions(moving.source_id)[-2:] == actions(moving.target_id)[-2:] == wanted


def test_a_moved_generation_starts_nothing_and_is_no_event(
    app: ModuleType, moving: MovingProject, cloud: AwsResources
) -> None:
    begin(app, moving)
    moving.deliver()
    outbox = load_function("streams/generations")
    for generation_id in moving.generation_ids:
        image = GenerationItem.get(moving.target_id, generation_id, consistent_read=True).serialize()
        keys = {"pk": image["pk"], "sk": image["sk"]}
        outbox.handler({"Records": [{"eventName": "INSERT", "dynamodb": {"Keys": keys, "NewImage": image}}]}, None)
    assert cloud.take_messages(cloud.events_queue) == []
    # An alert that was raised and published at the source is neither a second time.
    publish_due_alerts(
        moving.target_id,
        moving.project.id,
        projects=projects.projects(),
        events=outbox_of.event_bus(),
        now=system_clock(),
    )
    assert cloud.take_messages(cloud.events_queue) == []


def generation_items(workspace_id: str) -> list[GenerationItem]:
    return list(GenerationItem.query(workspace_id, GenerationItem.sk.startswith("gen_"), consistent_read=True))


def stream_record(name: str, item: GenerationItem) -> dict[str, Any]:
    """A record of the generations table's stream, of an item that has come or gone."""
    image, keys = item.serialize(), {"pk": {"S": item.pk}, "sk": {"S": item.sk}}
    images = {"OldImage" if name == "REMOVE" else "NewImage": image}
    event_id = uuid.uuid4().hex
    changed = {"Keys": keys, "ApproximateCreationDateTime": system_clock().timestamp(), **images}
    return {"eventID": event_id, "eventName": name, "dynamodb": changed}


def test_reports_count_a_moved_generation_where_it_is(app: ModuleType, moving: MovingProject) -> None:
    counting, before = load_function("streams/analytics"), generation_items(moving.source_id)
    counting.handler({"Records": [stream_record("INSERT", item) for item in before]}, None)
    begin(app, moving)
    moving.deliver()
    left, came = generation_items(moving.source_id), generation_items(moving.target_id)
    gone = [item for item in before if item.sk not in {each.sk for each in left}]
    assert (len(gone), len(came)) == (2, 2)
    records = [*(stream_record("REMOVE", item) for item in gone), *(stream_record("INSERT", item) for item in came)]
    counting.handler({"Records": records}, None)
    for workspace_id, items in ((moving.source_id, left), (moving.target_id, came)):
        stored = [generations.store().get(workspace_id, item.sk) for item in items]
        assert without_zeros(counted_rows(workspace_id)) == rows_of_records(stored, []) != {}


def test_a_thumbnail_of_the_project_is_shown_at_the_target(app: ModuleType, moving: MovingProject) -> None:
    thumbnail = f"/media/{moving.source_id}/{SHARED}.thumb.webp"
    call(app, moving.owner, f"PUT {moving.path}", {"thumbnail_url": thumbnail})
    begin(app, moving)
    moving.deliver()
    after = success_data(at_target(app, moving, f"GET {moving.path}"))["project"]
    assert after["thumbnail_url"] == thumbnail.replace(moving.source_id, moving.target_id)


def test_an_archived_project_moves_without_being_counted(app: ModuleType, moving: MovingProject) -> None:
    call(app, moving.owner, f"PUT {moving.path}", {"archived": True})
    before = used(moving.source_id)[0], used(moving.target_id)[0]
    begin(app, moving)
    moving.deliver()
    assert (used(moving.source_id)[0], used(moving.target_id)[0]) == before
    assert success_data(at_target(app, moving, f"GET {moving.path}"))["project"]["archived_at"]


def test_a_project_with_many_pages_moves_completely(app: ModuleType, ada: Person, organization: str) -> None:
    moves.moves()
    project = create_project(ada.workspace_id, "Many")
    made = {make_generation(ada, project.id, f"{number:x}".rjust(64, "0")).id for number in range(25)}
    begun = call(app, ada, f"POST /api/projects/{project.id}/move", {"workspace_id": organization})
    assert begun["statusCode"] == 202
    load_function("streams/library").handler(move_record(ada.workspace_id, project.id), None)
    assert used(ada.workspace_id) == (0, 0)
    found = GenerationItem.query(organization, GenerationItem.sk.startswith("gen_"), consistent_read=True)
    assert {item.sk for item in found} == made
    assert len(file_names(organization)) == 2 * 25
    assert file_names(ada.workspace_id) == set()


# ---- who may, and when -----------------------------------------------------------------------------------------------


def test_only_who_owns_both_sides_may_move(app: ModuleType, moving: MovingProject, ada: Person) -> None:
    workspaces = load_function("api/workspaces")
    eve = create_person("eve")
    foreign = create_organization(workspaces, eve, "Elsewhere")["id"]
    before = everything_of(moving.source_id)
    assert error_of(begin(app, moving, foreign)) == (404, "NOT_FOUND")
    assert error_of(begin(app, moving, f"wsp_{MISSING}")) == (404, "NOT_FOUND")
    set_tier(foreign, "studio@1")
    join(workspaces, eve, foreign, ada, "admin")
    assert error_of(begin(app, moving, foreign)) == (403, "FORBIDDEN")
    # The same project, by somebody else.
    theirs = call(app, eve, f"POST {moving.path}/move", {"workspace_id": foreign})
    assert error_of(theirs) == (404, "NOT_FOUND")
    assert error_of(call(app, eve, f"GET {moving.path}/move")) == (404, "NOT_FOUND")
    missing = call(app, ada, f"POST /api/projects/prj_{MISSING}/move", {"workspace_id": moving.target_id})
    assert error_of(missing) == (404, "NOT_FOUND")
    assert everything_of(moving.source_id) == before


def test_only_personal_projects_move_and_only_into_organizations(app: ModuleType, moving: MovingProject) -> None:
    assert error_of(begin(app, moving, moving.source_id)) == (409, "CONFLICT")
    other = create_organization(load_function("api/workspaces"), moving.owner, "Other")["id"]
    project = create_project(moving.target_id, "Of the organisation")
    for target in (other, moving.source_id):
        refused = at_target(app, moving, f"POST /api/projects/{project.id}/move", {"workspace_id": target})
        assert error_of(refused) == (409, "CONFLICT")
    assert error_of(begin(app, moving, "wsp_1")) == (422, "VALIDATION_FAILED")


def test_an_organization_that_requires_a_second_factor_is_no_target_without_one(
    app: ModuleType, moving: MovingProject
) -> None:
    WorkspaceItem(moving.target_id, PROFILE).update([WorkspaceItem.require_mfa.set(True)])
    assert error_of(begin(app, moving)) == (403, "FORBIDDEN")


def test_a_deleted_organization_is_no_target(app: ModuleType, moving: MovingProject) -> None:
    WorkspaceItem(moving.target_id, PROFILE).update([WorkspaceItem.deleted_at.set("2026-11-29T12:00:00.000Z")])
    assert error_of(begin(app, moving)) == (404, "NOT_FOUND")


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_a_project_waits_for_its_open_generations(app: ModuleType, moving: MovingProject, status: Status) -> None:
    opened = make_generation(moving.owner, moving.project.id, status=status)
    make_generation(moving.owner, moving.other.id, status=status)
    refused = begin(app, moving)
    assert error_of(refused) == (409, "CONFLICT")
    assert json.loads(refused["body"])["details"] == {"open_generations": 1}
    GenerationItem(moving.source_id, opened.id).update([GenerationItem.status.set(Status.FAILED.value)])
    assert begin(app, moving)["statusCode"] == 202


def test_a_project_waits_for_a_provider_that_may_still_deliver(app: ModuleType, moving: MovingProject) -> None:
    expired = make_generation(moving.owner, moving.project.id, status=Status.EXPIRED)
    attempts = [
        {"id": "att_1", "model": "local/canvas", "status": "submitting", "started_at": "2026-11-29T12:00:00.000Z"}
    ]
    GenerationItem(moving.source_id, expired.id).update([GenerationItem.attempts.set(attempts)])
    assert json.loads(begin(app, moving)["body"])["details"] == {"open_generations": 1}
    long_ago = GenerationItem.deadline_at.set("2026-11-20T12:00:00.000Z")
    GenerationItem(moving.source_id, expired.id).update([long_ago])
    assert begin(app, moving)["statusCode"] == 202


# ---- twice, and at the same moment -----------------------------------------------------------------------------------


def test_a_repeated_request_finds_the_same_move(app: ModuleType, moving: MovingProject) -> None:
    other = create_organization(load_function("api/workspaces"), moving.owner, "Other")["id"]
    first = success_data(begin(app, moving))
    assert success_data(begin(app, moving)) == first
    assert error_of(begin(app, moving, other)) == (409, "CONFLICT")
    moving.deliver()
    done = everything_of(moving.source_id), everything_of(moving.target_id)
    assert success_data(begin(app, moving))["move"]["state"] == "moved"
    assert error_of(begin(app, moving, other)) == (409, "CONFLICT")
    moving.deliver()
    assert (everything_of(moving.source_id), everything_of(moving.target_id)) == done


def test_a_repeated_request_lets_a_move_go_on_that_had_stopped(app: ModuleType, moving: MovingProject) -> None:
    begin(app, moving)
    before = MoveItem.get(moving.source_id, f"move#{moving.project.id}", consistent_read=True).revision
    begin(app, moving)
    # The write of the record is what the stream delivers.
    assert MoveItem.get(moving.source_id, f"move#{moving.project.id}", consistent_read=True).revision == before + 1
    moving.deliver()
    assert state_of(app, moving)["state"] == "moved"


def test_two_moves_at_once_are_one(app: ModuleType, moving: MovingProject) -> None:
    other = create_organization(load_function("api/workspaces"), moving.owner, "Other")["id"]
    targets = [moving.target_id, other] * 4
    with ThreadPoolExecutor(len(targets)) as pool:
        found = list(pool.map(begin, [app] * 8, [moving] * 8, targets))
    statuses: dict[str, set[int]] = {target: set() for target in targets}
    for target, each in zip(targets, found, strict=True):
        statuses[target].add(each["statusCode"])
    assert sorted(map(sorted, statuses.values())) in ([[202], [409]], [[202, 503], [409]])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(moving.deliver, [None] * 4))
    [winner] = [target for target, each in statuses.items() if 202 in each]
    assert used(winner) == (1, moving.bytes)
    assert used(other if winner == moving.target_id else moving.target_id) == (0, 0)
    assert file_names(winner) == names_of(*moving.assets.values())
    assert used(moving.source_id)[0] == 1


def test_what_is_deleted_or_renamed_during_the_move_is_counted_once(app: ModuleType, moving: MovingProject) -> None:
    before = used(moving.source_id)[1]
    begin(app, moving)
    gone, renamed = list(moving.assets)[:2]
    delete_asset(moving.source_id, gone, assets=library.assets(), files=library.stored_files(), now=system_clock())
    library.assets().change(moving.source_id, renamed, {"name": "Renamed"})
    moving.deliver()
    size = moving.bytes - (1000 + int(moving.assets[gone][0]))
    assert used(moving.target_id) == (1, size)
    assert used(moving.source_id)[1] == before - moving.bytes
    assert library.assets().get(moving.target_id, renamed).name == "Renamed"
    with pytest.raises(NotFound):
        library.assets().get(moving.target_id, gone)


# ---- quotas ----------------------------------------------------------------------------------------------------------


def begun_move(moving: MovingProject) -> Move:
    """The move after its first transaction: nothing is reserved yet."""
    move = Move(moving.project.id, moving.source_id, moving.target_id, moving.owner.user_id, system_clock())
    store = projects.projects()
    project, budget = store.get(moving.source_id, move.project_id), store.budget(moving.source_id, move.project_id)
    assert budget is not None
    moves.moves().begin(move, project, budget, 50, ())
    return move


def quota_of(response: dict[str, Any]) -> tuple[int, str, int, int]:
    details = json.loads(response["body"])["details"]
    assert error_of(response) == (403, "QUOTA_EXCEEDED")
    return response["statusCode"], details["quota"], details["limit"], details["used"]


def test_an_organization_that_is_full_of_projects_takes_none(app: ModuleType, moving: MovingProject) -> None:
    before = everything_of(moving.source_id)
    set_usage(moving.target_id, "projects", 50)
    assert quota_of(begin(app, moving)) == (403, "projects", 50, 50)
    assert everything_of(moving.source_id) == before
    assert used(moving.target_id) == (50, 0)


def test_an_organization_without_room_for_the_files_takes_none_of_them(app: ModuleType, moving: MovingProject) -> None:
    before, room = everything_of(moving.source_id), 5_000_000_000
    set_usage(moving.target_id, "storage", room - moving.bytes + 1)
    assert quota_of(begin(app, moving)) == (403, "storage_bytes", room, room - moving.bytes + 1)
    assert everything_of(moving.source_id) == before
    assert used(moving.target_id) == (0, room - moving.bytes + 1)
    assert error_of(call(app, moving.owner, f"GET {moving.path}/move")) == (404, "NOT_FOUND")
    # Both are of one moment, so they have no order.
    refused = {("project.move_started", moving.project.id), ("project.move_refused", moving.project.id)}
    assert set(actions(moving.target_id)[-2:]) == refused
    # One byte less, and it fits.
    set_usage(moving.target_id, "storage", room - moving.bytes)
    assert begin(app, moving)["statusCode"] == 202
    moving.deliver()
    assert used(moving.target_id) == (1, room)


def test_what_generations_delivered_to_the_organization_takes_room(app: ModuleType, moving: MovingProject) -> None:
    room = 5_000_000_000
    set_delivered(moving.target_id, room)
    set_usage(moving.target_id, "storage", 1 - moving.bytes)
    assert quota_of(begin(app, moving)) == (403, "storage_bytes", room, room - moving.bytes + 1)
    # One byte less, and it fits. Of what is counted in the wallet, nothing is changed.
    set_usage(moving.target_id, "storage", -moving.bytes)
    assert begin(app, moving)["statusCode"] == 202
    moving.deliver()
    assert used(moving.target_id) == (1, room)
    assert ledger.wallets().wallet(moving.target_id).delivered_bytes == room


@pytest.mark.parametrize("before", [0, 100])
def test_a_result_that_comes_while_room_is_reserved_is_counted(moving: MovingProject, before: int) -> None:
    class DeliversAfterTheRead(DynamoWallets):
        reads = 0

        def wallet(self, workspace_id: str, *, consistent: bool = True) -> Wallet:
            wallet = super().wallet(workspace_id, consistent=consistent)
            self.reads += 1
            if self.reads == 1:
                set_delivered(workspace_id, before + 1)
            return wallet

    move = begun_move(moving)
    set_delivered(moving.target_id, before)
    late = DeliversAfterTheRead()
    store = DynamoMoves(projects.projects(), library.assets(), generations.store(), late)
    with pytest.raises(StorageFull) as full:
        store.reserve(move, moving.bytes, before + moving.bytes)
    assert (full.value.used, late.reads) == (before + 1, 3)
    store.reserve(move, moving.bytes, before + moving.bytes + 1)
    assert used(moving.target_id) == (1, before + moving.bytes + 1)


def test_a_move_without_room_is_taken_back_when_its_request_died(app: ModuleType, moving: MovingProject) -> None:
    before = everything_of(moving.source_id)
    set_usage(moving.target_id, "storage", 5_000_000_000)
    begun_move(moving)
    assert error_of(call(app, moving.owner, f"GET {moving.path}")) == (404, "NOT_FOUND")
    moving.deliver()
    assert everything_of(moving.source_id) == before
    assert used(moving.target_id) == (0, 5_000_000_000)


def test_moves_at_once_into_the_last_place_are_one(app: ModuleType, ada: Person, organization: str) -> None:
    moves.moves()
    made = [create_project(ada.workspace_id, f"Project {number}").id for number in range(6)]
    for project_id in made:
        store_upload(ada, project_id, "8" * 64)
    set_usage(organization, "projects", 49)
    with ThreadPoolExecutor(len(made)) as pool:
        requests = [f"POST /api/projects/{project_id}/move" for project_id in made]
        found = list(pool.map(call, [app] * 6, [ada] * 6, requests, [{"workspace_id": organization}] * 6))
    assert sorted(each["statusCode"] for each in found) == [202, *[403] * 5]
    load_function("streams/library").handler(move_record(ada.workspace_id, *made), None)
    assert used(organization) == (50, 1008)
    assert used(ada.workspace_id) == (5, 5 * 1008)
    # Equal files of the others keep their bytes.
    assert file_names(ada.workspace_id) == file_names(organization) == names_of("8" * 64)
    assert len(projects.projects().list(ada.workspace_id, None, None, 10).projects) == 5
