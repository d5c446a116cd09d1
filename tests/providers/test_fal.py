"""The fal adapter against its simulator: the queue, failures behind COMPLETED, cancellation, and signed webhooks."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from atelier.adapters.providers._signing_keys import KEYS_SECONDS_MAX, KEYS_SECONDS_MIN, SigningKeys, signing_keys
from atelier.adapters.providers.fal import Fal
from atelier.catalogue.catalogue import catalogue
from atelier.clock import system_clock
from atelier.ids import new_id
from atelier.provider_port import (
    Cancelled,
    CancelResult,
    Done,
    ErrorClass,
    Failed,
    Input,
    Job,
    Pending,
    Unknown,
    WebhookInvalid,
)
from infra.simulators.fal import OTHER_USER_ID, FalSimulator, signature_headers
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.server import Route, Simulator
from tests.polling import wait_until
from tests.provider_jobs import accepted, ended, made
from tests.webhook_receiver import WebhookReceiver, webhook_receiver

SEED = bytes(range(32))


@pytest.fixture(autouse=True)
def no_keys_of_an_earlier_test() -> None:
    # A port may be reused by another server, with other keys.
    signing_keys.cache_clear()


@pytest.fixture
def simulator() -> Iterator[FalSimulator]:
    with FalSimulator(run_seconds=0.02) as running:
        yield running


def adapter(simulator: FalSimulator, **given: Any) -> Fal:
    known = {"api_key": simulator.api_key, "user_id": simulator.user_id}
    return Fal(**{**known, "base_url": simulator.url, "rest_url": simulator.url, "answer_seconds_max": 3, **given})


@pytest.fixture
def provider(simulator: FalSimulator) -> Fal:
    return adapter(simulator)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as running:
        yield running


def job(prompt: str = "a fox", model: str = "flux-schnell", *, webhook: str | None = None, **parameters: Any) -> Job:
    entry = catalogue(frozenset({"fal"})).model(f"fal/{model}")
    return Job(
        new_id("att", system_clock()),
        entry.kind,
        entry.id,
        prompt,
        parameters={"width": 128, "height": 64, "n": 1, "seed": 7} | parameters,
        settings=entry.settings,
        webhook_url=webhook,
        run_seconds_max=300,
    )


# ---- submit ----------------------------------------------------------------------------------------------------------


def test_a_submission_is_the_documented_request_and_is_sent_once(
    provider: Fal, simulator: FalSimulator, receiver: WebhookReceiver
) -> None:
    webhook = f"{receiver.url}/hook?of=a&b=c"
    accepted(provider, job("a red fox", webhook=webhook, n=2))
    (call,) = simulator.calls
    parts = urlsplit(call["path"])
    assert (call["method"], parts.path) == ("POST", "/fal-ai/flux/schnell")
    assert parse_qs(parts.query) == {"fal_webhook": [webhook]}
    assert call["headers"]["authorization"] == f"Key {simulator.api_key}"
    assert call["headers"]["x-fal-request-timeout"] == "300"
    assert json.loads(call["headers"]["x-fal-object-lifecycle-preference"]) == {"expiration_duration_seconds": 86400}
    assert call["body"] == {
        "prompt": "a red fox",
        "image_size": {"width": 128, "height": 64},
        "num_images": 2,
        "seed": 7,
        "output_format": "png",
        "enable_safety_checker": True,
    }


def test_a_submission_without_a_webhook_requests_none(provider: Fal, simulator: FalSimulator) -> None:
    accepted(provider, job())
    assert simulator.calls[0]["path"] == "/fal-ai/flux/schnell"


def test_inputs_choices_and_numbers_are_sent_in_the_models_own_form(provider: Fal, simulator: FalSimulator) -> None:
    inputs = {"image": (Input(b"\x89PNG", "image/png"),)}
    work = replace(job("it moves", "kling-2.6-pro", duration_seconds=5, sound="on"), inputs=inputs)
    accepted(provider, work)
    assert simulator.calls[0]["body"] == {
        "prompt": "it moves",
        "duration": "5",
        "generate_audio": True,
        "start_image_url": "data:image/png;base64,iVBORw==",
    }
    several = replace(
        work,
        settings={"app": "a/b", "names": {"prompt": "text"}, "inputs": {"image": ["image_urls"]}, "output": "images"},
        inputs={
            "image": (Input(b"", "image/png", "https://a.example/1"), Input(b"", "image/png", "https://a.example/2"))
        },
    )
    accepted(provider, several)
    assert simulator.calls[1]["body"] == {
        "text": "it moves",
        "image_urls": ["https://a.example/1", "https://a.example/2"],
    }


def test_a_submission_does_not_modify_the_catalogues_settings(provider: Fal) -> None:
    settings = {"app": "a/b", "names": {"width": "size.width"}, "input": {"size": {"height": 64}}, "output": "images"}
    accepted(provider, replace(job(), settings=settings))
    assert settings["input"] == {"size": {"height": 64}}


# ---- the URLs of a request -------------------------------------------------------------------------------------------


def test_a_requests_url_has_the_owner_and_app_but_not_the_sub_path(provider: Fal, simulator: FalSimulator) -> None:
    work = job()
    reference = accepted(provider, work)
    (request_id,) = simulator.requests
    assert reference == f"fal-ai/flux#{request_id}"
    ended(provider, reference, work)
    assert simulator.calls[-2]["path"] == f"/fal-ai/flux/requests/{request_id}/status?logs=1"
    assert simulator.calls[-1]["path"] == f"/fal-ai/flux/requests/{request_id}"


@pytest.mark.parametrize(
    ("app", "prefix"),
    [("workflows/me/story", "workflows/me/story"), ("comfy/me/flow/run", "comfy/me/flow"), ("me/app", "me/app")],
)
def test_a_namespace_is_kept_in_a_requests_url(provider: Fal, app: str, prefix: str) -> None:
    work = replace(job(), settings={**job().settings, "app": app})
    reference = accepted(provider, work)
    assert reference.startswith(f"{prefix}#")
    assert isinstance(ended(provider, reference, work), Done)


@pytest.mark.parametrize("marker", ["foreign", "odd"])
def test_the_api_key_is_sent_only_to_fals_own_urls(provider: Fal, simulator: FalSimulator, marker: str) -> None:
    work = job(f"a fox [[urls:{marker}]]")
    reference = accepted(provider, work)
    assert reference.startswith("fal-ai/flux#")
    assert isinstance(ended(provider, reference, work), Done)
    assert len(simulator.calls) >= 3


@pytest.mark.parametrize(
    "reference",
    ["neverwas", "fal-ai/flux#neverwas", "../secret#1", "a/../b#1", "https://evil.example/a#1", "a/b#1/../2", ""],
)
def test_an_unknown_reference_fails_as_unknown_outcome(provider: Fal, simulator: FalSimulator, reference: str) -> None:
    failed = provider.poll(reference, job())
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.UNKNOWN_OUTCOME
    assert provider.cancel(reference) is CancelResult.TOO_LATE
    assert all("/requests/neverwas" in call["path"] for call in simulator.calls)


# ---- poll ------------------------------------------------------------------------------------------------------------


def test_a_finished_request_returns_its_files_and_run_time(provider: Fal) -> None:
    done = made(provider, job(n=2))
    assert isinstance(done, Done)
    assert done.usage == {"predict_milliseconds": 2500}
    pictures = [Image.open(io.BytesIO(httpx.get(output.url or "").content)) for output in done.outputs]
    assert [picture.size for picture in pictures] == [(128, 64)] * 2
    assert {output.content_type for output in done.outputs} == {"image/png"}


def test_a_video_is_one_file_with_its_length(provider: Fal) -> None:
    done = made(provider, job("it moves", "wan-2.5", duration_seconds=5, resolution="480p", aspect_ratio="16:9"))
    assert isinstance(done, Done)
    assert done.usage == {"predict_milliseconds": 1250, "output_milliseconds": 5000}
    (output,) = done.outputs
    assert output.content_type == "video/mp4"
    assert httpx.get(output.url or "", timeout=30).content[4:8] == b"ftyp"


def test_a_file_may_come_inline(provider: Fal) -> None:
    done = made(provider, job("a fox [[output:inline]]"))
    assert isinstance(done, Done)
    assert done.outputs[0].url is None
    assert (done.outputs[0].data or b"").startswith(b"\x89PNG")


def test_an_image_blacked_out_by_the_safety_check_is_not_delivered(provider: Fal) -> None:
    done = made(provider, job("a fox [[output:fewer]]", n=3))
    assert isinstance(done, Done)
    assert len(done.outputs) == 2
    failed = made(provider, job("a fox [[output:nsfw]]"))
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.MODERATED_BILLED
    assert failed.usage == {"predict_milliseconds": 1250}


def test_a_parameter_beyond_the_models_range_fails_as_invalid_input(provider: Fal) -> None:
    failed = made(provider, job(n=9))
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.INVALID_INPUT


def test_a_request_that_did_not_start_in_time_has_no_usage(provider: Fal) -> None:
    failed = made(provider, replace(job("a fox [[run:queue]]"), run_seconds_max=1))
    assert isinstance(failed, Failed)
    assert (failed.error_class, failed.usage) == (ErrorClass.TIMEOUT_UNSTARTED, {})


def test_progress_is_read_from_the_logs(provider: Fal) -> None:
    work = job("a fox [[run:slow=0.5]]")
    reference = accepted(provider, work)
    seen: set[int] = set()
    while isinstance(progress := provider.poll(reference, work), Pending):
        seen.add(progress.progress)
    assert len(seen) > 3
    assert max(seen) <= 99


def test_a_queued_request_is_pending(provider: Fal) -> None:
    work = job("a fox [[run:queue]]")
    assert provider.poll(accepted(provider, work), work) == Pending(0)


def test_a_request_that_fal_no_longer_has_fails_as_unknown_outcome(provider: Fal, simulator: FalSimulator) -> None:
    work = job()
    reference = accepted(provider, work)
    ended(provider, reference, work)
    simulator.expire()
    failed = provider.poll(reference, work)
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.UNKNOWN_OUTCOME


class _Odd(Simulator):
    """Answers a status request with a given value."""

    status: Any = None

    def routes(self) -> list[Route]:
        return [("GET", r"/a/b/requests/r1/status", self.answer_status)]

    def answer_status(self, request: Request) -> Response:
        return Response(200, self.status)


@pytest.mark.parametrize("status", [{"status": "FAILED"}, {"status": None}, {}, [], "x", {"status": {"a": 1}}])
def test_an_unrecognised_status_leaves_the_outcome_unknown(status: Any) -> None:
    with _Odd() as odd:
        odd.status = status
        provider = Fal(api_key=odd.api_key, base_url=odd.url)
        assert isinstance(provider.poll("a/b#r1", job()), Unknown)


# ---- cancel ----------------------------------------------------------------------------------------------------------


def test_a_queued_request_is_cancelled_and_never_runs(provider: Fal, simulator: FalSimulator) -> None:
    work = job("a fox [[run:queue]]")
    reference = accepted(provider, work)
    assert provider.cancel(reference) is CancelResult.CANCELLED
    assert provider.poll(reference, work) == Cancelled({})
    call = simulator.calls[1]
    assert call["method"] == "PUT"
    assert call["path"].endswith("/cancel")


def test_a_running_request_is_cancelled_later_and_reports_its_usage(provider: Fal, simulator: FalSimulator) -> None:
    work = job("a fox [[run:hang]]")
    reference = accepted(provider, work)
    wait_until(lambda: [one for one in simulator.requests.values() if one.status == "IN_PROGRESS"])
    assert provider.cancel(reference) is CancelResult.PENDING
    assert provider.poll(reference, work) == Cancelled({"predict_milliseconds": 625})


def test_a_finished_request_is_too_late_to_cancel(provider: Fal) -> None:
    work = job()
    reference = accepted(provider, work)
    ended(provider, reference, work)
    assert provider.cancel(reference) is CancelResult.TOO_LATE


# ---- webhooks --------------------------------------------------------------------------------------------------------


class _Keys(Simulator):
    """Publishes signing keys."""

    document: Any = None

    def routes(self) -> list[Route]:
        return [("GET", r"/\.well-known/jwks\.json", self.keys)]

    def keys(self, request: Request) -> Response:
        return Response(200, self.document)


VECTOR_BODY = b'{"request_id":"r1","status":"OK","payload":{}}'
VECTOR_HEADERS = {
    "x-fal-webhook-request-id": "r1",
    "x-fal-webhook-user-id": "u1",
    "x-fal-webhook-timestamp": "1700000000",
    "x-fal-webhook-signature": "3de3ab16f563c494d17d551bd53a88d59a24581c40ae5bf9cf9375785a2bed84"
    "cfdc13a4c0086d80ab04ac5e6ff8b1e25099314340d9833caa935e84a57b7903",
}
VECTOR_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}
OTHER_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}


@pytest.fixture
def published() -> Iterator[_Keys]:
    with _Keys() as keys:
        keys.document = {"keys": [OTHER_KEY, VECTOR_KEY]}
        yield keys


def verified(
    keys: _Keys, headers: dict[str, str] = VECTOR_HEADERS, body: bytes = VECTOR_BODY, now: int = 1700000000
) -> str:
    provider = Fal(api_key="k", user_id="u1", base_url="http://127.0.0.1:1", rest_url=keys.url)
    return provider.parse_webhook(headers, body, now).event_id


def test_a_webhook_signed_by_any_published_key_is_valid(published: _Keys) -> None:
    assert verified(published) == "r1"
    assert verified(published, now=1700000300) == "r1"
    assert verified(published, now=1699999700) == "r1"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"x-fal-webhook-signature": "00" * 64}, "no key"),
        ({"x-fal-webhook-signature": "zz"}, "signature is none"),
        ({"x-fal-webhook-signature": ""}, "missing"),
        ({"x-fal-webhook-timestamp": "1700000001"}, "no key"),
        ({"x-fal-webhook-timestamp": "soon"}, "no number"),
        ({"x-fal-webhook-timestamp": "١٧٠٠٠٠٠٠٠٠"}, "no number"),
        ({"x-fal-webhook-request-id": "r2"}, "no key"),
        ({"x-fal-webhook-request-id": "\udcff"}, "no key"),
        ({"x-fal-webhook-user-id": "u2"}, "another account"),
    ],
)
def test_a_webhook_with_one_changed_header_is_invalid(published: _Keys, changed: dict[str, str], reason: str) -> None:
    with pytest.raises(WebhookInvalid, match=reason):
        verified(published, VECTOR_HEADERS | changed)


def test_a_webhook_with_a_changed_body_stale_time_or_no_headers_is_invalid(published: _Keys) -> None:
    for headers, body, now in (
        (VECTOR_HEADERS, VECTOR_BODY + b" ", 1700000000),
        (VECTOR_HEADERS, VECTOR_BODY, 1700000301),
        (VECTOR_HEADERS, VECTOR_BODY, 1699999699),
        ({}, VECTOR_BODY, 1700000000),
    ):
        with pytest.raises(WebhookInvalid):
            verified(published, headers, body, now)


def test_every_webhook_is_invalid_without_a_configured_user_id(published: _Keys) -> None:
    provider = Fal(api_key="k", rest_url=published.url)
    with pytest.raises(WebhookInvalid, match="another account"):
        provider.parse_webhook(VECTOR_HEADERS, VECTOR_BODY, 1700000000)


@pytest.mark.parametrize(
    "document",
    [{}, [], {"keys": []}, {"keys": [{"x": "short"}]}, {"keys": [{"x": 7}, None]}, "x", {"keys": [OTHER_KEY]}],
)
def test_a_key_document_without_a_usable_key_makes_a_webhook_invalid(document: Any) -> None:
    with _Keys() as keys:
        keys.document = document
        with pytest.raises(WebhookInvalid):
            verified(keys)


def test_unreachable_signing_keys_make_a_webhook_invalid(published: _Keys) -> None:
    verified(published)
    assert "authorization" not in published.calls[0]["headers"]
    published.stop()
    assert verified(published) == "r1"
    with _Keys() as gone:
        url = gone.url
    provider = Fal(api_key="k", user_id="u1", rest_url=url)
    with pytest.raises(WebhookInvalid, match="fetched"):
        provider.parse_webhook(VECTOR_HEADERS, VECTOR_BODY, 1700000000)
    with pytest.raises(WebhookInvalid, match="no safe address"):
        Fal(api_key="k", user_id="u1", rest_url="file:///etc").parse_webhook(VECTOR_HEADERS, VECTOR_BODY, 1700000000)


def test_signing_keys_are_cached_for_a_day_and_refetched_rarely_for_forgeries(published: _Keys) -> None:
    keys, private = SigningKeys(f"{published.url}/.well-known/jwks.json"), Ed25519PrivateKey.from_private_bytes(SEED)
    right, new = private.sign(b"m"), Ed25519PrivateKey.from_private_bytes(b"\2" * 32).sign(b"m")

    def fetched() -> int:
        return len(published.calls)

    assert keys.verify(right, b"m", 1000)
    assert keys.verify(right, b"m", 1000 + KEYS_SECONDS_MAX)
    assert fetched() == 1
    assert keys.verify(right, b"m", 1001 + KEYS_SECONDS_MAX)
    assert fetched() == 2
    # The signature matches no cached key: the keys are fetched again, but not for every forgery.
    at = 1001 + KEYS_SECONDS_MAX
    assert not keys.verify(new, b"m", at + KEYS_SECONDS_MIN)
    assert fetched() == 2
    assert not keys.verify(new, b"m", at + KEYS_SECONDS_MIN + 1)
    assert not keys.verify(new, b"m", at + KEYS_SECONDS_MIN + 2)
    assert fetched() == 3


def test_a_rotated_signing_key_is_fetched(simulator: FalSimulator) -> None:
    keys = SigningKeys(f"{simulator.url}/.well-known/jwks.json")
    assert not keys.verify(b"\0" * 64, b"m", 1000)
    simulator.rotate()
    with webhook_receiver() as receiver:
        accepted(adapter(simulator), job(webhook=receiver.url))
        ((_, headers, body),) = receiver.wait_for(1)
        assert adapter(simulator).parse_webhook(headers, body, int(time.time())).event_id


def test_a_webhook_has_the_same_outputs_as_a_poll(provider: Fal, receiver: WebhookReceiver) -> None:
    work = job(webhook=f"{receiver.url}/hook")
    reference = accepted(provider, work)
    ((path, headers, body),) = receiver.wait_for(1)
    assert path == "/hook"
    event = provider.parse_webhook(headers, body, int(time.time()), work)
    polled = provider.poll(reference, work)
    assert event.reference == reference
    assert isinstance(event.progress, Done)
    assert isinstance(polled, Done)
    assert event.progress.outputs == polled.outputs
    # fal's webhook reports no run time, and none is invented.
    assert event.progress.usage == {}


def test_a_webhook_parsed_without_its_job_is_verified_and_has_no_outcome(
    provider: Fal, receiver: WebhookReceiver
) -> None:
    accepted(provider, job(webhook=receiver.url))
    ((_, headers, body),) = receiver.wait_for(1)
    event = provider.parse_webhook(headers, body, int(time.time()))
    assert event.event_id == json.loads(body)["request_id"]
    assert isinstance(event.progress, Unknown)


@pytest.mark.parametrize(
    "marker",
    [
        *("run:policy", "run:invalid", "run:text", "run:crash", "run:runner_scheduling_failure", "run:startup_timeout"),
        *("output:nsfw", "output:none"),
    ],
)
def test_a_webhook_reports_a_failure_with_its_error_class(
    provider: Fal, receiver: WebhookReceiver, marker: str
) -> None:
    work = job(f"a fox [[{marker}]]", webhook=receiver.url)
    accepted(provider, work)
    ((_, headers, body),) = receiver.wait_for(1)
    failed = provider.parse_webhook(headers, body, int(time.time()), work).progress
    assert isinstance(failed, Failed)
    assert failed.error_class == FalSimulator.faults[marker].error_class


def test_the_payload_missing_from_a_webhook_is_fetched(provider: Fal, receiver: WebhookReceiver) -> None:
    work = job("a fox [[webhook:large]]", webhook=receiver.url)
    reference = accepted(provider, work)
    ((_, headers, body),) = receiver.wait_for(1)
    assert json.loads(body)["payload"] is None
    assert provider.parse_webhook(headers, body, int(time.time()), work).progress == provider.poll(reference, work)


@pytest.mark.parametrize(
    ("marker", "reason"),
    [
        ("forged", "no key"),
        ("stale", "too far"),
        ("foreign", "another account"),
        ("other", "another request"),
    ],
)
def test_a_forged_stale_or_foreign_webhook_is_invalid(
    provider: Fal, receiver: WebhookReceiver, marker: str, reason: str
) -> None:
    accepted(provider, job(f"a fox [[webhook:{marker}]]", webhook=receiver.url))
    ((_, headers, body),) = receiver.wait_for(1)
    with pytest.raises(WebhookInvalid, match=reason):
        provider.parse_webhook(headers, body, int(time.time()))


def test_a_webhook_of_another_request_has_another_reference(provider: Fal, receiver: WebhookReceiver) -> None:
    mine, theirs = job("mine", webhook=receiver.url), job("theirs [[webhook:lost]]", webhook=receiver.url)
    accepted(provider, mine)
    reference = accepted(provider, theirs)
    ((_, headers, body),) = receiver.wait_for(1)
    assert provider.parse_webhook(headers, body, int(time.time()), theirs).reference != reference


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"{}", b'{"request_id": 7}', b'{"request_id": "../x"}'])
def test_a_signed_body_that_is_not_an_event_is_invalid(published: _Keys, body: bytes) -> None:
    headers = {name.lower(): value for name, value in signature_headers(SEED, "../x", "u1", 1000, body).items()}
    with pytest.raises(WebhookInvalid):
        verified(published, headers, body, 1000)


# ---- the key check ---------------------------------------------------------------------------------------------------


def test_the_key_is_checked_by_a_call_that_costs_nothing(provider: Fal, simulator: FalSimulator) -> None:
    assert provider.check() is None
    assert simulator.requests == {}
    wrong = adapter(simulator, api_key="other").check()
    assert isinstance(wrong, Failed)
    assert wrong.error_class is ErrorClass.AUTH
    simulator.stop()
    gone = provider.check()
    assert isinstance(gone, Failed)
    assert gone.error_class is ErrorClass.TRANSIENT
    assert provider.models() is None


# ---- the simulator ---------------------------------------------------------------------------------------------------


def test_the_simulator_sends_webhooks_early_late_and_again_after_an_error(
    simulator: FalSimulator, receiver: WebhookReceiver
) -> None:
    provider = adapter(simulator)
    accepted(provider, job("a fox [[webhook:early]]", webhook=receiver.url))
    assert len(receiver.posts) == 1
    receiver.statuses += [500, 503]
    accepted(provider, job("a fox [[webhook:late=0.1]]", webhook=receiver.url))
    posts = receiver.wait_for(4)
    assert len({headers["x-fal-webhook-request-id"] for _, headers, _ in posts}) == 2


def test_the_simulator_sends_a_lost_webhook_on_request(simulator: FalSimulator, receiver: WebhookReceiver) -> None:
    work = job("a fox [[webhook:lost]]", webhook=receiver.url)
    provider = adapter(simulator)
    reference = accepted(provider, work)
    assert isinstance(ended(provider, reference, work), Done)
    assert receiver.posts == []
    httpx.post(f"{simulator.url}/_simulator/webhooks/{reference.partition('#')[2]}")
    ((_, headers, _),) = receiver.wait_for(1)
    assert headers["x-fal-webhook-user-id"] not in ("", OTHER_USER_ID)


@pytest.mark.parametrize("marker", ["gone", "denied"])
def test_an_expired_result_url_answers_403_or_404(provider: Fal, marker: str) -> None:
    done = made(provider, job(f"a fox [[output:{marker}]]"))
    assert isinstance(done, Done)
    assert httpx.get(done.outputs[0].url or "").status_code in (403, 404)
