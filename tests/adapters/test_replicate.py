"""The Replicate adapter against the stand-in: what it sends is what Replicate documents, what comes back is typed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from atelier.clock import system_clock
from atelier.ids import created_at, new_id
from atelier.pricing.catalogue import catalogue
from atelier.providers._contract import (
    Accepted,
    Cancelled,
    CancelResult,
    Done,
    ErrorClass,
    Failed,
    Job,
    Output,
    Pending,
    Progress,
    Unknown,
    WebhookInvalid,
)
from atelier.providers.replicate import Replicate
from infra.local.standins.replicate import API_TOKEN, GONE_VERSION, WEBHOOK_SECRET, ReplicateStandIn
from tests.receiver import receiving

SDXL = catalogue(frozenset({"replicate"})).model("replicate/sdxl")
EVENTS = Path(__file__).parents[2] / "events" / "replicate"


@pytest.fixture
def stand_in() -> Iterator[ReplicateStandIn]:
    with ReplicateStandIn(run_seconds=0.02) as running:
        yield running


@pytest.fixture
def provider(stand_in: ReplicateStandIn) -> Replicate:
    return Replicate(api_token=API_TOKEN, webhook_secret=WEBHOOK_SECRET, base_url=stand_in.url, answer_seconds_max=0.5)


def job(prompt: str = "a fox", *, webhook: str | None = None, **parameters: int) -> Job:
    return Job(
        new_id("att", system_clock()),
        "image",
        "replicate/sdxl",
        prompt,
        parameters={"width": 512, "height": 512, "n": 1, "seed": 7} | parameters,
        settings=SDXL.settings,
        webhook_url=webhook,
        run_seconds_max=300,
    )


def accepted(provider: Replicate, work: Job) -> str:
    answer = provider.submit(work)
    assert isinstance(answer, Accepted), answer
    return answer.reference


def ended(provider: Replicate, reference: str, work: Job) -> Progress:
    """Polls until the prediction is no longer pending."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        progress = provider.poll(reference, work)
        if not isinstance(progress, Pending):
            return progress
    raise AssertionError("the prediction never ended")


# ---- submit ----------------------------------------------------------------------------------------------------------


def test_a_creation_is_the_documented_request_and_is_sent_once(provider: Replicate, stand_in: ReplicateStandIn) -> None:
    with receiving() as receiver:
        accepted(provider, job("a red fox", webhook=f"{receiver.url}/hook", n=2, seed=9))
        (call,) = stand_in.calls
        assert (call["method"], call["path"]) == ("POST", "/v1/predictions")
        headers = {name.lower(): value for name, value in call["headers"].items()}
        assert headers["authorization"] == f"Bearer {API_TOKEN}"
        assert headers["content-type"] == "application/json"
        assert headers["cancel-after"] == "300s"
        assert "prefer" not in headers
        assert call["body"] == {
            "version": SDXL.settings["version"],
            "input": {
                "prompt": "a red fox",
                "width": 512,
                "height": 512,
                "num_outputs": 2,
                "seed": 9,
                **SDXL.settings["input"],
            },
            "webhook": f"{receiver.url}/hook",
            "webhook_events_filter": ["completed"],
        }


def test_a_negative_prompt_is_sent_where_there_is_one_and_a_webhook_likewise(
    provider: Replicate, stand_in: ReplicateStandIn
) -> None:
    accepted(provider, replace(job(), negative_prompt="blur"))
    body = stand_in.calls[0]["body"]
    assert body["input"]["negative_prompt"] == "blur"
    assert set(body) == {"version", "input"}


@pytest.mark.parametrize(
    ("marker", "error_class", "retry_after"),
    [
        ("401", ErrorClass.AUTH, None),
        ("403", ErrorClass.AUTH, None),
        ("402", ErrorClass.PROVIDER_BILLING, None),
        ("404", ErrorClass.MODEL_GONE, None),
        ("410", ErrorClass.MODEL_GONE, None),
        ("gone", ErrorClass.MODEL_GONE, None),
        ("422", ErrorClass.INVALID_INPUT, None),
        ("429", ErrorClass.RATE_LIMITED, 30),
        ("429-header", ErrorClass.RATE_LIMITED, 12),
        ("429-body", ErrorClass.RATE_LIMITED, 5),
        ("503", ErrorClass.TRANSIENT, None),
    ],
)
def test_a_refusal_is_typed_sent_once_and_begins_nothing(
    provider: Replicate, stand_in: ReplicateStandIn, marker: str, error_class: ErrorClass, retry_after: int | None
) -> None:
    failed = provider.submit(job(f"a fox [[create:{marker}]]"))
    assert isinstance(failed, Failed)
    assert (failed.error_class, failed.retry_after_seconds) == (error_class, retry_after)
    assert len(stand_in.calls) == 1
    assert stand_in.predictions == {}


