"""Each function imports with the packages of its own layers alone, as on Lambda.

The environment of the tests has the packages of all layers, so every other test imports more than a function has there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from infra.local.templates import read_template
from tests.bench.site_folder import ISOLATED, function_site

ROOT = Path(__file__).parent.parent
PRODUCT = {"AtelierLayer": "layers/atelier/python", "StudioLayer": "layers/studio/python"}
# Imports each app.py, and prints the names of those that cannot be imported, with the reasons.
SCRIPT = """
import importlib.util, json, sys
sys.path[:0] = json.loads(sys.argv[1])
failed = {}
for number, path in enumerate(json.loads(sys.argv[2])):
    spec = importlib.util.spec_from_file_location(f"app{number}", path)
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except ImportError as error:
        failed[path] = str(error)
print(json.dumps(failed))
"""
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "POWERTOOLS_SERVICE_NAME": "atelier",
    "STUDIO_PUBLIC_URL": "http://localhost",
    "STUDIO_MEDIA_BUCKET": "media",
}


def functions_by_layers() -> dict[tuple[str, ...], list[Path]]:
    """The functions' folders by the layers that they have, by logical id."""
    template = read_template(ROOT / "template.yaml")
    common = template["Globals"]["Function"]["Layers"]
    found: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            own = resource["Properties"].get("Layers", [])
            inherited = [] if "Layers" in resource.get("IgnoreGlobals", []) else common
            names = tuple(str(layer["Ref"]) for layer in inherited + own)
            found[names].append(ROOT / resource["Properties"]["CodeUri"])
    return found


@pytest.mark.parametrize("layers", functions_by_layers(), ids="+".join)
def test_functions_import_with_the_packages_of_their_layers(layers: tuple[str, ...], tmp_path: Path) -> None:
    functions = functions_by_layers()[layers]
    assert functions
    path = [str(ROOT / PRODUCT[layer]) for layer in layers if layer in PRODUCT]
    path.append(str(function_site(tmp_path, functions[0])))
    apps = [str(function / "app.py") for function in functions]
    # The rooms of Studio are imported with the first request for each.
    pages = ROOT / PRODUCT["StudioLayer"] / "studio/pages"
    apps += [str(page) for page in sorted(pages.glob("*.py"))] if "StudioLayer" in layers else []
    command = [sys.executable, *ISOLATED, "-c", SCRIPT, json.dumps(path), json.dumps(apps)]
    ran = subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert json.loads(ran.stdout.splitlines()[-1]) == {}, "add the layer to the function in template.yaml"
