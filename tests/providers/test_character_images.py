"""A character's images at every model that takes reference images: the first ones, up to the model's maximum."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from atelier.adapters.providers.fal import Fal
from atelier.adapters.providers.openai import OpenAI
from atelier.adapters.providers.xai import XAI
from atelier.catalogue.catalogue import Catalogue, catalogue
from atelier.catalogue.model import Model, accepted_inputs
from atelier.clock import system_clock
from atelier.ids import new_id
from atelier.provider_port import Accepted, Done, Input, Job
from infra.simulators.fal import FalSimulator
from infra.simulators.kit.samples import sample_png
from infra.simulators.openai import OpenAISimulator
from infra.simulators.xai import XAISimulator

ALL: Catalogue = catalogue(frozenset({"fal", "openai", "xai"}))
MODELS = [model for model in ALL.data.models_making("image", ALL.enabled) if "reference" in model.inputs]
PICTURES = tuple(Input(sample_png(32, 32, number), "image/png") for number in range(8))


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, tuple[Any, Any]]]:
    """Simulator and adapter by provider."""
    with ExitStack() as running:
        fal = running.enter_context(FalSimulator(run_seconds=0.02))
        openai = running.enter_context(OpenAISimulator())
        xai = running.enter_context(XAISimulator())
        yield {
            "fal": (fal, Fal(api_key=fal.api_key, user_id=fal.user_id, base_url=fal.url, rest_url=fal.url)),
            "openai": (openai, OpenAI(api_key=openai.api_key, base_url=openai.base_url)),
            "xai": (xai, XAI(api_key=xai.api_key, base_url=xai.base_url)),
        }


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_a_model_gets_as_many_character_images_as_it_takes_in_order(
    model: Model, providers: dict[str, tuple[Any, Any]]
) -> None:
    simulator, provider = providers[model.provider]
    room = model.inputs["reference"]["maximum"]
    before = len(simulator.calls)
    work = Job(
        new_id("att", system_clock()),
        "image",
        model.id,
        "a woman on a pier",
        parameters=ALL.parameters_for(model.id, {}),
        settings=model.settings,
        inputs=accepted_inputs(model, {"character": PICTURES}),
    )
    answer = provider.submit(work)
    assert isinstance(answer, Accepted | Done), answer
    call = simulator.calls[before]
    sent = call["body"]["files"] if "files" in call["body"] else _urls(call["body"])
    assert len(sent) == min(room, len(PICTURES)) >= 1
    if "files" not in call["body"]:
        assert [base64.b64decode(url.partition(",")[2]) for url in sent] == [each.data for each in PICTURES[:room]]


def _urls(body: Any) -> list[str]:
    """Every data URL in a body, in its order."""
    if isinstance(body, str):
        return [body] if body.startswith("data:") else []
    parts = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
    return [url for part in parts for url in _urls(part)]


def test_character_images_fill_the_room_left_by_references() -> None:
    model = next(model for model in MODELS if model.id == "fal/flux-kontext-multi")
    given = {"reference": ("a", "b", "c"), "character": ("d", "e"), "image": ("f",)}
    assert accepted_inputs(model, given) == {"image": ("f",), "reference": ("a", "b", "c", "d")}
    assert accepted_inputs(model, {"image": ("f",)}) == {"image": ("f",)}


def test_images_beyond_a_models_maximum_are_not_priced() -> None:
    two, eight = (
        ALL.price("xai/grok-imagine-image", {}, files={"reference": 2}),
        ALL.price("xai/grok-imagine-image", {}, files={"character": 8}),
    )
    assert two == eight
    assert two.cost_microusd == 60_000
