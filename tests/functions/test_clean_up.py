"""functions/schedules/clean_up on a bucket that keeps versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.moves.items import MoveItem
from atelier.clock import system_clock
from atelier.generations.model import DeliveredFile
from atelier.library.clean_up import CleanUpDeps, clean_up
from atelier.wiring import cleaning, library
from tests.functions.conftest import AwsResources
from tests.functions.example_data import ASSET, WORKSPACE, submit_example
from tests.invoke import load_function
from tests.recorded_assets import record_asset

OTHER = "wsp_01M7XCN60Q0Z9AH99VAAQWYH9A"
MINE, LEFT, LOST = "a" * 64, "b" * 64, "c" * 64
DAY = timedelta(days=1)


def put(cloud: AwsResources, key: str, data: bytes = b"bytes") -> None:
    client("s3").put_object(Bucket=cloud.bucket, Key=key, Body=data)


@pytest.fixture
def bucket(cloud: AwsResources) -> AwsResources:
    """A bucket with an asset's file, and with something left over of each kind."""
    client("s3").put_bucket_versioning(Bucket=cloud.bucket, VersioningConfiguration={"Status": "Enabled"})
    example = submit_example()
    for id, sha256 in ((ASSET, MINE), (f"{ASSET[:-1]}9", LOST)):
        record_asset(example, DeliveredFile(id, "image", sha256, "png", 5, 8, 8, has_thumbnail=True), 0)
    for key in (
        f"media/{WORKSPACE}/{MINE}.png",
        f"media/{WORKSPACE}/{MINE}.thumb.webp",
        f"media/{WORKSPACE}/{LEFT}.jpg",
        f"media/{WORKSPACE}/{LEFT}.thumb.webp",
        f"media/{OTHER}/{LEFT}.png",
        # A livestream's, which no asset names.
        f"media/{WORKSPACE}/streams/liv_1/index.m3u8",
        f"media/answers/{WORKSPACE}/gen_1",
        f"uploads/{WORKSPACE}/ast_1",
        "staging/gen_1/att_1/0",
    ):
        put(cloud, key)
    client("s3").create_multipart_upload(Bucket=cloud.bucket, Key="media/unfinished")
    return cloud


def run(mode: str, after: timedelta = 2 * DAY) -> dict[str, Any]:
    handler = load_function("schedules/clean_up").handler
    report: dict[str, Any] = handler({"mode": mode}, None, lambda: system_clock() + after)
    return report


def counts(report: dict[str, Any]) -> dict[str, int]:
    return {name: each["count"] for name, each in report["found"].items()}


def versions(cloud: AwsResources) -> list[tuple[str, bool]]:
    """(key, whether it is the latest) of each version with bytes."""
    listed = client("s3").list_object_versions(Bucket=cloud.bucket).get("Versions", ())
    return sorted((each["Key"], each["IsLatest"]) for each in listed)


ALL = {
    "passing_files": 3,
    "unfinished_uploads": 1,
    "files_without_asset": 3,
    "assets_without_file": 1,
}


def test_a_report_names_what_is_left_over_and_deletes_nothing(bucket: AwsResources) -> None:
    before = versions(bucket)
    report = run("report")
    assert (counts(report), report["acts"], report["has_ended"]) == (ALL, False, True)
    assert f"files_without_asset: media/{WORKSPACE}/{LEFT}.jpg" in report["examples"]
    assert versions(bucket) == before
    keys = client("s3").list_objects_v2(Bucket=f"exports-{bucket.tables.identity}", Prefix="reports/")["Contents"]
    assert [each["Key"] for each in keys] == [f"reports/clean_up/{report['started_at']}.json"]
    stored = client("s3").get_object(Bucket=f"exports-{bucket.tables.identity}", Key=keys[0]["Key"])["Body"].read()
    assert json.loads(stored) == report


def test_a_run_that_acts_deletes_what_is_left_over_and_nothing_else(bucket: AwsResources) -> None:
    assert counts(run("act")) == ALL
    left = (f"{MINE}.png", f"{MINE}.thumb.webp", "streams/liv_1/index.m3u8")
    assert bucket.bucket_keys() == [f"media/{WORKSPACE}/{name}" for name in left]
    # The bytes of what had no asset are kept for a month, as those of a deleted asset.
    kept = {key for key, is_latest in versions(bucket) if not is_latest}
    assert kept == {
        f"media/{WORKSPACE}/{LEFT}.jpg",
        f"media/{WORKSPACE}/{LEFT}.thumb.webp",
        f"media/{OTHER}/{LEFT}.png",
    }
    assert not client("s3").list_multipart_uploads(Bucket=bucket.bucket).get("Uploads")
    # The asset without a file is for its owner to decide.
    assert counts(run("act")) == {"assets_without_file": 1}

    assert counts(run("act", 40 * DAY)) == {"old_versions": 3, "assets_without_file": 1}
    assert [key for key, is_latest in versions(bucket) if not is_latest] == []


def test_what_is_younger_than_a_day_is_left_alone(bucket: AwsResources) -> None:
    assert counts(run("act", timedelta(hours=23))) == {}


def test_the_files_of_a_workspace_are_held_while_a_project_is_moved(bucket: AwsResources) -> None:
    cleaning.clean_up_deps()
    MoveItem(WORKSPACE, "move#prj_1", target_id=OTHER, user_id="usr_1", started_at="", step="assets").save()
    found = counts(run("act"))
    assert found["files_without_asset"] == 1
    assert f"media/{WORKSPACE}/{LEFT}.jpg" in bucket.bucket_keys()


def test_a_file_that_gets_its_asset_meanwhile_is_brought_back(bucket: AwsResources) -> None:
    class RecordedMeanwhile:
        """Assets in which one with this file is recorded while the file is removed."""

        asked = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(library.assets(), name)

        def is_file_used(self, workspace_id: str, sha256: str) -> bool:
            self.asked += 1
            return self.asked % 2 == 0

    deps: CleanUpDeps = replace(cleaning.clean_up_deps(), assets=RecordedMeanwhile())
    clean_up(acts=True, deps=deps, now=system_clock() + 2 * DAY, context=None)
    assert f"media/{WORKSPACE}/{LEFT}.jpg" in bucket.bucket_keys()


class Killed(BaseException):
    """The process was killed."""


def test_a_run_that_was_killed_goes_on_behind_the_last_workspace(bucket: AwsResources) -> None:
    deps = cleaning.clean_up_deps()

    class DiesAtSecond:
        """The bucket whose second workspace the process does not reach."""

        def __getattr__(self, name: str) -> Any:
            return getattr(deps.bucket, name)

        def workspaces(self, after: str | None) -> Iterator[str]:
            yield next(iter(deps.bucket.workspaces(after)))
            raise Killed

    now = system_clock() + 2 * DAY
    with pytest.raises(Killed):
        clean_up(acts=False, deps=replace(deps, bucket=DiesAtSecond()), now=now, context=None)
    state = deps.reports.state()
    assert state is not None
    assert state.workspace == WORKSPACE
    assert counts(run("act")) == ALL
    assert deps.reports.state() is None


def test_a_run_stops_when_its_time_is_nearly_up(bucket: AwsResources) -> None:
    class NoTime:
        def get_remaining_time_in_millis(self) -> int:
            return 1000

    now = system_clock() + 2 * DAY
    report = clean_up(acts=False, deps=cleaning.clean_up_deps(), now=now, context=NoTime())
    assert not report["has_ended"]
