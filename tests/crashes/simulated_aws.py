"""Simulates the AWS services that deliver, delay, retry and time out, on a virtual clock, for the crash tests.

Tables, buckets and secrets are the emulator's. The services simulated here are those for which a test would have to
wait, for example a minute of a queue's delay or the two hours of a task's time-out: event source mappings as
template.yaml declares them, a queue, an event bus, and Step Functions, which interprets the product's own state
machines. Everything is delivered at least once, and again after a failure, as often as AWS would.
"""

from __future__ import annotations

import heapq
import itertools
import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from atelier.clock import rfc3339, system_clock
from infra.local.templates import read_template
from tests.crashes.interceptor import AwsError

Invoke = Callable[[str, Any], Any]
Record = dict[str, Any]
ROOT = Path(__file__).parents[2]
STEPS_MAX = 2000
STREAM_SECONDS = 0.2
STEP_SECONDS = 0.05
RETRY_SECONDS = 1


class FunctionFailed(Exception):
    """A function raised, or its process died. Its caller is told no more than that."""


@dataclass
class VirtualClock:
    """A virtual clock, in seconds since the run began, and the actions scheduled on it."""

    now: float = 0
    began_at: datetime = field(default_factory=system_clock)
    _scheduled: list[tuple[float, int, Callable[[], None]]] = field(
        default_factory=list[tuple[float, int, Callable[[], None]]]
    )
    _order: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def wall_time(self) -> datetime:
        """The virtual time as a datetime."""
        return self.began_at + timedelta(seconds=self.now)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Schedule an action; actions due at the same time run in the order in which they were scheduled."""
        heapq.heappush(self._scheduled, (self.now + seconds, next(self._order), action))

    def run(self, after_each: Callable[[], None]) -> None:
        """Run actions, each followed by `after_each`, until none is scheduled any more."""
        for _ in range(STEPS_MAX):
            if not self._scheduled:
                return
            self.now, _, action = heapq.heappop(self._scheduled)
            action()
            after_each()
        raise AssertionError(f"no end after {STEPS_MAX} steps")


@dataclass(frozen=True, slots=True)
class StreamMapping:
    """An event source mapping of template.yaml, from a table's stream to a function. `table`: the table's context."""

    table: str
    function: str
    batch_max: int
    retries_max: int
    window_seconds: float
    patterns: tuple[Any, ...]

    def accepts(self, record: Record) -> bool:
        """Whether one of the mapping's filters lets the record through."""
        return not self.patterns or any(_matches_pattern(pattern, record) for pattern in self.patterns)


@cache
def stream_mappings() -> tuple[StreamMapping, ...]:
    """All stream mappings that template.yaml declares."""
    template = read_template(ROOT / "template.yaml")
    found: list[StreamMapping] = []
    for resource in template["Resources"].values():
        for source in resource["Properties"].get("Events", {}).values():
            if source["Type"] == "DynamoDB":
                how = source["Properties"]
                window = how.get("MaximumBatchingWindowInSeconds", 0)
                if isinstance(window, dict):
                    window = template["Parameters"][window["Ref"]]["Default"]
                patterns = [json.loads(each["Pattern"]) for each in how.get("FilterCriteria", {}).get("Filters", [])]
                found.append(
                    StreamMapping(
                        re.sub(r"Outputs\.(\w+)StreamArn", r"\1", how["Stream"]["Fn::GetAtt"][1]).lower(),
                        resource["Properties"]["CodeUri"].removeprefix("functions/"),
                        how["BatchSize"],
                        how["MaximumRetryAttempts"],
                        window,
                        tuple(patterns),
                    )
                )
    return tuple(found)


@dataclass
class Stream:
    """A DynamoDB stream and its mapping to one function. Records arrive in order; a failing batch is retried in halves.
    `lost`: the records given up after the last retry."""

    mapping: StreamMapping
    invoke: Invoke
    time: VirtualClock
    discarded: list[Record] = field(default_factory=list[Record])
    _waiting: deque[Record] = field(default_factory=deque[Record])
    _failures: int = 0
    _is_scheduled: bool = False

    def put(self, records: list[Record]) -> None:
        """Add records committed to the table; those that the mapping filters out are dropped."""
        self._waiting.extend(record for record in records if self.mapping.accepts(record))
        self._schedule(self.mapping.window_seconds)

    def deliver(self) -> None:
        """Invoke the function with the next batch."""
        self._is_scheduled = False
        if not self._waiting:
            return
        batch = list(itertools.islice(self._waiting, max(1, self.mapping.batch_max >> self._failures)))
        try:
            self.invoke(self.mapping.function, {"Records": batch})
        except FunctionFailed:
            self._failures += 1
            if self._failures <= self.mapping.retries_max:
                self._schedule(RETRY_SECONDS)
                return
            self.discarded += batch
        self._failures = 0
        for _ in batch:
            self._waiting.popleft()
        self._schedule(0)

    def _schedule(self, seconds: float) -> None:
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            self.time.later(seconds, self.deliver)


