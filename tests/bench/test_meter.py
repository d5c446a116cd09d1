"""The meter between an SDK and the embedded AWS: it changes no request, and counts as AWS bills."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from tests.bench.meter import Meter, metering_proxy
from tests.bench.units import Units


@pytest.fixture
def meter(emulator: str) -> Iterator[tuple[Meter, str]]:
    with metering_proxy(emulator) as (meter, url):
        yield meter, url


@pytest.fixture
def dynamodb(meter: tuple[Meter, str]) -> Any:
    return client("dynamodb", meter[1])


@pytest.fixture
def table(dynamodb: Any) -> str:
    """A table with keys pk, sk and a KEYS_ONLY index on `due`."""
    name = f"meter-{uuid.uuid4().hex[:8]}"
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    index = {
        "IndexName": "by-due",
        "KeySchema": [{"AttributeName": "due", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk", "due")],
        KeySchema=keys,
        GlobalSecondaryIndexes=[index],
    )
    return name


def client(service: str, url: str) -> Any:
    return botocore.session.get_session().create_client(service, endpoint_url=url, region_name="us-east-1")


def item(sort: str, size: int = 10, **more: str) -> dict[str, Any]:
    return {"pk": {"S": "w"}, "sk": {"S": sort}, "x": {"S": "a" * size}} | {k: {"S": v} for k, v in more.items()}


def key(sort: str) -> dict[str, Any]:
    return {"pk": {"S": "w"}, "sk": {"S": sort}}


def test_puts_updates_and_deletes_cost_by_the_larger_item(meter: tuple[Meter, str], dynamodb: Any, table: str) -> None:
    count = meter[0].dynamodb
    dynamodb.put_item(TableName=table, Item=item("a", 1500))
    assert count.total == Units(write=2)
    change = {"UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": {"S": "short"}}}
    dynamodb.update_item(TableName=table, Key=key("a"), **change)
    assert count.total == Units(write=4)
    dynamodb.delete_item(TableName=table, Key=key("a"))
    assert count.total == Units(write=5)


def test_a_refused_write_is_billed_and_its_error_reaches_the_caller(
    meter: tuple[Meter, str], dynamodb: Any, table: str
) -> None:
    dynamodb.put_item(TableName=table, Item=item("a", 1500))
    with pytest.raises(ClientError) as caught:
        dynamodb.put_item(TableName=table, Item=item("a"), ConditionExpression="attribute_not_exists(pk)")
    assert caught.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert meter[0].dynamodb.operations == {"PutItem": Units(write=4)}


def test_a_transaction_counts_twice_its_checks_and_index_writes_included(
    meter: tuple[Meter, str], dynamodb: Any, table: str
) -> None:
    dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": table, "Item": item("a", due="d")}},
            {"Put": {"TableName": table, "Item": item("b", 1100)}},
            {
                "ConditionCheck": {
                    "TableName": table,
                    "Key": key("c"),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
        ]
    )
    assert meter[0].dynamodb.total == Units(write=2 * (2 + 2 + 1))
    dynamodb.transact_get_items(TransactItems=[{"Get": {"TableName": table, "Key": key("a")}}])
    assert meter[0].dynamodb.operations["TransactGetItems"] == Units(read=2)


def test_reads_are_billed_by_the_items_read_not_by_the_items_returned(
    meter: tuple[Meter, str], dynamodb: Any, table: str
) -> None:
    for number in range(3):
        dynamodb.put_item(TableName=table, Item=item(f"a{number}", 2000))
    meter[0].reset()
    dynamodb.get_item(TableName=table, Key=key("a0"))
    dynamodb.get_item(TableName=table, Key=key("missing"), ConsistentRead=True)
    assert meter[0].dynamodb.total == Units(read=1.5)
    found = dynamodb.query(
        TableName=table,
        KeyConditionExpression="pk = :w AND begins_with(sk, :a)",
        FilterExpression="#x = :none",
        ProjectionExpression="sk",
        ExpressionAttributeNames={"#x": "x"},
        ExpressionAttributeValues={":w": {"S": "w"}, ":a": {"S": "a"}, ":none": {"S": "nothing is this"}},
    )
    assert found["Items"] == []
    assert meter[0].dynamodb.operations["Query"] == Units(read=1)


def test_other_services_pass_unchanged_and_are_counted_as_billed(meter: tuple[Meter, str]) -> None:
    count, url = meter
    s3, bucket = client("s3", url), f"meter-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="media/a b.png", Body=b"bytes")
    assert s3.get_object(Bucket=bucket, Key="media/a b.png")["Body"].read() == b"bytes"
    assert s3.head_object(Bucket=bucket, Key="media/a b.png")["ContentLength"] == 5
    entry = {"Source": "bench", "DetailType": "x", "Detail": "{}"}
    client("events", url).put_events(Entries=[entry, entry])
    assert count.calls == {"s3.PUT": 2, "s3.GET": 1, "s3.HEAD": 1, "events.PutEvents": 2}
