"""One source of limits: the request schemas and `/v1` accept every value that the catalogue offers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from atelier.catalogue.catalogue import FOLDER, load
from atelier.catalogue.model import Model
from atelier.catalogue.parameter_schemas import Parameters
from atelier.catalogue.yaml_schema import check
from atelier.generations.schemas import MakeRequest
from atelier.library.template_schemas import Prompt
from atelier.openai_api.images import ImageRequest
from atelier.openai_api.speech import SpeechRequest
from atelier.openai_api.videos import VideoRequest

ALL = load(FOLDER, frozenset({"local"}))
MODELS = ALL.data.models


def extremes(model: Model) -> list[dict[str, Any]]:
    """The smallest and the largest value of each of an entry's parameters, one at a time."""
    found: list[dict[str, Any]] = []
    for name, rule in model.parameters.items():
        if "minimum" in rule:
            found += [{name: rule["minimum"]}, {name: rule["maximum"]}]
        elif "least" in rule:
            found += [{name: rule["least"]}, {name: rule["most"]}]
        elif "choices" in rule:
            found += [{name: choice} for choice in rule["choices"]]
        elif "length_max" in rule:
            found.append({name: "x" * rule["length_max"]})
    return found


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_the_request_schema_accepts_every_parameter_of_the_catalogue(model: Model) -> None:
    for offered in extremes(model):
        assert Parameters.model_validate(offered).recipe_parameters() == offered


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_every_endpoint_accepts_the_catalogues_longest_prompt(model: Model) -> None:
    prompt = "x" * model.prompt_characters_max
    assert MakeRequest(prompt=prompt, kind="image").prompt == prompt
    assert TypeAdapter(Prompt).validate_python(prompt) == prompt
    for request in (ImageRequest, VideoRequest):
        assert request(prompt=prompt).prompt == prompt


@pytest.mark.parametrize(
    ("request_type", "field", "parameter", "beside"),
    [
        (ImageRequest, "n", "n", {"prompt": "a fox"}),
        (VideoRequest, "seconds", "duration_seconds", {"prompt": "a fox"}),
        (SpeechRequest, "speed", "speed", {"model": "tts-1", "input": "Hello."}),
        (SpeechRequest, "voice", "voice", {"model": "tts-1", "input": "Hello."}),
    ],
)
def test_v1_accepts_every_parameter_value_of_the_catalogue(
    request_type: type[BaseModel], field: str, parameter: str, beside: dict[str, Any]
) -> None:
    for model in MODELS:
        for offered in extremes(model):
            if parameter in offered:
                assert request_type.model_validate({**beside, field: offered[parameter]})


def test_the_largest_seed_is_accepted_and_the_next_is_refused() -> None:
    assert Parameters(seed=2**32 - 1).recipe_parameters() == {"seed": 2**32 - 1}
    with pytest.raises(ValidationError):
        Parameters(seed=2**32)


@pytest.mark.parametrize(
    "beyond",
    [
        {"parameters": {"seed": {"minimum": 0, "maximum": 2**32, "drawn": True}}},
        {"parameters": {"voice": {"length_max": 201}}},
        {"parameters": {"speed": {"least": 0.1, "most": 2}}},
        {"prompt_characters_max": 32_001},
    ],
)
def test_a_catalogue_beyond_the_request_schemas_does_not_compile(beyond: dict[str, Any]) -> None:
    document = json.loads((FOLDER / "compiled.json").read_bytes())["data"]
    check(json.dumps(document))
    document["models"][0] |= beyond
    with pytest.raises(ValidationError):
        check(json.dumps(document))
