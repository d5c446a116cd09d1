"""The countable part of the house style: what a reader may rely on without checking.

Each failure says the rule, what to do, and where.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FOLDERS = {"docs", "functions", "layers", "statemachines", "infra", "events", "tests"}
# Folders that may be absent. `findings`: surprises about real libraries, one script each.
OPTIONAL_FOLDERS = {"findings"}
APP_LINES_MAX = 250
HANDLER_LINES_MAX = 12
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 480
# One painter, read as a whole.
LONG_MODULES = {
    "layers/atelier/python/atelier/adapters/providers/local/canvas.py",
}
TEST_NAME_CHARACTERS_MAX = 80
# The lines of template.yaml for a function, on average.
TEMPLATE_LINES_MAX = 18
# The module that imports adapters by a name made at run time, and the files that hold the names.
REGISTRY = ROOT / "layers/atelier/python/atelier/adapters/providers/registry.py"
PROVIDER_FACTS = sorted((ROOT / "layers/atelier/python/atelier/catalogue").glob("*.yaml"))
PRODUCT = ("functions", "layers")

# Modules that a handler must not import: it calls use cases, and only wiring knows the adapters.
ADAPTERS = re.compile(r"atelier\.adapters\b")
CLIENTS = re.compile(r"(boto3|botocore|pynamodb|stripe|openai|replicate|httpx|requests|urllib3)\b")
# What decides: wiring must not.
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.Match, ast.BoolOp)
PRESENCE = re.compile(r"^\S+ is (not )?None$|^(\w+\.)*(replayed|stream)$")
# Words of a private language, and the word that the field uses. Names of variables, parameters, functions and classes.
BANNED_NAMES = {
    "asked": "request, recipe, or what it is",
    "awake": "healthy, available",
    "beside": "prefetched, or what it is",
    "ill": "unhealthy",
    "luck": "rng, jitter",
    "patience": "timeout_seconds",
    "standin": "simulator",
    "standins": "simulators",
    "told": "set_fields, or what it is",
    "wish": "preference, option",
    "wishes": "preferences, options",
}
# Tests, their assertions and their local variables may say what was asked and told; the rest is banned there too.
# Names that are stored or sent.
KEPT_NAMES = {"atelier/ledger": {"asked"}}
BANNED_NAMES_OF_TESTS = BANNED_NAMES.keys() - {"asked", "beside", "told"}
# In comments, docstrings, documents and templates.
BANNED_PROSE = re.compile(r"\b(awake|luck|patience|stand-ins?|wish(?:es)?)\b", re.IGNORECASE)
FORBIDDEN_NAMES = {"base", "common", "core", "helper", "helpers", "misc", "util", "utils"}
# Split so that this file does not name what it forbids.
REGISTRIES = re.compile(r"\b(pypi|pythonhosted|npmjs|yarnpkg|crates)\.(org|com|io)\b", re.IGNORECASE)
MACHINE_PATHS = re.compile(r"(?<![\w.}])/(work|root|home|Users)/\w")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
TEXT = {"", ".asl", ".cfg", ".css", ".html", ".js", ".json", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}


def hold(rule: str, broken: Iterable[object]) -> None:
    """Fails with the rule and every place where it is broken."""
    places = [f"  {place}" for place in broken]
    assert not places, "\n".join([rule, *places])


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


@cache
def parsed(path: Path) -> ast.Module:
    """The module's syntax tree; each module is parsed once for all tests, which read the tree and never change it."""
    return ast.parse(path.read_text())


@cache
def imported(path: Path) -> frozenset[str]:
    """Every module that `path` may import when it runs, inside functions too, but not for the type checker alone."""
    tree = parsed(path)
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
    return frozenset(found)


def imported_by_name(path: Path) -> set[str]:
    """What `path` imports by a name made at run time: the registry imports an adapter by its provider's id."""
    if path != REGISTRY:
        return set()
    ids = {provider for each in PROVIDER_FACTS for provider in yaml.safe_load(each.read_text()).get("providers", ())}
    return {f"atelier.adapters.providers.{provider}" for provider in ids}


def reached(path: Path) -> set[str]:
    """Every module that `path` may come to import through the product's own modules."""
    found, waiting = set[str](), [path]
    while waiting:
        importing = waiting.pop()
        for name in (imported(importing) | imported_by_name(importing)) - found:
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


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of the module, in nested ones too."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def at(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_the_top_level_holds_the_known_folders_and_no_other() -> None:
    present = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    hold(
        "the repository has the folders of FOLDERS in tests/test_tidy.py and no other: put the folder into one of them",
        (present - OPTIONAL_FOLDERS) ^ FOLDERS,
    )


