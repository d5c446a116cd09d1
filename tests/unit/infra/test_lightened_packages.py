"""The packages of the runtime layer, which are cheaper to import, do what the whole ones do (`lighten` in pack.py)."""

from __future__ import annotations

import ast
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

WHOLE = "whole"
LIGHT = "light"
# What a call answers, or the name of the error that it raises.
OUTCOME = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
def outcome(call, *arguments):
    try:
        return repr(call(*arguments))
    except Exception as error:
        return type(error).__name__
"""
URLS = (
    *("https://dynamodb.eu-central-1.amazonaws.com/", "http://localhost:4566", "http://[::1]:80/a?b#c", "//host/path"),
    *("http://[fe80::1%25eth0]/", "http://a b/", "HTTP://Ex%41mple.com/%7euser?x=%zz", "http://host:99999/", "http://"),
    *(
        "http://1.2.3.4:80",
        "http://0x7f.1/",
        "http://[1::2::3]/",
        "mailto:ada@example.com",
        "http://ü.example/",
        "/a/../b",
    ),
)
HOSTS = ("1.2.3.4", "[::1]", "::1", "example.com", "[fe80::1%25eth0]", "256.1.1.1", "")


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
    shutil.copytree(whole, folder / LIGHT, ignore=shutil.ignore_patterns("__pycache__"))
    pack.lighten(folder / LIGHT)
    return {WHOLE: whole, LIGHT: folder / LIGHT}


def answers(site: Path, code: str, **environment: str) -> Any:
    """What a fresh process with the packages of `site` prints as JSON."""
    command = [sys.executable, *ISOLATED, "-c", OUTCOME + code, str(site)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert not ran.returncode, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        (
            {},
            f"""
from urllib3.util.url import parse_url
from urllib3.connectionpool import connection_from_url
from botocore.utils import is_valid_ipv4_endpoint_url, is_valid_ipv6_endpoint_url
urls, hosts = {URLS!r}, {HOSTS!r}
found = [outcome(parse_url, url) for url in urls] + [outcome(lambda: connection_from_url(url).host) for url in urls]
for host in hosts:
    found += [outcome(call, f"https://{{host}}/") for call in (is_valid_ipv4_endpoint_url, is_valid_ipv6_endpoint_url)]
print(json.dumps(found))
""",
        ),
        *(
            (
                proxies,
                """
from botocore.utils import get_environ_proxies
print(json.dumps([get_environ_proxies(url) for url in ("https://example.com/", "https://inside.example/a")]))
""",
            )
            for proxies in (
                {},
                {"HTTPS_PROXY": "http://proxy:3128"},
                {"https_proxy": "http://proxy:3128", "no_proxy": "inside.example"},
            )
        ),
        (
            {},
            """
import datetime, tempfile
from botocore.configloader import raw_config_parse
from botocore.credentials import Credentials, ProcessProvider, RefreshableCredentials, parse
from botocore.utils import parse_timestamp
with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
    file.write("[default]\\nregion = eu-central-1\\n")
    file.flush()
    found = [raw_config_parse(file.name)]
    file.write("no section\\n= [")
    file.flush()
    found.append(outcome(raw_config_parse, file.name))
