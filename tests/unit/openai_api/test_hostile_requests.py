"""Every body, whatever it contains, is parsed or refused without a crash."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from atelier.catalogue.catalogue import FOLDER, load
from atelier.errors import AtelierError, BadRequest, ValidationFailed
from atelier.http.api import Api
from atelier.http.response import Response
from atelier.openai_api import model_names
from atelier.openai_api.chat import ChatRequest
from atelier.openai_api.errors import error_response
from atelier.openai_api.images import ImageRequest, parse_edit_form
from atelier.openai_api.multipart import HEADER_BYTES_MAX, PARTS_MAX, collect_values, parse_multipart
from atelier.openai_api.request import MappedRequest, image_from_url
from atelier.openai_api.responses import ResponseRequest
from atelier.openai_api.speech import SpeechRequest
from atelier.openai_api.videos import VideoRequest, parse_video_form

DATA = load(FOLDER, frozenset({"local"})).data
WORDS = st.sampled_from(
    ["user", "assistant", "system", "text", "image_url", "input_text", "message", "type", "role", "content", "url",
     "https://a.test", "data:image/png;base64,AAAA", "1024x1024", "auto", "none", "effort", "format", "id", ""]
)  # fmt: skip
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5000) | st.floats(allow_nan=False) | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
JSON_HEADERS = {"content-type": "application/json"}
MODELS = [ChatRequest, ResponseRequest, ImageRequest, SpeechRequest, VideoRequest]


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_body_is_parsed_or_refused(model: type[BaseModel], data: st.DataObject) -> None:
    body = data.draw(st.dictionaries(st.sampled_from(sorted(model.model_fields)), JSON, max_size=6))
    body.setdefault("model", "auto")
    with contextlib.suppress(ValidationError, AtelierError):
        mapped = model.model_validate(body).to_mapped_request()  # pyright: ignore[reportAttributeAccessIssue]
        assert isinstance(mapped, MappedRequest)
        assert mapped.prompt


@settings(max_examples=150, deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from(
            [
                b"--x\r\n",
                b"--x--\r\n",
                b"\r\n",
                b"\r\n\r\n",
                b"Content-Disposition: form-data; ",
                b'name="image"',
                b'name="prompt"',
                b'name="input_reference[image_url]"',
                b'name="input_reference"',
                b"; filename=a",
                b"a",
            ]
        )
        | st.binary(max_size=6),
        max_size=20,
    )
)
def test_any_form_is_parsed_or_refused(pieces: list[bytes]) -> None:
    with contextlib.suppress(AtelierError):
        found = parse_multipart(b"".join(pieces), "multipart/form-data; boundary=x")
        assert isinstance(collect_values(found, files=("image",)), dict)
        for read in (parse_edit_form, parse_video_form):
            with contextlib.suppress(AtelierError):
                read(found).to_mapped_request()


@pytest.mark.parametrize("content", [5, True, {"a": 1}, {}, [5], ["x"], [{"type": []}], [{"type": "text", "text": 5}]])
def test_invalid_message_content_is_refused(content: Any) -> None:
    with pytest.raises(AtelierError) as refused:
        ResponseRequest.model_validate({"input": [{"role": "user", "content": content}]}).to_mapped_request()
    assert refused.value.status in (400, 422)
    with pytest.raises((ValidationError, AtelierError)):
        ChatRequest.model_validate(
            {"model": "auto", "messages": [{"role": "user", "content": content}]}
        ).to_mapped_request()


@pytest.mark.parametrize("url", ["data:image/png;base64,ü", "data:image/png;base64,A", "data:;base64,\0", "data:,ü"])
def test_an_image_with_invalid_base64_is_refused(url: str) -> None:
    with pytest.raises(ValidationFailed):
        image_from_url(url, "input")


@pytest.mark.parametrize("field", ["temperature", "top_p", "user", "metadata", "reasoning"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_does_not_have_is_refused(field: str, number: str) -> None:
    values = {"metadata": f'{{"a": {number}}}', "reasoning": f'{{"effort": {number}}}'}
    with pytest.raises(ValidationError):
        ResponseRequest.model_validate_json(f'{{"input": "a", "{field}": {values.get(field, number)}}}')


@pytest.mark.parametrize(
    "names",
    [
        (b'name="image"', b'name="image"; filename=a'),
        (b'name="image[x]"', b'name="image"; filename=a'),
        (b'name="image"; filename=a', b'name="image"'),
    ],
)
def test_a_form_field_sent_as_file_and_as_value_is_refused(names: tuple[bytes, ...]) -> None:
    said = b"".join(b"--x\r\nContent-Disposition: form-data; " + name + b"\r\n\r\na\r\n" for name in names)
    with pytest.raises(ValidationFailed):
        parse_edit_form(parse_multipart(said + b"--x--\r\n", "multipart/form-data; boundary=x"))


def form_of(*parts: bytes, tail: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + tail


def part_of(name: bytes, data: bytes = b"a", headers: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="' + name + b'"' + headers + b"\r\n\r\n" + data


@pytest.mark.parametrize(
    "body",
    [
        form_of(*[part_of(b"a%d" % number) for number in range(PARTS_MAX + 1)]),
        form_of(part_of(b"a", headers=b"\r\nX-Long: " + b"k" * HEADER_BYTES_MAX)),
        form_of(part_of(b"a", headers=b"".join(b"\r\nX-%d: 1" % number for number in range(20)))),
        form_of(part_of(b"a", headers=b"\r\nContent-Length: 9")),
        form_of(part_of(b"")),
        form_of(part_of(b"a"), tail=b""),
    ],
    ids=["parts", "header length", "header count", "wrong length", "no name", "no end"],
)
def test_a_form_beyond_its_bounds_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_multipart(body, "multipart/form-data; boundary=x")


def test_a_form_at_its_bounds_is_parsed() -> None:
    body = form_of(*[part_of(b"a%d" % number, b"\r\n--y" * number) for number in range(PARTS_MAX)])
    found = parse_multipart(body, "multipart/form-data; boundary=x")
    assert [(part.name, part.data) for part in found] == [(f"a{n}", b"\r\n--y" * n) for n in range(PARTS_MAX)]


def test_a_form_boundary_that_is_not_ascii_is_refused() -> None:
    with pytest.raises(BadRequest):
        parse_multipart(b"--x--\r\n", "multipart/form-data; boundary=€")


def test_a_refusal_of_very_long_names_is_short() -> None:
    api = Api("tests", error_response=error_response)
    take = api.route("POST", "/v1/responses", body=ResponseRequest, raw=True, body_bytes_max=5_000_000)
    take(lambda request: Response(str(request.body.to_mapped_request())))
    long = "k" * 4_000_000
    for body in ({long: 1}, {"input": [{"type": long}]}, {"input": [{"role": "user", "content": [{"type": long}]}]}):
        context = {"requestId": "r-1", "http": {"method": "POST", "path": "/v1/responses"}}
        answer = api.handler({"requestContext": context, "headers": JSON_HEADERS, "body": json.dumps(body)}, None)
        assert answer["statusCode"] in (400, 422)
        assert len(answer["body"]) < 2000


@settings(max_examples=200, deadline=None)
@given(name=st.text(max_size=20) | st.sampled_from(["/", "custom/", "openai/", "custom/endpoint", "-2024-01-01"]))
def test_any_model_name_resolves_to_a_known_model_or_none(name: str) -> None:
    found = model_names.resolve(name, DATA)
    assert found is None or found == "auto" or found.startswith("custom/") or found in DATA.retired or DATA.model(found)