def test_every_module_has_a_docstring() -> None:
    silent = [
        path
        for path in modules("functions", "layers", "infra", "tests")
        if path.read_text().strip() and not ast.get_docstring(parsed(path))
    ]
    hold("a module begins with a docstring that says what it is for: write one", named(silent))


def test_no_module_has_a_meaningless_name() -> None:
    vague = [path for path in modules() if {*path.relative_to(ROOT).parts, path.stem} & FORBIDDEN_NAMES]
    hold(f"a file is named for what it does, none is called {sorted(FORBIDDEN_NAMES)}: rename it", named(vague))


def test_a_function_folder_holds_one_app_of_bounded_length() -> None:
    others = [path for path in files("functions") if path.name != "app.py"]
    hold("a folder under functions/ holds app.py and nothing else: move what is shared into the layer", named(others))
    long = [path for path in modules("functions") if len(path.read_text().splitlines()) > APP_LINES_MAX]
    hold(f"an app has at most {APP_LINES_MAX} lines: split the function, or move the work into a use case", named(long))


def test_a_handler_is_short() -> None:
    long = {
        f"{at(path, function.lineno)} {function.name}: {lines} lines"
        for path in modules("functions")
        for function in functions_of(path)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > HANDLER_LINES_MAX
    }
    hold(
        f"a handler has at most {HANDLER_LINES_MAX} lines: it reads the request, calls one use case and builds the "
        "response; move what decides into the use case",
        long,
    )


def test_no_function_is_longer_than_a_page() -> None:
    long = [
        f"{at(path, function.lineno)} {function.name}: {lines} lines"
        for path in modules()
        for function in functions_of(path)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    ]
    hold(
        f"a function has at most {FUNCTION_LINES_MAX} lines: keep the control flow in it, and move what decides or "
        "computes into functions of values",
        long,
    )


def test_no_product_module_is_longer_than_its_subject() -> None:
    long = {each for each in named(modules(*PRODUCT)) if len((ROOT / each).read_text().splitlines()) > MODULE_LINES_MAX}
    hold(
        f"a product module has at most {MODULE_LINES_MAX} lines: split it by subject",
        sorted(long - LONG_MODULES),
    )
    hold("a module of LONG_MODULES in tests/test_tidy.py is short now: take it out", sorted(LONG_MODULES - long))


def test_a_handler_decides_nothing() -> None:
    """A handler may only branch on what was there (`is None`, `replayed`), and on a response wanted as a stream."""
    deciding = [
        f"{at(path, node.iter.lineno if isinstance(node, ast.comprehension) else node.lineno)}: {type(node).__name__}"
        for path in modules("functions")
        for node in ast.walk(parsed(path))
        if isinstance(node, BRANCHES) or (isinstance(node, ast.comprehension) and node.ifs)
        if not (isinstance(node, ast.If | ast.IfExp) and PRESENCE.search(ast.unparse(node.test)))
    ]
    hold(
        "a handler reads the request, calls one use case and builds the response: move the branch into the use case, "
        "or into present.py or schemas.py of the context",
        deciding,
    )


def test_wiring_decides_nothing() -> None:
    deciding = [
        f"{at(path, node.iter.lineno if isinstance(node, ast.comprehension) else node.lineno)}: {type(node).__name__}"
        for path in modules("layers/atelier/python/atelier/wiring")
        for node in ast.walk(parsed(path))
        if isinstance(node, BRANCHES) or (isinstance(node, ast.comprehension) and node.ifs)
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    ]
    hold(
        "wiring composes and decides nothing: move the branch into the use case, into the settings object that knows "
        "the choice, or into the adapter's constructor",
        deciding,
    )


def test_wiring_knows_no_http() -> None:
    knowing = [
        path
        for path in modules("layers/atelier/python/atelier/wiring")
        if any(re.match(r"atelier\.http\b", name) for name in imported(path))
    ]
    hold("wiring imports no atelier.http: requests are read and responses are built in app.py", named(knowing))


