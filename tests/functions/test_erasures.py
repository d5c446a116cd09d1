"""Erasures: functions/schedules/erase_due and functions/tasks/erase, on all tables and buckets."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import connection
from atelier.adapters.aws.dynamodb.audit_seals import changed_events
from atelier.adapters.aws.dynamodb.identity.items import (
    PROFILE,
    MembershipItem,
    UserItem,
    WorkspaceItem,
    member_sk,
)
from atelier.adapters.aws.dynamodb.workspaces.items import member_item
from atelier.adapters.payments.stripe_client import new_client
from atelier.audit_log.ports import EventFilter
from atelier.clock import rfc3339, system_clock
from atelier.erasures.erase import erase
from atelier.errors import NotFound
from atelier.identity.model import UserStatus
from atelier.identity.permissions import Role
from atelier.ledger.verify import ProofMismatch, verify, verify_events
from atelier.wiring import audit_log, erasures, identity, seals, workflow, workspaces
from atelier.workspaces.model import Member
from infra.simulators.stripe.server import StripeSimulator
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.erasing import ADDRESS, CANARY, function_of, live, naming, seal, send, sign_up, snapshot, work_in
from tests.functions.example_data import SESSION, USER, WORKSPACE
from tests.functions.people import Person, call, create_organization, create_person, join, roles, set_tier
from tests.functions.responses import invoke_app, success_data
from tests.integration.billing_world import sell
from tests.integration.world import run_concurrently
from tests.invoke import event, load_function
from tests.simulators.stripe.flows import Browser, card

LATER = timedelta(days=15)


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/workspaces")


def find_due(after: timedelta = LATER) -> dict[str, int]:
    """One run of the schedule, some time later."""
    found: dict[str, int] = load_function("schedules/erase_due").handler({}, None, lambda: system_clock() + after)
    return found


def erase_all(subject: str) -> None:
    """Both passes of the job."""
    for is_last in (False, True):
        answer = load_function("tasks/erase").handler({"subject": subject, "is_last": is_last}, None)
        assert answer == {"subject": subject, "is_last": is_last, "has_ended": True}


@pytest.fixture
def stripe_with_prices(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> Iterator[StripeSimulator]:
    """Stripe's simulator with the price list."""
    with StripeSimulator() as running:
        sell(new_client(running.api_key, running.url, seconds_max=20))
        monkeypatch.setenv("ATELIER_STRIPE_URL", running.url)
        clear_wiring_caches(clients=False)
        yield running


@pytest.fixture
def person(cloud: AwsResources) -> Person:
    """The person, who has said the word wherever one can. The buckets keep earlier versions."""
    for bucket in (cloud.bucket, f"audit-{cloud.tables.identity}"):
        client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    found = sign_up()
    live(found, cloud)
    return found


# ---- the canary ------------------------------------------------------------------------------------------------------


def test_nothing_of_a_person_is_found_after_the_erasure(
    cloud: AwsResources, app: ModuleType, person: Person, kept_secret: list[str], log: io.StringIO
) -> None:
    owner = create_person("olga")
    organization = create_organization(app, owner)["id"]
    work_in(organization, owner, person, app)
    for each in (person.user_id, person.workspace_id, organization):
        seal(each)
    load_function("tasks/write_whole_export").handler(_whole_export(cloud, person), None)
    send(person, "DELETE /api/users/me")
    before = snapshot(cloud)
    named = naming(before, CANARY, ADDRESS)
    wanted = {"identity", "generations", "library", "providers", "exports", "audit", "inbox"}
    assert named.keys() >= wanted | {"bucket media", "bucket exports"}

    assert find_due(timedelta(days=13)) == {"begun": 0, "open": 0, "repeated": 0}
    assert find_due() == {"begun": 1, "open": 1, "repeated": 0}
    erase_all(person.user_id)
    after = snapshot(cloud)
    assert naming(after, CANARY, ADDRESS) == {}
    assert CANARY not in log.getvalue()
    assert naming(after, person.workspace_id).keys() <= {"ledger", "identity", "requests", "erasures"}
    assert _unchanged(before, after, person, organization)


