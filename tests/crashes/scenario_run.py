"""Runs one generation from its request until nothing more is scheduled, with all that AWS does around it."""

from __future__ import annotations

import base64
import inspect
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from atelier.adapters.aws.dynamodb.usage import STORAGE, read_usage
from atelier.generations.model import Generation, Status
from atelier.generations.pipeline_run import read_stages
from atelier.generations.sweep import sweep
from atelier.wiring import generations
from infra.simulators.replicate import TERMINAL, Prediction, signature
from tests.crashes.deployment import EXPRESS_MACHINE, RUN_MACHINE, ProductDeployment
from tests.crashes.interceptor import Call, FaultMode, ProcessDied
from tests.crashes.simulated_aws import (
    STREAM_SECONDS,
    EventBus,
    FunctionFailed,
    Queue,
    StateMachine,
    Stream,
    VirtualClock,
    stream_mappings,
)
from tests.invoke import event
from tests.polling import wait_until

RECONCILE_SECONDS = 60
RECONCILIATIONS_MAX = 200
CLIENT_RETRY_SECONDS = 2
TRIES_MAX = 5
RECONCILER = "schedules/reconcile_generations"
COUNTING = "streams/analytics"


@dataclass(frozen=True, slots=True)
class JobScript:
    """How the provider handles one job: the status with which it ends (None: never), after how many seconds, and how
    many webhooks it sends."""

    ends_as: str | None = "succeeded"
    after_seconds: float = 3
    webhooks: int = 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """A sequence of events to explore. `begin` starts it, and a client may repeat that at any time; it posts `request`
    to `path`. `jobs`: how the provider handles each job that it is given, in order. `meanwhile`: schedules other
    actions. `interrupted`: called at each AWS call, and may run something in the middle of it.

    Only some calls are explored: not those of the functions in `known`, which make the same calls in another scenario,
    and only those from the first call for which `since` is true. With `writes_only` no reads: a process that dies at a
    read leaves the same state as one that dies before its next write, and other scenarios explore reads."""

    name: str
    description: str
    request: Mapping[str, Any]
    ends_as: Status
    path: str = "/api/generate/image"
    jobs: tuple[JobScript, ...] = ()
    meanwhile: Callable[[ScenarioRun], None] = lambda run: None
    before_call: Callable[[ScenarioRun, Call], None] = lambda run, call: None
    begin: Callable[[ScenarioRun], None] = lambda run: run.submit()
    explored_elsewhere: frozenset[str] = frozenset()
    is_new_from: Callable[[Call], bool] = lambda call: True
    writes_only: bool = False


