"""functions/api/admin_operations: dead letters, in queues of the embedded AWS."""

from __future__ import annotations

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dead_letters import SqsDeadLetters
from atelier.audit_log.model import PLATFORM_LOG, Origin
from atelier.audit_log.ports import EventFilter
from atelier.clock import parse_rfc3339, system_clock
from atelier.dead_letters.handle import redrive
from atelier.dead_letters.model import DeadLetterQueue, Moved
from atelier.settings import DeadLetterQueues, Jobs
from atelier.wiring import audit_log, dead_letters
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import ROLE, AwsResources
from tests.functions.people import Person, call, create_administrator
from tests.functions.responses import error_of, success_data
from tests.invoke import load_function
from tests.table_streams import TableStream

PATH = "/api/admin/dead-letters"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/admin_operations")


@pytest.fixture
def ada(cloud: AwsResources) -> Person:
    return create_administrator("ada")


def send(queue: str, *bodies: Any, **attributes: str) -> None:
    given = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    for body in bodies:
        text = body if isinstance(body, str) else json.dumps(body)
        client("sqs").send_message(
            QueueUrl=DeadLetterQueues.read().dead()[queue], MessageBody=text, MessageAttributes=given
        )


def zipped_function() -> bytes:
    """A function that takes any event."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return None\n")
    return packed.getvalue()


def letters(app: ModuleType, ada: Person, queue: str, limit: int = 100) -> dict[str, str]:
    """Id → body of the messages of a queue."""
    items = success_data(call(app, ada, f"GET {PATH}/{queue}?limit={limit}"))["items"]
    return {each["id"]: each["body"] for each in items}


def post(app: ModuleType, ada: Person, path: str, **body: Any) -> dict[str, int]:
    found: dict[str, int] = success_data(call(app, ada, f"POST {PATH}/{path}", body))
    return found


def actions() -> list[dict[str, Any]]:
    return list(audit_log.reads().page(PLATFORM_LOG, EventFilter(action="dead_letters."), None, 50).events)


def test_queues_are_counted_and_reading_leaves_them_as_they_are(app: ModuleType, ada: Person) -> None:
    send("resets", *({"shard": shard, "after": None} for shard in range(12)))
    for _ in range(2):
        counts = success_data(call(app, ada, f"GET {PATH}"))["items"]
        assert {each["queue"]: each["count"] for each in counts} == {
            "attempts": 0,
            "resets": 12,
            "billing-events": 0,
            "updates": 0,
            "events": 0,
        }
        assert len(letters(app, ada, "resets")) == 12
        assert len(letters(app, ada, "resets", limit=5)) == 5
    assert error_of(call(app, ada, f"GET {PATH}/nothing")) == (404, "NOT_FOUND")


def test_handles_of_waiting_tasks_are_not_shown(app: ModuleType, ada: Person) -> None:
    send("attempts", {"do": "try", "generation_id": "gen_1", "task_token": "AAAA-secret"}, "no JSON")
    shown = "".join(letters(app, ada, "attempts").values())
    assert "gen_1" in shown
    assert "no JSON" in shown
    assert "secret" not in shown


def test_one_message_goes_back_to_its_queue_and_the_others_stay(
    app: ModuleType, ada: Person, cloud: AwsResources
) -> None:
    send("resets", *({"shard": shard, "after": None} for shard in range(14)))
    [chosen] = [id for id, body in letters(app, ada, "resets").items() if json.loads(body)["shard"] == 7]
    assert post(app, ada, "resets/redrive", ids=[chosen]) == {"count": 1, "left": 13}
    assert cloud.take_messages(cloud.resets_queue) == [{"shard": 7, "after": None}]
    assert len(letters(app, ada, "resets")) == 13
    # The same once more, as after a lost answer.
    assert post(app, ada, "resets/redrive", ids=[chosen]) == {"count": 0, "left": 13}
    assert cloud.take_messages(cloud.resets_queue) == []
    assert [(each["action"], each["actor"], each["target"]) for each in actions()] == [
        ("dead_letters.redrive_requested", ada.user_id, "resets")
    ] * 2


def test_all_messages_go_back_by_requests_that_are_bounded(app: ModuleType, ada: Person) -> None:
    send("billing-events", *({"event": f"evt_{number}"} for number in range(25)))
    queue, small = DeadLetterQueue.BILLING_EVENTS, replace(dead_letters.deps(), letters_max=20)
    assert redrive(queue, None, Origin(ada.user_id), deps=small, now=system_clock()) == Moved(20, 5)
    assert post(app, ada, "billing-events/redrive") == {"count": 5, "left": 0}
    assert post(app, ada, "billing-events/redrive") == {"count": 0, "left": 0}


def test_a_run_that_dies_between_sending_and_deleting_loses_nothing(
    app: ModuleType, ada: Person, cloud: AwsResources
) -> None:
    send("resets", {"shard": 3, "after": None})
    queues = DeadLetterQueues.read()
    store = SqsDeadLetters(queues.dead(), queues.sources(), hidden_seconds=0)
    [letter] = store.take(DeadLetterQueue.RESETS)
    store.send_again(DeadLetterQueue.RESETS, letter)
    # Here the run died; the message comes back when its time is over.
    assert post(app, ada, "resets/redrive") == {"count": 1, "left": 0}
    assert cloud.take_messages(cloud.resets_queue) == [{"shard": 3, "after": None}] * 2


def test_two_administrators_at_once_lose_nothing(app: ModuleType, ada: Person, cloud: AwsResources) -> None:
    bob = create_administrator("bob")
    send("resets", *({"shard": shard, "after": None} for shard in range(16)))

    def redrive(person: Person) -> None:
        post(app, person, "resets/redrive")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(redrive, [ada, bob]))
    moved: list[Any] = []
    while batch := cloud.take_messages(cloud.resets_queue):
        moved += batch
    left = [json.loads(body)["shard"] for body in letters(app, ada, "resets").values()]
    assert {each["shard"] for each in moved} | set(left) == set(range(16))


def test_a_dropped_message_leaves_its_beginning_and_digest_in_the_log(app: ModuleType, ada: Person) -> None:
    send("events", {"DDBStreamBatchInfo": {"shardId": "shardId-1"}}, {"other": 1})
    [chosen] = [id for id, body in letters(app, ada, "events").items() if "shardId-1" in body]
    for expected in (1, 0):
        assert post(app, ada, "events/drop", ids=[chosen], reason="The reconcilers have repaired it") == {
            "count": expected,
            "left": 1,
        }
    [event] = actions()
    assert (event["action"], event["target"]) == ("dead_letters.drop_requested", chosen)
    assert "shardId-1" in event["facts"]["body"]
    assert len(event["facts"]["sha256"]) == 64
    refused = call(app, ada, f"POST {PATH}/events/drop", {"ids": [chosen]})
    assert error_of(refused) == (422, "VALIDATION_FAILED")


def test_an_event_is_sent_again_to_the_function_that_failed(app: ModuleType, ada: Person) -> None:
    function = f"takes-{ada.user_id.lower()}"
    arn = client("lambda").create_function(
        FunctionName=function,
        Runtime="python3.13",
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": zipped_function()},
    )["FunctionArn"]
    failed = {"requestContext": {"functionArn": f"{arn}:$LATEST"}, "requestPayload": {"detail": 1}}
    send("events", failed)
    send("events", {"detail": 2}, TARGET_ARN=arn)
    send("events", {"detail": 3}, TARGET_ARN=f"{arn}-replaced")
    assert post(app, ada, "events/redrive") == {"count": 2, "left": 1}
    client("lambda").delete_function(FunctionName=function)


def test_jobs_show_their_last_and_next_run(app: ModuleType, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    stack, function = f"st{ada.user_id.lower()[-12:]}", f"erase-{ada.user_id.lower()[-12:]}"
    client("scheduler").create_schedule(
        Name=f"{stack}-EraseDue",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": f"arn:aws:lambda:us-east-1:000000000000:function:{function}", "RoleArn": ROLE},
    )
    monkeypatch.setenv("ATELIER_STACK", stack)
    monkeypatch.setenv("ATELIER_JOBS", f"erase-due={function},clean-up=nothing-runs-it")
    clear_wiring_caches(clients=False)
    before = success_data(call(app, ada, "GET /api/admin/jobs"))["items"]
    assert [(job["name"], job["schedule"], job["enabled"], job["last_run"]) for job in before] == [
        ("clean-up", None, False, None),
        ("erase-due", "rate(1 hour)", True, None),
    ]
    now = system_clock()
    assert now < parse_rfc3339(before[1]["next_run_at"]) <= now + timedelta(hours=1, minutes=1)

    load_function("schedules/erase_due").handler({}, None)
    with pytest.raises(ValueError, match="yesterday"):
        load_function("schedules/erase_due").handler({"repeat_since": "yesterday"}, None)
    [_, job] = success_data(call(app, ada, "GET /api/admin/jobs"))["items"]
    assert (job["last_run"]["result"], job["last_run"]["seconds"] >= 0) == ("failed", True)
    load_function("schedules/erase_due").handler({}, None)
    [_, job] = success_data(call(app, ada, "GET /api/admin/jobs"))["items"]
    assert job["last_run"]["result"] == "succeeded"
    client("scheduler").delete_schedule(Name=f"{stack}-EraseDue")


def test_a_job_runs_now_and_an_unknown_one_does_not(app: ModuleType, ada: Person) -> None:
    [job] = success_data(call(app, ada, "GET /api/admin/jobs"))["items"]
    function = Jobs.read().functions()[job["name"]]
    client("lambda").create_function(
        FunctionName=function,
        Runtime="python3.13",
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": zipped_function()},
    )
    answer = call(app, ada, f"POST /api/admin/jobs/{job['name']}/run")
    assert (answer["statusCode"], success_data(answer)["name"]) == (202, "archive-audit")
    client("lambda").delete_function(FunctionName=function)
    assert error_of(call(app, ada, "POST /api/admin/jobs/nothing/run")) == (404, "NOT_FOUND")
    page = audit_log.reads().page(PLATFORM_LOG, EventFilter(action="job.run_requested"), None, 50)
    assert [each["target"] for each in page.events] == ["archive-audit"]


def test_records_of_a_stream_are_read_from_it_and_sent_again(
    app: ModuleType, ada: Person, cloud: AwsResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = TableStream(client("dynamodb"), client("dynamodbstreams"), cloud.tables.realtime)
    for number in range(3):
        item = {"pk": {"S": "wsp_A"}, "sk": {"S": f"page#{number}"}, "bytes": {"B": b"\0"}}
        client("dynamodb").put_item(TableName=cloud.tables.realtime, Item=item)
    first, second, third = stream.new_records()
    arn = client("dynamodb").describe_table(TableName=cloud.tables.realtime)["Table"]["LatestStreamArn"]
    [shard] = client("dynamodbstreams").describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    batch = {
        "streamArn": arn,
        "shardId": shard["ShardId"],
        "startSequenceNumber": second["dynamodb"]["SequenceNumber"],
        "endSequenceNumber": third["dynamodb"]["SequenceNumber"],
    }
    invoked = list[tuple[str, Any]]()

    def invoke(**call: Any) -> None:
        invoked.append((call["FunctionName"], json.loads(call["Payload"])))

    monkeypatch.setattr(client("lambda"), "invoke", invoke)
    send("events", {"requestContext": {"functionArn": "arn:feeds:$LATEST"}, "DDBStreamBatchInfo": batch})
    assert post(app, ada, "events/redrive") == {"count": 1, "left": 0}
    [(function, event)] = invoked
    assert function == "arn:feeds"
    assert [each["eventID"] for each in event["Records"]] == [second["eventID"], third["eventID"]]
    assert [each["dynamodb"] for each in event["Records"]] == [second["dynamodb"], third["dynamodb"]]
    assert first["eventID"] not in str(event)


def test_records_that_their_stream_has_no_more_are_not_sent_again_and_stay(app: ModuleType, ada: Person) -> None:
    send("events", {"requestContext": {"functionArn": "arn:x"}, "DDBStreamBatchInfo": {"shardId": "shardId-1"}})
    [id] = letters(app, ada, "events")
    answer = call(app, ada, f"POST {PATH}/events/redrive", {"ids": [id]})
    assert error_of(answer) == (409, "CONFLICT")
    assert post(app, ada, "events/redrive") == {"count": 0, "left": 1}
    assert list(letters(app, ada, "events")) == [id]
