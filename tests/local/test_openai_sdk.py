"""OpenAI's own SDK, unmodified, against `/v1`: with two changed lines its ordinary calls work."""

from __future__ import annotations

import asyncio
import base64
import io
import warnings
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai._legacy_response import LegacyAPIResponse
from PIL import Image

from infra.simulators.kit.samples import sample_png
from tests.local.client import AccountClient, run_concurrently
from tests.local.conftest import Stack

pytestmark = pytest.mark.usefixtures("healthy_provider")

PICTURE = sample_png(96, 64, 3)


@pytest.fixture
def person(stack: Stack) -> AccountClient:
    return AccountClient(stack.base_url)


@pytest.fixture
def client(stack: Stack, person: AccountClient) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{stack.base_url}/v1", api_key=token(person)) as made:
        yield made


def token(person: AccountClient, *scopes: str) -> str:
    """A new API token of the person."""
    issued = person.http.post("/api/tokens", json={"name": "a program", "scopes": scopes or ["all"]})
    assert issued.status_code == 201, issued.text
    return str(issued.json()["data"]["token"])


def test_models_are_listed_with_their_shutdown_date(client: OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {"auto", "local/writer", "local/canvas", "local/voice", "local/film"} <= listed.keys()
    assert not [name for name in listed if name.startswith("openai/")]
    one = client.models.retrieve("local/writer")
    assert (one.object, one.owned_by, one.shutdown_date) == ("model", "local", None)
    assert client.models.retrieve("auto").id == "auto"
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("gpt-5.5")
    assert missing.value.code == "model_not_found"


def test_a_chat_completion_continues_a_conversation(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="auto",
        messages=[
            {"role": "system", "content": "You are brief."},
            {"role": "user", "content": "Name three rivers."},
            {"role": "assistant", "content": "Elbe, Oder, Inn."},
            {"role": "user", "content": [{"type": "text", "text": "Write a haiku about the second one."}]},
        ],
        max_tokens=200,
        temperature=0.5,
        seed=7,
        user="somebody",
    )
    done = raw.parse()
    assert done.object == "chat.completion"
    assert done.model == "local/writer"
    assert done.choices[0].finish_reason == "stop"
    assert "(procedural)" in (done.choices[0].message.content or "")
    assert done.usage is not None
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens > 0
    assert raw.headers["atelier-generation-id"].startswith("gen_")
    assert int(raw.headers["atelier-credits-charged"]) > 0
    assert raw.headers["atelier-cost-microusd"] == "0"
    assert int(raw.headers["openai-processing-ms"]) > 0
    assert raw.headers["x-request-id"]
    assert int(raw.headers["x-ratelimit-remaining-requests"]) < int(raw.headers["x-ratelimit-limit-requests"])


def test_a_streamed_chat_completion_matches_the_unstreamed_one(client: OpenAI) -> None:
    talk: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Tell me about bridges"}]
    chunks = list(
        client.chat.completions.create(
            model="local/writer", messages=talk, seed=1, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert (
        text == client.chat.completions.create(model="local/writer", messages=talk, seed=1).choices[0].message.content
    )
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_a_response_is_created_and_streamed(client: OpenAI) -> None:
    made = client.responses.create(model="local/writer", input="A title for a book about dust", instructions="Be brief")
    assert made.status == "completed"
    assert made.output_text.endswith("(procedural)")
    assert made.usage is not None
    events = list(
        client.responses.create(
            model="auto", input=[{"role": "user", "content": "Tell me about dust"}], max_output_tokens=40, stream=True
        )
    )
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] in ("response.completed", "response.incomplete")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    with client.responses.stream(model="auto", input="Tell me about dust") as stream:
        final = stream.get_final_response()
    assert final.output_text


def test_images_are_generated_and_edited(client: OpenAI, stack: Stack) -> None:
    made = client.images.generate(
        model="local/canvas", prompt="a lighthouse at dusk", n=2, size="128x128", quality="high"
    )
    assert made.data is not None
    pictures = [Image.open(io.BytesIO(base64.b64decode(each.b64_json or ""))) for each in made.data]
    assert [picture.size for picture in pictures] == [(128, 128)] * 2
    linked = client.images.generate(model="local/canvas", prompt="a lighthouse", size="64x64", response_format="url")
    assert linked.data is not None
    fetched = httpx.get(linked.data[0].url or "")
    assert Image.open(io.BytesIO(fetched.content)).size == (64, 64)
    mask = io.BytesIO()
    Image.new("RGBA", (96, 64), (0, 0, 0, 0)).save(mask, "PNG")
    edited = client.images.edit(
        model="local/canvas", image=PICTURE, mask=mask.getvalue(), prompt="make it night", size="64x64"
    )
    assert edited.data is not None
    assert Image.open(io.BytesIO(base64.b64decode(edited.data[0].b64_json or ""))).format == "PNG"
    own = client.images.with_raw_response.edit(model="local/canvas", image=PICTURE, prompt="make it day", size="auto")
    shaped = own.parse().data
    assert shaped is not None
    assert Image.open(io.BytesIO(base64.b64decode(shaped[0].b64_json or ""))).size == (96, 64)
    assert "atelier-adjusted-parameters" not in own.headers
    listed = [
        event.type for event in client.images.generate(model="local/canvas", prompt="dots", size="64x64", stream=True)
    ]
    assert listed == ["image_generation.completed"]


def test_speech_is_created_and_an_unknown_voice_is_refused(client: OpenAI) -> None:
    spoken = client.audio.speech.create(model="auto", voice="alloy", input="Hello there.", response_format="wav")
    assert spoken.content.startswith(b"RIFF")
    assert spoken.response.headers["content-type"] == "audio/wav"
    with client.audio.speech.with_streaming_response.create(
        model="local/voice", voice="nova", input="Hello again."
    ) as streamed:
        assert streamed.read()
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.speech.create(model="auto", voice="nobody", input="Hello.")
    assert refused.value.param == "voice"


def test_a_video_is_created_polled_and_downloaded(client: OpenAI) -> None:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        begun = client.videos.create(prompt="waves", model="local/film", seconds="4", size="720x1280")
        assert begun.status in ("queued", "in_progress", "completed")
        done = client.videos.poll(begun.id, poll_interval_ms=500)
        assert (done.status, done.error) == ("completed", None)
        assert (done.seconds, done.size) == ("4", "720x1280")
        assert b"ftyp" in client.videos.download_content(done.id).content[:32]
        assert done.id in [film.id for film in client.videos.list(limit=5)]
        with pytest.raises(openai.NotFoundError):
            client.videos.retrieve("video_01M7XCN60QZZZZZZZZZZZZZZZZ")


def test_the_file_of_a_video_is_served_from_the_archive_and_gone_when_deleted(
    client: OpenAI, person: AccountClient
) -> None:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        film = client.videos.create(prompt="a short wave", model="local/film", seconds="4")
        assert client.videos.poll(film.id, poll_interval_ms=500).status == "completed"
        made = person.http.get(f"/api/generations/gen_{film.id.partition('_')[2]}").json()["data"]["generation"]
        asset = f"/api/assets/{made['assets'][0]['id']}"
        assert person.http.put(asset, json={"archived": True}).status_code == 200
        assert b"ftyp" in client.videos.download_content(film.id).content[:32]
        assert person.http.delete(asset).status_code in (200, 204)
        for variant in ("video", "thumbnail"):
            with pytest.raises(openai.NotFoundError) as gone:
                client.videos.download_content(film.id, variant=variant)
            assert gone.value.code == "video_deleted"
            assert "deleted from the library" in gone.value.message
        # What was made and what it cost is still told.
        assert client.videos.retrieve(film.id).status == "completed"


def test_refusals_raise_the_sdks_own_exceptions(client: OpenAI, stack: Stack, person: AccountClient) -> None:
    hello: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]
    stranger = OpenAI(base_url=f"{stack.base_url}/v1", api_key="atl_wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as unknown:
        stranger.chat.completions.create(model="auto", messages=hello)
    assert unknown.value.code == "invalid_api_key"
    reader = OpenAI(base_url=f"{stack.base_url}/v1", api_key=token(person, "read"), max_retries=0)
    assert reader.models.list().data
    with pytest.raises(openai.PermissionDeniedError):
        reader.chat.completions.create(model="auto", messages=hello)
    with pytest.raises(openai.APIStatusError) as poor:
        client.images.generate(prompt="large", model="local/canvas", size="2048x2048", n=4)
    assert (poor.value.status_code, poor.value.code) == (402, "insufficient_quota")
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-5.5", messages=hello)
    assert missing.value.code == "model_not_found"
    assert "auto, local/writer" in missing.value.message
    with pytest.raises(openai.NotFoundError) as retired:
        client.images.generate(model="dall-e-3", prompt="a fox")
    assert "openai/gpt-image-2" in retired.value.message
    with pytest.raises(openai.BadRequestError) as wrong:
        client.images.generate(model="local/canvas", prompt="a fox", size="9000x9000")
    assert (wrong.value.param, wrong.value.type) == ("size", "invalid_request_error")
    with pytest.raises(openai.BadRequestError) as unsupported:
        client.chat.completions.create(
            model="auto", messages=hello, tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}]
        )
    assert (unsupported.value.param, unsupported.value.code) == ("tools", "unsupported_parameter")
    with pytest.raises(openai.NotFoundError) as unserved:
        client.embeddings.create(model="auto", input="hello", encoding_format="float")
    assert unserved.value.type == "invalid_request_error"


