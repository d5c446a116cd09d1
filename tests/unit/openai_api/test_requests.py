"""OpenAI's requests in our terms: how each field is mapped, and which are refused by name."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from openai.types.audio.speech_create_params import SpeechCreateParams
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from openai.types.image_edit_params import ImageEditParamsNonStreaming, ImageEditParamsStreaming
from openai.types.image_generate_params import ImageGenerateParamsNonStreaming, ImageGenerateParamsStreaming
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from openai.types.video_create_params import VideoCreateParams

from atelier.catalogue.catalogue import FOLDER, load
from atelier.catalogue.model import Model
from atelier.errors import BadRequest, PromptRefused, UnsupportedMediaType, ValidationFailed
from atelier.generations.model import Kind
from atelier.openai_api.chat import ChatRequest
from atelier.openai_api.errors import ContentRefused, UnsupportedParameter
from atelier.openai_api.images import EditRequest, ImageRequest, parse_edit_form
from atelier.openai_api.multipart import parse_multipart
from atelier.openai_api.request import (
    FILE_BYTES_MAX,
    IGNORED_FIELDS,
    InputFile,
    MappedRequest,
    compare_with_generation,
    fit_to_models,
)
from atelier.openai_api.responses import ResponseRequest
from atelier.openai_api.speech import SpeechRequest
from atelier.openai_api.videos import VideoRequest, parse_video_form

CATALOGUE = load(FOLDER, frozenset({"local", "openai"}))
DATA_URL = "data:image/png;base64," + base64.b64encode(b"a picture").decode()


def chat(*messages: dict[str, Any], **more: Any) -> MappedRequest:
    return ChatRequest.model_validate({"model": "auto", "messages": messages, **more}).to_mapped_request()


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def models(*names: str) -> list[Model]:
    return [CATALOGUE.model(name) for name in names]


def paths(refused: pytest.ExceptionInfo[ValidationFailed]) -> list[str]:
    return [each["path"] for each in refused.value.facts["fields"]]


def test_a_single_message_becomes_the_prompt() -> None:
    assert chat(user("hello")) == MappedRequest(Kind.TEXT, "hello", field_names=chat(user("hello")).field_names)
    parted = chat(user([{"type": "text", "text": "hello"}, {"type": "text", "text": "there"}]))
    assert parted.prompt == "hello\nthere"


def test_leading_instructions_become_the_system_prompt() -> None:
    mapped = chat(
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Be kind."},
        user("Who?"),
        {"role": "assistant", "content": "Ada.", "refusal": None, "tool_calls": None, "annotations": []},
        {"role": "developer", "content": "In German."},
        user("Why?"),
    )
    assert mapped.prompt == "Why?"
    assert mapped.parameters == {
        "system": "Be brief.\n\nBe kind.",
        "messages": [
            {"role": "user", "content": "Who?"},
            {"role": "assistant", "content": "Ada."},
            {"role": "system", "content": "In German."},
            {"role": "user", "content": "Why?"},
        ],
    }


def picture(data: bytes) -> dict[str, Any]:
    return {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{base64.b64encode(data).decode()}", "detail": "low"},
    }


def test_images_keep_their_position_in_the_conversation() -> None:
    mapped = chat(
        user([picture(b"first"), {"type": "text", "text": "What is it?"}]),
        {"role": "assistant", "content": "A fox."},
        user([picture(b"second")]),
        {"role": "assistant", "content": "A dog."},
        user([{"type": "text", "text": "And"}, picture(b"third"), {"type": "text", "text": "this?"}]),
    )
    shown = [{"type": "image", "image": number} for number in range(3)]
    assert mapped.parameters["messages"] == [
        {"role": "user", "content": [shown[0], {"type": "text", "text": "What is it?"}]},
        {"role": "assistant", "content": "A fox."},
        {"role": "user", "content": [shown[1]]},
        {"role": "assistant", "content": "A dog."},
        {"role": "user", "content": [{"type": "text", "text": "And"}, shown[2], {"type": "text", "text": "this?"}]},
    ]
    assert [file.data for file in mapped.files["image"]] == [b"first", b"second", b"third"]


def test_a_message_of_images_only_is_accepted() -> None:
    mapped = chat(user([picture(b"alone")]))
    assert (mapped.prompt, [file.data for file in mapped.files["image"]]) == ("", [b"alone"])
    assert mapped.parameters["messages"] == [{"role": "user", "content": [{"type": "image", "image": 0}]}]


@pytest.mark.parametrize("role", ["assistant", "system", "developer"])
def test_an_image_in_a_message_of_another_role_is_refused(role: str) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        chat(user("a"), {"role": role, "content": [picture(b"1")]}, user("b"))
    assert refused.value.facts["param"] == "messages[1].content[0]"


def test_a_long_message_becomes_a_conversation_with_a_shortened_prompt() -> None:
    mapped = chat(user("x" * 9000))
    assert len(mapped.prompt) == 8000
    assert mapped.parameters["messages"] == [{"role": "user", "content": "x" * 9000}]


def test_image_urls_become_input_files() -> None:
    mapped = chat(
        user([{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": DATA_URL}}])
    )
    assert mapped.files == {"image": (InputFile("messages[0].content[1].image_url", b"a picture"),)}
    linked = chat(
        user([{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "https://a.test/b"}}])
    )
    assert linked.files["image"][0].url == "https://a.test/b"
    said = ResponseRequest.model_validate(
        {"input": [user([{"type": "input_text", "text": "?"}, {"type": "input_image", "image_url": DATA_URL}])]}
    ).to_mapped_request()
    assert said.files["image"][0].data == b"a picture"


@pytest.mark.parametrize("url", ["http://a.test/b.png", "data:image/png,plain", "data:image/png;base64,%%%", "x"])
def test_an_unusable_image_url_is_refused_at_its_field(url: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        chat(user([{"type": "image_url", "image_url": {"url": url}}]))
    assert paths(refused) == ["messages[0].content[0].image_url"]


def test_sampling_parameters_are_mapped_by_name() -> None:
    mapped = chat(user("a"), max_completion_tokens=50, temperature=0.5, top_p=0.9, seed=-1, reasoning_effort="low")
    assert mapped.parameters == {
        "max_tokens": 50, "temperature": 0.5, "top_p": 0.9, "seed": 2**31 - 1, "reasoning_effort": "low",
    }  # fmt: skip
    refusal = mapped.translate_error(ValidationFailed([{"path": "parameters.max_tokens", "message": "must be less"}]))
    assert refusal.facts["fields"][0]["path"] == "max_completion_tokens"


@pytest.mark.parametrize(
    ("name", "harmless", "harmful"),
    [
        ("n", 1, 2),
        ("tools", [], [{"type": "function"}]),
        ("tool_choice", "none", "required"),
        ("response_format", {"type": "text"}, {"type": "json_object"}),
        ("logprobs", False, True),
        ("logit_bias", {}, {"50256": -100}),
        ("top_logprobs", 0, 3),
        ("modalities", ["text"], ["text", "audio"]),
    ],
)
def test_an_unsupported_parameter_is_refused_unless_it_has_no_effect(name: str, harmless: Any, harmful: Any) -> None:
    assert chat(user("a"), **{name: harmless}) == chat(user("a"), **{name: None}) == chat(user("a"))
    with pytest.raises(UnsupportedParameter) as refused:
        chat(user("a"), **{name: harmful})
    assert refused.value.facts["param"] == name


BODIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "chat": (ChatRequest, {"model": "auto", "messages": [user("a")]}),
    "responses": (ResponseRequest, {"input": "a"}),
    "images": (ImageRequest, {"prompt": "a"}),
    "edits": (EditRequest, {"prompt": "a", "image": [b"1"]}),
    "speech": (SpeechRequest, {"model": "tts-1", "input": "a"}),
    "videos": (VideoRequest, {"prompt": "a"}),
}


def at(door: str, **more: Any) -> MappedRequest:
    model, body = BODIES[door]
    return model.model_validate({**body, **more}).to_mapped_request()


@pytest.mark.parametrize("door", BODIES)
def test_every_endpoint_ignores_and_reports_client_metadata_fields(door: str) -> None:
    ignorable = {
        "user": "u", "metadata": {"a": "b"}, "store": False, "service_tier": "auto", "safety_identifier": "s",
        "prompt_cache_key": "k", "prompt_cache_retention": "24h", "parallel_tool_calls": True, "truncation": "auto",
        "include": ["reasoning.encrypted_content"],
    }  # fmt: skip
    mapped = at(door, **ignorable)
    assert mapped.ignored == tuple(sorted(ignorable))
    assert replace(mapped, ignored=()) == at(door)
    assert fit_to_models(mapped, [])[1] == mapped.ignored


@pytest.mark.parametrize("door", BODIES)
def test_every_endpoint_ignores_and_reports_other_servers_fields(door: str) -> None:
    theirs = {
        "extra_headers": {"X-Title": "a"}, "chat_id": "c", "session_id": "s", "keep_alive": "5m", "think": False,
        "enable_thinking": True, "chat_template_kwargs": {"thinking": True}, "num_ctx": 8192, "safe_prompt": True,
        "provider": {"sort": "price"}, "transforms": ["middle-out"], "repeat_penalty": 1.1, "max_retries": 2,
    }  # fmt: skip
    mapped = at(door, **theirs, absent=None)
    assert mapped.ignored == tuple(sorted(theirs))
    assert replace(mapped, ignored=()) == at(door)


@pytest.mark.parametrize("door", BODIES)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_token", 5),
        ("maxOutputTokens", 5),
        ("num_predict", 5),
        ("budget", 1),
        ("modle", "auto"),
        ("guided_json", "{}"),
        ("reasoning_limits", {"max_tokens": 5}),
        ("negative_prompt", "a"),
        ("x\r\ny", 1),
        ("ä", 1),
        ("x" * 65, 1),
    ],
)
def test_every_endpoint_refuses_an_unknown_field_that_may_be_a_limit(door: str, name: str, value: Any) -> None:
    with pytest.raises(ValidationFailed) as refused:
        at(door, **{name: value})
    assert refused.value.facts["fields"] == [{"path": name, "message": "is not a field of this request"}]


def test_a_request_has_at_most_twenty_ignored_fields() -> None:
    assert len(at("chat", **{f"wish_{number}": 1 for number in range(20)}).ignored) == 20
    with pytest.raises(ValidationFailed):
        at("chat", **{f"wish_{number}": 1 for number in range(21)})


@pytest.mark.parametrize(
    ("door", "types"),
    [
        ("chat", (CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming)),
        ("responses", (ResponseCreateParamsNonStreaming, ResponseCreateParamsStreaming)),
        ("images", (ImageGenerateParamsNonStreaming, ImageGenerateParamsStreaming)),
        ("edits", (ImageEditParamsNonStreaming, ImageEditParamsStreaming)),
        ("speech", (SpeechCreateParams,)),
        ("videos", (VideoCreateParams,)),
    ],
)
def test_every_field_of_openais_sdk_is_mapped_ignored_or_refused(door: str, types: tuple[Any, ...]) -> None:
    model, _ = BODIES[door]
    carried = set(model.model_fields) - IGNORED_FIELDS
    fields = {name for each in types for name in each.__required_keys__ | each.__optional_keys__}
    assert fields <= carried | IGNORED_FIELDS | set(model.REFUSED)
    assert not carried & set(model.REFUSED)
    assert not IGNORED_FIELDS & set(model.REFUSED)


def test_verbosity_is_sent_to_models_that_support_it_and_else_ignored() -> None:
    mapped = (at("chat", verbosity="low"), at("responses", text={"verbosity": "low", "format": {"type": "text"}}))
    for each, name in zip(mapped, ("verbosity", "text.verbosity"), strict=True):
        left, ignored = fit_to_models(each, models("openai/gpt-5.5"))
        assert (dict(left.parameters), ignored) == ({"verbosity": "low"}, ())
        left, ignored = fit_to_models(each, models("openai/gpt-4o"))
        assert (dict(left.parameters), ignored) == ({}, (name,))


@pytest.mark.parametrize(
    ("door", "name"), [("chat", "max_tokens"), ("chat", "max_completion_tokens"), ("responses", "max_output_tokens")]
)
def test_a_token_limit_out_of_range_is_clamped_and_reported(door: str, name: str) -> None:
    for given, taken in ((1, 16), (10**6, 32768)):
        mapped = at(door, **{name: given})
        left, _ = fit_to_models(mapped, models("openai/gpt-5.5"))
        assert left.parameters["max_tokens"] == taken
        assert compare_with_generation(mapped, left.parameters) == ((f"{name}={given} ({taken})",), ())
    mapped = at(door, **{name: 100})
    assert compare_with_generation(mapped, fit_to_models(mapped, models("openai/gpt-5.5"))[0].parameters) == ((), ())


@pytest.mark.parametrize(("stop", "given"), [("END", ["END"]), (["END", "\n"], ["END", "\n"])])
def test_stop_sequences_are_sent_to_models_that_support_them_or_refused(stop: Any, given: list[str]) -> None:
    mapped = chat(user("a"), stop=stop)
    for name in ("openai/gpt-4o", "local/writer"):
        assert fit_to_models(mapped, models(name))[0].parameters == {"stop": given}
    for name in ("openai/gpt-5.5", "openai/o3"):
        with pytest.raises(UnsupportedParameter) as refused:
            fit_to_models(mapped, models(name))
        assert refused.value.facts["param"] == "stop"
    for nothing in ([], "", None):
        assert "stop" not in chat(user("a"), stop=nothing).parameters


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "assistant", "content": None, "audio": {"id": "audio_1"}},
        {"role": "tool", "content": "5", "tool_call_id": "c"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]},
        user([{"type": "input_audio", "input_audio": {}}]),
    ],
)
def test_tool_calls_and_audio_in_a_conversation_are_refused(message: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        chat(user("a"), message)
    assert str(refused.value.facts["param"]).startswith("messages[1]")


def test_an_assistants_refusal_stays_in_the_conversation() -> None:
    refused = {"role": "assistant", "content": None, "refusal": "I can't.", "annotations": [], "tool_calls": None}
    mapped = chat(user("a"), refused, user("b"))
    assert [each["content"] for each in mapped.parameters["messages"]] == ["a", "I can't.", "b"]


@pytest.mark.parametrize(
    "url",
    [
        DATA_URL.upper().split(",")[0] + "," + DATA_URL.split(",")[1],
        f" {DATA_URL}\n",
        "data:image/png;base64," + base64.encodebytes(b"a picture" * 20).decode(),
        DATA_URL.replace(";base64", ";name=a.png;base64"),
    ],
)
def test_an_image_is_read_from_any_spelling_of_its_data_url(url: str) -> None:
    [picture] = chat(user([{"type": "image_url", "image_url": {"url": url}}])).files["image"]
    assert picture.data.startswith(b"a picture")


def test_a_conversation_beyond_the_storage_limit_is_refused() -> None:
    with pytest.raises(ValidationFailed) as refused:
        chat(user("ü" * 100_000), user("ü" * 50_001))
    assert paths(refused) == ["messages"]


def test_an_empty_conversation_is_refused() -> None:
    for message in (user(""), user("  "), user([]), {"role": "assistant", "content": None}):
        with pytest.raises(ValidationFailed) as refused:
            chat(message)
        assert paths(refused) == ["messages"]
    assert chat({"role": "system", "content": "Greet me."}).prompt == "Greet me."


def test_a_response_accepts_a_text_or_a_list_of_items() -> None:
    plain = ResponseRequest.model_validate({"input": "hi", "instructions": "Be brief", "reasoning": {"effort": "low"}})
    assert plain.to_mapped_request().prompt == "hi"
    assert plain.to_mapped_request().parameters == {"system": "Be brief", "reasoning_effort": "low"}
    items = [user("Who?"), {"type": "reasoning", "summary": []}, {"role": "assistant", "content": "I."}, user("Why?")]
    mapped = ResponseRequest.model_validate({"input": items}).to_mapped_request()
    assert [message["content"] for message in mapped.parameters["messages"]] == ["Who?", "I.", "Why?"]
    for wrong in ({"type": "function_call_output"}, {"type": "item_reference", "id": "x"}):
        with pytest.raises(UnsupportedParameter):
            ResponseRequest.model_validate({"input": [wrong]}).to_mapped_request()
    for wrong in ({"role": "tool", "content": "x"}, {"role": "user", "content": ["x"]}, {"role": "user"}):
        with pytest.raises(ValidationFailed):
            ResponseRequest.model_validate({"input": [wrong]}).to_mapped_request()
    with pytest.raises(UnsupportedParameter):
        ResponseRequest.model_validate({"input": "a", "text": {"format": {"type": "json_schema"}}}).to_mapped_request()
    with pytest.raises(UnsupportedParameter):
        ResponseRequest.model_validate({"input": "a", "previous_response_id": "resp_1"}).to_mapped_request()


def test_an_image_request_maps_its_size_and_quality() -> None:
    mapped = ImageRequest(prompt="a fox", size="1536x1024", quality="hd", n=2, background="auto").to_mapped_request()
    assert mapped.parameters == {"width": 1536, "height": 1024, "n": 2, "quality": "high"}
    assert ImageRequest(prompt="a fox", size="auto", quality="standard").to_mapped_request().parameters == {}
    for size in ("big", "1024", "1024x", "-1x5"):
        with pytest.raises(ValidationFailed) as refused:
            ImageRequest(prompt="a fox", size=size).to_mapped_request()
        assert paths(refused) == ["size"]


def test_speech_and_video_requests_are_mapped() -> None:
    spoken = SpeechRequest.model_validate(
        {"model": "tts-1", "input": "Hi.", "voice": {"id": "nova"}, "response_format": "wav", "speed": 1.5}
    ).to_mapped_request()
    assert (spoken.kind, spoken.prompt, spoken.model) == (Kind.AUDIO, "Hi.", "tts-1")
    assert spoken.parameters == {"voice": "nova", "speed": 1.5, "format": "wav"}
    film = VideoRequest.model_validate({"prompt": "waves", "seconds": "8", "size": "720x1280"}).to_mapped_request()
    assert film.parameters == {"duration_seconds": 8, "width": 720, "height": 1280}
    begun = VideoRequest.model_validate(
        {"prompt": "waves", "input_reference": {"image_url": DATA_URL}}
    ).to_mapped_request()
    assert begun.files["image"][0].data == b"a picture"


def form(*fields: tuple[str, bytes], boundary: str = "xyz") -> bytes:
    body = b""
    for head, data in fields:
        disposition = f"Content-Disposition: form-data; {head}\r\n\r\n".encode()
        body += f"--{boundary}\r\n".encode() + disposition + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


def test_a_multipart_form_is_parsed_with_its_exact_bytes() -> None:
    picture = b"\x89PNG\r\n\r\n--xy\r\n--\x00\xff"
    body = form(
        ('name="prompt"', b"a fox"),
        ('name="image[]"; filename="a.png"', picture),
        ('name="image[]"; filename="b.png"', b"2"),
        ('name="mask"; filename="m.png"', b"3"),
        ('name="n"', b"2"),
    )
    mapped = parse_edit_form(parse_multipart(body, 'multipart/form-data; boundary="xyz"')).to_mapped_request()
    assert mapped.prompt == "a fox"
    assert [file.data for file in mapped.files["image"]] == [picture, b"2"]
    assert [file.data for file in mapped.files["mask"]] == [b"3"]
    assert mapped.parameters == {"n": 2}
    film = form(
        ('name="prompt"', b"waves"), ('name="seconds"', b"4"), ('name="input_reference[image_url]"', DATA_URL.encode())
    )
    ordered_film = parse_video_form(parse_multipart(film, "multipart/form-data; boundary=xyz")).to_mapped_request()
    assert ordered_film.parameters == {"duration_seconds": 4}
    assert ordered_film.files["image"][0].data == b"a picture"


def test_an_invalid_multipart_form_is_refused() -> None:
    with pytest.raises(UnsupportedMediaType):
        parse_multipart(b"{}", "application/json")
    whole = form(('name="a"', b"1"))
    for body, content_type in (
        (whole, "multipart/form-data"),
        (whole, "multipart/form-data; boundary=other"),
        (whole[:-6], "multipart/form-data; boundary=xyz"),
        (b"", "multipart/form-data; boundary=xyz"),
        (b"--xyz\r\nno head\r\n--xyz--\r\n", "multipart/form-data; boundary=xyz"),
        (b"--xyz\r\nContent-Type: a/b\r\n\r\n1\r\n--xyz--\r\n", "multipart/form-data; boundary=xyz"),
        (form(*[('name="a"', b"1")] * 65), "multipart/form-data; boundary=xyz"),
    ):
        with pytest.raises(BadRequest):
            parse_multipart(body, content_type)


def test_an_edit_with_a_missing_or_invalid_field_is_refused() -> None:
    def mapped(*fields: tuple[str, bytes]) -> None:
        parse_edit_form(
            parse_multipart(form(('name="prompt"', b"a"), *fields), "multipart/form-data; boundary=xyz")
        ).to_mapped_request()

    file = 'name="image"; filename="a"'
    for wrong, path in (
        ([], "image"),
        ([(file, b"x" * (FILE_BYTES_MAX + 1))], "image"),
        ([(file, b"x")] * 17, "image"),
        ([(file, b"")], "image"),
        ([(file, b"x"), ('name="n"', b"1"), ('name="n"', b"2")], "n"),
        ([(file, b"x"), ('name="user"', b"\xff")], "user"),
        ([(file, b"x"), ('name="mask"; filename="a"', b"1"), ('name="mask"; filename="b"', b"2")], "mask"),
        ([(file, b"x"), ('name="n"', b"many")], "n"),
        ([(file, b"x"), ('name="steps_max"', b"1")], "steps_max"),
    ):
        with pytest.raises(ValidationFailed) as refused:
            mapped(*wrong)
        assert paths(refused)[0].startswith(path)


def test_a_parameter_that_the_model_does_not_know_is_dropped_and_reported() -> None:
    mapped = chat(user("a"), temperature=0.5, seed=3, reasoning_effort="low")
    left, ignored = fit_to_models(mapped, models("local/writer"))
    assert (dict(left.parameters), ignored) == ({"temperature": 0.5, "seed": 3}, ("reasoning_effort",))
    left, ignored = fit_to_models(mapped, models("openai/gpt-5.5"))
    assert (dict(left.parameters), ignored) == ({"reasoning_effort": "low"}, ("seed", "temperature"))
    drawn = ImageRequest(prompt="a", quality="high", output_format="png", background="opaque", n=1).to_mapped_request()
    left, ignored = fit_to_models(drawn, models("local/canvas"))
    assert (dict(left.parameters), ignored) == ({"n": 1}, ("quality",))
    other = ImageRequest(prompt="a", output_format="webp", background="transparent").to_mapped_request()
    assert fit_to_models(other, models("local/canvas"))[0].parameters == other.parameters


def test_edited_images_get_the_input_role_of_the_model() -> None:
    body = form(('name="prompt"', b"a"), ('name="image"; filename="a"', b"1"))
    mapped = parse_edit_form(parse_multipart(body, "multipart/form-data; boundary=xyz")).to_mapped_request()
    assert fit_to_models(mapped, models("openai/gpt-image-2"))[0].files.keys() == {"image"}
    assert fit_to_models(mapped, models("replicate/photomaker"))[0].files.keys() == {"reference"}
    assert fit_to_models(mapped, models("replicate/sdxl"))[0].files.keys() == {"image"}


@pytest.mark.parametrize(("requested", "given"), [(1, 16), (500, 500), (100_000, 2048)])
def test_max_tokens_is_clamped_to_the_models_range(requested: int, given: int) -> None:
    left, ignored = fit_to_models(chat(user("a"), max_tokens=requested), models("local/writer"))
    assert (left.parameters["max_tokens"], ignored) == (given, ())


def test_a_refusal_names_the_fields_of_the_openai_request() -> None:
    mapped = ImageRequest(prompt="a", size="9000x9000").to_mapped_request()
    refusal = mapped.translate_error(
        ValidationFailed([{"path": "parameters.width", "message": "must be between 64 and 2048"}])
    )
    assert refusal.facts["fields"] == [{"path": "size", "message": "must be between 64 and 2048"}]
    moderated = chat(user("a")).translate_error(PromptRefused("prompt", "violence", "graphic violence"))
    assert isinstance(moderated, ContentRefused)
    assert moderated.facts["param"] == "messages"
