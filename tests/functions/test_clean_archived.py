"""The clean-up of archives, by functions/schedules/clean_up on a clock that is moved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.identity.mails import MailItem
from atelier.adapters.aws.dynamodb.ledger.transactions import put_tier
from atelier.adapters.aws.dynamodb.library import AssetItem
from atelier.audit_log.ports import EventFilter
from atelier.clock import system_clock
from atelier.errors import NotFound
from atelier.generations.model import DeliveredFile
from atelier.library.clean_archived import CleanArchivedDeps, CleanUpNotice, clean_archived
from atelier.wiring import audit_log, cleaning, library
from tests.functions.conftest import AwsResources
from tests.functions.example_data import ASSET, WORKSPACE, submit_example
from tests.integration.world import run_concurrently
from tests.invoke import load_function
from tests.recorded_assets import record_asset

DAY = timedelta(days=1)
KEPT_DAYS = 180
OLD, OTHER, ORIGIN, FRESH = (f"{ASSET[:-1]}{number}" for number in "1234")


def hash_of(id: str) -> str:
    return id[-1] * 64


@pytest.fixture
def begun_at(cloud: AwsResources) -> datetime:
    """Three archived assets, one of which another was made from, and one that is not archived. The workspace is on the
    free tier."""
    client("s3").put_bucket_versioning(Bucket=cloud.bucket, VersioningConfiguration={"Status": "Enabled"})
    example, now = submit_example(), system_clock()
    for id in (OLD, OTHER, ORIGIN, FRESH):
        record_asset(example, DeliveredFile(id, "image", hash_of(id), "png", 5, 8, 8, has_thumbnail=False), 0)
        client("s3").put_object(Bucket=cloud.bucket, Key=f"media/{WORKSPACE}/{hash_of(id)}.png", Body=b"bytes")
    for id in (OLD, OTHER, ORIGIN):
        library.assets().change(WORKSPACE, id, {"archived_at": now})
    AssetItem(WORKSPACE, FRESH).update([AssetItem.made_from.set([ORIGIN])])
    return now


def set_tier(tier: str) -> None:
    """Gives the workspace a tier that does not end."""
    with transaction() as write:
        put_tier(write, WORKSPACE, tier, None, part="wallet")


def run(now: datetime, mode: str = "act") -> dict[str, Any]:
    report: dict[str, Any] = load_function("schedules/clean_up").handler({"mode": mode}, None, lambda: now)
    return report


def mails() -> list[dict[str, Any]]:
    found = MailItem.query(WORKSPACE, MailItem.sk.startswith("mail#archive#"))
    return [json.loads(item.facts) if isinstance(item.facts, str) else dict(item.facts) for item in found]


def present() -> set[str]:
    return {asset.id for asset in library.assets().find(WORKSPACE, (OLD, OTHER, ORIGIN, FRESH))}


def test_the_owner_is_sent_two_weeks_before_archived_assets_go(cloud: AwsResources, begun_at: datetime) -> None:
    told_at = begun_at + (KEPT_DAYS - 14) * DAY
    run(told_at - DAY)
    assert mails() == []
    # Day after day there is one mail, and nothing goes before its time.
    for days in range(14):
        run(told_at + days * DAY + timedelta(hours=1))
        assert present() == {OLD, OTHER, ORIGIN, FRESH}
    [mail] = mails()
    due_at = told_at + timedelta(hours=1) + 14 * DAY
    assert (mail["count"], mail["due_at"]) == (2, f"{due_at:%Y-%m-%d}")

    # One is taken out of the archive in time.
    library.assets().change(WORKSPACE, OTHER, {"archived_at": None})
    report = run(due_at)
    assert report["found"]["expired_assets"] == {"count": 1, "bytes": 5}
    # What something was made from stays, and what was deleted is known to lineage.
    assert present() == {OTHER, ORIGIN, FRESH}
    assert [each.id for each in library.assets().find_with_deleted(WORKSPACE, [OLD])] == [OLD]
    assert f"media/{WORKSPACE}/{hash_of(OLD)}.png" not in cloud.bucket_keys()
    [event] = [
        each
        for each in audit_log.reads().page(WORKSPACE, EventFilter(), None, 50).events
        if each["action"] == "assets.cleaned_up"
    ]
    assert (event["facts"]["count"], event["facts"]["bytes"]) == (1, 5)
    assert "expired_assets" not in run(due_at + DAY)["found"]
    assert len(mails()) == 1


def test_a_run_that_reports_tells_nobody_and_counts_what_is_over(begun_at: datetime) -> None:
    assert "expired_assets" not in run(begun_at + (KEPT_DAYS - 1) * DAY, "report")["found"]
    assert run(begun_at + KEPT_DAYS * DAY, "report")["found"]["expired_assets"] == {"count": 2, "bytes": 10}
    assert (present(), mails()) == ({OLD, OTHER, ORIGIN, FRESH}, [])


def test_what_was_archived_for_years_before_a_downgrade_gets_its_two_weeks(begun_at: datetime) -> None:
    set_tier("pro@1")
    later = begun_at + 1000 * DAY
    run(later)
    assert mails() == []
    set_tier("free")
    for days in range(14):
        run(later + days * DAY)
        assert present() == {OLD, OTHER, ORIGIN, FRESH}
    run(later + 14 * DAY)
    assert present() == {ORIGIN, FRESH}


def test_a_tier_that_keeps_them_longer_ends_the_notice(begun_at: datetime) -> None:
    told_at = begun_at + KEPT_DAYS * DAY
    run(told_at)
    set_tier("pro@1")
    run(told_at + 20 * DAY)
    assert present() == {OLD, OTHER, ORIGIN, FRESH}
    assert cleaning.archive_deps().notices.find(WORKSPACE) is None


def test_what_is_archived_anew_begins_anew(begun_at: datetime) -> None:
    told_at = begun_at + (KEPT_DAYS - 14) * DAY
    run(told_at)
    library.assets().change(WORKSPACE, OLD, {"archived_at": None})
    library.assets().change(WORKSPACE, OLD, {"archived_at": told_at + DAY})
    run(told_at + 14 * DAY)
    assert present() == {OLD, ORIGIN, FRESH}


def test_the_event_of_a_run_has_its_counts(cloud: AwsResources, begun_at: datetime) -> None:
    run(begun_at + KEPT_DAYS * DAY, "report")
    [published] = cloud.take_messages(cloud.events_queue, seconds_max=10)
    assert (published["detail-type"], published["source"]) == ("clean_up.finished", "atelier.library")
    detail = published["detail"]
    assert (detail["mode"], detail["expired_assets"], detail["files_without_asset"]) == ("report", 2, 0)


class Killed(BaseException):
    """The process was killed."""


def deps_with_calls(kill_at: int) -> CleanArchivedDeps:
    """The dependencies; the process is killed at this change of anything (from 0), before it is done."""
    deps, calls = cleaning.archive_deps(), iter(range(1000))

    class Counting:
        def __init__(self, inner: Any, changing: Sequence[str]) -> None:
            self.inner, self.changing = inner, changing

        def __getattr__(self, name: str) -> Any:
            found = getattr(self.inner, name)

            def call(*arguments: Any, **named: Any) -> Any:
                if name in self.changing and next(calls) == kill_at:
                    raise Killed
                return found(*arguments, **named)

            return call

    def tell(workspace_id: str, notice: CleanUpNotice) -> None:
        if next(calls) == kill_at:
            raise Killed
        deps.tell(workspace_id, notice)

    assets: Any = Counting(deps.assets, ("delete_archived", "settle_file"))
    files: Any = Counting(deps.files, ("remove",))
    notices: Any = Counting(deps.notices, ("add", "note_sent", "end"))
    return replace(deps, assets=assets, files=files, notices=notices, tell=tell)


def test_a_run_that_is_killed_at_each_change_is_completed_by_the_next_ones(begun_at: datetime) -> None:
    told_at, kills = begun_at + (KEPT_DAYS - 14) * DAY, 0
    for now in (told_at, told_at + 14 * DAY):
        for kill_at in range(20):
            try:
                clean_archived(WORKSPACE, deps=deps_with_calls(kill_at), now=now)
            except Killed:
                kills += 1
            else:
                break
        clean_archived(WORKSPACE, deps=cleaning.archive_deps(), now=now)
    assert kills >= 3
    assert (present(), len(mails())) == ({ORIGIN, FRESH}, 1)
    # A file whose removal was interrupted is found by the next clean-up, as one without an asset.
    run(told_at + 15 * DAY)
    assert cleaning.archive_deps().notices.find(WORKSPACE) is None


def test_runs_at_the_same_time_tell_and_delete_once(begun_at: datetime) -> None:
    told_at = begun_at + (KEPT_DAYS - 14) * DAY
    deps = cleaning.archive_deps()
    for now in (told_at, told_at + 14 * DAY):
        run_concurrently(4, lambda _, now=now: clean_archived(WORKSPACE, deps=deps, now=now))
    assert (present(), len(mails())) == ({ORIGIN, FRESH}, 1)
    with pytest.raises(NotFound):
        library.assets().get(WORKSPACE, OLD)
