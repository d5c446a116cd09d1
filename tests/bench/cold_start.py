"""Rows 1 and 2: the time in which a fresh process imports a function and serves its first request, and its memory then.

Measured are the API functions as deployed: with bytecode, the packages as in the runtime layer, the environment that
the template sets, the packages of its own layers alone, and a request of a signed-up account that really reads (or
writes) the tables. The reference, a typical function, gets the same: bytecode, only the packages that it imports, a
table to read from, one request.
"""

from __future__ import annotations

import compileall
import importlib.util
import json
import os
import py_compile
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench import stack
from tests.bench.measure import ROOT, Result, run_alternately
from tests.bench.site_folder import ISOLATED, function_site, link_packages, pinned, reference_site
from tests.bench.stack import BenchStack
from tests.local.administrator import create_administrator

FIRST_REQUEST = Path(__file__).parent / "first_request.py"
RATIO_MAX = {"milliseconds": 0.65, "mebibytes": 0.75}
# Whose first request makes many calls, where the typical one reads one item (docs/speed.md says which).
OWN_RATIO_MAX = {"admin_health": 0.9, "admin_people": 0.7}
# What `typical/app.py` imports; Powertools imports the tracer's SDK.
TYPICAL_IMPORTS = ("boto3", "aws-lambda-powertools", "aws-xray-sdk", "pydantic", "argon2-cffi", "joserfc")
# Stands for the number of the process in an event: mails to one address are few in an hour.
PROCESS = "process-number"
LOG_IN, LOG_IN_PATH = "typical, log in", "/api/auth/login"
# Their first requests read one record that does not exist: 404.
FIND_NOTHING = ("admin_generations", "page_writing")
NOTHING = "01M7XGKRSEKN0SH87PGZ7694XK"
NO_GENERATION = f"gen_{NOTHING}"
SMALL_IMAGE = {
    "kind": "image",
    "prompt": "a lighthouse",
    "model": "local/canvas",
    "parameters": {"width": 64, "height": 64},
}

ACCOUNT = {"email": "bench1@example.com", "password": stack.PASSWORD}
# (method, path, body) by the name of a function, and of a second request of it after a comma.
FIRST_REQUESTS: dict[str, tuple[str, str, Any]] = {
    "auth": ("GET", "/.well-known/jwks.json", None),
    "auth, log in": ("POST", LOG_IN_PATH, ACCOUNT),
    "account": ("GET", "/api/auth/me", None),
    "factors": ("GET", "/api/auth/mfa", None),
    "oauth": ("GET", "/api/auth/oauth", None),
    "mailbox": ("POST", "/api/auth/forgot-password", {"email": f"nobody-{PROCESS}@example.com"}),
    "analytics": ("GET", "/api/analytics/usage", None),
    "charts": ("GET", "/api/analytics/charts/cost.svg", None),
    "audit": ("GET", "/api/users/me/security-log", None),
    "exports": ("GET", "/api/analytics/exports", None),
    "workspaces": ("GET", "/api/workspaces", None),
    "billing": ("GET", "/api/billing/subscription", None),
    "library, characters": ("GET", "/api/characters", None),
    "credits": ("GET", "/api/credits", None),
    "generations": ("POST", "/api/generate", SMALL_IMAGE),
    "library": ("GET", "/api/assets", None),
    "projects": ("GET", "/api/projects", None),
    "providers": ("GET", "/api/models", None),
    "status": ("GET", "/healthz", None),
    "library, templates": ("GET", "/api/templates", None),
    "account, tokens": ("GET", "/api/tokens", None),
    "uploads": ("POST", "/api/assets/uploads", {"name": "a.png", "content_type": "image/png", "size": 10}),
    "admin_backups": ("GET", "/api/admin/backups", None),
    "admin_generations": ("GET", f"/api/admin/generations/{NO_GENERATION}", None),
    "admin_health": ("GET", "/api/admin/health", None),
    "admin_money": ("GET", "/api/admin/adjustments", None),
    "admin_operations": ("GET", "/api/admin/providers", None),
    "admin_people": ("GET", "/api/admin/users", None),
    "articles": ("GET", "/api/articles", None),
    "deployments": ("GET", "/api/deployments", None),
    "home": ("GET", "/api/home", None),
    "livestreams": ("GET", "/api/livestreams", None),
    "page_writing": ("GET", f"/api/sites/sit_{NOTHING}/writings/{NO_GENERATION}", None),
    "realtime": ("POST", "/api/realtime/tickets", None),
    "showcase": ("GET", "/api/showcase", None),
    "sites": ("GET", "/api/sites", None),
    "workshops": ("GET", "/api/workshops", None),
}