def test_what_a_refusal_says_to_the_caller_is_ours_and_not_the_providers(provider: Replicate) -> None:
    failed = provider.submit(job("a fox [[create:402]]"))
    assert isinstance(failed, Failed)
    assert "credit" not in failed.message.lower()
    assert "replicate" not in failed.message.lower()


def test_a_version_that_is_gone_is_not_the_callers_mistake(provider: Replicate) -> None:
    failed = provider.submit(replace(job(), settings={**SDXL.settings, "version": GONE_VERSION}))
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.MODEL_GONE


@pytest.mark.parametrize("marker", ["lost", "500", "hang", "garbage"])
def test_an_accepted_creation_whose_answer_is_lost_is_unknown_and_never_sent_again(
    provider: Replicate, stand_in: ReplicateStandIn, marker: str
) -> None:
    assert isinstance(provider.submit(job(f"a fox [[create:{marker}]]")), Unknown)
    assert len(stand_in.calls) == 1
    assert len(stand_in.predictions) == 1


def test_a_creation_that_cannot_be_sent_is_transient() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        failed = Replicate(api_token="r8_x", webhook_secret=WEBHOOK_SECRET, base_url=url).submit(job())
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.TRANSIENT


# ---- poll ------------------------------------------------------------------------------------------------------------


def test_a_finished_prediction_has_its_files_and_its_measured_time(
    provider: Replicate, stand_in: ReplicateStandIn
) -> None:
    work = job(n=2)
    reference = accepted(provider, work)
    files = tuple(Output(url=f"{stand_in.url}/_delivery/{reference}/out-{number}.png") for number in range(2))
    assert ended(provider, reference, work) == Done(files, {"predict_milliseconds": 3500})


def test_a_single_file_and_a_shorter_list_are_results_too(provider: Replicate) -> None:
    for marker, count in (("single", 1), ("fewer", 2)):
        work = job(f"a fox [[output:{marker}]]", n=3)
        done = ended(provider, accepted(provider, work), work)
        assert isinstance(done, Done)
        assert len(done.outputs) == count


@pytest.mark.parametrize(
    ("marker", "error_class", "billed"),
    [
        ("run:fail", ErrorClass.TRANSIENT, True),
        ("run:nsfw", ErrorClass.MODERATED_BILLED, True),
        ("run:oom", ErrorClass.CAPACITY, True),
        ("run:abort", ErrorClass.TIMEOUT_UNSTARTED, False),
        ("output:none", ErrorClass.TRANSIENT, True),
    ],
)
def test_status_200_can_carry_a_failure(
    provider: Replicate, marker: str, error_class: ErrorClass, billed: bool
) -> None:
    work = job(f"a fox [[{marker}]]")
    failed = ended(provider, accepted(provider, work), work)
    assert isinstance(failed, Failed)
    assert failed.error_class is error_class
    assert ("predict_milliseconds" in failed.usage) is billed


def test_progress_is_read_from_the_logs(provider: Replicate) -> None:
    work = job("a fox [[run:slow=1]]")
    reference = accepted(provider, work)
    seen: set[int] = set()
    while isinstance(progress := provider.poll(reference, work), Pending):
        seen.add(progress.progress)
    assert seen >= {10, 50, 90}
    assert max(seen) <= 99


def test_a_run_past_its_deadline_timed_out_and_is_no_cancellation(provider: Replicate) -> None:
    work = replace(job("a fox [[run:hang]]"), run_seconds_max=1)
    failed = ended(provider, accepted(provider, work), work)
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.TIMEOUT_STARTED
    assert failed.usage


def test_a_poll_without_an_answer_says_nothing_about_the_job(provider: Replicate, stand_in: ReplicateStandIn) -> None:
    work = job("a fox [[run:hang]]")
    reference = accepted(provider, work)
    wrong = Replicate(api_token="r8_revoked", webhook_secret=WEBHOOK_SECRET, base_url=stand_in.url)
    assert isinstance(wrong.poll(reference, work), Unknown)
    stand_in.stop()
    assert isinstance(provider.poll(reference, work), Unknown)