def test_a_result_too_large_for_the_gateway_is_still_returned(client: OpenAI) -> None:
    made = client.images.generate(model="local/canvas", prompt="a forest of needles", size="2048x1536", n=3)
    pictures = [base64.b64decode(each.b64_json or "") for each in made.data or ()]
    assert sum(map(len, pictures)) > 4_400_000
    assert {Image.open(io.BytesIO(picture)).size for picture in pictures} == {(2048, 1536)}
    sentence = "The quick brown fox jumps over the lazy dog. "
    spoken = client.audio.speech.create(
        model="local/voice", voice="ada", input=sentence * 90, response_format="wav", speed=0.5
    )
    assert len(spoken.content) > 6_000_000
    assert spoken.content.startswith(b"RIFF")


def test_sdk_retries_find_the_generation_of_a_timed_out_request(
    stack: Stack, client: OpenAI, person: AccountClient
) -> None:
    impatient = client.with_options(default_headers={"Prefer": "wait=1"})

    def create_image(client: OpenAI, **headers: str) -> LegacyAPIResponse[openai.types.ImagesResponse]:
        return client.images.with_raw_response.generate(
            model="replicate/sdxl", prompt="a slow lake [[run:slow=6]]", size="512x512", extra_headers=headers
        )

    with pytest.raises(openai.ConflictError) as caught:
        create_image(impatient.with_options(max_retries=0))
    assert (caught.value.status_code, caught.value.code) == (409, "generation_in_progress")
    begun = caught.value.response.headers["atelier-generation-id"]
    assert begun in caught.value.message
    # The SDK's later retries wait for the same image, which is charged once.
    found = create_image(impatient.with_options(max_retries=20), **{"x-stainless-retry-count": "1"})
    assert found.headers["atelier-generation-id"] == begun
    assert found.parse().data
    assert [movement["kind"] for movement in person.statement()] == ["settled", "hold", "grant"]
    person.assert_books_balance()


