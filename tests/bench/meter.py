"""A proxy between the product and the embedded AWS: it forwards every call and counts what AWS would bill for it.

It works on HTTP, so it sees what any SDK sends, retries included. A write does not contain the sizes of the items
before and after it, so the meter reads these items itself, without counting.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.bench import units
from tests.bench.units import Index, Item, Units

Send = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""(operation, request) → response, in DynamoDB's JSON; raises Refused for an error answer."""

READS = {"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"}
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}
HOP_HEADERS = {"connection", "content-length", "expect", "keep-alive", "transfer-encoding"}


class DynamoDBError(Exception):
    """DynamoDB answered with an error; the call may have cost request units nevertheless."""


class DynamoDBMeter:
    """Counts DynamoDB request units: by table in `tables`, by operation in `operations`, each call in `log`, and by the
    table or index and the value of its partition key in `partitions`."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._schemas: dict[str, tuple[tuple[str, ...], tuple[Index, ...]]] = {}
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.tables: dict[str, Units] = {}
        self.operations: dict[str, Units] = {}
        self.log: list[tuple[str, str, Units]] = []
        self.partitions: dict[tuple[str, str], Units] = {}

    @property
    def total(self) -> Units:
        return sum(self.tables.values(), Units())

    def measure(self, operation: str, request: Mapping[str, Any], call: Callable[[], Any]) -> Any:
        """Make `call`, which sends `request`, and count its units, also when it fails."""
        if operation in WRITES:
            writes, reads = list(_writes(operation, request)), []
        elif operation in READS:
            writes, reads = [], list(self._reads(operation, request))
        else:
            return call()
        before = [self._item(table, self._key(table, part)) for table, part in writes]
        try:
            return call()
        finally:
            factor = 2 if operation.startswith("Transact") else 1
            for (table, part), old in zip(writes, before, strict=True):
                new = self._item(table, self._key(table, part))
                keys, indexes = self._schema(table)
                self._count(operation, table, units.write_units(old, new, indexes) * factor)
                key = self._key(table, part)
                self._count_partition(table, key[keys[0]], units.write_units(old, new) * factor)
                for index in indexes:
                    for entry, count in units.index_writes(index, old, new):
                        place = f"{table}/{index.keys[0]}"
                        self._count_partition(place, entry[index.keys[0]], Units(write=count) * factor)
            for table, partition, cost in reads:
                self._count(operation, table, cost)
                self._count_partition(table, partition, cost)

    def _count(self, operation: str, table: str, cost: Units) -> None:
        with self._lock:
            self.tables[table] = self.tables.get(table, Units()) + cost
            self.operations[operation] = self.operations.get(operation, Units()) + cost
            self.log.append((operation, table, cost))

    def _count_partition(self, place: str, partition: Mapping[str, Any], cost: Units) -> None:
        key = (place, "".join(map(str, partition.values())))
        with self._lock:
            self.partitions[key] = self.partitions.get(key, Units()) + cost

    def _reads(self, operation: str, request: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Units]]:
        """(table, partition key's value, units) of every item, or the page, that a call reads."""
        if operation == "GetItem":
            table, key = request["TableName"], request["Key"]
            consistent = request.get("ConsistentRead", False)
            yield table, self._partition(table, key), units.read_units(self._item(table, key), consistent=consistent)
        elif operation == "BatchGetItem":
            for table, part in request["RequestItems"].items():
                for key in part["Keys"]:
                    cost = units.read_units(self._item(table, key), consistent=part.get("ConsistentRead", False))
                    yield table, self._partition(table, key), cost
        elif operation == "TransactGetItems":
            for part in request["TransactItems"]:
                table, key = part["Get"]["TableName"], part["Get"]["Key"]
                cost = units.read_units(self._item(table, key), consistent=True) * 2
                yield table, self._partition(table, key), cost
        else:
            # The partition of a page is named among the values of its key condition.
            values = request.get("ExpressionAttributeValues") or {}
            yield request["TableName"], next(iter(values.values()), {}), self._page_units(operation, request)

    def _partition(self, table: str, key: Item) -> Mapping[str, Any]:
        return key[self._schema(table)[0][0]]

    def _page_units(self, operation: str, request: Mapping[str, Any]) -> Units:
        # AWS bills the items that were read, not those returned: so the same page is read without its filter and
        # projection. DynamoDB refuses unused names and values, so only those of the key condition are kept.
        narrowing = {"FilterExpression", "ProjectionExpression", "Select", "AttributesToGet"}
        whole = {name: value for name, value in request.items() if name not in narrowing}
        condition = str(request.get("KeyConditionExpression", ""))
        for aliases in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
            used = {
                name: value
                for name, value in (request.get(aliases) or {}).items()
                if re.search(rf"{re.escape(name)}(?!\w)", condition)
            }
            whole.pop(aliases, None)
            if used:
                whole[aliases] = used
        try:
            items = self._send(operation, whole)["Items"]
        except DynamoDBError:
            items = []
        return units.query_units(items, consistent=request.get("ConsistentRead", False))

    def _key(self, table: str, part: Mapping[str, Any]) -> Item:
        """The key of the item that `part` writes: from `Key`, or from the item put."""
        return part.get("Key") or {name: part["Item"][name] for name in self._schema(table)[0]}

    def _item(self, table: str, key: Item) -> Item | None:
        try:
            return self._send("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True}).get("Item")
        except DynamoDBError:
            return None

    def _schema(self, table: str) -> tuple[tuple[str, ...], tuple[Index, ...]]:
        """The key attributes of a table, and its indexes."""
        if table not in self._schemas:
            described = self._send("DescribeTable", {"TableName": table})["Table"]
            keys = tuple(part["AttributeName"] for part in described["KeySchema"])
            self._schemas[table] = (
                keys,
                tuple(_index(index, keys) for index in described.get("GlobalSecondaryIndexes") or []),
            )
        return self._schemas[table]


def _index(described: Mapping[str, Any], table_keys: tuple[str, ...]) -> Index:
    projection = described.get("Projection", {})
    projected = None if projection.get("ProjectionType") == "ALL" else tuple(projection.get("NonKeyAttributes") or ())
    return Index(tuple(part["AttributeName"] for part in described["KeySchema"]), table_keys, projected)


def _writes(operation: str, request: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(table, part) of every item that a call writes or checks; a part has a `Key` or an `Item`."""
    if operation == "TransactWriteItems":
        for part in request["TransactItems"]:
            (inner,) = part.values()
            yield inner["TableName"], inner
    elif operation == "BatchWriteItem":
        for table, parts in request["RequestItems"].items():
            for part in parts:
                (inner,) = part.values()
                yield table, inner
    else:
        yield request["TableName"], request


class Meter:
    """Counts all calls: DynamoDB's request units, and calls by service and operation (`calls["sqs.SendMessage"]`)."""

    def __init__(self, endpoint: str) -> None:
        at = urlsplit(endpoint)
        self._address = (at.hostname or "127.0.0.1", at.port or 80)
        self._local = threading.local()
        self._lock = threading.Lock()
        self.dynamodb = DynamoDBMeter(self._dynamodb)
        self.calls: Counter[str] = Counter()

    def reset(self) -> None:
        self.dynamodb.reset()
        self.calls.clear()

    def forward(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Forward one request and count it; returns (status, headers, body)."""
        service, operation = service_and_operation(method, path, headers)
        with self._lock:
            self.calls[f"{service}.{operation}"] += billed_requests(service, operation, body)
        if service == "dynamodb":
            return self.dynamodb.measure(
                operation, json.loads(body), lambda: self._pass_on(method, path, headers, body)
            )
        return self._pass_on(method, path, headers, body)

    def _pass_on(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(*self._address, timeout=60)
        try:
            sent = {name: value for name, value in headers.items() if name.lower() not in HOP_HEADERS}
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _dynamodb(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}", "Content-Type": "application/x-amz-json-1.0"}
        # The emulator reads only the account and the region from the credential, so an invented one will do.
        headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=test/20261120/us-east-1/dynamodb/aws4_request"
        status, _, body = self._pass_on("POST", "/", headers, json.dumps(request).encode())
        if status != 200:
            raise DynamoDBError(body.decode())
        return json.loads(body)


def service_and_operation(method: str, path: str, headers: Mapping[str, str]) -> tuple[str, str]:
    """(service, operation) of an AWS request, for example ("sqs", "SendMessage") or ("s3", "PUT")."""
    lower = {name.lower(): value for name, value in headers.items()}
    scope = re.search(r"Credential=[^/]+/\d+/[^/]*/([^/]+)/aws4_request", lower.get("authorization", ""))
    service = scope.group(1) if scope else "unsigned"
    target = lower.get("x-amz-target", "")
    return service, target.rpartition(".")[2] if target else method


def billed_requests(service: str, operation: str, body: bytes) -> int:
    """How many requests AWS bills for this one: a batch of events is billed by its entries."""
    return len(json.loads(body)["Entries"]) if (service, operation) == ("events", "PutEvents") else 1


@contextmanager
def metering_proxy(endpoint: str) -> Iterator[tuple[Meter, str]]:
    """A meter in front of `endpoint`, and the URL to use instead of it."""
    meter = Meter(endpoint)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except ConnectionError:
                self.close_connection = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, answer = meter.forward(self.command, self.path, dict(self.headers), body)
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in HOP_HEADERS:
                    self.send_header(name, value)
            if self.command == "HEAD":
                length = next((value for name, value in headers if name.lower() == "content-length"), "0")
            else:
                length = str(len(answer))
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield meter, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
