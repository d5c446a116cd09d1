"""Numbers every AWS call that the product makes and makes it fail on request, at the SDK clients' event hooks only.

The hook `before-send` gets each signed request right before it is sent. The request is counted here; it can be dropped,
or executed with its answer dropped, or answered by the simulated AWS services of the tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from urllib3.response import HTTPResponse

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import connection

SERVICES = ("s3", "sqs", "stepfunctions", "events", "secretsmanager")
READS = {"BatchGetItem", "GetItem", "GetObject", "GetSecretValue", "HeadObject", "Query", "TransactGetItems"}
# Text that differs from run to run, with its replacement: ULIDs, dates, hashes, message ids.
VARIABLE_TEXT = (
    (re.compile(r"(?<=_)[0-9A-HJKMNP-TV-Z]{26}"), "…"),
    (re.compile(r"(?<=#)[0-9A-HJKMNP-TV-Z]{26}(?=#)"), "…"),
    (re.compile(r"\d{4}-\d{2}-\d{2}"), "…"),
    (re.compile(r"[0-9a-f]{32,}"), "…"),
    (re.compile(r"msg_\w+"), "msg_…"),
    # Events are numbered from the time on.
    (re.compile(r"(?<=page#)\d{15}"), "…"),
    (re.compile(r"(?<=-)[0-9a-f]{12}\b"), "…"),
)
Responses = Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]


class FaultMode(StrEnum):
    """How a call fails. With the first two, the function's process dies."""

    DIE_BEFORE = "died before it"
    DIE_AFTER = "died after it"
    LOSE_ANSWER = "its answer was lost"


@dataclass(frozen=True, slots=True)
class Call:
    """One request to AWS. `target`: what it reads or writes, without text that differs from run to run. `invocation`:
    the number of the function's invocation."""

    number: int
    invocation: int
    function: str
    operation: str
    target: str

    @property
    def writes(self) -> bool:
        return self.operation not in READS


class ProcessDied(BaseException):
    """The function's process dies. It is a BaseException, so that no `except Exception` of the product catches it."""