def _whole_export(cloud: AwsResources, person: Person) -> dict[str, str]:
    items = cloud.items(cloud.tables.exports)
    (sk,) = [item["sk"]["S"] for item in items if item["sk"]["S"].startswith("whole#")]
    return {"workspace_id": person.workspace_id, "export_id": sk.removeprefix("whole#")}


def _unchanged(before: dict[str, Any], after: dict[str, Any], person: Person, organization: str) -> bool:
    """Whether everything is as it was that is neither the person's nor of the organisation of both."""
    mine = (person.user_id, person.workspace_id, organization, CANARY, "due-erasures", "rate#", "0" * 64)
    for name, texts in before.items():
        others = {text for text in texts if not any(word in text for word in mine)}
        assert others <= set(after[name]), name
    return True


def test_the_ledger_of_an_erased_workspace_still_verifies(cloud: AwsResources, person: Person) -> None:
    send(person, "DELETE /api/users/me")
    find_due()
    before = [item for item in cloud.items(cloud.tables.ledger) if item["sk"]["S"].startswith("movement#")]
    erase_all(person.user_id)
    after = [item for item in cloud.items(cloud.tables.ledger) if item["sk"]["S"].startswith("movement#")]
    assert before == after
    assert before
    page, rest = seals.proof(person.workspace_id, 0, system_clock())
    assert rest is None
    assert verify([page | {"next_cursor": None}]).startswith("sound")
    assert CANARY not in json.dumps(page)


def test_the_log_of_an_organisation_still_verifies_without_the_person(
    cloud: AwsResources, app: ModuleType, person: Person
) -> None:
    owner = create_person("olga")
    organization = create_organization(app, owner)["id"]
    work_in(organization, owner, person, app)
    seal(organization)
    assert _verified(app, owner, organization).startswith("sound")
    send(person, "DELETE /api/users/me")
    find_due()
    erase_all(person.user_id)
    seal(organization)
    text = _proof(app, owner, organization)
    assert CANARY not in text
    assert person.user_id in text
    assert "without what named an erased person" in _verified(app, owner, organization)

    lines = [json.loads(line) for line in text.splitlines()]
    changed = next(line["event"] for line in lines if "event" in line and "erased" not in line["event"])
    changed["erased"] = "adt_01M7XCN60Q4D8K2M6R0V4Z8B3F"
    with pytest.raises(ProofMismatch, match="has changed it, and is not there"):
        verify_events([lines])


def _proof(app: ModuleType, owner: Person, organization: str) -> str:
    request = f"GET /api/workspaces/{organization}/audit?format=proof"
    reply = call(load_function("api/audit"), owner, request)
    assert reply["statusCode"] == 200
    body = str(reply["body"])
    return base64.b64decode(body).decode() if reply.get("isBase64Encoded") else body


def _verified(app: ModuleType, owner: Person, organization: str) -> str:
    return verify_events([[json.loads(line) for line in _proof(app, owner, organization).splitlines()]])


# ---- kills and parallel runs -----------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process was killed."""


@contextmanager
def killed_at(number: int, hook: str) -> Iterator[list[int]]:
    """Within the block, the process dies at the AWS call of this number, counted from 1; gives the number of calls."""
    clients, made = (connection().client, client("s3")), [0]

    def count(**_: Any) -> None:
        made[0] += 1
        if made[0] == number:
            raise Killed

    for each in clients:
        each.meta.events.register_first(hook, count)
    try:
        yield made
    finally:
        for each in clients:
            each.meta.events.unregister(hook, count)


