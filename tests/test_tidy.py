"""The countable part of the house style: what a reader may rely on without checking."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FOLDERS = {"docs", "functions", "layers", "statemachines", "infra", "events", "tests"}
# Folders that may be absent. `findings`: surprises about real libraries, one script each.
OPTIONAL_FOLDERS = {"findings"}
APP_LINES_MAX = 250
PRODUCT = ("functions", "layers")

# Modules that a handler must not import: it calls use cases, and only wiring knows the adapters.
ADAPTERS = re.compile(r"atelier\.(aws|providers|payments|media)\b")
CLIENTS = re.compile(r"(boto3|botocore|pynamodb|stripe|openai|replicate|httpx|requests|urllib3)\b")
FORBIDDEN_NAMES = {"base", "common", "core", "helper", "helpers", "misc", "util", "utils"}
# Split so that this file does not name what it forbids.
REGISTRIES = re.compile(r"\b(pypi|pythonhosted|npmjs|yarnpkg|crates)\.(org|com|io)\b", re.IGNORECASE)
MACHINE_PATHS = re.compile(r"(?<![\w.}])/(work|root|home|Users)/\w")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
TEXT = {"", ".asl", ".cfg", ".css", ".html", ".js", ".json", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}


def files(*folders: str, suffix: str = "") -> Iterator[Path]:
    """Files of the repository below `folders` (all of it when none is named), caches and environments left out."""
    for folder in folders or (*FOLDERS, *OPTIONAL_FOLDERS, ".ci"):
        for path in sorted((ROOT / folder).rglob(f"*{suffix}")):
            if path.is_file() and not {"__pycache__", "node_modules"} & set(path.parts):
                yield path
    if not folders:
        # In a git worktree, `.git` is a file that names the repository.
        beside = (path for path in sorted(ROOT.iterdir()) if path.is_file() and path.name != ".git")
        yield from (path for path in beside if path.name.endswith(suffix))


def modules(*folders: str) -> list[Path]:
    return list(files(*folders, suffix=".py"))


def named(paths: Iterator[Path] | list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def imported(path: Path) -> set[str]:
    """Every module that `path` may import when it runs, inside functions too, but not for the type checker alone."""
    tree = ast.parse(path.read_text())
    unseen = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for child in ast.walk(statement)
    }
    found = set[str]()
    for node in set(ast.walk(tree)) - unseen:
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
    return found


def reached(path: Path) -> set[str]:
    """Every module that `path` may come to import through the product's own modules."""
    found, waiting = set[str](), [path]
    while waiting:
        for name in imported(waiting.pop()) - found:
            found.add(name)
            place = ROOT / "layers/atelier/python" / name.replace(".", "/")
            waiting += [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.exists()]
    return found


def template() -> dict[str, Any]:
    """template.yaml as plain data; the short forms of intrinsic functions become their argument."""

    class Loader(yaml.SafeLoader):
        pass

    def plain(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        assert isinstance(node, yaml.ScalarNode)
        return loader.construct_scalar(node)

    Loader.add_multi_constructor("!", plain)
    return yaml.load((ROOT / "template.yaml").read_text(), Loader)


def function_folders() -> set[str]:
    return {str(path.parent.relative_to(ROOT)) for path in modules("functions")}


def test_the_top_level_holds_the_known_folders_and_no_other() -> None:
    present = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert present - OPTIONAL_FOLDERS == FOLDERS


def test_every_module_has_a_docstring() -> None:
    silent = [
        path
        for path in modules("functions", "layers", "infra", "tests")
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert named(silent) == []


def test_no_module_has_a_meaningless_name() -> None:
    assert named([path for path in modules() if {*path.relative_to(ROOT).parts, path.stem} & FORBIDDEN_NAMES]) == []


def test_a_function_is_one_short_app_and_nothing_else() -> None:
    assert named([path for path in files("functions") if path.name != "app.py"]) == []
    assert named([path for path in modules("functions") if len(path.read_text().splitlines()) > APP_LINES_MAX]) == []


def test_the_template_declares_exactly_the_function_folders() -> None:
    resources = template()["Resources"].values()
    declared = [
        resource["Properties"]["CodeUri"].strip("./")
        for resource in resources
        if resource["Type"] == "AWS::Serverless::Function"
    ]
    assert sorted(declared) == sorted(function_folders())


def test_a_function_has_no_layer_that_it_does_not_import() -> None:
    # Videos are decoded in a sandbox process, which the imports do not show.
    film = {"av", "espeakng_loader", "atelier.adapters.media.sandbox"}
    heavy = {"MediaLayer": {"PIL"}, "AiLayer": {"httpx", "replicate"}, "FilmLayer": film}
    idle = [
        (folder, layer)
        for resource in template()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
        for folder in [resource["Properties"]["CodeUri"]]
        for layer in resource["Properties"].get("Layers", [])
        for names in [reached(ROOT / folder / "app.py")]
        if heavy[layer].isdisjoint(names | {name.partition(".")[0] for name in names})
    ]
    assert idle == []


def test_a_handler_imports_no_adapter_and_no_client() -> None:
    reaching = {
        str(path.relative_to(ROOT)): names
        for path in modules("functions")
        if (names := sorted(name for name in imported(path) if ADAPTERS.match(name) or CLIENTS.match(name)))
    }
    assert reaching == {}


def test_the_environment_is_read_in_one_place() -> None:
    readers = [
        path for path in modules(*PRODUCT) if re.search(r"\bos\.(environ|getenv)\b|from os import", path.read_text())
    ]
    assert set(named(readers)) <= {"layers/atelier/python/atelier/settings.py"}


def test_the_clock_is_read_in_one_place() -> None:
    readers = [
        path for path in modules(*PRODUCT) if re.search(r"\b(datetime|date)\.(now|utcnow|today)\(", path.read_text())
    ]
    assert set(named(readers)) <= {"layers/atelier/python/atelier/clock.py"}


@pytest.mark.parametrize(
    "pattern", [REGISTRIES, MACHINE_PATHS, UNFINISHED], ids=["registry hosts", "machine paths", "unfinished work"]
)
def test_no_file_contains_a_forbidden_pattern(pattern: re.Pattern[str]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in files()
        if path.suffix in TEXT
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", lock.read_text(), re.MULTILINE))


def test_lambda_runs_the_tested_package_versions() -> None:
    tested = pins(ROOT / ".ci/locks/test.txt")
    for lock in (ROOT / "layers/dependencies").glob("*/requirements.txt"):
        assert pins(lock).items() <= tested.items(), f"{lock.parent.name}: run `make lock`"


def test_the_runtime_layer_keeps_the_model_of_every_service_called() -> None:
    called = {
        service
        for path in modules("layers/atelier")
        for service in re.findall(r"\b(?:create_)?(?:client|resource)\(\s*\"([a-z0-9-]+)\"", path.read_text())
    }
    packer = ast.parse((ROOT / "layers/dependencies/pack.py").read_text())
    kept = next(
        {name.value for name in ast.walk(node.value) if isinstance(name, ast.Constant)}
        for node in packer.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "SERVICES"
    )
    assert called <= kept
