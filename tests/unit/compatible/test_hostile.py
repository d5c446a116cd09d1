"""Whatever a body holds, it is understood or refused; nothing falls over."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from atelier.compatible import naming
from atelier.compatible.asked import Asked
from atelier.compatible.chat import ChatRequest
from atelier.compatible.form import fields, parts
from atelier.compatible.images import ImageRequest, edit
from atelier.compatible.responses import ResponseRequest
from atelier.compatible.speech import SpeechRequest
from atelier.compatible.videos import VideoRequest, ordered
from atelier.errors import AtelierError
from atelier.pricing.catalogue import FOLDER, load

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
MODELS = [ChatRequest, ResponseRequest, ImageRequest, SpeechRequest, VideoRequest]


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_body_is_understood_or_refused(model: type[BaseModel], data: st.DataObject) -> None:
    body = data.draw(st.dictionaries(st.sampled_from(sorted(model.model_fields)), JSON, max_size=6))
    body.setdefault("model", "auto")
    with contextlib.suppress(ValidationError, AtelierError):
        asked = model.model_validate(body).asked()  # pyright: ignore[reportAttributeAccessIssue]
        assert isinstance(asked, Asked)
        assert asked.prompt


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
def test_a_form_is_understood_or_refused(pieces: list[bytes]) -> None:
    with contextlib.suppress(AtelierError):
        found = parts(b"".join(pieces), "multipart/form-data; boundary=x")
        assert isinstance(fields(found, files=("image",)), dict)
        for read in (edit, ordered):
            with contextlib.suppress(AtelierError):
                read(found).asked()


@settings(max_examples=200, deadline=None)
@given(name=st.text(max_size=20) | st.sampled_from(["/", "custom/", "openai/", "custom/endpoint", "-2024-01-01"]))
def test_a_name_means_something_or_nothing(name: str) -> None:
    found = naming.meant(name, DATA)
    assert found is None or found == "auto" or found.startswith("custom/") or found in DATA.retired or DATA.model(found)
