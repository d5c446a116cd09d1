"""The botocore of the layers, without the operations that nobody names, does what the whole one does (pack.py)."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore
import botocore.loaders
import pynamodb
import pytest

from tests.bench.measure import ROOT
from tests.bench.site_folder import ISOLATED, link_packages, pinned

WHOLE, TRIMMED = "whole", "trimmed"
PREFACE = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
"""


@pytest.fixture(scope="module")
def pack() -> Any:
    found = importlib.util.spec_from_file_location("pack", ROOT / "layers/dependencies/pack.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, pack: Any) -> dict[str, Path]:
    """The packages of the runtime layer, as they are installed here and as the layer has them."""
    folder = tmp_path_factory.mktemp("packages")
    whole = link_packages(folder / WHOLE, pinned("runtime"))
    shutil.copytree(whole, folder / TRIMMED, ignore=shutil.ignore_patterns("__pycache__"))
    pack.trim_botocore(folder / TRIMMED / "botocore")
    return {WHOLE: whole, TRIMMED: folder / TRIMMED}


def answers(site: Path, code: str, **environment: str) -> Any:
    """What a fresh process with the packages of `site` prints as JSON."""
    command = [sys.executable, *ISOLATED, "-c", PREFACE + code, str(site)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert not ran.returncode, ran.stderr
    return json.loads(ran.stdout)


def test_every_operation_that_somebody_names_is_kept(pack: Any) -> None:
    """Nobody calls an operation without its name: as a method, as the name of one in a text, or as the API's own name,
    which PynamoDB uses. A word that is no call keeps an operation too, which costs little."""
    folders = (ROOT / "layers/atelier", ROOT / "functions", Path(pynamodb.__file__).parent)
    texts = (path.read_text() for folder in folders for path in folder.rglob("*.py"))
    words = {word for text in texts for word in re.findall(r"\w+", text)}
    loader = botocore.loaders.Loader()
    lost = [
        f"{service}: {operation}"
        for service, names in pack.OPERATIONS.items()
        for operation in loader.load_service_model(service, "service-2")["operations"]
        if words & {operation, botocore.xform_name(operation)} and operation not in names.split()
    ]
    assert not lost, "name these in OPERATIONS of layers/dependencies/pack.py"
    assert pack.OPERATIONS.keys() == pack.SERVICES


def test_a_client_has_its_operations_and_all_errors_of_its_service(sites: dict[str, Path], pack: Any) -> None:
    code = """
import botocore.session
session = botocore.session.get_session()
found = {}
for service in json.loads(os.environ["SERVICES"]):
    client = session.create_client(service, region_name="eu-central-1")
    model = client.meta.service_model
    shapes = [[model.operation_model(name).input_shape, model.operation_model(name).output_shape]
        for name in json.loads(os.environ["SERVICES"])[service].split()]
    def members(shape, seen):
        if shape is None or shape.name in seen:
            return
        seen[shape.name] = shape.type_name
        inner = [getattr(shape, name, None) for name in ("member", "key", "value")]
        for each in [*getattr(shape, "members", {}).values(), *inner]:
            members(each, seen)
    seen = {}
    for pair in shapes:
        for shape in pair: members(shape, seen)
    errors = sorted(shape.name for shape in model.error_shapes)
    found[service] = [seen, errors]
print(json.dumps(found))
"""
    environment = {"SERVICES": json.dumps(pack.OPERATIONS), "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    assert answers(sites[TRIMMED], code, **environment) == answers(sites[WHOLE], code, **environment)
