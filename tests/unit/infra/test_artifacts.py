"""The code archives of the local stack: named by their content, and a layer that is unpacked once."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.local.artifacts import SITE_FOLDER, Artifact, BrokenSource, collect

PRODUCT_LAYER = "layers/atelier"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of one function and the layer."""
    for name, text in {
        f"{PRODUCT_LAYER}/python/product/__init__.py": "SAYS = 'hello'\n",
        "hello/app.py": "A = 1\n",
    }.items():
        file = tmp_path / "repository" / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return tmp_path / "repository"


def layer_of(root: Path, store: Path) -> Artifact:
    [layer] = collect(root, [PRODUCT_LAYER], store)
    return layer


def test_a_functions_archive_holds_its_source_and_bytecode(root: Path, tmp_path: Path) -> None:
    [function] = collect(root, ["hello"], tmp_path / "store")
    names = zipfile.ZipFile(io.BytesIO(function.archive())).namelist()
    assert names == ["app.py", f"__pycache__/app.{sys.implementation.cache_tag}.pyc"]
    function.unpack()
    assert not (tmp_path / "store").exists()


def test_the_layers_archive_points_to_the_unpacked_layer(root: Path, tmp_path: Path) -> None:
    layer = layer_of(root, tmp_path / "store")
    layer.unpack()
    layer.unpack()
    zipfile.ZipFile(io.BytesIO(layer.archive())).extractall(tmp_path / "opt")
    program = "import site, sys; site.addsitedir(sys.argv[1]); import product; print(product.SAYS, product.__cached__)"
    folder = tmp_path / "opt" / Path(SITE_FOLDER)
    output = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, check=True).stdout
    said, cached = output.split()
    assert said == "hello"
    assert Path(cached).is_relative_to(tmp_path / "store")
    assert Path(cached).exists()


def test_a_layers_key_depends_on_its_content_and_its_folder(root: Path, tmp_path: Path) -> None:
    first = layer_of(root, tmp_path / "store")
    assert layer_of(root, tmp_path / "store").key == first.key
    assert layer_of(root, tmp_path / "moved").key != first.key
    (root / PRODUCT_LAYER / "python/product/__init__.py").write_text("SAYS = 'good bye'\n")
    assert layer_of(root, tmp_path / "store").key != first.key


def test_a_syntax_error_in_the_layer_is_reported_and_leaves_no_folder(root: Path, tmp_path: Path) -> None:
    (root / PRODUCT_LAYER / "python/product/__init__.py").write_text("SAYS =\n")
    layer = layer_of(root, tmp_path / "store")
    with pytest.raises(BrokenSource, match=r"__init__.py, line 1"):
        layer.unpack()
    assert layer.unpacked_folder
    assert not layer.unpacked_folder.exists()
