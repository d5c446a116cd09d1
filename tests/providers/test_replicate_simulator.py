"""The simulator speaks Replicate's API: tested with the unmodified SDK and the reference verifier of its signatures."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import av
import httpx
import pytest
from PIL import Image
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError
from standardwebhooks.webhooks import Webhook

from infra.simulators.replicate import API_TOKEN, WEBHOOK_SECRET, ReplicateSimulator
from tests.webhook_receiver import WebhookReceiver, webhook_receiver

FILMS = "3f0457e4619daac51203dedb472816fd4af51f3149fa7a9e0b5ffcf1b8172438"
VERSION = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"


@pytest.fixture
def simulator() -> Iterator[ReplicateSimulator]:
    with ReplicateSimulator(run_seconds=0.02) as running:
        yield running


@pytest.fixture
def sdk(simulator: ReplicateSimulator) -> Client:
    client = Client(API_TOKEN, base_url=simulator.url)
    client.poll_interval = 0.01
    return client


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as running:
        yield running


def test_the_sdk_runs_a_model_and_gets_image_files(sdk: Client) -> None:
    prompt = {"prompt": "a fox", "width": 128, "height": 64, "num_outputs": 2}
    files = sdk.run(f"stability-ai/sdxl:{VERSION}", input=prompt)
    pictures = [Image.open(io.BytesIO(httpx.get(file).content)) for file in files]
    assert [picture.size for picture in pictures] == [(128, 64)] * 2


def test_the_sdk_creates_reloads_waits_and_lists(sdk: Client) -> None:
    prediction = sdk.predictions.create(version=VERSION, input={"prompt": "a fox"}, wait=False)
    assert prediction.status == "starting"
    prediction.wait()
    assert prediction.status == "succeeded"
    assert prediction.metrics is not None
    assert prediction.metrics["predict_time"] > 0
    assert prediction.logs is not None
    assert prediction.progress is not None
    assert prediction.progress.percentage == 1.0
    assert [listed.id for listed in sdk.predictions.list()] == [prediction.id]


def test_the_sdk_waits_for_the_result_in_the_create_request(sdk: Client) -> None:
    assert sdk.predictions.create(version=VERSION, input={"prompt": "a fox"}, wait=5).status == "succeeded"


def test_the_sdk_cancels(sdk: Client) -> None:
    prediction = sdk.predictions.create(version=VERSION, input={"prompt": "a fox [[run:hang]]"})
    prediction.cancel()
    assert prediction.status == "canceled"


def test_the_sdk_pages_through_more_predictions_than_fit_one_page(sdk: Client, simulator: ReplicateSimulator) -> None:
    simulator.page_size = 3
    made = [sdk.predictions.create(version=VERSION, input={"prompt": str(number)}).id for number in range(5)]
    first = sdk.predictions.list()
    assert first.next is not None
    second = sdk.predictions.list(first.next)
    assert [prediction.id for prediction in [*first, *second]] == made[::-1]
    assert second.next is None
    assert second.previous is not None


def test_the_list_of_predictions_is_filtered_by_time(sdk: Client, simulator: ReplicateSimulator) -> None:
    prediction = sdk.predictions.create(version=VERSION, input={"prompt": "a fox"})
    at = simulator.predictions[prediction.id].shown["created_at"]
    assert len(sdk.predictions.list(f"/v1/predictions?created_after={at}")) == 1
    assert len(sdk.predictions.list(f"/v1/predictions?created_before={at}")) == 0


def test_the_sdk_raises_model_error_for_a_failed_prediction(sdk: Client) -> None:
    with pytest.raises(ModelError, match="fell over"):
        sdk.run(f"stability-ai/sdxl:{VERSION}", input={"prompt": "a fox [[run:fail]]"})


@pytest.mark.parametrize(
    ("body", "status", "title"),
    [
        ({"version": "latest", "input": {}}, 422, "Invalid version or not permitted"),
        ({"version": "0" * 64, "input": {}}, 422, "Invalid version or not permitted"),
        ({"version": VERSION, "input": {"num_outputs": 9}}, 422, "Input validation failed"),
        ({"version": VERSION, "input": {}, "webhook": "http://example.com/"}, 422, "Input validation failed"),
        ({"version": VERSION, "input": {"prompt": "[[create:402]]"}}, 402, "Insufficient credit"),
        ({"version": VERSION, "input": {"prompt": "[[create:429]]"}}, 429, "Too many requests"),
    ],
)
def test_the_sdk_reads_rejections_with_status_and_title(
    sdk: Client, body: dict[str, Any], status: int, title: str
) -> None:
    with pytest.raises(ReplicateError) as refused:
        sdk.predictions.create(**body)
    assert (refused.value.status, refused.value.title) == (status, title)


def test_the_sdk_uploads_a_file_and_runs_a_model_on_it(sdk: Client, simulator: ReplicateSimulator) -> None:
    file = sdk.files.create(io.BytesIO(b"a picture, say"), filename="still.png", content_type="image/png")
    assert (file.name, file.content_type, file.size) == ("still.png", "image/png", 14)
    assert sdk.files.get(file.id).checksums == file.checksums
    output = sdk.run(f"stability-ai/stable-video-diffusion:{FILMS}", input={"input_image": file.urls["get"]})
    with av.open(io.BytesIO(httpx.get(str(output)).content), "r") as film:
        assert [stream.type for stream in film.streams] == ["video", "audio"]
    assert sdk.accounts.current().type == "organization"


@pytest.mark.parametrize(
    "url", [None, "still.png", "http://example.com/still.png", f"data:image/png;base64,{'A' * 300_000}"]
)
def test_a_missing_or_unreachable_input_file_is_refused(sdk: Client, url: str | None) -> None:
    given = {"input_image": url} if url else {}
    with pytest.raises(ReplicateError) as refused:
        sdk.predictions.create(version=FILMS, input=given)
    assert refused.value.status == 422


def test_a_file_that_was_never_uploaded_fails_the_run(sdk: Client, simulator: ReplicateSimulator) -> None:
    with pytest.raises(ModelError, match="could not be found"):
        sdk.run(f"a/b:{FILMS}", input={"input_image": f"{simulator.url}/v1/files/nothing"})


def test_a_wrong_token_and_an_unknown_route_are_refused(simulator: ReplicateSimulator) -> None:
    with pytest.raises(ReplicateError) as refused:
        Client("r8_other", base_url=simulator.url).predictions.list()
    assert refused.value.status == 401
    assert httpx.get(f"{simulator.url}/v2/anything").status_code == 404


def test_an_unknown_field_is_refused(simulator: ReplicateSimulator) -> None:
    answer = httpx.post(
        f"{simulator.url}/v1/predictions",
        json={"version": VERSION, "input": {}, "model": "x/y"},
        headers={"authorization": f"Bearer {API_TOKEN}"},
    )
    assert answer.status_code == 422
    assert answer.json()["invalid_fields"][0]["field"] == "model"


def test_a_webhook_carries_the_prediction_with_a_valid_signature(sdk: Client, receiver: WebhookReceiver) -> None:
    prediction = sdk.predictions.create(
        version=VERSION,
        input={"prompt": "a fox"},
        webhook=f"{receiver.url}/hook",
        webhook_events_filter=["completed"],
    )
    ((path, headers, body),) = receiver.wait_for(1)
    assert path == "/hook"
    Webhook(WEBHOOK_SECRET).verify(body, headers)
    sdk.webhooks.validate(headers=headers, body=body.decode(), secret=sdk.webhooks.default.secret(), tolerance=60)
    received, seen = json.loads(body), sdk.predictions.get(prediction.id)
    assert (received["id"], received["status"], received["output"]) == (seen.id, "succeeded", seen.output)


def test_all_webhook_events_are_sent_without_a_filter(sdk: Client, receiver: WebhookReceiver) -> None:
    sdk.predictions.create(version=VERSION, input={"prompt": "a fox"}, webhook=f"{receiver.url}/hook")
    statuses = [json.loads(body)["status"] for _, _, body in receiver.wait_for(2)]
    assert statuses == ["processing", "succeeded"]


def test_a_webhook_answered_with_an_error_is_sent_again(sdk: Client, receiver: WebhookReceiver) -> None:
    receiver.statuses += [500, 503]
    sdk.predictions.create(
        version=VERSION, input={"prompt": "a fox"}, webhook=receiver.url, webhook_events_filter=["completed"]
    )
    posts = receiver.wait_for(3)
    assert len({headers["webhook-id"] for _, headers, _ in posts}) == 1


@pytest.mark.parametrize(("marker", "accepted"), [("forged", False), ("stale", False), ("twice", True)])
def test_a_marker_makes_a_webhook_forged_stale_or_duplicate(
    sdk: Client, receiver: WebhookReceiver, marker: str, accepted: bool
) -> None:
    sdk.predictions.create(
        version=VERSION,
        input={"prompt": f"a fox [[webhook:{marker}]]"},
        webhook=receiver.url,
        webhook_events_filter=["completed"],
    )
    for _, headers, body in receiver.wait_for(2 if marker == "twice" else 1):
        try:
            Webhook(WEBHOOK_SECRET).verify(body, headers)
        except Exception:
            assert not accepted
        else:
            assert accepted


def test_an_early_webhook_arrives_before_the_create_response(sdk: Client, receiver: WebhookReceiver) -> None:
    prediction = sdk.predictions.create(
        version=VERSION,
        input={"prompt": "a fox [[webhook:early]]"},
        webhook=receiver.url,
        webhook_events_filter=["completed"],
    )
    assert prediction.status == "starting"
    assert [json.loads(body)["status"] for _, _, body in receiver.posts] == ["succeeded"]


def test_a_lost_webhook_is_sent_only_on_request(
    sdk: Client, simulator: ReplicateSimulator, receiver: WebhookReceiver
) -> None:
    prediction = sdk.predictions.create(
        version=VERSION,
        input={"prompt": "a fox [[webhook:lost]]"},
        webhook=receiver.url,
        webhook_events_filter=["completed"],
        wait=5,
    )
    assert prediction.status == "succeeded"
    assert receiver.posts == []
    assert httpx.post(f"{simulator.url}/_simulator/webhooks/{prediction.id}").status_code == 200
    receiver.wait_for(1)


def test_the_simulators_behaviour_is_set_and_reset_over_http(sdk: Client, simulator: ReplicateSimulator) -> None:
    httpx.post(f"{simulator.url}/_simulator/behave", json={"markers": ["create:503"], "creations": 1})
    with pytest.raises(ReplicateError):
        sdk.predictions.create(version=VERSION, input={"prompt": "a fox"})
    assert sdk.predictions.create(version=VERSION, input={"prompt": "a fox"}, wait=5).status == "succeeded"
    assert len(httpx.get(f"{simulator.url}/_simulator/calls").json()["calls"]) == 2
    httpx.post(f"{simulator.url}/_simulator/reset")
    assert httpx.get(f"{simulator.url}/_simulator/calls").json()["calls"] == []
