"""The Replicate adapter against the simulator: it sends documented requests and returns typed outcomes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

from atelier.adapters.providers.replicate import Replicate
from atelier.catalogue.catalogue import catalogue
from atelier.clock import system_clock
from atelier.ids import created_at, new_id
from atelier.provider_port import (
    Cancelled,
    CancelResult,
    Done,
    ErrorClass,
    Failed,
    Input,
    Job,
    Output,
    Pending,
    PollOutcome,
    Unknown,
    WebhookInvalid,
)
from infra.simulators.kit.samples import sample_png, sample_wav
from infra.simulators.replicate import API_TOKEN, GONE_VERSION, WEBHOOK_SECRET, ReplicateSimulator
from tests.polling import wait_until
from tests.provider_jobs import accepted, ended
from tests.webhook_receiver import webhook_receiver

ALL = catalogue(frozenset({"replicate"}))
SDXL = ALL.model("replicate/sdxl")
EVENTS = Path(__file__).parents[2] / "events" / "replicate"


@pytest.fixture
def simulator() -> Iterator[ReplicateSimulator]:
    with ReplicateSimulator(run_seconds=0.02) as running:
        yield running


@pytest.fixture
def provider(simulator: ReplicateSimulator) -> Replicate:
    return Replicate(api_token=API_TOKEN, webhook_secret=WEBHOOK_SECRET, base_url=simulator.url, answer_seconds_max=3)


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


# ---- submit ----------------------------------------------------------------------------------------------------------


def test_a_creation_is_the_documented_request_and_is_sent_once(
    provider: Replicate, simulator: ReplicateSimulator
) -> None:
    with webhook_receiver() as receiver:
        accepted(provider, job("a red fox", webhook=f"{receiver.url}/hook", n=2, seed=9))
        (call,) = simulator.calls
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


def test_a_negative_prompt_is_sent_and_an_absent_webhook_is_not(
    provider: Replicate, simulator: ReplicateSimulator
) -> None:
    accepted(provider, replace(job(), negative_prompt="blur"))
    body = simulator.calls[0]["body"]
    assert body["input"]["negative_prompt"] == "blur"
    assert set(body) == {"version", "input"}


def test_a_removed_version_fails_as_model_gone(provider: Replicate) -> None:
    failed = provider.submit(replace(job(), settings={**SDXL.settings, "version": GONE_VERSION}))
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.MODEL_GONE


# ---- poll ------------------------------------------------------------------------------------------------------------


def test_a_finished_prediction_returns_its_files_and_run_time(
    provider: Replicate, simulator: ReplicateSimulator
) -> None:
    work = job(n=2)
    reference = accepted(provider, work)
    files = tuple(Output(url=f"{simulator.url}/_files/{reference}-{number}.png") for number in range(2))
    assert ended(provider, reference, work) == Done(files, {"predict_milliseconds": 3500})


def test_a_single_file_and_a_shorter_list_are_results_too(provider: Replicate) -> None:
    for marker, count in (("single", 1), ("fewer", 2)):
        work = job(f"a fox [[output:{marker}]]", n=3)
        done = ended(provider, accepted(provider, work), work)
        assert isinstance(done, Done)
        assert len(done.outputs) == count


def test_progress_is_read_from_the_logs(provider: Replicate) -> None:
    work = job("a fox [[run:slow=1]]")
    reference = accepted(provider, work)
    seen: set[int] = set()
    while isinstance(progress := provider.poll(reference, work), Pending):
        seen.add(progress.progress)
    # A poll of a busy machine may be late, so not each of them is seen.
    assert len(seen - {0}) >= 2
    assert seen <= set(range(0, 100, 10))
    assert max(seen) <= 99


def test_a_prediction_past_its_deadline_timed_out_and_is_not_cancelled(provider: Replicate) -> None:
    work = replace(job("a fox [[run:hang]]"), run_seconds_max=1)
    failed = ended(provider, accepted(provider, work), work)
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.TIMEOUT_STARTED
    assert failed.usage


def test_a_missing_prediction_fails_as_unknown_outcome(provider: Replicate) -> None:
    failed = provider.poll("neverwas", job())
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.UNKNOWN_OUTCOME


# ---- cancel ----------------------------------------------------------------------------------------------------------


def test_a_running_prediction_is_cancelled_and_reports_its_usage(
    provider: Replicate, simulator: ReplicateSimulator
) -> None:
    work = job("a fox [[run:hang]]")
    reference = accepted(provider, work)
    wait_until(lambda: simulator.predictions[reference].shown["started_at"])
    assert provider.cancel(reference) is CancelResult.CANCELLED
    assert provider.poll(reference, work) == Cancelled({"predict_milliseconds": 1750})
    assert [(call["method"], call["path"]) for call in simulator.calls[1:2]] == [
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


# ---- find ------------------------------------------------------------------------------------------------------------


def test_a_lost_prediction_is_found_by_its_version_and_input(
    provider: Replicate, simulator: ReplicateSimulator
) -> None:
    accepted(provider, job("another fox"))
    work = job("a fox [[create:lost]]")
    assert isinstance(provider.submit(work), Unknown)
    (lost,) = [one.id for one in simulator.predictions.values() if "lost" in one.shown["input"]["prompt"]]
    assert provider.find(work) == lost
    path = simulator.calls[-1]["path"]
    assert path.startswith("/v1/predictions?created_after=")
    assert "created_before=" in path


def test_two_equal_predictions_match_no_job(provider: Replicate) -> None:
    first, second = job("a fox"), job("a fox")
    accepted(provider, first)
    accepted(provider, second)
    assert provider.find(first) is None


def test_the_webhook_url_identifies_one_of_two_equal_predictions(
    provider: Replicate, simulator: ReplicateSimulator
) -> None:
    mine = job("a fox", webhook="https://edge.example/attempt-1")
    references = [accepted(provider, mine), accepted(provider, replace(mine, webhook_url="https://edge.example/2"))]
    for reference in references:
        prediction = simulator.predictions[reference]
        prediction.shown["webhook"] = prediction.webhook
    assert provider.find(mine) == references[0]


def test_a_prediction_created_at_another_time_is_not_found(provider: Replicate) -> None:
    work = job("a fox")
    accepted(provider, work)
    earlier = replace(work, attempt_id=new_id("att", created_at(work.attempt_id) - timedelta(hours=1)))
    assert provider.find(earlier) is None


def test_a_lost_prediction_is_found_beyond_the_first_page(provider: Replicate, simulator: ReplicateSimulator) -> None:
    simulator.page_size = 2
    work = job("the first one")
    reference = accepted(provider, work)
    for number in range(3):
        accepted(provider, job(f"fox {number}"))
    assert provider.find(work) == reference


def test_an_unreadable_list_finds_no_prediction(provider: Replicate, simulator: ReplicateSimulator) -> None:
    work = job()
    accepted(provider, work)
    simulator.stop()
    assert provider.find(work) is None


def test_the_api_token_is_not_sent_to_another_host_by_list_paging(
    simulator: ReplicateSimulator,
) -> None:
    with ReplicateSimulator() as other:
        # The list's next page is on another server.
        simulator.url, simulator.page_size = other.url, 2
        provider = Replicate(api_token=API_TOKEN, webhook_secret=WEBHOOK_SECRET, base_url=f"http://{simulator.host}")
        work = job("the first one")
        for number in range(3):
            accepted(provider, job(f"fox {number}"))
        assert provider.find(work) is None
        assert other.calls == []


# ---- files and other models ------------------------------------------------------------------------------------------

SMALL = Input(sample_png(8, 8, 1), "image/png")
LARGE = Input(bytes(200_000), "image/png")
SPOKEN = Input(sample_wav(0.2), "audio/wav")


def of(model: str, prompt: str = "", *, inputs: dict[str, tuple[Input, ...]], **parameters: Any) -> Job:
    known = ALL.model(f"replicate/{model}")
    names = {"photomaker": "image", "stable-video-diffusion": "video", "sadtalker": "avatar"}
    return Job(
        new_id("att", system_clock()),
        names[model],
        known.id,
        prompt,
        parameters=parameters,
        settings=known.settings,
        run_seconds_max=known.run_seconds_max,
        inputs=inputs,
    )


def sent(simulator: ReplicateSimulator) -> dict[str, Any]:
    """The input of the last prediction that was submitted."""
    return [call["body"]["input"] for call in simulator.calls if call["path"] == "/v1/predictions"][-1]


def test_small_files_are_sent_as_data_urls_under_the_models_input_names(
    provider: Replicate, simulator: ReplicateSimulator
) -> None:
    work = of("photomaker", "a man img on a horse", inputs={"reference": (SMALL, SMALL)}, n=2, seed=5)
    done = ended(provider, accepted(provider, work), work)
    assert isinstance(done, Done)
    assert len(done.outputs) == 2
    url = f"data:image/png;base64,{base64.b64encode(SMALL.data).decode()}"
    given = sent(simulator)
    assert (given["input_image"], given["input_image2"]) == (url, url)
    assert "input_image3" not in given
    assert (given["num_outputs"], given["seed"], given["num_steps"]) == (2, 5, 30)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a man img rides", "a man img rides"),
        ("a young woman rides", "a young woman img rides"),
        ("the Queen and the king", "the Queen img and the king"),
        ("riding at dusk", "a person img, riding at dusk"),
        ("imgs of a mango", "a person img, imgs of a mango"),
    ],
)
def test_the_models_trigger_word_follows_the_person_in_the_prompt(
    provider: Replicate, simulator: ReplicateSimulator, prompt: str, expected: str
) -> None:
    work = of("photomaker", prompt, inputs={"reference": (SMALL,)})
    assert isinstance(ended(provider, accepted(provider, work), work), Done)
    assert sent(simulator)["prompt"] == expected


def test_a_large_file_is_uploaded_first_and_sent_as_its_url(provider: Replicate, simulator: ReplicateSimulator) -> None:
    work = of("stable-video-diffusion", inputs={"image": (LARGE,)}, frames_per_second=7)
    reference = accepted(provider, work)
    assert [call["path"] for call in simulator.calls] == ["/v1/files", "/v1/predictions"]
    (stored,) = simulator.files.values()
    assert stored.data == LARGE.data
    assert (stored.shown["name"], stored.shown["content_type"]) == ("input_image.png", "image/png")
    assert sent(simulator)["input_image"] == stored.shown["urls"]["get"]
    done = ended(provider, reference, work)
    assert isinstance(done, Done)
    (output,) = done.outputs
    with av.open(io.BytesIO(httpx.get(output.url or "").content), "r") as film:
        assert film.streams.video[0].frames == 14 * 12 // 7


def test_a_file_above_the_documented_data_url_size_is_uploaded(
    provider: Replicate, simulator: ReplicateSimulator
) -> None:
    for size, uploads in ((191_000, 0), (192_100, 1)):
        accepted(provider, of("stable-video-diffusion", inputs={"image": (Input(bytes(size), "image/png"),)}))
        assert len(simulator.files) == uploads


def test_an_avatar_job_sends_image_and_audio_and_returns_a_video(
    provider: Replicate, simulator: ReplicateSimulator
) -> None:
    work = of("sadtalker", inputs={"image": (SMALL,), "audio": (SPOKEN,)}, still=True)
    done = ended(provider, accepted(provider, work), work)
    assert isinstance(done, Done)
    (output,) = done.outputs
    assert str(output.url).endswith(".mp4")
    given = sent(simulator)
    assert given["source_image"].startswith("data:image/png;base64,")
    assert given["driven_audio"].startswith("data:audio/wav;base64,")
    assert "prompt" not in given


@pytest.mark.parametrize(
    ("marker", "error_class"), [("upload:503", ErrorClass.TRANSIENT), ("upload:lost", ErrorClass.TRANSIENT)]
)
def test_a_failed_upload_fails_before_a_prediction_starts(
    provider: Replicate, simulator: ReplicateSimulator, marker: str, error_class: ErrorClass
) -> None:
    simulator.behave(marker)
    failed = provider.submit(of("stable-video-diffusion", inputs={"image": (LARGE,)}))
    assert isinstance(failed, Failed)
    assert failed.error_class is error_class
    assert simulator.predictions == {}


def test_a_missing_required_file_fails_as_invalid_input(provider: Replicate) -> None:
    failed = provider.submit(of("stable-video-diffusion", inputs={}))
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.INVALID_INPUT


@pytest.mark.parametrize(
    ("path", "count"), [(None, 1), ("files", 1), ("files.result", 1), ("files.missing", 0), ("seed", 0), ("note.x", 0)]
)
def test_an_output_object_gives_the_files_at_the_configured_path(
    provider: Replicate, path: str | None, count: int
) -> None:
    work = job("a fox [[output:object]]")
    if path:
        work = replace(work, settings={**work.settings, "output": path})
    end = ended(provider, accepted(provider, work), work)
    assert len(end.outputs if isinstance(end, Done) else ()) == count
    assert isinstance(end, Done if count else Failed)


def test_a_lost_prediction_with_files_is_found_by_its_files(provider: Replicate, simulator: ReplicateSimulator) -> None:
    other = Input(sample_png(8, 8, 2), "image/png")
    theirs, ours = (of("stable-video-diffusion", inputs={"image": (file,)}, seed=3) for file in (SMALL, other))
    accepted(provider, theirs)
    assert provider.find(ours) is None
    simulator.behave("create:lost")
    assert isinstance(provider.submit(ours), Unknown)
    found = provider.find(ours)
    assert found is not None
    assert found != provider.find(theirs)


def test_jobs_that_differ_only_in_an_upload_are_not_confused(
    provider: Replicate, simulator: ReplicateSimulator
) -> None:
    accepted(provider, of("stable-video-diffusion", inputs={"image": (LARGE,)}, seed=3))
    other = Input(bytes([1]) * 200_000, "image/png")
    ours = of("stable-video-diffusion", inputs={"image": (other,)}, seed=3)
    assert provider.find(ours) is None
    with_webhook = replace(ours, webhook_url="https://edge.example/attempt-1")
    reference = accepted(provider, with_webhook)
    simulator.predictions[reference].shown["webhook"] = with_webhook.webhook_url
    assert provider.find(with_webhook) == reference


def test_a_webhook_of_a_job_with_files_matches_its_job(provider: Replicate) -> None:
    with webhook_receiver() as receiver:
        work = replace(of("sadtalker", inputs={"image": (LARGE,), "audio": (SPOKEN,)}), webhook_url=receiver.url)
        reference = accepted(provider, work)
        ((_, headers, body),) = receiver.wait_for(1)
        event = provider.parse_webhook(headers, body, int(time.time()), work)
        assert (event.reference, event.progress) == (reference, provider.poll(reference, work))


# ---- the key check ---------------------------------------------------------------------------------------------------


def test_the_key_check_reads_the_account_and_starts_nothing(provider: Replicate, simulator: ReplicateSimulator) -> None:
    assert provider.check() is None
    assert [(call["method"], call["path"]) for call in simulator.calls] == [("GET", "/v1/account")]
    assert provider.models() is None


def test_the_key_check_distinguishes_a_wrong_token_from_an_unreachable_provider(simulator: ReplicateSimulator) -> None:
    wrong = Replicate(api_token="r8_revoked", webhook_secret=WEBHOOK_SECRET, base_url=simulator.url)
    refused = wrong.check()
    assert refused is not None
    assert refused.error_class is ErrorClass.AUTH
    simulator.stop()
    silent = wrong.check()
    assert silent is not None
    assert silent.error_class is ErrorClass.TRANSIENT


# ---- webhooks --------------------------------------------------------------------------------------------------------


def signed(body: bytes, *, at: int, secret: str = WEBHOOK_SECRET, event_id: str = "msg_1") -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = base64.b64encode(hmac.new(key, f"{event_id}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    return {"webhook-id": event_id, "webhook-timestamp": str(at), "webhook-signature": f"v1,{mac}"}


def recorded(name: str) -> bytes:
    return (EVENTS / name).read_bytes()


def test_a_webhook_has_the_same_outcome_as_a_poll(provider: Replicate) -> None:
    with webhook_receiver() as receiver:
        work = job(webhook=f"{receiver.url}/hook")
        reference = accepted(provider, work)
        ((_, headers, body),) = receiver.wait_for(1)
        event = provider.parse_webhook(headers, body, int(time.time()), work)
        assert event.event_id == headers["webhook-id"]
        assert (event.reference, event.progress) == (reference, provider.poll(reference, work))


def test_a_webhook_of_another_job_is_invalid(provider: Replicate) -> None:
    with webhook_receiver() as receiver:
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
def test_the_example_events_are_read(provider: Replicate, name: str, expected: PollOutcome) -> None:
    body = recorded(name)
    assert provider.parse_webhook(signed(body, at=1000), body, 1000).progress == expected


def test_the_example_of_a_failure_is_moderated_and_billed(provider: Replicate) -> None:
    body = recorded("prediction.failed.json")
    failed = provider.parse_webhook(signed(body, at=1000), body, 1000).progress
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.MODERATED_BILLED
    assert failed.usage == {"predict_milliseconds": 3977}


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"{}", b'{"id": "../../secret"}', b'{"id": 7}'])
def test_a_signed_body_that_is_not_a_prediction_is_invalid(provider: Replicate, body: bytes) -> None:
    with pytest.raises(WebhookInvalid):
        provider.parse_webhook(signed(body, at=1000), body, 1000)


@pytest.mark.parametrize("status", ["new-status", None, 7])
def test_an_unrecognised_status_leaves_the_outcome_unknown(provider: Replicate, status: Any) -> None:
    body = json.dumps({"id": "abc", "status": status}).encode()
    assert isinstance(provider.parse_webhook(signed(body, at=1000), body, 1000).progress, Unknown)