answer = json.dumps({"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "2090-01-01T00:00:00Z"})
profiles = {"profiles": {"default": {"credential_process": f"echo '{answer}'"}}}
loaded = ProcessProvider("default", lambda: profiles).load()
found += [loaded.access_key, loaded.method, outcome(parse, "2026-11-30T12:00:00Z"), outcome(parse, "never")]
for text in ("2026-11-30T12:00:00Z", "Mon, 30 Nov 2026 12:00:00 GMT", "x", 1.5):
    found.append(outcome(parse_timestamp, text))
print(json.dumps(found))
""",
        ),
        (
            {},
            """
from pydantic import TypeAdapter
from fractions import Fraction
from zoneinfo import ZoneInfo
found = []
for kind, values in ((Fraction, ("1/2", 3, "x")), (ZoneInfo, ("UTC", "Mars", 1)), (int, ("1", "x"))):
    adapter = TypeAdapter(kind)
    found += [outcome(adapter.validate_python, value) for value in values]
    found.append(outcome(adapter.json_schema))
print(json.dumps(found))
""",
        ),
        (
            {"AWS_LAMBDA_FUNCTION_NAME": "name", "POWERTOOLS_TRACE_DISABLED": "true"},
            """
import aws_lambda_powertools as powertools
from aws_lambda_powertools import Logger, Metrics, single_metric
found = [each.__module__ for each in (Logger, Metrics, single_metric, powertools.Tracer)]
print(json.dumps([*found, outcome(getattr, powertools, "Nothing")]))
""",
        ),
        ({}, "import urllib3.http2\nprint(json.dumps(outcome(urllib3.http2.inject_into_urllib3)))"),
    ],
)
def test_a_lightened_package_answers_as_the_whole_one(
    sites: dict[str, Path], environment: dict[str, str], code: str
) -> None:
    assert answers(sites[LIGHT], code, **environment) == answers(sites[WHOLE], code, **environment)


def test_a_fraction_is_no_other_type_while_nobody_has_imported_it(sites: dict[str, Path]) -> None:
    code = """
from pydantic import TypeAdapter
found = [TypeAdapter(kind).validate_python(value) for kind, value in ((bool, True), (list[int | None], [1, None]))]
print(json.dumps([found, "fractions" in sys.modules, "zoneinfo" in sys.modules]))
"""
    assert answers(sites[LIGHT], code) == [[True, [1, None]], False, False]


def test_plugins_of_pydantic_are_found_where_the_environment_does_not_disable_them(
    sites: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "plug.py").write_text("plugin = 'found'\n")
    (tmp_path / "plug-1.dist-info").mkdir()
    (tmp_path / "plug-1.dist-info" / "METADATA").write_text("Name: plug\n")
    (tmp_path / "plug-1.dist-info" / "entry_points.txt").write_text("[pydantic]\nplug = plug:plugin\n")
    code = f"""
sys.path.insert(0, {str(tmp_path)!r})
from pydantic.plugin._loader import get_plugins
print(json.dumps(list(get_plugins())))
"""
    assert answers(sites[LIGHT], code) == ["found"]
    assert answers(sites[LIGHT], code, PYDANTIC_DISABLE_PLUGINS="__all__") == []


def test_an_import_of_a_client_loads_nothing_of_what_is_left_for_later(sites: dict[str, Path]) -> None:
    later = (
        "configparser",
        "dateutil.parser",
        "fractions",
        "importlib.metadata",
        "subprocess",
        "urllib.request",
        "zoneinfo",
    )
    code = f"""
import aws_lambda_powertools, botocore.session, pydantic, pynamodb.models
class Model(pydantic.BaseModel):
    name: str
    at: pydantic.AwareDatetime | None = None
Model(name="a")
print(json.dumps([name for name in {later!r} if name in sys.modules]))
"""
    assert answers(sites[LIGHT], code, PYDANTIC_DISABLE_PLUGINS="__all__") == []
    assert answers(sites[WHOLE], code, PYDANTIC_DISABLE_PLUGINS="__all__") == list(later)


def test_only_docstrings_differ_and_each_line_keeps_its_number(pack: Any) -> None:
    source = b'''"""Of the module,
of two lines."""
x = 1
class A:
    """A."""
    def f(self): "one"; return "kept"
    async def g(self):
        r"""Three
        \\d
        lines."""
text = """no docstring"""
'''
    light = pack.without_docstrings(source)
    assert light.count(b"\n") == source.count(b"\n")
    values: dict[str, Any] = {}
    exec(compile(light, "light", "exec"), values)
    assert (values["x"], values["A"]().f(), values["text"]) == (1, "kept", "no docstring")
    assert [values["A"].__doc__, values["A"].f.__doc__, values["A"].g.__doc__, values["__doc__"]] == ["."] * 4
    assert [node.lineno for node in ast.parse(light).body] == [node.lineno for node in ast.parse(source).body]


def test_a_package_that_says_something_else_stops_the_build(
    pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "urllib3/contrib").mkdir(parents=True)
    (tmp_path / pack.WITH_PYOPENSSL).touch()
    (tmp_path / "urllib3/other.py").write_text("import sys\n")
    monkeypatch.setattr(pack, "LIGHTENED", {"urllib3/other.py": (("import os\n", ""),)})
    for folder in ("docs", "data"):
        (tmp_path / "botocore" / folder).mkdir(parents=True)
    with pytest.raises(SystemExit, match=r"urllib3/other.py no longer says"):
        pack.lighten(tmp_path)


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
    assert answers(sites[LIGHT], code, **environment) == answers(sites[WHOLE], code, **environment)
