"""A provider gets exactly the conversation that was submitted and priced: random conversations, through our own API and
the OpenAI-compatible one, to each adapter that takes images, against its simulator."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from atelier.adapters.providers.anthropic import Anthropic
from atelier.adapters.providers.custom import Custom
from atelier.adapters.providers.openai import OpenAI
from atelier.adapters.providers.xai import XAI
from atelier.catalogue import costs
from atelier.catalogue.catalogue import FOLDER, load
from atelier.catalogue.model import accepted_inputs
from atelier.catalogue.parameter_schemas import request_parameters
from atelier.errors import ValidationFailed
from atelier.generations.model import InputAsset, InputAssets, Recipe
from atelier.generations.quote import QuoteInput, price_request
from atelier.generations.schemas import MakeRequest
from atelier.generations.view_schemas import file_ids
from atelier.openai_api.chat import ChatRequest
from atelier.openai_api.errors import UnsupportedParameter
from atelier.openai_api.responses import ResponseRequest
from atelier.provider_port import Done, Input, Job, Provider
from infra.simulators.anthropic import AnthropicSimulator
from infra.simulators.kit.server import Simulator
from infra.simulators.openai import OpenAISimulator
from infra.simulators.xai import XAISimulator

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CATALOGUE = load(FOLDER, frozenset({"openai", "anthropic", "xai", "custom"}))
MODELS = ("openai/gpt-5.5", "openai/gpt-4o", "anthropic/claude-opus-5", "xai/grok-4.6", "custom/own")
PICTURES_MAX = 8
# Every key that a conversation in a request may contain, at any depth.
KEYS = {"role", "content", "type", "text", "image_url", "url", "source", "media_type", "data"}
Said = list[tuple[str, list[str]]]


def asset(number: int) -> str:
    return f"ast_{number:026}"


def picture(name: str) -> Input:
    return Input(name.encode(), "image/png")


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, tuple[Provider, Simulator]]]:
    with ExitStack() as running:
        openai = running.enter_context(OpenAISimulator())
        xai = running.enter_context(XAISimulator())
        anthropic = running.enter_context(AnthropicSimulator())
        own = running.enter_context(OpenAISimulator())
        local = frozenset({own.url.partition("://")[2]})
        yield {
            "openai": (OpenAI(api_key=openai.api_key, base_url=openai.base_url), openai),
            "xai": (XAI(api_key=xai.api_key, base_url=xai.base_url), xai),
            "anthropic": (Anthropic(api_key=anthropic.api_key, base_url=anthropic.url), anthropic),
            "custom": (Custom(api_key=own.api_key, base_url=own.base_url, local_hosts=local), own),
        }


def sent(providers: dict[str, tuple[Provider, Simulator]], recipe: Recipe, model: str) -> dict[str, Any]:
    """The request body that the simulator received for a recipe; raises ValidationFailed as a submission does."""
    ask = QuoteInput.of(recipe)
    parameters, _ = price_request(ask, catalogue=CATALOGUE, now=NOW)
    entry = CATALOGUE.model(model)
    files = {
        role: tuple(picture(source.asset_id) for source in sources)
        for role, sources in accepted_inputs(entry, recipe.inputs).items()
    }
    job = Job("att_x", "text", model, recipe.prompt, parameters=parameters, settings=entry.settings, inputs=files)
    provider, simulator = providers[model.partition("/")[0]]
    before = len(simulator.calls)
    end = provider.submit(job)
    assert isinstance(end, Done), end
    (call,) = simulator.calls[before:]
    return call["body"]


def heard(body: dict[str, Any]) -> Said:
    """The conversation in a request body of any API; an image is represented by its bytes, which are its name here."""

    def part(value: Any) -> str:
        if value["type"] in ("text", "input_text", "output_text"):
            return value["text"]
        url = value.get("image_url")
        data = value["source"]["data"] if "source" in value else (url if isinstance(url, str) else url["url"])
        return base64.b64decode(data.rpartition(",")[2]).decode()

    talk = body.get("messages", body.get("input"))
    if isinstance(talk, str):
        return [("user", [talk])]
    contents = [(message["role"], message["content"]) for message in talk]
    return [(role, [said] if isinstance(said, str) else list(map(part, said))) for role, said in contents]


def unknown_keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return (value.keys() - KEYS).union(*map(unknown_keys, value.values()))
    return set().union(*map(unknown_keys, value)) if isinstance(value, list) else set()


def check(body: dict[str, Any], recipe: Recipe) -> None:
    """Asserts that the body holds no more images or text than were priced, and no unknown key."""
    said = [part for _, parts in heard(body) for part in parts]
    pictures = [part for part in said if part.startswith("ast_")]
    assert len(pictures) == recipe.files.get("image", 0) <= PICTURES_MAX
    words = sum(len(part.encode()) for part in said if part not in pictures)
    tokens = costs.Workload(recipe.parameters, recipe.prompt, recipe.files).input_tokens
    # The price assumes at most three bytes of text a token.
    assert words <= (tokens - costs.TOKENS_OVERHEAD) * 3
    assert not unknown_keys(body.get("messages", body.get("input")))


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="["), min_size=1, max_size=30).filter(
    lambda text: bool(text.strip()) and not text.startswith("ast_")
)
pictures = st.integers(0, 99).map(asset)
turns = st.one_of(
    st.tuples(st.just("user"), st.lists(texts | pictures, min_size=1, max_size=4)),
    st.tuples(st.just("assistant"), st.lists(texts, min_size=1, max_size=2)),
)
conversations = st.lists(turns, min_size=1, max_size=6)


def native(said: Said) -> Recipe:
    def part(each: str) -> dict[str, Any]:
        is_picture = each.startswith("ast_")
        return {"type": "image", "image_asset_id": each} if is_picture else {"type": "text", "text": each}

    messages = [{"role": role, "content": [part(each) for each in parts]} for role, parts in said]
    return MakeRequest.model_validate({"prompt": "unsaid", "parameters": {"messages": messages}}).recipe("text")


def compatible(said: Said, *, in_chat: bool) -> Recipe:
    def part(each: str) -> dict[str, Any]:
        if not each.startswith("ast_"):
            return {"type": "text", "text": each}
        url = f"data:image/png;base64,{base64.b64encode(each.encode()).decode()}"
        return {"type": "image_url", "image_url": {"url": url}}

    messages = [{"role": role, "content": [part(each) for each in parts]} for role, parts in said]
    body = {"model": "auto", "messages" if in_chat else "input": messages}
    mapped = (ChatRequest if in_chat else ResponseRequest).model_validate(body).to_mapped_request()
    kept = {role: tuple(InputAsset(file.data.decode()) for file in files) for role, files in mapped.files.items()}
    return mapped.to_recipe(kept)


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=20, deadline=None)
@given(said=conversations, door=st.sampled_from(["native", "chat", "responses"]))
def test_a_conversation_is_sent_in_order_and_as_it_was_priced(
    providers: dict[str, tuple[Provider, Simulator]], model: str, said: Said, door: str
) -> None:
    shown = sum(part.startswith("ast_") for _, parts in said for part in parts)
    try:
        made = native(said) if door == "native" else compatible(said, in_chat=door == "chat")
        recipe = Recipe(made.kind, made.prompt, model, None, made.parameters, made.inputs)
        body = sent(providers, recipe, model)
    except ValidationFailed:
        assert shown > PICTURES_MAX
        return
    assert heard(body) == [(role, list(parts)) for role, parts in said]
    check(body, recipe)
    if door == "native":
        # The parameters as the API shows them give the same recipe again.
        again = MakeRequest.model_validate(
            {"prompt": "unsaid", "parameters": request_parameters(made.parameters, file_ids(made.inputs))}
        )
        assert again.recipe("text") == made


anything: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "text", "image", "image_url", "image_asset_id", "file_id", "cache_control"]
            ),
            inner | st.sampled_from(["user", "system", "text", "image", "image_url", "input_file", asset(1)]),
            max_size=4,
        )
    ),
    max_leaves=12,
)
parameters = st.fixed_dictionaries(
    {"messages": st.lists(anything, max_size=2) | anything},
    optional={"max_tokens": anything, "temperature": anything, "surprise": anything, "image_asset_id": pictures},
)


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=60, deadline=None)
@given(given_parameters=parameters)
def test_unknown_content_in_a_conversation_reaches_no_provider(
    providers: dict[str, tuple[Provider, Simulator]], model: str, given_parameters: dict[str, Any]
) -> None:
    try:
        body = MakeRequest.model_validate({"prompt": "a fox", "parameters": given_parameters})
        made = body.recipe("text")
        recipe = Recipe(made.kind, made.prompt, model, None, made.parameters, made.inputs)
        check(sent(providers, recipe, model), recipe)
    except (ValidationError, ValidationFailed, UnsupportedParameter):
        return


def refused(*parts: Any) -> list[tuple[str, str]]:
    body = {"prompt": "a", "parameters": {"messages": [{"role": "user", "content": list(parts)}]}}
    with pytest.raises(ValidationError) as refusal:
        MakeRequest.model_validate(body)
    return [(".".join(map(str, each["loc"])), each["msg"]) for each in refusal.value.errors()]


@pytest.mark.parametrize("kind", ["image_url", "input_image", "input_file", "file", "input_audio"])
def test_a_part_with_a_foreign_url_is_refused_with_a_hint_to_upload_it(kind: str) -> None:
    [(path, message)] = refused({"type": "text", "text": "see"}, {"type": kind, kind: {"url": "https://a.test/b"}})
    assert path == "parameters.messages.0.content.1"
    assert "image_asset_id" in message
    assert "/api/assets/uploads" in message


def test_an_unknown_field_of_a_part_is_refused_by_its_name() -> None:
    for name in ("cache_control", "detail", "image_url"):
        [(path, _)] = refused({"type": "text", "text": "see", name: {"ttl": "1h"}})
        assert path == f"parameters.messages.0.content.0.text.{name}"


def test_each_image_of_a_conversation_is_priced() -> None:
    said = ["compare", *map(asset, range(PICTURES_MAX))]
    files: InputAssets = native([("user", said)]).inputs
    assert [source.asset_id for source in files["image"]] == said[1:]

    def price(recipe: Recipe) -> int:
        return price_request(QuoteInput.of(recipe), catalogue=CATALOGUE, now=NOW)[1][0].cost_microusd

    def recipe(parts: list[str]) -> Recipe:
        made = native([("user", parts)])
        return Recipe(
            made.kind, made.prompt, "openai/gpt-5.5", None, {**made.parameters, "max_tokens": 16}, made.inputs
        )

    each = 1600 * 5
    assert price(recipe(said)) - price(recipe(said[:1])) >= PICTURES_MAX * each