class AwsError(Exception):
    """An error with which a simulated AWS service answers. `code`: AWS's name of the error."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class _Invocation:
    number: int
    function: str
    dead: bool = False


@dataclass
class CallInterceptor:
    """Intercepts the calls of the product's AWS clients. Calls outside an `invocation` are the tests' own and are not
    counted.

    `services`: those whose clients are intercepted, beside DynamoDB. `responses`: the operations that simulated
    services answer. `faults`: how calls fail, by their number. `before_call`: called with each call before it is sent,
    so that another function can run in the middle of this one."""

    services: tuple[str, ...] = SERVICES
    responses: Responses = field(default_factory=dict[str, Callable[[dict[str, Any]], dict[str, Any]]])
    faults: dict[int, FaultMode] = field(default_factory=dict[int, FaultMode])
    calls: list[Call] = field(default_factory=list[Call])
    before_call: Callable[[Call], None] = lambda call: None
    _running: list[_Invocation] = field(default_factory=list[_Invocation])
    _invocations: int = 0
    _broken: bool = False
    _tries_max: dict[str, int] = field(default_factory=dict[str, int])
    _sending: URLLib3Session = field(default_factory=URLLib3Session)

    def restart(self, faults: Mapping[int, FaultMode], before_call: Callable[[Call], None]) -> None:
        """Start counting from one again, with these faults."""
        self.faults, self.calls, self.before_call = dict(faults), [], before_call
        self._invocations = 0

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Intercept every request of the product's clients until the block ends."""
        clients = [client(service) for service in self.services] + [connection().client]
        for each in clients:
            self._tries_max[each.meta.service_model.service_id.hyphenize()] = each.meta.config.retries[
                "total_max_attempts"
            ]
            each.meta.events.register_first("before-send", self._before_send)
            each.meta.events.register_first("needs-retry", self._needs_retry)
        try:
            yield
        finally:
            for each in clients:
                each.meta.events.unregister("before-send", self._before_send)
                each.meta.events.unregister("needs-retry", self._needs_retry)

    @contextmanager
    def invocation(self, function: str) -> Iterator[None]:
        """The block is one invocation of a function; Death comes out of it when the function's process dies."""
        self._invocations += 1
        self._running.append(_Invocation(self._invocations, function))
        try:
            yield
        finally:
            self._running.pop()

    def _before_send(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
        if not self._running:
            return None
        process = self._running[-1]
        if process.dead:
            raise ProcessDied
        _, service, operation = event_name.split(".")
        target = _target_of(service, operation, request)
        call = Call(len(self.calls) + 1, process.number, process.function, operation, target)
        self.calls.append(call)
        self.before_call(call)
        fault = self.faults.get(call.number)
        if fault is FaultMode.DIE_BEFORE:
            process.dead = True
            raise ProcessDied
        answer = self._execute(operation, request)
        if fault is FaultMode.DIE_AFTER:
            process.dead = True
            raise ProcessDied
        if fault is FaultMode.LOSE_ANSWER:
            self._broken = True
            raise ConnectionClosedError(endpoint_url=request.url)
        return answer

    def _execute(self, operation: str, request: AWSPreparedRequest) -> AWSResponse:
        if operation not in self.responses:
            return self._sending.send(request)
        status, content = 200, {}
        try:
            content = self.responses[operation](json.loads(request.body))
        except AwsError as refusal:
            status, content = 400, {"__type": refusal.code, "message": refusal.code}
        raw = HTTPResponse(BytesIO(json.dumps(content).encode()), preload_content=False)
        return AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.0"}, raw)

    def _needs_retry(self, event_name: str, attempts: int, **_: Any) -> float | None:
        """A client that would retry after a lost answer retries at once, not after a pause of up to a second."""
        broken, self._broken = self._broken, False
        return 0 if broken and attempts < self._tries_max[event_name.split(".")[1]] else None


def _target_of(service: str, operation: str, request: AWSPreparedRequest) -> str:
    if service == "s3":
        return _without_variable_text(unquote(urlsplit(request.url).path).partition("/")[2].partition("/")[2])
    request_body = json.loads(request.body)
    match service, operation:
        case "dynamodb", "TransactWriteItems":
            parts = [(verb, part) for item in request_body["TransactItems"] for verb, part in item.items()]
            return _without_variable_text(" + ".join(f"{verb.lower()} {_item_key(part)}" for verb, part in parts))
        case "dynamodb", "BatchGetItem":
            keys = [(table, key) for table, wanted in request_body["RequestItems"].items() for key in wanted["Keys"]]
            return _without_variable_text(
                " + ".join(_item_key({"TableName": table, "Key": key}) for table, key in keys)
            )
        case "dynamodb", _:
            return _without_variable_text(_item_key(request_body))
        case "sesv2", _:
            return _without_variable_text(request_body["Content"]["Simple"]["Subject"]["Data"])
        case "sqs", _:
            return str(json.loads(request_body["MessageBody"])["do"])
        case "sfn", "StartExecution":
            return _without_variable_text(request_body["name"])
        case "sfn", "SendTaskFailure":
            return str(request_body["error"])
        case "sfn", _:
            return str(json.loads(request_body["output"])["status"])
        case "eventbridge", _:
            return " + ".join(entry["DetailType"] for entry in request_body["Entries"])
        case _:
            return _without_variable_text(request_body.get("SecretId", ""))


def _item_key(part: Mapping[str, Any]) -> str:
    table = part["TableName"].partition("-")[0]
    key = part.get("Key") or part.get("Item")
    if key is None:
        values = (value.get("S", "") for value in part.get("ExpressionAttributeValues", {}).values())
        return " ".join([table, *(text for text in values if text and not text.startswith("wsp_"))])
    # The sort key tells the kind of an item, except in tables with one kind of item per partition.
    return f"{table} {key['pk']['S'] if table in ('requests', 'inbox', 'identity') else key['sk']['S']}"


def _without_variable_text(text: str) -> str:
    for pattern, instead in VARIABLE_TEXT:
        text = pattern.sub(instead, text)
    return text
