"""Models of the API are built when they are first used."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import Field

from atelier.lazy_model import LazyModel, build_models
from tests.bench.measure import ROOT

# Prints which models are built once all functions of the API are imported.
BUILT = """
import importlib.util, json, sys
for path in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location("app", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
from atelier.lazy_model import LazyModel
waiting, built = LazyModel.__subclasses__(), []
while waiting:
    model = waiting.pop()
    waiting += model.__subclasses__()
    built += [f"{model.__module__}.{model.__qualname__}"] if model.__pydantic_complete__ else []
print(json.dumps(sorted(built)))
"""


def is_built(model: type[LazyModel]) -> bool:
    found: Any = model.__pydantic_complete__
    return bool(found)


def test_a_model_of_defaults_is_not_built_and_is_as_any_other() -> None:
    # Defined here: the classes of a module are built by whichever test builds all models first.
    class Part(LazyModel):
        size: int = Field(default=3, ge=1)
        names: list[str] = ["a"]

    class Whole(LazyModel):
        part: Part = Part.of_defaults()

    assert not is_built(Part)
    whole = Whole.model_validate_json("{}")
    assert whole.part == Part() == Part.of_defaults()
    assert whole.model_dump() == {"part": {"size": 3, "names": ["a"]}}
    assert whole.part.model_dump_json() == '{"size":3,"names":["a"]}'
    assert not whole.part.model_fields_set
    whole.part.names.append("b")
    assert Whole.model_validate_json("{}").part.names == ["a"]


def test_all_models_can_be_built_at_once() -> None:
    class Later(LazyModel):
        name: str

    assert not is_built(Later)
    build_models()
    assert is_built(Later)


@pytest.mark.parametrize("name", ["Parameters", "SiteSettingsModel", "SettingsRequest", "AlertSettings", "SeoModel"])
def test_a_default_is_what_the_model_makes_itself(name: str) -> None:
    from atelier.catalogue.parameter_schemas import Parameters
    from atelier.projects.schemas import AlertSettings
    from atelier.sites.schemas import SeoModel, SiteSettingsModel
    from atelier.workspaces.schemas import SettingsRequest

    models = {each.__name__: each for each in (Parameters, SiteSettingsModel, SettingsRequest, AlertSettings, SeoModel)}
    model = models[name]
    assert model.of_defaults() == model()


def test_no_function_builds_a_model_when_it_is_imported() -> None:
    apps = sorted(map(str, (ROOT / "functions/api").glob("*/app.py")))
    environment = {"PYTHONPATH": str(ROOT / "layers/atelier/python")}
    ran = subprocess.run(
        [sys.executable, "-c", BUILT, *apps], env=environment, capture_output=True, text=True, check=False
    )
    assert not ran.returncode, ran.stderr
    assert json.loads(ran.stdout) == []
