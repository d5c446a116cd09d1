"""functions/v1 called by OpenAI's own SDK: what is stored, what is held, and the responses, while no worker runs."""

from __future__ import annotations

import base64
import json
import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any

import httpx2
import openai
import pytest
from openai import DefaultHttpx2Client, OpenAI

from atelier.caller import Caller
from atelier.clock import system_clock
from atelier.errors import ValidationFailed
from atelier.generations.cancel import cancel
from atelier.generations.model import Generation, Kind, Status
from atelier.generations.ports import Filters
from atelier.openai_api.begin import begin_generation
from atelier.openai_api.deps import RequestFacts
from atelier.openai_api.input_images import INPUT_FILES_SECONDS_MAX
from atelier.openai_api.request import InputFile, MappedRequest
from atelier.openai_api.result import Result
from atelier.openai_api.serve import ANSWER_BYTES_MAX, Served
from atelier.wiring import generations, library, openai_api
from infra.simulators.kit.samples import sample_png
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.example_data import (
    PROJECT,
    USER,
    WORKSPACE,
    create_project,
    movement_kinds,
    start_attempt,
    submit_example,
)
from tests.functions.responses import foreign_event
from tests.invoke import example_event, load_function

PICTURE = sample_png(64, 48, 3)
HELLO: Any = [{"role": "user", "content": "hello"}]


class Program:
    """The SDK, whose requests go straight to the function's handler. It waits for no results: no worker runs."""

    def __init__(self, app: ModuleType) -> None:
        self.app = app
        self.sent: list[httpx2.Request] = []
        self.answers: list[dict[str, Any]] = []
        self.at: list[float] = []

    def client(self, **options: Any) -> OpenAI:
        transport = httpx2.MockTransport(self._handle)
        options = {"max_retries": 0, "default_headers": {"prefer": "wait=0"}, **options}
        http_client = DefaultHttpx2Client(transport=transport, follow_redirects=False)
        return OpenAI(base_url="https://media.example.com/v1", api_key="k", http_client=http_client, **options)

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        event = example_event("v1/complete")
        event["requestContext"]["http"].update(method=request.method, path=request.url.path)
        event["headers"] = dict(request.headers)
        event["queryStringParameters"] = dict(request.url.params)
        event |= {"body": base64.b64encode(request.content).decode(), "isBase64Encoded": True}
        answer = self.app.handler(event, None)
        self.sent.append(request)
        self.at.append(time.monotonic())
        self.answers.append(answer)
        body = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
        return httpx2.Response(answer["statusCode"], headers=answer["headers"], content=body)


@pytest.fixture
def program(cloud: AwsResources) -> Program:
    return Program(load_function("v1"))


@pytest.fixture
def client(program: Program) -> Iterator[OpenAI]:
    with program.client() as made:
        yield made


def stored() -> list[Generation]:
    return list(generations.store().list(WORKSPACE, Filters(), None, 100).generations)


def pending(client: OpenAI, **more: Any) -> str:
    """The generation that a chat request began, which is not finished."""
    with pytest.raises(openai.ConflictError) as caught:
        client.chat.completions.create(model="local/writer", messages=HELLO, **more)
    assert (caught.value.status_code, caught.value.code) == (409, "generation_in_progress")
    found = caught.value.response.headers["atelier-generation-id"]
    assert found in caught.value.message
    return str(found)


def test_a_timed_out_request_names_its_running_generation(client: OpenAI, cloud: AwsResources) -> None:
    begun = pending(client)
    [found] = stored()
    assert (found.id, found.status, found.recipe.prompt) == (begun, Status.QUEUED, "hello")
    assert movement_kinds() == ["hold", "grant"]


