"""A record that a consumer of feeds cannot take: the others go on, it ends among the dead letters, and it is taken when
its cause is mended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from atelier.adapters.aws.clients import client
from atelier.clock import Clock, rfc3339, system_clock
from atelier.feeds.dispatch import FeedHandler
from atelier.feeds.model import FeedEntry, FeedEvent
from atelier.realtime.model import Listener
from atelier.realtime.push import PushDeps
from atelier.wiring import feeds, realtime
from infra.local.templates import read_template
from tests.crashes.simulated_aws import FunctionFailed, Stream, VirtualClock, stream_mappings
from tests.functions.conftest import AwsResources
from tests.invoke import ROOT, load_function
from tests.table_streams import TableStream

PAGES = 8


def pages(cloud: AwsResources) -> list[dict[str, Any]]:
    """The stream's records of a page each of some workspaces."""
    stream = TableStream(client("dynamodb"), client("dynamodbstreams"), cloud.tables.realtime)
    now = system_clock()
    for number in range(PAGES):
        event = FeedEvent(f"evt_{number}", "generation.failed", rfc3339(now), {"number": number})
        feeds.feeds().append(f"wsp_{number}", [event], now)
    return [each for each in stream.new_records() if each["dynamodb"]["Keys"]["sk"]["S"].startswith("page#")]


def delivered(function: str, records: list[dict[str, Any]]) -> Stream:
    """Lambda's event source mapping of a function, as template.yaml declares it, with these records; until its end."""
    [mapping] = [each for each in stream_mappings() if each.function == function and each.table == "realtime"]

    def invoke(_: str, event: Any) -> None:
        try:
            load_function(function).handler(event, None)
        except Exception as error:
            raise FunctionFailed from error

    time = VirtualClock()
    stream = Stream(mapping, invoke, time)
    stream.put(records)
    time.run(lambda: None)
    return stream


def poisoned(record: dict[str, Any]) -> dict[str, Any]:
    """The record with a page that nobody can read."""
    image = {**record["dynamodb"]["NewImage"], "events": {"S": "no JSON"}}
    return {**record, "dynamodb": {**record["dynamodb"], "NewImage": image}}


class Connections:
    """The connections that listen: none; `asked` has the feeds whose listeners were asked for."""

    def __init__(self, asked: set[str]) -> None:
        self.asked = asked

    def subscriptions(self, feed_id: str) -> Sequence[Listener]:
        self.asked.add(feed_id)
        return ()


@pytest.fixture
def taken(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The feeds whose pages the consumers have taken."""
    found, nothing = set[str](), cast("Any", None)

    def take(feed_id: str, _entries: Sequence[FeedEntry]) -> None:
        found.add(feed_id)

    def handlers(_clock: Clock) -> Sequence[FeedHandler]:
        return (take,)

    monkeypatch.setattr(feeds, "handlers", handlers)
    push_deps = PushDeps(cast("Any", Connections(found)), nothing, nothing, nothing)
    monkeypatch.setattr(realtime, "push_deps", lambda: push_deps)
    return found


@pytest.mark.parametrize("function", ["streams/feeds", "streams/realtime"])
def test_a_record_that_cannot_be_taken_ends_alone_and_the_others_go_on(
    function: str, cloud: AwsResources, taken: set[str]
) -> None:
    records = pages(cloud)
    assert len(records) == PAGES
    good, bad = records[3], poisoned(records[3])
    stream = delivered(function, [*records[:3], bad, *records[4:]])
    assert stream.discarded == [bad]
    assert taken == {f"wsp_{number}" for number in range(PAGES) if number != 3}
    # Its cause is mended, and it is sent again as POST /api/admin/dead-letters/events/redrive does.
    assert delivered(function, [good]).discarded == []
    assert taken == {f"wsp_{number}" for number in range(PAGES)}


@pytest.mark.parametrize("function", ["StreamsFeedsFunction", "StreamsRealtimeFunction"])
def test_what_it_cannot_take_raises_the_alarm_of_dead_letters(function: str) -> None:
    [source] = read_template(ROOT / "template.yaml")["Resources"][function]["Properties"]["Events"].values()
    how = source["Properties"]
    assert how["BisectBatchOnFunctionError"] is True
    assert how["MaximumRetryAttempts"] > 0
    assert how["DestinationConfig"]["OnFailure"] == {
        "Type": "SQS",
        "Destination": {"Fn::GetAtt": ["Messaging", "Outputs.EventsDeadLettersArn"]},
    }
    alarm = read_template(ROOT / "infra/observability.yaml")["Resources"]["EventsDeadLettersAlarm"]["Properties"]
    assert (alarm["MetricName"], alarm["Threshold"]) == ("ApproximateNumberOfMessagesVisible", 1)