@pytest.mark.parametrize("hook", ["before-send", "after-call"])
def test_a_job_that_is_killed_at_each_call_erases_everything_in_the_end(
    cloud: AwsResources, app: ModuleType, person: Person, hook: str
) -> None:
    owner = create_person("olga")
    organization = create_organization(app, owner)["id"]
    work_in(organization, owner, person, app)
    for each in (person.user_id, person.workspace_id, organization):
        seal(each)
    send(person, "DELETE /api/users/me")
    find_due()
    deps, kills = erasures.erase_deps(), 0
    for number in range(1, 1000):
        try:
            with killed_at(number, hook):
                erase(person.user_id, is_last=True, deps=deps, context=None)
            break
        except Killed:
            kills += 1
    # Each run dies one call later than the one before, and the runs before it have left less to do.
    assert kills > 30
    assert naming(snapshot(cloud), CANARY, ADDRESS) == {}
    seal(organization)
    assert "without what named an erased person" in _verified(app, owner, organization)
    view = send(owner, f"GET /api/workspaces/{organization}/members")["items"]
    assert [member["user_id"] for member in view] == [owner.user_id]
    profile = workspaces.workspaces().profile(organization)
    assert (profile.owners, profile.members) == (1, 1)
    assert erasures.store().get(person.user_id).completed_at is not None
    assert find_due()["open"] == 0


def test_runs_at_the_same_time_erase_everything_once(cloud: AwsResources, app: ModuleType, person: Person) -> None:
    owner = create_person("olga")
    organization = create_organization(app, owner)["id"]
    work_in(organization, owner, person, app)
    for each in (person.user_id, person.workspace_id, organization):
        seal(each)
    send(person, "DELETE /api/users/me")
    find_due()
    deps = erasures.erase_deps()
    ended = run_concurrently(4, lambda _: erase(person.user_id, is_last=True, deps=deps, context=None))
    assert ended == [True] * 4
    assert naming(snapshot(cloud), CANARY, ADDRESS) == {}
    profile = workspaces.workspaces().profile(organization)
    assert (profile.owners, profile.members) == (1, 1)
    seal(organization)
    assert "without what named an erased person" in _verified(app, owner, organization)


def test_a_run_whose_time_is_up_is_continued(cloud: AwsResources, person: Person) -> None:
    send(person, "DELETE /api/users/me")
    find_due()

    class Ending:
        left = 65_000

        def get_remaining_time_in_millis(self) -> int:
            self.left -= 100
            return self.left

    runs = 0
    while not erase(person.user_id, is_last=True, deps=erasures.erase_deps(), context=Ending()):
        runs += 1
        assert runs < 50
    assert naming(snapshot(cloud), CANARY, ADDRESS) == {}


def test_a_second_run_of_the_schedule_begins_and_starts_nothing_new(cloud: AwsResources, person: Person) -> None:
    send(person, "DELETE /api/users/me")
    assert [find_due(), find_due()] == [
        {"begun": 1, "open": 1, "repeated": 0},
        {"begun": 0, "open": 1, "repeated": 0},
    ]
    started = client("stepfunctions").list_executions(stateMachineArn=cloud.machine)["executions"]
    assert [each["name"].partition("-")[0] for each in started] == [person.user_id]


# ---- what begins an erasure, and what does not -----------------------------------------------------------------------


def test_an_account_that_was_restored_is_not_erased(cloud: AwsResources, person: Person) -> None:
    send(person, "DELETE /api/users/me")
    user = identity.profiles().user(person.user_id)
    identity.profiles().restore(user, events=())
    assert find_due(timedelta(days=400)) == {"begun": 0, "open": 0, "repeated": 0}
    assert identity.profiles().user(person.user_id).deletion_due_at is None


def test_nothing_is_restored_once_the_erasure_has_begun(cloud: AwsResources, person: Person) -> None:
    send(person, "DELETE /api/users/me")
    user = identity.profiles().user(person.user_id)
    find_due()
    with pytest.raises(NotFound):
        identity.profiles().restore(user, events=())
    assert identity.profiles().user(person.user_id).status is UserStatus.ERASED


def test_nobody_is_erased_who_did_not_ask_for_it(cloud: AwsResources, person: Person) -> None:
    with pytest.raises(NotFound):
        erase(person.user_id, is_last=True, deps=erasures.erase_deps(), context=None)
    assert not erasures.store().claim(person.user_id, system_clock() + timedelta(days=400))
    assert naming(snapshot(cloud), CANARY)["library"]