def test_sdk_retries_join_the_first_requests_generation(program: Program, cloud: AwsResources) -> None:
    begun = pending(program.client(max_retries=2))
    assert [request.headers["x-stainless-retry-count"] for request in program.sent] == ["0", "1", "2"]
    assert {answer["headers"]["atelier-generation-id"] for answer in program.answers} == {begun}
    assert movement_kinds() == ["hold", "grant"]
    # The same request from another client with the same token joins it; a new idempotency key begins another.
    assert pending(program.client()) == begun
    assert movement_kinds() == ["hold", "grant"]
    assert pending(program.client(), extra_headers={"Idempotency-Key": "another"}) != begun
    assert movement_kinds() == ["hold", "hold", "grant"]


def test_a_retry_after_a_cancellation_reports_the_ended_generation(client: OpenAI, cloud: AwsResources) -> None:
    begun = pending(client)
    cancel(WORKSPACE, begun, deps=generations.close_deps(), now=system_clock())
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="local/writer", messages=HELLO)
    assert caught.value.code == "generation_ended"
    assert len(stored()) == 1
    assert pending(client) != begun


def test_request_records_expire_unless_the_caller_sent_an_idempotency_key(client: OpenAI, cloud: AwsResources) -> None:
    pending(client)
    named = [item for item in cloud.items(cloud.tables.requests) if item["sk"]["S"] in ("try", "idempotency")]
    assert [int(item["expires_at_seconds"]["N"]) > 0 for item in named] == [True, True]
    pending(client, seed=1, extra_headers={"Idempotency-Key": "order 1"})
    kept = [item for item in cloud.items(cloud.tables.requests) if "expires_at_seconds" not in item]
    assert [item["sk"]["S"] for item in kept] == ["idempotency"]


def test_an_idempotency_key_creates_one_generation_and_binds_to_the_request(
    client: OpenAI, cloud: AwsResources
) -> None:
    key = {"Idempotency-Key": "order 1"}
    assert pending(client, extra_headers=key) == pending(client, extra_headers=key)
    assert movement_kinds() == ["hold", "grant"]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="local/writer", messages=HELLO, seed=1, extra_headers=key)
    assert caught.value.code == "idempotency_mismatch"


def test_a_request_beyond_the_credits_stores_no_generation(client: OpenAI, cloud: AwsResources) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.images.generate(model="local/canvas", prompt="large", size="2048x2048", n=4)
    assert (caught.value.status_code, caught.value.code) == (402, "insufficient_quota")
    assert cloud.items(cloud.tables.generations) == []


def test_the_sdks_project_option_sets_the_project(program: Program, cloud: AwsResources) -> None:
    create_project()
    pending(program.client(project=PROJECT))
    pending(program.client(project="proj_of_openais"))
    assert [found.project_id for found in stored()] == [None, PROJECT]


def test_attached_images_are_validated_and_stored_once(client: OpenAI, cloud: AwsResources) -> None:
    for key in ("one", "two"):
        with pytest.raises(openai.ConflictError):
            client.images.edit(
                model="local/canvas",
                image=PICTURE,
                mask=PICTURE,
                prompt="make it night",
                extra_headers={"Idempotency-Key": key},
            )
    assets = library.assets().list(WORKSPACE, None, None, 10).assets
    assert [(asset.type, asset.format, asset.generation_id, asset.width) for asset in assets] == [
        ("image", "png", None, 64)
    ]
    again, found = stored()
    assert found.recipe.inputs == again.recipe.inputs
    assert {role: [each.asset_id for each in sources] for role, sources in found.recipe.inputs.items()} == {
        "image": [assets[0].id],
        "mask": [assets[0].id],
    }
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(model="local/canvas", image=b"no picture", prompt="make it night")
    assert caught.value.param == "image"
    private: Any = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://127.0.0.1/a"}}]}]
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="auto", messages=[*HELLO, *private])
    assert refused.value.param == "messages[1].content[0].image_url"