@dataclass
class Queue:
    """An SQS queue and its mapping to one function, one message at a time. `dead`: its dead letters."""

    function: str
    invoke: Invoke
    time: VirtualClock
    visibility_seconds: int = 90
    receives_max: int = 5
    dead_letters: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def send_message(self, request: dict[str, Any]) -> dict[str, Any]:
        """SQS's SendMessage."""
        message = {"messageId": str(next(self._numbers)), "body": request["MessageBody"]}
        self.time.later(request.get("DelaySeconds", 0) + STEP_SECONDS, lambda: self._deliver(message, 1))
        return {"MessageId": message["messageId"]}

    def _deliver(self, message: dict[str, Any], receives: int) -> None:
        try:
            failed = self.invoke(self.function, {"Records": [message]})["batchItemFailures"]
        except FunctionFailed:
            failed = [message]
        if failed and receives < self.receives_max:
            self.time.later(self.visibility_seconds, lambda: self._deliver(message, receives + 1))
        elif failed:
            self.dead_letters.append(message)


@dataclass
class EventBus:
    """An EventBridge bus. `told`: the events put on it, as (detail type, detail)."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])

    def put_events(self, request: dict[str, Any]) -> dict[str, Any]:
        """EventBridge's PutEvents."""
        self.events += [(entry["DetailType"], json.loads(entry["Detail"])) for entry in request["Entries"]]
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in request["Entries"]]}


@dataclass
class _Execution:
    name: str
    input: str
    began_at: str
    status: str = "RUNNING"


@dataclass
class _Task:
    """A state that an execution has entered. It ends only once, by its result, an answered token or a time-out.
    `retried`: how often each retry rule was applied."""

    execution: _Execution
    name: str
    state: dict[str, Any]
    data: Any
    retried: dict[int, int]
    open: bool = True