def test_an_organisation_is_erased_with_its_memberships(cloud: AwsResources, app: ModuleType) -> None:
    owner, member = create_person("olga"), create_person("mia")
    organization = create_organization(app, owner, name=f"{CANARY} Films", slug=f"{CANARY}-films")["id"]
    set_tier(organization, "studio@1")
    join(app, owner, organization, member)
    send(owner, "POST /api/projects", {"name": f"{CANARY} film"}, **{"atelier-workspace": organization})
    send(owner, f"DELETE /api/workspaces/{organization}")
    before = naming(snapshot(cloud), owner.workspace_id, member.workspace_id)
    find_due()
    erase_all(organization)
    # Who created it has that in the own log.
    assert [owner.user_id in text for texts in naming(snapshot(cloud), CANARY).values() for text in texts] == [True]
    after = naming(snapshot(cloud), owner.workspace_id, member.workspace_id)
    assert {name: len(texts) for name, texts in after.items()} == {name: len(texts) for name, texts in before.items()}
    for person in (owner, member):
        assert [each["id"] for each in send(person, "GET /api/workspaces")["items"]] == [person.workspace_id]
    # The short name is free again, and the members may join as many organisations as before.
    create_organization(app, owner, slug=f"{CANARY}-films")


def test_an_organisation_goes_with_its_last_member(cloud: AwsResources, app: ModuleType, person: Person) -> None:
    organization = create_organization(app, person, name=f"{CANARY} alone")["id"]
    send(person, "DELETE /api/users/me")
    find_due()
    erase_all(person.user_id)
    assert find_due(LATER) == {"begun": 1, "open": 1, "repeated": 0}
    erase_all(organization)
    assert naming(snapshot(cloud), CANARY) == {}


def left_behind(app: ModuleType, owner: Person) -> tuple[str, list[Person]]:
    """An organisation whose only owner is being deleted: alone when the deletion was requested, others are there since.
    Invitations end with the request; so these are written as items, as a version before that would have left them."""
    organization = create_organization(app, owner)["id"]
    send(owner, "DELETE /api/users/me")
    people = [create_person(name) for name in ("max", "mia", "ann")]
    for person, role in zip(people, (Role.VIEWER, Role.EDITOR, Role.EDITOR), strict=True):
        now = system_clock()
        member_item(Member(organization, person.user_id, role, now)).save()
        sk = member_sk(organization)
        MembershipItem(person.user_id, sk, role=role.value, created_at=rfc3339(now)).save()
        WorkspaceItem(organization, PROFILE).update([WorkspaceItem.members.add(1)])
        UserItem(person.user_id, PROFILE).update([UserItem.organizations.add(1)])
    find_due()
    return organization, people


def test_the_strongest_longest_member_owns_what_an_erased_owner_leaves(
    cloud: AwsResources, app: ModuleType, person: Person
) -> None:
    organization, (max_, mia, ann) = left_behind(app, person)
    erase_all(person.user_id)
    assert roles(organization) == {max_.user_id: "viewer", mia.user_id: "owner", ann.user_id: "editor"}
    profile = workspaces.workspaces().profile(organization)
    assert (profile.owner_id, profile.owners, profile.members) == (mia.user_id, 1, 3)
    # The heir may do what owners may, and both logs say why.
    send(mia, f"PUT /api/workspaces/{organization}", {"name": "Inherited"}, **{"atelier-workspace": organization})
    for log in (organization, mia.user_id):
        events = audit_log.reads().page(log, EventFilter(), None, 50).events
        [transferred] = [each["facts"] for each in events if each["action"] == "ownership.transferred"]
        assert (transferred["before"], transferred["after"]) == (person.user_id, mia.user_id)
    # An owner of others does not go.
    refused = call(load_function(function_of("DELETE /api/users/me")), mia, "DELETE /api/users/me")
    assert refused["statusCode"] == 409