def rows(running: BenchStack, folder: Path) -> list[Result]:
    """One row for each API function and measure; `folder` takes the staged copies."""
    token = running.sign_up()
    administrator = create_administrator(running.child.base_url, running.child)
    admin_token = administrator.http.headers["authorization"].removeprefix("Bearer ")
    # Without this, the generations that the requests submit would run during the measurement.
    running.pause_streams()
    sides = {"bare": ([*ISOLATED, str(FIRST_REQUEST), "-", "-", ""], dict[str, str]())}
    for name, source, request, environment in requests_to_measure(running, folder, token, admin_token):
        app = stage_function(folder, name, source)
        path = reference_path(folder) if name.startswith("typical") else function_path(folder, source)
        sides[name] = ([*ISOLATED, str(FIRST_REQUEST), str(app), str(request), path], environment)
    found = run_alternately(sides)
    bare = found.pop("bare")
    references = {name: found.pop(name) for name in list(found) if name.startswith("typical")}
    refused = {name: run["status"] for name, run in found.items() if run["status"] >= 400 and name not in FIND_NOTHING}
    assert not refused, f"a first request was refused: {refused}"
    print(f"bare Python: {bare['milliseconds']:.0f} ms, {bare['mebibytes']:.0f} MiB")
    return [
        Result(row, f"{what}, {name}", run[key], reference_of(name, references)[key], unit, ratio_max=goal(key, name))
        for row, what, key, unit in (
            (1, "cold start", "milliseconds", "ms"),
            (2, "memory", "mebibytes", "MiB"),
        )
        for name, run in found.items()
    ]


def requests_to_measure(
    running: BenchStack, folder: Path, token: str, admin_token: str
) -> list[tuple[str, Path, Path, dict[str, str]]]:
    """(name, source folder, event file, environment) of the API functions and the typical one."""
    claims = authorizer_claims(running, token)
    admin_claims = authorizer_claims(running, admin_token)

    served = {path.parent.name for path in (ROOT / "functions/api").glob("*/app.py")}
    covered = {name.partition(",")[0] for name in FIRST_REQUESTS}
    assert served == covered, f"an API function without a first request: {served ^ covered}"

    deployed = running.functions()
    found: list[tuple[str, Path, Path, dict[str, str]]] = []
    for name, (method, path, body) in FIRST_REQUESTS.items():
        function = name.partition(",")[0]
        logical_id = f"Api{function.title().replace('_', '')}Function"
        configuration = deployed[running.child.resource(logical_id)]
        environment = configuration["Environment"]["Variables"] | emulator_environment(running)
        caller = admin_claims if function.startswith("admin_") else claims
        request = write_json(folder / f"{name}.json", event(method, path, body, caller))
        found.append((name, ROOT / "functions/api" / function, request, environment))

    table = {
        "TYPICAL_TABLE": running.child.table("ledger"),
        "TYPICAL_SECRET": running.child.resource("DataIdentitySecret"),
        **emulator_environment(running),
    }
    for name, (method, path, body) in {
        "typical": ("GET", "/api/credits", None),
        LOG_IN: ("POST", LOG_IN_PATH, ACCOUNT),
    }.items():
        request = write_json(folder / f"{name}.json", event(method, path, body, claims))
        found.append((name, Path(__file__).parent / "typical", request, table))
    return found


