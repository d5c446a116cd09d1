"""Loads Lambda functions and example events for tests."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parent.parent


def load_function(folder: str) -> ModuleType:
    """The module `functions/<folder>/app.py`, imported anew, as in a cold start."""
    path = ROOT / "functions" / folder / "app.py"
    spec = importlib.util.spec_from_file_location(f"app_{folder.replace('/', '_')}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def example_event(name: str) -> dict[str, Any]:
    """The event in `events/<name>.json`, unchanged."""
    loaded: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return loaded


def event(name: str, **changes: Any) -> dict[str, Any]:
    """The event in `events/<name>.json` with top-level keys replaced; headers are merged, and a `body` that is not a
    string is encoded as JSON."""
    loaded = example_event(name)
    headers = changes.pop("headers", {})
    if not isinstance(changes.get("body", ""), str):
        changes["body"] = json.dumps(changes["body"])
    return {**loaded, **changes, "headers": {**loaded.get("headers", {}), **headers}}