def test_nobody_inherits_whose_account_is_being_deleted(cloud: AwsResources, app: ModuleType, person: Person) -> None:
    organization, (max_, mia, ann) = left_behind(app, person)
    for leaving in (mia, ann):
        send(leaving, "DELETE /api/users/me")
    ended = run_concurrently(3, lambda _: erase(person.user_id, is_last=True, deps=erasures.erase_deps(), context=None))
    assert ended == [True] * 3
    assert roles(organization)[max_.user_id] == "owner"
    profile = workspaces.workspaces().profile(organization)
    assert (profile.owner_id, profile.owners, profile.members) == (max_.user_id, 1, 3)


# ---- after an erasure ------------------------------------------------------------------------------------------------


def test_an_erased_address_may_sign_up_anew_and_gets_no_second_daily_credits(cloud: AwsResources) -> None:
    first = sign_up()
    send(first, "DELETE /api/users/me")
    find_due()
    erase_all(first.user_id)
    again = sign_up()
    assert again.user_id != first.user_id
    mailboxes = [item for item in cloud.items(cloud.tables.identity) if item["pk"]["S"].startswith("mailbox#")]
    assert {item["workspace_id"]["S"] for item in mailboxes} & {first.workspace_id}


def test_an_erased_wallet_is_never_due_for_daily_credits(cloud: AwsResources, person: Person) -> None:
    send(person, "DELETE /api/users/me")
    find_due()
    erase_all(person.user_id)
    (wallet,) = [
        item
        for item in cloud.items(cloud.tables.ledger)
        if (item["pk"]["S"], item["sk"]["S"]) == (person.workspace_id, "wallet")
    ]
    assert wallet["reset_at"]["S"].startswith("9999")
    assert "sweep_at" not in wallet


def test_a_restored_backup_is_erased_again(cloud: AwsResources) -> None:
    person = sign_up()
    kept = [item for item in cloud.items(cloud.tables.identity) if item["pk"]["S"] == person.user_id]
    send(person, "DELETE /api/users/me")
    find_due()
    erase_all(person.user_id)
    for item in kept:
        client("dynamodb").put_item(TableName=cloud.tables.identity, Item=item)
    assert naming(snapshot(cloud), CANARY)
    restored = {"repeat_since": rfc3339(system_clock() - timedelta(days=3))}
    answer = load_function("schedules/erase_due").handler(restored, None)
    assert answer == {"begun": 0, "open": 1, "repeated": 1}
    erase_all(person.user_id)
    assert naming(snapshot(cloud), CANARY) == {}


def test_the_deletion_of_an_erased_log_is_no_alarm(cloud: AwsResources, person: Person, log: io.StringIO) -> None:
    def records() -> list[dict[str, Any]]:
        items = [item for item in cloud.items(cloud.tables.audit) if item["pk"]["S"] == person.user_id]
        keys = [{"pk": item["pk"], "sk": item["sk"]} for item in items if item["sk"]["S"].startswith("event#")]
        return [{"eventName": "REMOVE", "dynamodb": {"Keys": each}} for each in keys]

    removed = records()
    assert removed
    stream = load_function("streams/audit")
    stream.handler({"Records": removed}, None)
    assert "audit event changed" in log.getvalue()
    send(person, "DELETE /api/users/me")
    find_due()
    log.truncate(0)
    stream.handler({"Records": removed}, None)
    assert "audit event changed" not in log.getvalue()