def test_a_prediction_that_does_not_exist_is_lost(provider: Replicate) -> None:
    failed = provider.poll("neverwas", job())
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.UNKNOWN_OUTCOME


# ---- cancel ----------------------------------------------------------------------------------------------------------


def test_a_running_prediction_is_cancelled_and_says_what_it_used(
    provider: Replicate, stand_in: ReplicateStandIn
) -> None:
    work = job("a fox [[run:hang]]")
    reference = accepted(provider, work)
    while stand_in.predictions[reference].shown["started_at"] is None:
        pass
    assert provider.cancel(reference) is CancelResult.CANCELLED
    assert provider.poll(reference, work) == Cancelled({"predict_milliseconds": 1750})
    assert [(call["method"], call["path"]) for call in stand_in.calls[1:2]] == [
        ("POST", f"/v1/predictions/{reference}/cancel")
    ]


def test_an_unstarted_prediction_is_cancelled_at_no_cost(provider: Replicate) -> None:
    work = job("a fox [[run:boot]]")
    reference = accepted(provider, work)
    assert provider.cancel(reference) is CancelResult.CANCELLED
    assert provider.poll(reference, work) == Cancelled({})


def test_a_finished_or_unknown_prediction_is_too_late_to_cancel(provider: Replicate) -> None:
    work = job()
    reference = accepted(provider, work)
    ended(provider, reference, work)
    assert provider.cancel(reference) is CancelResult.TOO_LATE
    assert provider.cancel("neverwas") is CancelResult.TOO_LATE


def test_a_cancellation_without_an_answer_is_pending(provider: Replicate, stand_in: ReplicateStandIn) -> None:
    reference = accepted(provider, job("a fox [[run:hang]]"))
    stand_in.stop()
    assert provider.cancel(reference) is CancelResult.PENDING


# ---- find ------------------------------------------------------------------------------------------------------------


def test_a_lost_creation_is_found_by_its_version_and_input(provider: Replicate, stand_in: ReplicateStandIn) -> None:
    accepted(provider, job("another fox"))
    work = job("a fox [[create:lost]]")
    assert isinstance(provider.submit(work), Unknown)
    (lost,) = [one.id for one in stand_in.predictions.values() if "lost" in one.shown["input"]["prompt"]]
    assert provider.find(work) == lost
    path = stand_in.calls[-1]["path"]
    assert path.startswith("/v1/predictions?created_after=")
    assert "created_before=" in path


def test_two_equal_predictions_are_nobodys(provider: Replicate) -> None:
    first, second = job("a fox"), job("a fox")
    accepted(provider, first)
    accepted(provider, second)
    assert provider.find(first) is None


def test_a_listed_webhook_settles_which_of_two_equal_predictions_is_ours(
    provider: Replicate, stand_in: ReplicateStandIn
) -> None:
    mine = job("a fox", webhook="https://edge.example/attempt-1")
    references = [accepted(provider, mine), accepted(provider, replace(mine, webhook_url="https://edge.example/2"))]
    for reference in references:
        prediction = stand_in.predictions[reference]
        prediction.shown["webhook"] = prediction.webhook
    assert provider.find(mine) == references[0]


def test_what_was_made_at_another_time_is_not_looked_at(provider: Replicate) -> None:
    work = job("a fox")
    accepted(provider, work)
    earlier = replace(work, attempt_id=new_id("att", created_at(work.attempt_id) - timedelta(hours=1)))
    assert provider.find(earlier) is None


def test_a_lost_creation_is_found_beyond_the_first_page(provider: Replicate) -> None:
    work = job("the first one")
    reference = accepted(provider, work)
    for number in range(101):
        accepted(provider, job(f"fox {number}"))
    assert provider.find(work) == reference


def test_nothing_is_found_where_the_list_cannot_be_read(provider: Replicate, stand_in: ReplicateStandIn) -> None:
    work = job()
    accepted(provider, work)
    stand_in.stop()
    assert provider.find(work) is None