@pytest.mark.parametrize("folders", [("layers/atelier", "functions"), ("infra",)], ids=["product", "infra"])
def test_a_class_name_has_one_meaning(folders: tuple[str, ...]) -> None:
    """A simulator's request and response are a vendor's, so `infra` is apart from the product."""
    places = defaultdict[str, list[str]](list)
    for path in modules(*folders):
        for node in ast.walk(parsed(path)):
            # PynamoDB reads a model's table from a nested class of this name.
            if isinstance(node, ast.ClassDef) and node.name != "Meta":
                places[node.name].append(at(path, node.lineno))
    doubled = [f"{name}: {', '.join(found)}" for name, found in sorted(places.items()) if len(found) > 1]
    hold(
        "two classes of one name mean two things to a reader: rename one, or use the same class",
        doubled,
    )


def words(name: str) -> set[str]:
    """The words of an identifier, in lower case: `StandIn_wishes` → stand, in, wishes."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def test_a_file_that_code_names_exists() -> None:
    present = [str(path.relative_to(ROOT)) for path in modules()]
    hold(
        "a module that a comment or docstring names exists: write its present name",
        [
            f"{path.relative_to(ROOT)}: {name}"
            for path in modules("functions", "layers", "infra", "tests")
            for name in re.findall(r"`([\w/]+\.py)`", path.read_text())
            if not any(f"/{each}".endswith(f"/{name}") for each in present)
        ],
    )


def test_the_product_has_one_dataclass_decorator() -> None:
    # The decorator is built on the standard one; the verifier runs without Atelier.
    allowed = {"atelier/dataclass.py", "atelier/ledger/verify.py"}
    hold(
        "a class of the product takes `dataclass` from atelier.dataclass, which defines a class ten times faster",
        named(
            [
                path
                for path in modules("layers/atelier")
                if "dataclasses.dataclass" in imported(path) and not str(path).endswith(tuple(allowed))
            ]
        ),
    )


def test_names_use_the_words_of_the_field() -> None:
    private = [
        f"{at(path, token.start[0])} {token.string}: use {BANNED_NAMES[word]}"
        for folders, banned in (
            (("layers", "functions", "infra"), BANNED_NAMES.keys()),
            (("tests",), BANNED_NAMES_OF_TESTS),
        )
        for path in modules(*folders)
        if path != Path(__file__)
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
        if token.type == tokenize.NAME
        for word in words(token.string) & banned
        if not any(place in str(path) and token.string in kept for place, kept in KEPT_NAMES.items())
    ]
    hold("a name says the field's word (the glossary is in ARCHITECTURE.md): rename it", private)


def test_prose_uses_the_words_of_the_field() -> None:
    private = [
        f"{at(path, number)}: {line.strip()[:100]}"
        for path in files("layers", "functions", "infra", "docs", "statemachines")
        if path.suffix in {".py", ".md", ".yaml"}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if BANNED_PROSE.search(line.replace("own#wishes", "").replace('attr_name="wishes"', ""))
    ]
    hold(
        "a comment names its subject, in the field's words (the glossary is in ARCHITECTURE.md): say it plainly",
        private,
    )


def test_a_tests_name_is_one_short_sentence() -> None:
    long = [
        f"{at(path, function.lineno)} {function.name}: {len(function.name)}"
        for path in modules("tests")
        for function in functions_of(path)
        if function.name.startswith("test_") and len(function.name) > TEST_NAME_CHARACTERS_MAX
    ]
    hold(f"a test's name has at most {TEST_NAME_CHARACTERS_MAX} characters, subject first, one fact: shorten it", long)


def test_the_template_is_a_contents_page() -> None:
    blocks = re.split(r"^(?=  \w+:)", (ROOT / "template.yaml").read_text(), flags=re.MULTILINE)
    lines = [
        len([line for line in block.splitlines() if line.strip()])
        for block in blocks
        if "Type: AWS::Serverless::Function" in block
    ]
    assert sum(lines) <= TEMPLATE_LINES_MAX * len(lines), (
        f"template.yaml has {sum(lines) / len(lines):.1f} lines a function, and {TEMPLATE_LINES_MAX} are allowed on "
        "average: variables of several functions belong in Globals, statements of several functions in a managed policy"
    )


def test_the_template_declares_exactly_the_function_folders() -> None:
    resources = template()["Resources"].values()
    declared = [
        resource["Properties"]["CodeUri"].strip("./")
        for resource in resources
        if resource["Type"] == "AWS::Serverless::Function"
    ]
    hold(
        "every folder under functions/ is one function of template.yaml: add the missing one, or remove it",
        set(declared) ^ function_folders(),
    )
    hold("two functions of template.yaml have one folder", {each for each in declared if declared.count(each) > 1})


def test_a_function_has_no_layer_that_it_does_not_import() -> None:
    # Videos are decoded in a sandbox process, which the imports do not show.
    video = {"av", "espeakng_loader", "atelier.adapters.media.sandbox"}
    heavy = {"MediaLayer": {"PIL"}, "AiLayer": {"httpx", "replicate"}, "VideoLayer": video, "StudioLayer": {"studio"}}
    heavy |= {"StripeLayer": {"stripe"}, "MailLayer": {"jinja2"}, "OauthLayer": {"joserfc"}}
    heavy |= {"WebauthnLayer": {"webauthn"}, "ChartsLayer": {"pygal"}, "DuckdbLayer": {"duckdb"}}
    heavy["SentryLayer"] = {"sentry_sdk"}
    heavy |= {"AgeLayer": {"pyrage"}, "PagesLayer": {"nh3"}}
    heavy |= {"CalendarLayer": {"icalendar"}, "DnsLayer": {"dns"}}
    # These are dependencies of the layer beside them.
    heavy["StudioDependenciesLayer"] = {"studio"}
    idle = [
        (folder, layer)
        for resource in template()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
        for folder in [resource["Properties"]["CodeUri"]]
        for layer in resource["Properties"].get("Layers", [])
        for names in [reached(ROOT / folder / "app.py")]
        if heavy[layer].isdisjoint(names | {name.partition(".")[0] for name in names})
    ]
    hold("a function has only layers whose packages it can import: remove the layer from its block", idle)


def test_a_handler_imports_no_adapter_and_no_client() -> None:
    reaching = {
        str(path.relative_to(ROOT)): names
        for path in modules("functions")
        if (names := sorted(name for name in imported(path) if ADAPTERS.match(name) or CLIENTS.match(name)))
    }
    hold(
        "a handler imports use cases and wiring, no adapter and no client of a service: compose it in wiring",
        [f"{path}: {', '.join(names)}" for path, names in reaching.items()],
    )


def test_only_four_modules_import_by_a_name_made_at_run_time() -> None:
    # The sandbox's process is started with the name of the module that it runs.
    sandbox = ROOT / "layers/atelier/python/atelier/adapters/media/_sandbox_worker.py"
    importing = [path for path in modules(*PRODUCT) if re.search(r"\bimport_module\(|\b__import__\(", path.read_text())]
    # The file of an event of Stripe is found by the event's type.
    events = ROOT / "layers/atelier/python/atelier/billing/handle_event.py"
    # A room of Studio is imported with the first request for one of its paths.
    rooms = ROOT / "layers/studio/python/studio/rooms.py"
    assert named(importing) == named([sandbox, REGISTRY, events, rooms])
    assert "atelier.adapters.providers.replicate" in reached(REGISTRY)


def test_the_environment_is_read_in_one_place() -> None:
    readers = [
        path for path in modules(*PRODUCT) if re.search(r"\bos\.(environ|getenv)\b|from os import", path.read_text())
    ]
    settings = {"layers/atelier/python/atelier/environment.py", "layers/studio/python/studio/settings.py"}
    elsewhere = set(named(readers)) - settings
    hold("the environment is read by settings.py alone: declare the variable there", elsewhere)


def test_the_clock_is_read_in_one_place() -> None:
    readers = [
        path for path in modules(*PRODUCT) if re.search(r"\b(datetime|date)\.(now|utcnow|today)\(", path.read_text())
    ]
    clocks = {"layers/atelier/python/atelier/clock.py", "layers/studio/python/studio/clock.py"}
    elsewhere = set(named(readers)) - clocks
    hold("the time comes from clock.py alone: take `now` as a parameter", elsewhere)


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
    hold("no file names a package registry's host, a path of one machine, or unfinished work: remove it", found)


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", lock.read_text(), re.MULTILINE))


def test_lambda_runs_the_tested_package_versions() -> None:
    tested = pins(ROOT / ".ci/locks/test.txt")
    for lock in (ROOT / "layers/dependencies").glob("*/requirements.txt"):
        other = pins(lock).items() - tested.items()
        hold(f"Lambda's {lock.parent.name} layer has the versions that the tests ran: run `make lock`", other)


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
    hold(
        "the runtime layer keeps botocore's model of every service called: name it in SERVICES of "
        "layers/dependencies/pack.py",
        called - kept,
    )