@dataclass
class StateMachine:
    """Step Functions with one definition of `statemachines/`, and the parts of Amazon States Language that it uses. The
    placeholder for a function's ARN names the function: `${AttemptGenerationFunctionArn}` is
    `tasks/attempt_generation`. `is_express`: a name may be started again, and each start is an execution."""

    definition: str
    invoke: Invoke
    time: VirtualClock
    is_express: bool = False
    executions: dict[str, _Execution] = field(default_factory=dict[str, _Execution])
    _tokens: dict[str, _Task] = field(default_factory=dict[str, _Task])

    def __post_init__(self) -> None:
        loaded = _definition(self.definition)
        self._first: str = loaded["StartAt"]
        self._states: dict[str, dict[str, Any]] = loaded["States"]

    # ---- the API -----------------------------------------------------------------------------------------------------

    def start_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        """StartExecution. A name that is known already is refused, except while the execution with this name and input
        is running; then it is the same execution."""
        name, data = request["name"], request["input"]
        if self.is_express and name in self.executions:
            name = f"{name} {len(self.executions)}"
        known = self.executions.get(name)
        if known is None:
            known = self.executions[name] = _Execution(name, data, rfc3339(self.time.wall_time))
            self._schedule_state(known, self._first, json.loads(data))
        elif known.status != "RUNNING" or known.input != data:
            raise AwsError("ExecutionAlreadyExists")
        return {"executionArn": f"arn:aws:states:us-east-1:000000000000:execution:machine:{name}", "startDate": 0}

    def has_token(self, token: str) -> bool:
        """Whether one of this machine's tasks has this token."""
        return token in self._tokens

    def send_task_success(self, request: dict[str, Any]) -> dict[str, Any]:
        """SendTaskSuccess."""
        task = self._open_task(request["taskToken"])
        self._succeed(task, json.loads(request["output"]))
        return {}

    def send_task_failure(self, request: dict[str, Any]) -> dict[str, Any]:
        """SendTaskFailure."""
        task = self._open_task(request["taskToken"])
        self._fail(task, request["error"], request["cause"])
        return {}

    def _open_task(self, token: str) -> _Task:
        task = self._tokens.get(token)
        if task is None:
            raise AwsError("InvalidToken")
        if not task.open:
            raise AwsError("TaskTimedOut")
        return task

    # ---- the language ------------------------------------------------------------------------------------------------

    def _schedule_state(
        self, execution: _Execution, name: str, data: Any, retried: dict[int, int] | None = None
    ) -> None:
        self.time.later(STEP_SECONDS, lambda: self._enter(execution, name, data, retried or {}))

    def _enter(self, execution: _Execution, name: str, data: Any, retried: dict[int, int]) -> None:
        state = self._states[name]
        task = _Task(execution, name, state, data, retried)
        match state["Type"]:
            case "Task":
                self._call(task)
            case "Pass":
                self._succeed(task, state["Result"])
            case "Choice":
                met = (
                    rule for rule in state["Choices"] if (_value_at(data, rule["Variable"]) is None) is rule["IsNull"]
                )
                self._schedule_state(execution, next((rule["Next"] for rule in met), state["Default"]), data)
            case "Fail":
                execution.status = "FAILED"
            case unknown:
                raise ValueError(f"{name} is a {unknown}, a kind of state that this machine does not run")

    def _call(self, task: _Task) -> None:
        token = f"token {len(self._tokens)} of {task.execution.name}"
        self._tokens[token] = task
        context = {"Task": {"Token": token}, "Execution": {"StartTime": task.execution.began_at}}
        parameters = _fill_parameters(task.state["Parameters"], task.data, context)
        words = re.findall("[A-Z][a-z]+", parameters["FunctionName"].removesuffix("FunctionArn}"))
        if "TimeoutSeconds" in task.state:
            self.time.later(task.state["TimeoutSeconds"], lambda: self._fail(task, "States.Timeout", ""))
        try:
            answer = self.invoke(f"tasks/{'_'.join(words).lower()}", parameters["Payload"])
        except FunctionFailed:
            self._fail(task, "Runtime.ExitError", "")
            return
        if not task.state["Resource"].endswith(".waitForTaskToken"):
            self._succeed(task, {"Payload": json.loads(json.dumps(answer))})

    def _succeed(self, task: _Task, result: Any) -> None:
        if not task.open:
            return
        task.open = False
        data = _with_result(task.data, result, task.state.get("ResultPath", "$"))
        data = _value_at(data, task.state.get("OutputPath", "$"))
        if task.state.get("End"):
            task.execution.status = "SUCCEEDED"
        else:
            self._schedule_state(task.execution, task.state["Next"], data)

    def _fail(self, task: _Task, error: str, cause: str) -> None:
        if not task.open:
            return
        task.open = False
        rules = enumerate(task.state.get("Retry", []))
        number, retry = next(((number, rule) for number, rule in rules if _handles_error(rule, error)), (0, {}))
        retried = task.retried.get(number, 0)
        if retried < retry.get("MaxAttempts", 3 if retry else 0):
            pause = retry.get("IntervalSeconds", 1) * retry.get("BackoffRate", 2.0) ** retried
            again = {**task.retried, number: retried + 1}
            pause = min(pause, retry.get("MaxDelaySeconds", pause))
            self.time.later(pause, lambda: self._enter(task.execution, task.name, task.data, again))
            return
        for rule in task.state.get("Catch", []):
            if _handles_error(rule, error):
                data = _with_result(task.data, {"Error": error, "Cause": cause}, rule.get("ResultPath", "$"))
                self._schedule_state(task.execution, rule["Next"], data)
                return
        task.execution.status = "FAILED"


@cache
def _definition(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "statemachines" / f"{name}.asl.yaml").read_text())
    return loaded


def _matches_pattern(pattern: Any, value: Any) -> bool:
    """Whether a value matches an event filter pattern; knows the operators that the template uses."""
    if isinstance(pattern, dict):
        there = value if isinstance(value, dict) else {}
        return all(_matches_pattern(wanted, there.get(name)) for name, wanted in pattern.items())
    return any(_matches_rule(rule, value) for rule in pattern)


def _matches_rule(rule: Any, value: Any) -> bool:
    match rule:
        case {"prefix": start}:
            return isinstance(value, str) and value.startswith(start)
        case {"anything-but": others}:
            return value is not None and value not in others
        case {"exists": wanted}:
            return (value is not None) is wanted
        case dict():
            raise ValueError(f"{rule} is a rule that this machine cannot match")
        case _:
            return bool(value == rule)


def _handles_error(rule: Mapping[str, Any], error: str) -> bool:
    names = rule["ErrorEquals"]
    failed = "States.TaskFailed" in names and error != "States.Timeout"
    return error in names or failed or "States.ALL" in names


def _value_at(data: Any, path: str) -> Any:
    for name in path.split(".")[1:]:
        data = data[name]
    return data


def _with_result(data: Any, result: Any, path: str | None) -> Any:
    if path is None:
        return data
    if path == "$":
        return result
    return {**data, path.removeprefix("$."): result}


def _fill_parameters(template: Any, data: Any, context: Any) -> Any:
    if not isinstance(template, dict):
        return template
    filled: dict[str, Any] = {}
    for name, value in template.items():
        if name.endswith(".$"):
            found = _value_at(context, value[1:]) if value.startswith("$$") else _value_at(data, value)
            filled[name.removesuffix(".$")] = found
        else:
            filled[name] = _fill_parameters(value, data, context)
    return filled
