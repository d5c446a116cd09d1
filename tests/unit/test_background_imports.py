"""The imports of the functions that answer no HTTP request, in a process of their own: cold starts depend on them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SCRIPT = """
import importlib.util, json, sys
for number, path in enumerate(json.loads(sys.argv[1])):
    spec = importlib.util.spec_from_file_location(f"app{number}", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(json.dumps(sorted(sys.modules)))
"""
# What only functions need that read and write HTTP bodies. They took a third of the imports of an attempt.
HTTP_ONLY = {"pydantic", "atelier.http", "atelier.generations.create", "atelier.generations.schemas"}

# They check a backup's manifest by a model, and nobody waits for their start.
OF_BACKUPS = {"tasks/write_backup", "tasks/escrow_secrets", "tasks/drill_restore"}


def test_a_background_function_imports_no_http_schema() -> None:
    apps = [
        str(path)
        for folder in ("queues", "schedules", "streams", "tasks")
        for path in ROOT.glob(f"functions/{folder}/*/app.py")
        if f"{folder}/{path.parent.name}" not in OF_BACKUPS
    ]
    environment = {
        "PYTHONPATH": str(ROOT / "layers/atelier/python"),
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_SERVICE_NAME": "atelier",
    }
    command = [sys.executable, "-c", SCRIPT, json.dumps(apps)]
    loaded = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    assert "atelier.generations.attempt" in loaded
    assert HTTP_ONLY & set(loaded) == set()
