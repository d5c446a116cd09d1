"""Loads Lambda functions and example events for tests."""

from __future__ import annotations

import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

import yaml

ROOT = Path(__file__).parent.parent
EVENTS = ROOT / "events"
# Headers of the complete event that belong to its own request.
OWN_HEADERS = {"content-length", "content-type", "idempotency-key", "prefer", "x-stainless-retry-count"}


def load_function(folder: str) -> ModuleType:
    """The module `functions/<folder>/app.py`, imported anew, as in a cold start."""
    path = ROOT / "functions" / folder / "app.py"
    spec = importlib.util.spec_from_file_location(f"app_{folder.replace('/', '_')}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def calls() -> dict[str, dict[str, Any]]:
    """The calls of `events/calls.yaml`, by `<function>/<name>`."""
    by_function: dict[str, dict[str, Any]] = yaml.safe_load((EVENTS / "calls.yaml").read_text())
    return {
        f"{folder}/{name}": call for folder, of_function in by_function.items() for name, call in of_function.items()
    }


def example_event(name: str) -> dict[str, Any]:
    """The event in `events/<name>.json`; for a call of `events/calls.yaml`, its function's complete event with that
    request."""
    if name not in calls():
        return json.loads((EVENTS / f"{name}.json").read_text())
    return with_request(complete_event((EVENTS / name).parent), **calls()[name])


def complete_event(folder: Path) -> dict[str, Any]:
    """The one complete event in a function's folder of events, from which the function's calls are built."""
    found = sorted(folder.glob("*.json"))
    assert len(found) == 1, (
        f"{folder} needs one complete event and has {[path.name for path in found]}: write the others as calls in "
        "events/calls.yaml"
    )
    complete: dict[str, Any] = json.loads(found[0].read_text())
    return complete


def with_request(
    complete: dict[str, Any],
    request: str,
    route: str | None = None,
    headers: dict[str, str] | None = None,
    body: Any = None,
) -> dict[str, Any]:
    """The gateway's event of another request of the same caller. request: "GET /api/assets?limit=10"; route: the
    gateway's route, "ANY /api/assets/{proxy+}", when it is not the path itself."""
    method, _, target = request.partition(" ")
    path, _, query = target.partition("?")
    route = route or f"ANY {path}"
    built = {
        name: value
        for name, value in complete.items()
        if name not in ("body", "pathParameters", "queryStringParameters")
    }
    kept = {name: value for name, value in complete["headers"].items() if name not in OWN_HEADERS}
    sent = {"content-type": "application/json"} if body is not None else {}
    built |= {"routeKey": route, "rawPath": path, "rawQueryString": query, "headers": kept | sent | (headers or {})}
    context = complete["requestContext"]
    http = context["http"] | {"method": method, "path": path}
    built["requestContext"] = context | {"routeKey": route, "http": http}
    pattern = re.sub(
        r"\{(\w+)(\+?)\}", lambda part: f"(?P<{part[1]}>{'.+' if part[2] else '[^/]+'})", route.partition(" ")[2]
    )
    if matched := re.fullmatch(pattern, path):
        built |= {"pathParameters": matched.groupdict()} if matched.groupdict() else {}
    if query:
        built["queryStringParameters"] = dict(parse_qsl(query))
    if body is not None:
        built["body"] = body if isinstance(body, str) else json.dumps(body)
    return built


def event(name: str, **changes: Any) -> dict[str, Any]:
    """The example event with top-level keys replaced; headers are merged, and a `body` that is not a
    string is encoded as JSON."""
    loaded = example_event(name)
    headers = changes.pop("headers", {})
    if not isinstance(changes.get("body", ""), str):
        changes["body"] = json.dumps(changes["body"])
    return {**loaded, **changes, "headers": {**loaded.get("headers", {}), **headers}}
