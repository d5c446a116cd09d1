"""The scenarios that are explored."""

from __future__ import annotations

from collections.abc import Callable

from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.generations.model import Status
from tests.crashes.interceptor import Call
from tests.crashes.scenario_run import JobScript, Scenario, ScenarioRun

SIZE = {"width": 512, "height": 512, "seed": 7}
# The simulator neither ends jobs nor sends webhooks by itself: the run decides about both.
QUIET = "[[run:hang]] [[webhook:lost]]"
# That picture is painted in half the time of others.
MARBLE = "a lighthouse of marble"
LOCAL = {
    "prompt": "a lighthouse of marble",
    "model": "local/canvas",
    "parameters": {"width": 64, "height": 64, "seed": 7},
}
REMOTE = {"prompt": f"{MARBLE} {QUIET}", "model": "replicate/sdxl", "parameters": SIZE}
PAID = {"prompt": MARBLE, "model": "stability/core", "parameters": {"seed": 7}}
# Functions that make the same calls in every scenario with an asynchronous provider; `webhook` explores them all.
SUBMISSION, FINISH = "api/generations", "tasks/finish_generation"
SEALING, SWEEP = "streams/ledger", "schedules/reconcile_generations"
POLLS, WEBHOOKS, INBOX = "queues/attempts", "webhooks/providers", "streams/inbox"
ATTEMPT, OUTBOX = "tasks/attempt_generation", "streams/generations"
ENHANCED = {**REMOTE, "enhance_prompt": True}


def _cancel_after(seconds: float) -> object:
    return lambda run: run.time.later(seconds, run.cancel)


def _add_second_candidate(first: str) -> Callable[[ScenarioRun], None]:
    """Adds a second candidate to the stored generation. Today's catalogue never puts the procedural model beside
    another candidate, so the test writes it."""

    def begin(run: ScenarioRun) -> None:
        def add() -> None:
            for made in run.generations():
                if len(made.candidates) == 1:
                    item = GenerationItem(made.workspace_id, made.id)
                    item.update([GenerationItem.candidates.set([first, "local/canvas"])])
                    return
            run.time.later(0.1, add)

        run.time.later(0.1, add)

    return begin


def _send_webhook_before_callback(run: ScenarioRun, call: Call) -> None:
    """Ends the job and processes its webhook before the attempt's callback is stored."""
    if call.operation == "PutItem" and call.target.startswith("generations callback"):
        for prediction in run.submissions:
            if prediction.shown["completed_at"] is None:
                run.observe()
                run.end_job(prediction, JobScript())
                run.send_webhook(prediction)
                run.deliver_changes("inbox")
                for stream in run.streams_of("inbox"):
                    stream.deliver()


