"""The layers as `sam build` makes them: compiled for Lambda's Python, built for its processor, and small."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import isal
import pytest

from infra.local.templates import read_template

ROOT = Path(__file__).parent.parent
LAYERS = {
    "AtelierLayer": "atelier",
    "RuntimeLayer": "dependencies",
    "MediaLayer": "dependencies",
    "AiLayer": "dependencies",
    "VideoLayer": "dependencies",
    "StripeLayer": "dependencies",
    "WebauthnLayer": "dependencies",
    "ChartsLayer": "dependencies",
    "DuckdbLayer": "dependencies",
    "CalendarLayer": "dependencies",
    "SentryLayer": "dependencies",
    "AgeLayer": "dependencies",
    "PagesLayer": "dependencies",
    "DnsLayer": "dependencies",
    "OauthLayer": "dependencies",
    "MailLayer": "dependencies",
    "StudioLayer": "studio",
    "StudioDependenciesLayer": "dependencies",
}
FUNCTION_BYTES_MAX = 250 * 1024 * 1024  # Lambda's limit for a function and its layers, unpacked
TYPICAL_ZIP_BYTES = 32_000_000  # a typical untrimmed package, the reference of the bench's row 12
UNCHECKED_HASH = (1).to_bytes(4, "little")
ELF_MACHINE_AARCH64 = (183).to_bytes(2, "little")


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each layer's folder, by logical id."""
    python = subprocess.run(
        ["make", "--silent", "lambda-python"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    if not python:
        pytest.skip("not run: the layers are compiled by a Python 3.13, and this machine has none")
    built = {layer: tmp_path_factory.mktemp(layer) for layer in LAYERS}
    for layer, folder in LAYERS.items():
        command = ["make", "--silent", f"build-{layer}", f"ARTIFACTS_DIR={built[layer]}", f"LAMBDA_PYTHON={python}"]
        subprocess.run(command, cwd=ROOT / "layers" / folder, check=True)
    return built


def test_every_module_ships_unchecked_bytecode(layers: dict[str, Path]) -> None:
    for layer in layers.values():
        modules = list(layer.rglob("*.py"))
        assert modules
        for module in modules:
            bytecode = module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc"
            assert bytecode.read_bytes()[4:8] == UNCHECKED_HASH


def test_every_native_library_is_for_arm64(layers: dict[str, Path]) -> None:
    libraries = [library for layer in layers.values() for library in layer.rglob("*.so*")]
    assert {library.read_bytes()[18:20] for library in libraries} == {ELF_MACHINE_AARCH64}


def test_no_native_library_has_debug_sections(layers: dict[str, Path]) -> None:
    libraries = [library for layer in layers.values() for library in layer.rglob("*.so*")]
    assert libraries
    # A library without section headers has only the symbols that loading needs.
    assert {library.read_bytes()[40:48] for library in libraries} == {bytes(8)}


def test_a_library_that_was_stripped_still_works(tmp_path: Path) -> None:
    """Strips this machine's own libraries, since those of the layers are for another processor."""
    found = importlib.util.spec_from_file_location("pack", ROOT / "layers/dependencies/pack.py")
    assert found
    assert found.loader
    pack = importlib.util.module_from_spec(found)
    found.loader.exec_module(pack)
    site = Path(isal.__file__).parent.parent
    for name in ("isal", "PIL", "pillow.libs"):
        if (site / name).is_dir():
            shutil.copytree(site / name, tmp_path / name)
    before = after = 0
    for library in tmp_path.rglob("*.so*"):
        whole = library.read_bytes()
        library.write_bytes(pack.stripped(whole))
        before, after = before + len(zlib.compress(whole)), after + len(zlib.compress(library.read_bytes()))
    assert after <= before
    code = """
import io, sys
from isal import isal_zlib
from PIL import Image
assert isal_zlib.decompress(isal_zlib.compress(b"a" * 100)) == b"a" * 100
file = io.BytesIO()
Image.new("RGB", (8, 8)).save(file, "WEBP")
assert Image.open(file).size == (8, 8)
assert {sys.modules[name].__file__.startswith(sys.argv[1]) for name in ("PIL", "isal")} == {True}
"""
    subprocess.run([sys.executable, "-S", "-c", code, str(tmp_path)], env={"PYTHONPATH": str(tmp_path)}, check=True)
    assert pack.stripped(b"no library") == b"no library"


def test_no_layer_repeats_a_package_of_the_runtime_layer(layers: dict[str, Path]) -> None:
    brought = {path.name for path in (layers["RuntimeLayer"] / "python").iterdir()}
    for layer in ("MediaLayer", "AiLayer", "VideoLayer", "ChartsLayer", "AtelierLayer"):
        assert not brought & {path.name for path in (layers[layer] / "python").iterdir()}


def test_the_trimmed_sdk_creates_a_client_with_an_endpoint_for_every_service(
    layers: dict[str, Path], tmp_path: Path
) -> None:
    # Only the SDK comes from the layer: the rest of it holds libraries for another processor.
    (tmp_path / "botocore").symlink_to(layers["RuntimeLayer"] / "python" / "botocore")
    code = """
import os, botocore.session
assert botocore.__file__.startswith(os.environ["PYTHONPATH"])
session = botocore.session.get_session()
assert "dynamodb" in session.get_available_services()
for service in session.get_available_services():
    assert session.create_client(service).meta.endpoint_url.startswith("https://")
assert session.create_client("s3").generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "key"})
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    environment.pop("AWS_ENDPOINT_URL", None)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_a_function_with_the_base_layers_is_well_below_a_typical_package(
    layers: dict[str, Path], tmp_path: Path
) -> None:
    archive = tmp_path / "function.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name in ("AtelierLayer", "RuntimeLayer"):
            for path in filter(Path.is_file, layers[name].rglob("*")):
                zipped.write(path, path.relative_to(layers[name]))
    assert archive.stat().st_size <= 0.7 * TYPICAL_ZIP_BYTES


def test_each_function_with_its_layers_stays_within_lambdas_size_limit(layers: dict[str, Path]) -> None:
    template = read_template(ROOT / "template.yaml")
    # SAM adds a function's layers to those that all have.
    common = {layer["Ref"] for layer in template["Globals"]["Function"]["Layers"]}
    sets = {
        frozenset(layer["Ref"] for layer in resource["Properties"].get("Layers", ()))
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    sizes = {
        name: sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        for name, folder in layers.items()
    }

    assert frozenset().union(*sets, common) == LAYERS.keys()
    for each in sets:
        assert sum(sizes[name] for name in each | common) <= 0.9 * FUNCTION_BYTES_MAX, each