@dataclass
class ScenarioRun:
    """One run of a scenario in a deployment, with faults by the number of the call. `told_clients`: the generation ids
    in the API's responses. `failures`: the functions that died or raised."""

    deployment: ProductDeployment
    scenario: Scenario
    faults: Mapping[int, FaultMode]
    returned_ids: list[str] = field(default_factory=list[str])
    failures: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.deployment.clear_shared_state()
        self.owner = self.deployment.create_owner()
        self.time, self.bus = VirtualClock(), EventBus()
        self.queue = Queue("queues/attempts", self.invoke, self.time)
        self.machine = StateMachine("generate_media", self.invoke, self.time)
        self.express = StateMachine("generate_media_express", self.invoke, self.time, is_express=True)
        self.runs = StateMachine("run_pipeline", self.invoke, self.time)
        self.streams = [Stream(mapping, self.invoke, self.time) for mapping in stream_mappings()]
        self._jobs: dict[str, JobScript] = {}
        self._notified: set[str] = set()
        self._reconciliations = 0
        self._read_up_to = 0
        self._unread: set[str] = set()
        wire = self.deployment.wire
        wire.responses = {
            "StartExecution": lambda parameters: self._machine_of(parameters["stateMachineArn"]).start_execution(
                parameters
            ),
            "SendTaskSuccess": lambda parameters: self._machine_with_token(parameters["taskToken"]).send_task_success(
                parameters
            ),
            "SendTaskFailure": lambda parameters: self._machine_with_token(parameters["taskToken"]).send_task_failure(
                parameters
            ),
            "SendMessage": self.queue.send_message,
            "PutEvents": self.bus.put_events,
        }
        wire.restart(self.faults, lambda call: self.scenario.before_call(self, call))

    @property
    def calls(self) -> list[Call]:
        return self.deployment.wire.calls

    def _machine_of(self, arn: str) -> StateMachine:
        return {RUN_MACHINE: self.runs, EXPRESS_MACHINE: self.express}.get(arn, self.machine)

    def _machine_with_token(self, token: str) -> StateMachine:
        return self.runs if self.runs.has_token(token) else self.machine

    # ---- what happens ------------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Run from the request until nothing more is scheduled."""
        self.time.later(0, lambda: self.scenario.begin(self))
        self.time.later(RECONCILE_SECONDS, self.reconcile)
        self.scenario.meanwhile(self)
        self.time.run(after_each=self.observe)

    def invoke(self, folder: str, event: Any) -> Any:
        """Invoke a function. Raises FunctionFailed when it raised or died."""
        handler = self.deployment.app(folder).handler
        if folder == COUNTING:
            # Its calls are explored by test_crashes_of_counting.py. Here they would give each other call another number
            # from run to run, because it reads by minute.
            return handler(event, None)
        # Handlers that wait take the virtual clock; within a request the time stands still.
        timed = {"clock": lambda: self.now} if "clock" in inspect.signature(handler).parameters else {}
        return self._invoke_safely(folder, lambda: handler(event, None, **timed))

    def _invoke_safely(self, name: str, action: Callable[[], Any]) -> Any:
        try:
            with self.deployment.wire.invocation(name):
                return action()
        except ProcessDied:
            self.failures.append(name)
            self.deployment.cold_start_all()
            raise FunctionFailed(name) from None
        except Exception as error:
            self.failures.append(f"{name}: {error!r}")
            raise FunctionFailed(name) from error

    def observe(self) -> None:
        """Schedule the delivery of committed changes to the streams, and the ends of new jobs at the provider."""
        written = [call.target for call in self.calls[self._read_up_to :] if call.writes]
        self._read_up_to = len(self.calls)
        for table in {stream.mapping.table for stream in self.streams}:
            if table not in self._unread and any(f"{table} " in target for target in written):
                # As on AWS, a stream is read a few times in a second, not after each write.
                self._unread.add(table)
                self.time.later(STREAM_SECONDS, lambda changed=table: self.deliver_changes(changed))
        self._observe_provider()

    def deliver_changes(self, table: str) -> None:
        """Deliver a table's committed changes to the functions that read its stream."""
        self._unread.discard(table)
        records = self.deployment.new_records(table)
        for stream in self.streams_of(table):
            stream.put(records)

    def streams_of(self, table: str) -> list[Stream]:
        """The streams of a table, one for each function that reads it."""
        return [stream for stream in self.streams if stream.mapping.table == table]

    # ---- the client --------------------------------------------------------------------------------------------------

    def request(self, name: str, path: str, **changes: Any) -> dict[str, Any] | None:
        """Send a request of the client; returns the response, None when the client should try again."""
        request = _with_path(path, event(name, **changes))
        request["requestContext"]["authorizer"]["lambda"] |= {
            "user_id": self.owner.user_id,
            "session_id": self.owner.session_id,
            "workspace_id": self.owner.workspace_id,
        }
        try:
            answer = self.invoke("api/generations", request)
        except FunctionFailed:
            return None
        return None if answer["statusCode"] >= 500 else answer

    def submit(self, tries: int = 1) -> None:
        """Submit the generation; without an answer the client submits again with the same idempotency key."""
        key = {"idempotency-key": "the key"}
        body = dict(self.scenario.request)
        answer = self.request("api/generations/generate_image", self.scenario.path, body=body, headers=key)
        if answer is None:
            assert tries < TRIES_MAX, "the client gave up"
            self.time.later(CLIENT_RETRY_SECONDS, lambda: self.submit(tries + 1))
            return
        assert answer["statusCode"] == 202, answer
        self.returned_ids.append(json.loads(answer["body"])["data"]["generation"]["id"])

    def cancel(self, tries: int = 1) -> None:
        """Cancel the generation as soon as the client knows its id, and again until there is an answer."""
        answer = None
        if self.returned_ids:
            answer = self.request("api/generations/cancel", f"/api/generations/{self.returned_ids[0]}/cancel")
            assert answer is None or answer["statusCode"] in (200, 202, 409), answer
        if answer is None and tries < TRIES_MAX:
            self.time.later(CLIENT_RETRY_SECONDS, lambda: self.cancel(tries + 1))

    # ---- the provider ------------------------------------------------------------------------------------------------

    @property
    def submissions(self) -> list[Prediction]:
        """The jobs that were submitted to the provider."""
        return list(self.deployment.replicate.predictions.values())

    @property
    def paid_requests(self) -> int:
        """How many requests the provider got whose answer is the finished work."""
        return sum(call["method"] == "POST" for call in self.deployment.stability.calls)

    def _observe_provider(self) -> None:
        for prediction in self.submissions:
            if prediction.id not in self._jobs:
                planned = self.scenario.jobs
                job = self._jobs[prediction.id] = (
                    planned[len(self._jobs)] if len(self._jobs) < len(planned) else JobScript()
                )
                wait_until(lambda made=prediction: made.shown["started_at"])
                if job.ends_as is not None:
                    self.time.later(job.after_seconds, lambda made=prediction, how=job: self.end_job(made, how))
            elif prediction.shown["status"] in TERMINAL and prediction.id not in self._notified:
                self._notified.add(prediction.id)
                for number in range(self._jobs[prediction.id].webhooks):
                    self.time.later(0.1 + number, lambda made=prediction: self.send_webhook(made))

    def end_job(self, prediction: Prediction, job: JobScript) -> None:
        """End a job at the provider."""
        assert job.ends_as is not None
        error = "RuntimeError: the model fell over" if job.ends_as == "failed" else None
        self.deployment.replicate.end(prediction, job.ends_as, error)

    def send_webhook(self, prediction: Prediction, tries: int = 1) -> None:
        """Send the provider's webhook about an ended job, and again when it is not accepted."""
        path = urlsplit(prediction.webhook or "").path
        body, event_id, sent_at = json.dumps(prediction.shown), f"msg_{prediction.id}", int(time.time())
        secret = self.deployment.replicate.webhook_secret
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(sent_at),
            "webhook-signature": signature(secret, event_id, sent_at, body.encode()),
        }
        request = _with_path(path, event("webhooks/providers/replicate", headers=headers))
        request |= {"body": base64.b64encode(body.encode()).decode(), "isBase64Encoded": True}
        try:
            taken = self.invoke("webhooks/providers", request)["statusCode"] == 200
        except FunctionFailed:
            taken = False
        if not taken and tries < TRIES_MAX:
            self.time.later(5, lambda: self.send_webhook(prediction, tries + 1))

    # ---- the reconciler ----------------------------------------------------------------------------------------------

    def reconcile(self) -> None:
        """Run the reconciler for this workspace, every minute, as its schedule does. It handles only wallets that the
        index lists as due. The index itself, with a query for each shard, is tested in `test_schedules.py`."""
        due = self.wallet().sweep_at
        if due is not None and due <= self.now:
            with suppress(FunctionFailed):
                self._invoke_safely(RECONCILER, self.sweep)
            due = self.wallet().sweep_at
        if due is None and self.generations():
            return
        self._reconciliations += 1
        assert self._reconciliations < RECONCILIATIONS_MAX, "the reconciler comes to no end"
        waiting = (due - self.now).total_seconds() if due else 0
        self.time.later(
            max(RECONCILE_SECONDS, math.ceil(waiting / RECONCILE_SECONDS) * RECONCILE_SECONDS), self.reconcile
        )

    def sweep(self) -> None:
        """Sweep this workspace now."""
        sweep(self.owner.workspace_id, deps=generations.close_deps(), now=self.now)

    @property
    def now(self) -> datetime:
        """The virtual time as a datetime."""
        return self.time.wall_time

    # ---- what there is -----------------------------------------------------------------------------------------------

    def wallet(self) -> Any:
        self.deployment.world.workspace_id = self.owner.workspace_id
        return self.deployment.world.wallets.wallet(self.owner.workspace_id)

    def generations(self) -> list[Generation]:
        """All generations of the workspace."""
        from atelier.generations.ports import Filters

        return list(self.deployment.world.generations.list(self.owner.workspace_id, Filters(), None, 10).generations)

    def stages(self, generation: Generation) -> list[Generation]:
        """The stages of a pipeline run that exist so far."""
        return read_stages(generation, self.deployment.world.generations) if generation.pipeline else []

    def count_movements(self) -> Counter[str]:
        """Checks the wallet's sums; returns how many movements of each kind it has."""
        self.deployment.world.workspace_id = self.owner.workspace_id
        return Counter(movement.kind for movement in self.deployment.world.assert_sound())

    def asset_ids(self) -> set[str]:
        """The ids of the workspace's assets in the library."""
        page = self.deployment.world.assets.list(self.owner.workspace_id, None, None, 100)
        return {asset.id for asset in page.assets}

    def count_stored_bytes(self) -> int:
        """The workspace's stored bytes: what its wallet counts, and what the library adds."""
        return self.wallet().stored_bytes(read_usage(self.owner.workspace_id, STORAGE).used)

    def stored_hashes(self) -> set[str]:
        """The hashes in the names of the workspace's files in the bucket."""
        listed = self.deployment.s3.list_objects_v2(
            Bucket=self.deployment.bucket, Prefix=f"media/{self.owner.workspace_id}/"
        )
        return {entry["Key"].rpartition("/")[2].partition(".")[0] for entry in listed.get("Contents", [])}

    # ---- once more ---------------------------------------------------------------------------------------------------

    def sweep_again(self) -> list[Call]:
        """Sweep once more without faults; returns the writes, of which there should be none."""
        self.deployment.wire.faults.clear()
        before = len(self.calls)
        self._invoke_safely(RECONCILER, self.sweep)
        return [call for call in self.calls[before:] if call.writes]


def _with_path(path: str, request: dict[str, Any]) -> dict[str, Any]:
    request["requestContext"]["http"]["path"] = path
    return request | {"rawPath": path}