SYNCHRONOUS = Scenario("local", "A provider that answers at once.", LOCAL, Status.SUCCEEDED)
PAID_AT_ONCE = Scenario(
    "paid at once",
    "A provider that answers at once, and is paid for each request: it is never asked again.",
    PAID,
    Status.SUCCEEDED,
    explored_elsewhere=frozenset({SUBMISSION, SEALING, SWEEP, OUTBOX}),
)
FALLBACK_AT_ONCE = Scenario(
    "fallback at once",
    "The first candidate refuses at once, the second one delivers within the same visit.",
    {**PAID, "prompt": f"{MARBLE} [[create:503]]"},
    Status.SUCCEEDED,
    meanwhile=_add_second_candidate("stability/core"),
    explored_elsewhere=frozenset({SUBMISSION, SEALING, SWEEP, OUTBOX}),
)
ASYNCHRONOUS = Scenario(
    "webhook",
    "A provider that tells by webhook, twice, how its job ended.",
    REMOTE,
    Status.SUCCEEDED,
    jobs=(JobScript(webhooks=2),),
)
POLLED = Scenario(
    "poll",
    "A provider whose webhook never comes: polls find the end.",
    REMOTE,
    Status.SUCCEEDED,
    jobs=(JobScript(after_seconds=8, webhooks=0),),
    explored_elsewhere=frozenset({SUBMISSION, FINISH, SEALING, SWEEP}),
)
OVERTAKEN = Scenario(
    "overtaken",
    "The webhook comes before the attempt has stored how it is to be woken.",
    REMOTE,
    Status.SUCCEEDED,
    before_call=_send_webhook_before_callback,
    explored_elsewhere=frozenset({SUBMISSION, FINISH, SEALING, SWEEP}),
)
FALLBACK = Scenario(
    "fallback",
    "The first candidate's job fails, the second candidate delivers under the same hold.",
    REMOTE,
    Status.SUCCEEDED,
    jobs=(JobScript(ends_as="failed"),),
    meanwhile=_add_second_candidate("replicate/sdxl"),
    explored_elsewhere=frozenset({SEALING, SWEEP}),
    is_new_from=lambda call: call.operation == "SendTaskFailure",
)
CANCELLED = Scenario(
    "cancel",
    "Cancelled while the provider works: it is told, and bills what it has done.",
    REMOTE,
    Status.CANCELLED,
    jobs=(JobScript(after_seconds=100),),
    meanwhile=_cancel_after(2),
    explored_elsewhere=frozenset({SEALING, SWEEP}),
    is_new_from=lambda call: call.function == SUBMISSION and call.invocation > 1,
)
WITHDRAWN = Scenario(
    "withdraw",
    "Cancelled before anything was sent.",
    REMOTE,
    Status.CANCELLED,
    meanwhile=_cancel_after(0.1),
    explored_elsewhere=frozenset({SEALING}),
)
LATE = Scenario(
    "late",
    "The provider ends after the deadline: the credits are back already, and the picture is delivered free.",
    REMOTE,
    Status.SUCCEEDED,
    jobs=(JobScript(after_seconds=550),),
    is_new_from=lambda call: call.function == SWEEP,
)
EXPIRED = Scenario(
    "expire",
    "The provider never ends: the reconciler gives the credits back at the deadline, and the polls end.",
    REMOTE,
    Status.EXPIRED,
    jobs=(JobScript(ends_as=None),),
    explored_elsewhere=frozenset({SUBMISSION, SEALING}),
    is_new_from=lambda call: call.function == "queues/attempts",
)
RUN = Scenario(
    "run",
    "A run of two stages: this machine rewrites the prompt, a provider makes the picture and tells by webhook.",
    ENHANCED,
    Status.SUCCEEDED,
    explored_elsewhere=frozenset({SUBMISSION, SEALING, SWEEP, POLLS, WEBHOOKS, INBOX, ATTEMPT}),
    writes_only=True,
)
RUN_CANCELLED = Scenario(
    "run cancelled",
    "A run is cancelled while its second stage is at the provider: both stages are paid for, as far as they went.",
    ENHANCED,
    Status.CANCELLED,
    jobs=(JobScript(after_seconds=100),),
    meanwhile=_cancel_after(3),
    explored_elsewhere=frozenset({SEALING, SWEEP, INBOX, FINISH, "tasks/plan_stage"}),
    is_new_from=lambda call: call.function == SUBMISSION and call.invocation > 1,
    writes_only=True,
)
RUN_EXPIRED = Scenario(
    "run expired",
    "The provider of the second stage never ends: at the deadline the first one is charged, and the rest comes back.",
    ENHANCED,
    Status.EXPIRED,
    jobs=(JobScript(ends_as=None),),
    explored_elsewhere=frozenset({SUBMISSION, SEALING, POLLS, FINISH, OUTBOX}),
    is_new_from=lambda call: call.function == SWEEP,
    writes_only=True,
)
RUNS = (RUN, RUN_CANCELLED, RUN_EXPIRED)
GENERATION = (
    SYNCHRONOUS,
    PAID_AT_ONCE,
    FALLBACK_AT_ONCE,
    ASYNCHRONOUS,
    POLLED,
    OVERTAKEN,
    FALLBACK,
    CANCELLED,
    WITHDRAWN,
    LATE,
    EXPIRED,
)