def goal(measure: str, name: str) -> float:
    """The largest ratio to the reference that is accepted."""
    return OWN_RATIO_MAX.get(name, RATIO_MAX[measure]) if measure == "milliseconds" else RATIO_MAX[measure]


def reference_of(name: str, references: Mapping[str, Any]) -> Mapping[str, Any]:
    """The reference for a function. A log-in hashes a password, which is slow on purpose, so its reference is the
    typical function's log-in, which hashes one too."""
    return references[LOG_IN if name.endswith("log in") else "typical"]


def emulator_environment(running: BenchStack) -> dict[str, str]:
    """The environment by which a function in a child process uses the embedded AWS, without limits by IP address."""
    return {
        "AWS_ENDPOINT_URL": running.aws.endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ATELIER_RATE_SIGN_INS_PER_ACCOUNT": "1000000",
        "ATELIER_RATE_SIGN_INS_PER_ADDRESS": "1000000",
        "ATELIER_RATE_MAILS_PER_ADDRESS": "1000000",
    }


def authorizer_claims(running: BenchStack, token: str) -> Mapping[str, Any]:
    """The authorizer's context for a token: the claims that a function gets."""
    headers = {"authorization": f"Bearer {token}"}
    question = {"version": "2.0", "type": "REQUEST", "headers": headers, "identitySource": [headers["authorization"]]}
    return running.child.invoke("AuthorizerFunction", question | {"requestContext": {}})["context"]


def event(method: str, path: str, body: Any, claims: Mapping[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/json", "atelier-viewer-address": "203.0.113.7", "host": "localhost"}
    return {
        "version": "2.0",
        "routeKey": f"ANY {path}",
        "rawPath": path.partition("?")[0],
        "rawQueryString": path.partition("?")[2],
        "headers": headers,
        "requestContext": {
            "requestId": "bench",
            "stage": "$default",
            "http": {"method": method, "path": path, "sourceIp": "203.0.113.7", "protocol": "HTTP/1.1"},
            "authorizer": {"lambda": claims},
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def function_path(folder: Path, source: Path) -> str:
    """The import path of a function: the product's layer, the runtime layer, the packages of the others that it has."""
    return os.pathsep.join([str(folder / "layer"), str(folder / "runtime"), str(function_site(folder, source))])


def reference_path(folder: Path) -> str:
    """The import path of the typical function, which uses no layer."""
    return str(reference_site(folder, "typical", TYPICAL_IMPORTS))


def stage_function(folder: Path, name: str, source: Path) -> Path:
    """Copies a function with its bytecode into `folder`, and the first time also the product's layer and the runtime
    layer; returns the path of the copied app.py."""
    layer = folder / "layer"
    if not layer.exists():
        shutil.copytree(ROOT / "layers/atelier/python", layer, ignore=shutil.ignore_patterns("__pycache__"))
        compile_folder(layer)
        copy_runtime_layer(folder)
        compile_folder(folder / "runtime")
    target = folder / "functions" / name
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    compile_folder(target)
    return target / "app.py"


def copy_runtime_layer(folder: Path) -> None:
    """The packages of the runtime layer, as the layer has them: with the trimmed botocore."""
    packer = importlib.util.spec_from_file_location("pack", ROOT / "layers/dependencies/pack.py")
    assert packer is not None
    assert packer.loader is not None
    pack = importlib.util.module_from_spec(packer)
    packer.loader.exec_module(pack)
    links = link_packages(folder / "sites" / "runtime", pinned("runtime"))
    shutil.copytree(links, folder / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    pack.trim_botocore(folder / "runtime" / "botocore")


def compile_folder(folder: Path) -> None:
    compileall.compile_dir(folder, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