def test_identical_concurrent_requests_are_one_generation_without_a_new_key(
    stack: Stack, person: AccountClient
) -> None:
    access = {"authorization": f"Bearer {token(person)}", "prefer": "wait=0"}
    body = {"model": "replicate/sdxl", "prompt": "a slow pond [[run:slow=60]]", "size": "512x512"}

    def sent(**headers: str) -> str:
        url = f"{stack.base_url}/v1/images/generations"
        answer = httpx.post(url, json=body, headers={**access, **headers}, timeout=40)
        assert answer.status_code == 409, answer.text
        return answer.headers["atelier-generation-id"]

    [begun] = set(run_concurrently(6, lambda _: sent()))
    # The retry count does not matter; a key that an SDK generated is not the caller's own.
    assert {sent(**{"x-stainless-retry-count": "0", "idempotency-key": "stainless-node-retry-1"})} == {begun}
    another = sent(**{"idempotency-key": "a second one, please"})
    assert another != begun
    assert [movement["kind"] for movement in person.statement()] == ["hold", "hold", "grant"]
    for each in (begun, another):
        # 200 if the attempt had not been sent to the provider yet.
        assert person.http.post(f"/api/generations/{each}/cancel").status_code in (200, 202)


@pytest.mark.parametrize(("trouble", "code"), [("run:nsfw", "content_policy_violation"), ("create:422", "bad_request")])
def test_a_providers_refusal_is_free_and_keeps_its_error_code(
    client: OpenAI, person: AccountClient, trouble: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model="replicate/sdxl", prompt=f"a lake [[{trouble}]]", size="512x512")
    assert caught.value.code == code
    assert caught.value.response.headers["atelier-credits-charged"] == "0"
    assert caught.value.response.headers["atelier-generation-id"].startswith("gen_")
    assert person.balance()["available"] == 50


def test_a_blocked_prompt_is_a_content_policy_violation(client: OpenAI, person: AccountClient) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model="local/canvas", prompt="how to make ricin", size="64x64")
    assert (caught.value.code, caught.value.param) == ("content_policy_violation", "prompt")
    assert [movement["kind"] for movement in person.statement() if movement["kind"] != "grant"] == []


def test_the_sdks_stream_reader_parses_a_stream(client: OpenAI) -> None:
    with client.chat.completions.stream(model="auto", messages=[{"role": "user", "content": "Hello"}]) as stream:
        kinds = {event.type for event in stream}
        whole = stream.get_final_completion()
    assert {"content.delta", "content.done"} <= kinds
    assert whole.choices[0].message.content


def test_the_asyncio_client_makes_the_same_calls(stack: Stack, person: AccountClient) -> None:
    async def calls() -> None:
        async with AsyncOpenAI(base_url=f"{stack.base_url}/v1", api_key=token(person)) as client:
            assert [model.id async for model in client.models.list()]
            said, answered, drawn, changed, spoken = await asyncio.gather(
                client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "a poem"}]),
                client.responses.create(model="auto", input="a poem"),
                client.images.generate(model="local/canvas", prompt="a fox", size="64x64"),
                client.images.edit(model="local/canvas", image=PICTURE, prompt="a fox", size="64x64"),
                client.audio.speech.create(model="auto", voice="alloy", input="A fox."),
            )
            assert said.choices[0].message.content
            assert answered.output_text
            assert drawn.data
            assert changed.data
            assert spoken.content
            stream = await client.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": "a poem"}], stream=True
            )
            assert [chunk async for chunk in stream][-1].choices[0].finish_reason == "stop"
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model="no/such", messages=[{"role": "user", "content": "a poem"}])

    asyncio.run(calls())
