"""A new endpoint in a standing context is seven files: a copy of the repository gets one, and keeps to the rules."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.invoke import ROOT

APP = "functions/api/library/app.py"
SCHEMAS = "layers/atelier/python/atelier/library/schemas.py"
USE_CASE = "layers/atelier/python/atelier/library/list_sources.py"
DOCUMENT = "layers/atelier/python/atelier/openapi.json"
CALLS = "events/calls.yaml"
TABLE = "tests/functions/ROUTES.md"
TEST = "tests/functions/test_asset_sources.py"
# What holds the rules of an endpoint: style, who may call it, the gateway's path, the example call.
RULES = (
    "tests/test_tidy.py",
    "tests/functions/test_route_matrix.py::test_the_table_of_routes_is_up_to_date",
    "tests/functions/test_route_matrix.py::test_a_route_is_open_to_the_marked_roles_alone[api/library]",
    "tests/functions/test_route_matrix.py::test_a_foreign_id_is_answered_like_a_missing_one[api/library]",
    "tests/unit/infra/test_template.py::test_the_gateway_sends_each_route_to_the_function_that_declares_it",
    "tests/functions/test_examples.py::test_a_handler_accepts_its_example_event_and_logs_its_ids"
    "[api/library/list_sources]",
)
# What a change may touch; the rest of the working directory is of the tools.
COPIED = ["docs", "events", "findings", "functions", "infra", "layers", "statemachines", "tests", ".ci"]
MADE_BY_TOOLS = ("__pycache__", "node_modules", ".pytest_cache")

IMPORTS = """from atelier.library.list_sources import list_sources as list_sources_of
from atelier.library.schemas import SourceList
"""
HANDLER = '''

@api.route("GET", "/api/assets/<asset_id>/sources", permission="assets.read", answer=SourceList, errors=(404,))
def list_sources(request: Request[Empty]) -> Response:
    """List the assets that an asset was made from."""
    workspace_id, asset_id = request.caller.workspace_id, request.path_id("asset_id", "ast")
    return Response(list_sources_of(workspace_id, asset_id, request.now, assets=library.assets(), urls=asset_urls))
'''
SOURCE_LIST = """

class SourceList(LazyModel):
    items: list[AssetView]
"""
LIST_SOURCES = '''"""List the assets that an asset was made from."""

from __future__ import annotations

from datetime import datetime

from atelier.library.ports import Assets
from atelier.library.present import AssetUrls, present_asset
from atelier.library.schemas import SourceList


def list_sources(workspace_id: str, asset_id: str, now: datetime, *, assets: Assets, urls: AssetUrls) -> SourceList:
    """The sources of an asset that still exist, newest first; raises NotFound."""
    asset = assets.get(workspace_id, asset_id)
    found = sorted(assets.find(workspace_id, asset.made_from), key=lambda source: source.id, reverse=True)
    return SourceList(items=[present_asset(source, now, urls=urls) for source in found])
'''
CALL = """  list_sources:
    request: GET /api/assets/ast_01M7XCQ90TN3EWCPWVFQTSV162/sources
    route: ANY /api/assets/{proxy+}
"""
TEST_OF_SOURCES = '''"""The sources of an asset over HTTP."""

from __future__ import annotations

from dataclasses import replace

from atelier.generations.model import DeliveredFile, InputAsset
from tests.functions.conftest import AwsResources
from tests.functions.example_data import ASSET, stored_generation, submit_example
from tests.functions.responses import error_of, foreign_event, invoke_app, success_data
from tests.invoke import example_event, load_function
from tests.recorded_assets import record_asset


def test_the_sources_of_an_asset_are_listed(cloud: AwsResources) -> None:
    submit_example()
    made, source = (
        DeliveredFile(asset_id, "image", "0" * 64, "png", 1, 8, 8, has_thumbnail=True)
        for asset_id in (ASSET, f"{ASSET[:-1]}0")
    )
    record_asset(stored_generation(), source, 0)
    recipe = replace(stored_generation().recipe, inputs={"image": (InputAsset(source.id),)})
    record_asset(replace(stored_generation(), recipe=recipe), made, 1)
    app = load_function("api/library")
    listed = success_data(invoke_app(app, example_event("api/library/list_sources")))
    assert [asset["id"] for asset in listed["items"]] == [source.id]
    assert error_of(invoke_app(app, foreign_event("api/library/list_sources"))) == (404, "NOT_FOUND")
'''


class Copy:
    """A copy of the repository in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(*MADE_BY_TOOLS))
        for file in ROOT.iterdir():
            if file.is_file() and file.name != ".git":
                shutil.copy(file, folder)

    def insert(self, file: str, text: str, *, before: str) -> None:
        """Insert a text before the first place of another one."""
        head, found, rest = (self.folder / file).read_text().partition(before)
        assert found, f"{file} has no {before!r}"
        (self.folder / file).write_text(head + text + found + rest)

    def append(self, file: str, text: str) -> None:
        """Write a text at the end of a file, which may be new."""
        with (self.folder / file).open("a") as opened:
            opened.write(text)

    def run(self, *arguments: str) -> None:
        """Run a module of the copy by Python; fails with what it printed."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("ATELIER_", "PYTEST_"))
        }
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": "layers/atelier/python"}
        command = [sys.executable, "-m", *arguments]
        ended = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def changed(self) -> set[str]:
        """The files that differ from the repository's, or that it does not have."""
        files = {
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and not set(MADE_BY_TOOLS) & set(path.parts)
        }
        return {
            file
            for file in files
            if not (ROOT / file).exists() or not filecmp.cmp(ROOT / file, self.folder / file, shallow=False)
        }


@pytest.fixture
def with_endpoint(tmp_path: Path) -> Copy:
    """The repository with an endpoint more; every test of the rules runs on it as it is."""
    copy = Copy(tmp_path)
    copy.append(APP, HANDLER)
    copy.insert(APP, IMPORTS, before="from atelier.wiring")
    copy.append(SCHEMAS, SOURCE_LIST)
    copy.append(USE_CASE, LIST_SOURCES)
    copy.insert(CALLS, CALL, before="  list_templates:")
    copy.append(TEST, TEST_OF_SOURCES)
    copy.run("infra.openapi")
    copy.run("tests.functions.route_matrix")
    return copy


def test_seven_files_make_an_endpoint(with_endpoint: Copy) -> None:
    assert with_endpoint.changed() == {APP, SCHEMAS, USE_CASE, DOCUMENT, CALLS, TABLE, TEST}
    assert '"/api/assets/{asset_id}/sources"' in (with_endpoint.folder / DOCUMENT).read_text()
    with_endpoint.run("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *RULES, TEST)