def test_the_token_is_not_carried_to_another_host_by_the_list(
    stand_in: ReplicateStandIn,
) -> None:
    with ReplicateStandIn() as other:
        # The list of one server that continues on another.
        stand_in.url = other.url
        provider = Replicate(api_token=API_TOKEN, webhook_secret=WEBHOOK_SECRET, base_url=f"http://{stand_in.host}")
        work = job("the first one")
        for number in range(101):
            accepted(provider, job(f"fox {number}"))
        assert provider.find(work) is None
        assert other.calls == []


# ---- webhooks --------------------------------------------------------------------------------------------------------


def signed(body: bytes, *, at: int, secret: str = WEBHOOK_SECRET, event_id: str = "msg_1") -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = base64.b64encode(hmac.new(key, f"{event_id}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    return {"webhook-id": event_id, "webhook-timestamp": str(at), "webhook-signature": f"v1,{mac}"}


def recorded(name: str) -> bytes:
    return (EVENTS / name).read_bytes()


def test_a_webhook_says_what_a_poll_says(provider: Replicate) -> None:
    with receiving() as receiver:
        work = job(webhook=f"{receiver.url}/hook")
        reference = accepted(provider, work)
        ((_, headers, body),) = receiver.wait_for(1)
        event = provider.parse_webhook(headers, body, int(time.time()), work)
        assert event.event_id == headers["webhook-id"]
        assert (event.reference, event.progress) == (reference, provider.poll(reference, work))


def test_a_webhook_delivered_twice_has_one_id(provider: Replicate) -> None:
    with receiving() as receiver:
        accepted(provider, job("a fox [[webhook:twice]]", webhook=receiver.url))
        now = int(time.time())
        ids = {provider.parse_webhook(headers, body, now).event_id for _, headers, body in receiver.wait_for(2)}
        assert len(ids) == 1


@pytest.mark.parametrize("marker", ["forged", "stale"])
def test_a_forged_or_stale_webhook_is_invalid(provider: Replicate, marker: str) -> None:
    with receiving() as receiver:
        accepted(provider, job(f"a fox [[webhook:{marker}]]", webhook=receiver.url))
        ((_, headers, body),) = receiver.wait_for(1)
        with pytest.raises(WebhookInvalid):
            provider.parse_webhook(headers, body, int(time.time()))


def test_a_webhook_of_another_job_is_invalid_at_this_ones_address(provider: Replicate) -> None:
    with receiving() as receiver:
        accepted(provider, job("theirs", webhook=receiver.url))
        ((_, headers, body),) = receiver.wait_for(1)
        with pytest.raises(WebhookInvalid, match="another"):
            provider.parse_webhook(headers, body, int(time.time()), job("mine"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "prediction.succeeded.json",
            Done((Output(url="https://replicate.delivery/xezq/9f3c1d5e7a/out-0.png"),), {"predict_milliseconds": 4182}),
        ),
        ("prediction.canceled.json", Cancelled({"predict_milliseconds": 913})),
    ],
)
def test_the_example_events_are_read(provider: Replicate, name: str, expected: Progress) -> None:
    body = recorded(name)
    assert provider.parse_webhook(signed(body, at=1000), body, 1000).progress == expected


def test_the_example_of_a_failure_is_moderated_and_billed(provider: Replicate) -> None:
    body = recorded("prediction.failed.json")
    failed = provider.parse_webhook(signed(body, at=1000), body, 1000).progress
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.MODERATED_BILLED
    assert failed.usage == {"predict_milliseconds": 3977}


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"{}", b'{"id": "../../secret"}', b'{"id": 7}'])
def test_a_signed_body_that_is_no_prediction_is_invalid(provider: Replicate, body: bytes) -> None:
    with pytest.raises(WebhookInvalid):
        provider.parse_webhook(signed(body, at=1000), body, 1000)


@pytest.mark.parametrize("status", ["new-status", None, 7])
def test_a_status_that_is_not_known_yet_is_unknown(provider: Replicate, status: Any) -> None:
    body = json.dumps({"id": "abc", "status": status}).encode()
    assert isinstance(provider.parse_webhook(signed(body, at=1000), body, 1000).progress, Unknown)


def test_importing_the_adapter_does_not_import_the_sdk() -> None:
    script = "import sys, atelier.providers.replicate; sys.exit('httpx' in sys.modules or 'replicate' in sys.modules)"
    source = Path(sys.modules["atelier"].__path__[0]).parent
    assert subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(source)}, check=False).returncode == 0