def test_images_that_take_too_long_to_inspect_are_refused(cloud: AwsResources) -> None:
    mapped = MappedRequest(Kind.IMAGE, "make it night", "local/canvas", files={"image": (InputFile("image", PICTURE),)})
    came = system_clock() - timedelta(seconds=INPUT_FILES_SECONDS_MAX + 1)
    facts = RequestFacts(Caller(USER, WORKSPACE, "owner"), "images/edits", {}, came)
    with pytest.raises(ValidationFailed) as refused:
        begin_generation(openai_api.serve_deps(came), facts, mapped)
    assert [each["path"] for each in refused.value.facts["fields"]] == ["image"]
    assert stored() == []


def test_an_unavailable_model_error_lists_the_available_models(client: OpenAI, cloud: AwsResources) -> None:
    for name, why in (
        ("gpt-5.5", "not offered"),
        ("dall-e-3", "Use openai/gpt-image-2"),
        ("no-such", "none of that name"),
        ("local/canvas", "does not make the kind text"),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model=name, messages=HELLO)
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
        assert why in caught.value.message
        assert "auto" in caught.value.message
        assert "local/writer" in caught.value.message
    assert stored() == []


def test_a_parameter_that_a_model_does_not_support_is_dropped_or_refused(program: Program, cloud: AwsResources) -> None:
    with program.client() as client:
        with pytest.raises(openai.BadRequestError) as caught:
            client.audio.speech.create(model="local/voice", voice="alloy", input="Hi.", response_format="pcm")
        assert caught.value.param == "response_format"
        assert "mp3, wav" in caught.value.message
        assert stored() == []
        with pytest.raises(openai.ConflictError):
            client.audio.speech.create(model="local/voice", voice="alloy", input="Hi.", instructions="Whisper.")
    [found] = stored()
    assert "instructions" not in found.recipe.parameters


def test_videos_are_created_and_listed_only_for_their_workspace(program: Program, cloud: AwsResources) -> None:
    answer = program.app.handler(example_event("v1/create_video"), None)
    film = json.loads(answer["body"])
    assert (film["status"], film["seconds"], film["size"]) == ("queued", "4", "720x1280")
    assert "atelier-adjusted-parameters" not in answer["headers"]
    get = example_event("v1/list_videos")
    listed = json.loads(program.app.handler(get, None)["body"])
    assert [each["id"] for each in listed["data"]] == [film["id"]]
    get["requestContext"]["http"]["path"] = f"/v1/videos/{film['id']}"
    assert json.loads(program.app.handler(get, None)["body"]) == film
    foreign = foreign_event("v1/list_videos")
    foreign["requestContext"]["http"]["path"] = f"/v1/videos/{film['id']}"
    assert program.app.handler(foreign, None)["statusCode"] == 404
    get["requestContext"]["http"]["path"] = f"/v1/videos/{film['id']}/content"
    early = program.app.handler(get, None)
    assert (early["statusCode"], json.loads(early["body"])["error"]["code"]) == (400, "video_not_ready")
    get["requestContext"]["http"]["path"] = f"/v1/videos/{submit_example().id}"
    assert program.app.handler(get, None)["statusCode"] == 404


def test_an_adjusted_video_size_is_reported_in_a_header(program: Program) -> None:
    with program.client() as client, warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        size: Any = "1920x1080"
        begun = client.videos.with_raw_response.create(prompt="waves", model="local/film", seconds="4", size=size)
        assert begun.headers["atelier-adjusted-parameters"] == "size=1920x1080 (width=1280 height=720)"
        assert begun.parse().size == "1280x720"
        far: Any = "8192x256"
        with pytest.raises(openai.BadRequestError) as refused:
            client.videos.create(prompt="waves", model="local/film", size=far)
    assert refused.value.param == "size"
    assert "128 to 1280 pixels wide" in refused.value.message


def limited(client: OpenAI) -> openai.RateLimitError | None:
    try:
        client.models.list()
    except openai.RateLimitError as error:
        return error
    return None