@pytest.mark.parametrize(
    ("changes", "is_alarm"),
    [
        ({"erased": "adt_2", "address": None, "facts": '{"email":"[erased]"}'}, False),
        ({"erased": "adt_2", "action": "key.removed"}, True),
        ({"erased": "adt_2", "action": None}, True),
        ({"erased": "adt_2", "actor": "usr_2"}, True),
        ({"address": None}, True),
    ],
    ids=str,
)
def test_what_an_erasure_takes_out_of_an_event_is_no_alarm(changes: dict[str, str | None], is_alarm: bool) -> None:
    before = {"pk": "wsp_1", "sk": "event#adt_1", "action": "key.added", "actor": "usr_1", "address": "203.0.113.7"}
    after = {name: text for name, text in {**before, **changes}.items() if text is not None}
    images = {
        name: {key: {"S": text} for key, text in image.items()}
        for name, image in (("OldImage", before), ("NewImage", after))
    }
    keys = {"pk": {"S": "wsp_1"}, "sk": {"S": "event#adt_1"}}
    record = {"eventName": "MODIFY", "dynamodb": {"Keys": keys, **images}}
    assert bool(changed_events([record])) == is_alarm


# ---- the payment service ---------------------------------------------------------------------------------------------


def test_the_plan_ends_and_the_customer_is_deleted(stripe_with_prices: StripeSimulator, cloud: AwsResources) -> None:
    api = new_client(stripe_with_prices.api_key, stripe_with_prices.url, seconds_max=20)
    urls = {"success_url": "https://media.example.com/paid", "cancel_url": "https://media.example.com/no"}
    body = {"tier": "pro", "interval": "month", **urls}
    request = event("api/billing/start_checkout", body=body, headers={"idempotency-key": "one"})
    made = success_data(invoke_app(load_function("api/billing"), request))
    Browser(made["url"]).press("Subscribe", **card())
    send(Person("", USER, SESSION, WORKSPACE), f"GET /api/billing/checkouts/{made['checkout_id']}")
    (customer,) = api.v1.customers.list().data
    (plan,) = api.v1.subscriptions.list().data
    for item in (f"stripe#{plan.id}", f"stripe#{customer.id}"):
        workflow.inbox().keep("stripe", item.partition("#")[2], "evt_1", {}, {}, b"{}", system_clock())

    for _ in range(2):
        erasures.end_billing(WORKSPACE)
    assert api.v1.subscriptions.retrieve(plan.id).status == "canceled"
    assert api.v1.customers.list().data == []
    items = erasures.erase_deps().items
    items.delete_billing(WORKSPACE, lambda: None)
    assert naming(snapshot(cloud), customer.id, plan.id).keys() <= {"ledger", "audit", "erasures"}
    # Stripe says that the customer is deleted when the records are gone.
    workflow.inbox().keep("stripe", customer.id, "evt_2", {}, {}, b"{}", system_clock())
    items.delete_billing(WORKSPACE, lambda: None)
    assert "inbox" not in naming(snapshot(cloud), customer.id)


# ---- archived months of logs -----------------------------------------------------------------------------------------


def test_archived_months_lose_the_person_too_and_still_verify(
    cloud: AwsResources, app: ModuleType, person: Person
) -> None:
    owner = create_person("olga")
    organization = create_organization(app, owner)["id"]
    work_in(organization, owner, person, app)
    for each in (person.user_id, person.workspace_id, organization):
        seal(each)
    assert load_function("schedules/archive_audit").handler({}, None, lambda: system_clock() + timedelta(days=500))
    bucket = f"audit-{cloud.tables.identity}"
    keys = [each["Key"] for each in client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    assert {key.partition("/")[0] for key in keys} >= {person.user_id, person.workspace_id, organization}

    send(person, "DELETE /api/users/me")
    find_due()
    erase_all(person.user_id)
    assert naming(snapshot(cloud), CANARY, ADDRESS) == {}
    keys = [each["Key"] for each in client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    assert {person.user_id, person.workspace_id} & {key.partition("/")[0] for key in keys} == set()
    (key,) = [each for each in keys if each.startswith(organization)]
    body = gzip.decompress(client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    archived = [json.loads(line) for line in body.splitlines()]
    seal(organization)
    current = [json.loads(line) for line in _proof(app, owner, organization).splitlines()]
    assert "without what named an erased person" in verify_events([archived, current])
    # The file alone does not have the event that says so.
    with pytest.raises(ProofMismatch, match="is not there"):
        verify_events([archived])