def test_rate_limit_headers_are_sent_before_and_at_the_limit(
    program: Program, cloud: AwsResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_RATE_REQUESTS_PER_MINUTE", "3")
    clear_wiring_caches(clients=False)
    with program.client() as client:
        # If a minute begins between two requests, it allows three more.
        raised = [error for error in (limited(client) for _ in range(7)) if error]
    first = program.answers[0]["headers"]
    assert (first["x-ratelimit-limit-requests"], first["x-ratelimit-remaining-requests"]) == ("3", "2")
    caught = raised[0]
    headers = caught.response.headers
    assert caught.code == "rate_limit_exceeded"
    assert 1 <= int(headers["retry-after"]) <= 60
    assert headers["retry-after-ms"] == f"{headers['retry-after']}000"


def test_the_sdk_retries_after_the_rate_limits_delay_and_succeeds(
    program: Program, cloud: AwsResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_RATE_REQUESTS_PER_MINUTE", "2")
    clear_wiring_caches(clients=False)
    with program.client(max_retries=1) as client:
        while 429 not in (answer["statusCode"] for answer in program.answers):
            # None of them fails: a refused client waits for the next minute by itself.
            assert "auto" in [model.id for model in client.models.list()]
    refused, served = program.answers[-2:]
    assert (refused["statusCode"], served["statusCode"]) == (429, 200)
    assert program.sent[-1].headers["x-stainless-retry-count"] == "1"
    assert program.at[-1] - program.at[-2] >= int(refused["headers"]["Retry-After"])


def test_a_response_too_large_for_the_gateway_redirects_to_storage(cloud: AwsResources) -> None:
    generation = start_attempt(submit_example())
    assert generation.attempt is not None
    done = Served(Result(generation), {"a": "b"}, generation.created_at, openai_api.serve_deps(generation.created_at))
    assert done.json({"data": []}).status == 200
    moved = done.json({"data": "x" * ANSWER_BYTES_MAX})
    assert moved.status == 303
    path = moved.headers["Location"].partition("?")[0]
    assert path == f"/media/answers/{WORKSPACE}/{generation.id}.json"
    assert cloud.bucket_keys("media/answers/") == [path.lstrip("/")]
    assert done.events(b"data: x\n\n" * 500_000).status == 303


def test_an_unknown_path_is_refused_in_openais_error_shape(client: OpenAI, cloud: AwsResources) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="auto", input="hello")
    assert caught.value.type == "invalid_request_error"
    with pytest.raises(openai.APIStatusError) as wrong:
        client.post("/models", body={}, cast_to=object)
    assert wrong.value.status_code == 405
    with pytest.raises(openai.BadRequestError):
        client.post("/chat/completions", content=b"{", cast_to=object)


@pytest.mark.parametrize("sign", ['"', "\\", "\x01", "€"])
def test_a_conversation_too_large_to_store_is_refused(client: OpenAI, cloud: AwsResources, sign: str) -> None:
    said: Any = [{"role": "user", "content": sign * 290_000}, *HELLO]
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="local/writer", messages=said)
    assert caught.value.status_code in (400, 413, 422)
    assert caught.value.param == "messages"
    assert stored() == []


def test_a_model_without_image_input_refuses_an_image_in_a_conversation(client: OpenAI, cloud: AwsResources) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
    shown: Any = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}, *HELLO]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="local/writer", messages=shown)
    assert (caught.value.param, stored()) == ("messages", [])


def test_a_known_parameter_is_accepted_and_a_misspelt_one_is_refused(program: Program, cloud: AwsResources) -> None:
    with program.client(default_headers={"prefer": "wait=0"}) as client:
        pending(client, verbosity="low", store=False, stop=["END"])
        [begun] = stored()
        assert begun.recipe.parameters["stop"] == ["END"]
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="local/writer", messages=HELLO, extra_body={"max_token": 5})
    assert (caught.value.code, caught.value.param) == ("unknown_parameter", "max_token")
